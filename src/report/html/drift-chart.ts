import type { Comparison } from '../comparison.ts'
import { formatNumber } from '../text.ts'
import { escapeHtml } from './page.ts'

const WIDTH = 1000
const HEIGHT = 240
const LEFT = 64
const RIGHT = 16
const TOP = 12
const BOTTOM = 34
/** Differences below this are drawn on the floor: they are no difference at float32. */
const FLOOR = 1e-9
const CEILING = 10

/**
 * How the difference grows through the network: one dot per observed value of the reference, in order of execution,
 * relative L2 distance on a logarithmic scale, the tolerance as a line. Behind the first difference values have no
 * partner and are drawn as a band.
 */
export function driftChart({ values, firstDivergence }: Comparison): string {
  if (values.length === 0) return ''
  const x = (index: number) => LEFT + ((WIDTH - LEFT - RIGHT) * (index + 0.5)) / values.length
  const y = (value: number) => {
    const clamped = Math.min(CEILING, Math.max(FLOOR, value))
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - Math.log10(clamped / FLOOR) / Math.log10(CEILING / FLOOR))
  }
  const grid = [1e-9, 1e-7, 1e-5, 1e-3, 1e-1, 10].map(
    (value) =>
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(value)}" y2="${y(value)}" stroke="var(--line)"/><text x="${LEFT - 8}" y="${y(value) + 4}" text-anchor="end">${formatNumber(value)}</text>`,
  )
  const tolerance = values
    .map((value, index) => `${index === 0 ? 'M' : 'L'}${x(index).toFixed(1)} ${y(value.tolerance ?? FLOOR).toFixed(1)}`)
    .join('')
  const first = values.findIndex(({ reference }) => reference === firstDivergence?.referenceTensor)
  const band =
    first < 0
      ? ''
      : `<rect x="${x(first)}" y="${TOP}" width="${WIDTH - RIGHT - x(first)}" height="${HEIGHT - TOP - BOTTOM}" fill="var(--bad)" opacity=".07"/>`
  const dots = values.map((value, index) => {
    if (value.relL2 === null && value.status !== 'different') return ''
    const color = value.status === 'different' ? 'var(--bad)' : 'var(--accent)'
    const place = `${value.reference}: ${value.status}${value.relL2 === null ? '' : `, relative L2 ${formatNumber(value.relL2)}`}`
    return `<circle cx="${x(index).toFixed(1)}" cy="${y(value.relL2 ?? CEILING).toFixed(1)}" r="${value.status === 'different' ? 6 : 3}" fill="${color}"><title>${escapeHtml(place)}</title></circle>`
  })
  const label =
    first < 0
      ? ''
      : `<text x="${Math.min(x(first) + 10, WIDTH - 240)}" y="${TOP + 14}" style="fill:var(--bad)">${escapeHtml(values[first]!.reference)}</text>`
  return `<div class="chart"><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="relative difference of each value, in order of execution">
${band}${grid.join('')}<path d="${tolerance}" fill="none" stroke="var(--warn)" stroke-dasharray="5 4"/>${dots.join('')}${label}
<text x="${LEFT}" y="${HEIGHT - 8}">first value</text><text x="${WIDTH - RIGHT}" y="${HEIGHT - 8}" text-anchor="end">last of ${values.length}; dashed: tolerance</text>
</svg></div>`
}
