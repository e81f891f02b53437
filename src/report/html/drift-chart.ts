import type { Comparison } from '../comparison.ts'
import { formatNumber, formatTimes } from '../text.ts'
import { escapeHtml } from './page.ts'

const WIDTH = 1000
const HEIGHT = 260
const LEFT = 58
const RIGHT = 14
const TOP = 16
const BOTTOM = 30
/** Differences below this are drawn on the floor: they are no difference at float32. */
const LOWEST = 1e-9
const HIGHEST = 10
/** More points than this are too many to hover over one by one; the worst of each stretch is drawn. */
const MAX_POINTS = 1500

interface Point {
  readonly name: string
  readonly state: string
  /** computed alone on the values of the reference; null where it was not judged */
  readonly alone: number | null
  readonly accumulated: number | null
  readonly ratio: number | null
  readonly isBad: boolean
  readonly isAccounted: boolean
}

/**
 * How the difference grows through the network, in order of execution, on a logarithmic scale: one dot per region
 * computed alone, a line for the whole run. A fault is a dot that stands out; what it does to the rest is the line.
 */
export function driftChart(report: Comparison): string {
  const points = thinned(pointsOf(report))
  if (points.length === 0) return ''
  const x = (index: number) => LEFT + ((WIDTH - LEFT - RIGHT) * (index + 0.5)) / points.length
  const y = (value: number) => {
    const clamped = Math.min(HIGHEST, Math.max(LOWEST, value))
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - Math.log10(clamped / LOWEST) / Math.log10(HIGHEST / LOWEST))
  }
  const grid = [1e-9, 1e-7, 1e-5, 1e-3, 1e-1, 10].map(
    (value) =>
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(value).toFixed(1)}" y2="${y(value).toFixed(1)}" class="grid"/><text x="${LEFT - 8}" y="${(y(value) + 4).toFixed(1)}" text-anchor="end">${formatNumber(value)}</text>`,
  )
  const bands = points.map(({ isBad }, index) =>
    isBad
      ? `<rect x="${(x(index) - 5).toFixed(1)}" y="${TOP}" width="10" height="${HEIGHT - TOP - BOTTOM}" class="band"/>`
      : '',
  )
  const run = linePath(
    points.map(({ accumulated }, index) => (accumulated === null ? undefined : [x(index), y(accumulated)])),
  )
  const radius = points.length > 150 ? 2.2 : points.length > 60 ? 3 : 4
  const dots = points.map(({ alone, isBad, isAccounted }, index) =>
    alone === null && !isBad
      ? ''
      : `<circle cx="${x(index).toFixed(1)}" cy="${y(alone ?? HIGHEST).toFixed(1)}" r="${isBad ? radius + 2.5 : isAccounted ? radius + 1.5 : radius}" class="${isBad ? 'fault' : isAccounted ? 'accounted' : 'alone'}"/>`,
  )
  const step = (WIDTH - LEFT - RIGHT) / points.length
  const targets = points.map(
    (point, index) =>
      `<rect x="${(x(index) - step / 2).toFixed(1)}" y="${TOP}" width="${step.toFixed(2)}" height="${HEIGHT - TOP - BOTTOM}" class="target"><title>${escapeHtml(hoverText(point))}</title></rect>`,
  )
  return `<figure class="chart"><div class="legend"><span><i class="dot"></i>each region alone, on the values of the reference</span><span><i class="bar"></i>the whole run</span>${points.some(({ isBad }) => isBad) ? '<span><i class="dot bad"></i>region that differs</span>' : ''}${points.some(({ isAccounted }) => isAccounted) ? '<span><i class="dot warn"></i>accounted for</span>' : ''}</div>
<div class="scroll-x" tabindex="0" role="group" aria-label="chart, scrollable"><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(chartText(points))}">
${bands.join('')}${grid.join('')}<path d="${run}" class="run"/>${dots.join('')}${faultLabel(points, x)}${targets.join('')}
<text x="${LEFT}" y="${HEIGHT - 8}">input</text><text x="${WIDTH - RIGHT}" y="${HEIGHT - 8}" text-anchor="end">output</text><text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 8}" text-anchor="middle">${points.length} places in order of execution</text>
</svg></div><figcaption class="dim">Relative L2 distance from the reference, logarithmic. Hover over a place for its name; the table below has every number.</figcaption></figure>`
}

function pointsOf({ regions, values }: Comparison): Point[] {
  if (regions.length > 0)
    return regions.map(({ reference, state, relL2, accumulated, ratio }) => ({
      name: reference,
      state: state.replace('-', ' '),
      alone: relL2,
      accumulated,
      ratio,
      isBad: state === 'different',
      isAccounted: state === 'accounted',
    }))
  return values.map(({ reference, status, relL2 }) => ({
    name: reference,
    state: status,
    alone: null,
    accumulated: relL2,
    ratio: null,
    isBad: status === 'different',
    isAccounted: status === 'accounted',
  }))
}

/** At most `MAX_POINTS`: of each stretch the one that differs most, faults always. */
function thinned(points: readonly Point[]): Point[] {
  if (points.length <= MAX_POINTS) return [...points]
  const size = Math.ceil(points.length / MAX_POINTS)
  return Array.from({ length: Math.ceil(points.length / size) }, (_, at) =>
    points.slice(at * size, (at + 1) * size),
  ).flatMap((stretch) => {
    const faults = stretch.filter(({ isBad }) => isBad)
    if (faults.length > 0) return faults
    return [stretch.reduce((worst, point) => ((point.ratio ?? 0) > (worst.ratio ?? 0) ? point : worst))]
  })
}

/** A line through the places that have a value; it breaks where one has none. */
function linePath(places: readonly (readonly [number, number] | undefined)[]): string {
  return places
    .map((place, index) =>
      place === undefined
        ? ''
        : `${index > 0 && places[index - 1] !== undefined ? 'L' : 'M'}${place[0].toFixed(1)} ${place[1].toFixed(1)}`,
    )
    .join('')
}

const hoverText = ({ name, state, alone, accumulated, ratio }: Point) =>
  [
    `${name}: ${state}`,
    ...(alone === null
      ? []
      : [`alone ${formatNumber(alone)}${ratio === null ? '' : ` (${formatTimes(ratio)} x floor)`}`]),
    ...(accumulated === null ? [] : [`whole run ${formatNumber(accumulated)}`]),
  ].join('\n')

function chartText(points: readonly Point[]): string {
  const faults = points.filter(({ isBad }) => isBad)
  const last = [...points].reverse().find(({ accumulated }) => accumulated !== null)
  const where =
    faults.length === 0
      ? 'no place stands out'
      : `it stands out at ${faults
          .slice(0, 3)
          .map(({ name }) => name)
          .join(', ')}`
  return `Difference through the network, ${points.length} places: ${where}${last ? `; at the end ${formatNumber(last.accumulated!)}` : ''}`
}

/** Names the first fault beside its band. */
function faultLabel(points: readonly Point[], x: (index: number) => number): string {
  const at = points.findIndex(({ isBad }) => isBad)
  if (at < 0) return ''
  const isRight = x(at) > WIDTH / 2
  return `<text x="${(x(at) + (isRight ? -10 : 10)).toFixed(1)}" y="${TOP + 12}"${isRight ? ' text-anchor="end"' : ''} class="name">${escapeHtml(points[at]!.name)}</text>`
}
