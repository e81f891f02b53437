import type { Comparison } from './comparison.ts'
import {
  causesOf,
  distanceText,
  FOUND,
  faultyRegions,
  operatorsOf,
  proofText,
  smallestText,
  unjudged,
} from './region-text.ts'
import type { CauseReport, RegionReport } from './regions.ts'
import { formatNumber, formatTimes, plural, type Style, wrap } from './text.ts'

/** A person repairs one fault at a time. */
const MAX_FAULTS = 6
const MAX_CAUSES = 3

/** Every faulty region: place on both sides, how it was paired, how far off, why, and what to do. */
export function renderFaults(report: Comparison, style: Style, columns: number): string {
  const faults = faultyRegions(report)
  if (faults.length === 0) return ''
  const shown = faults
    .slice(0, MAX_FAULTS)
    .map((region, at) => renderFault(region, causesOf(region, report), { style, columns, number: at + 1 }))
  const more = faults.length - MAX_FAULTS
  return [
    `${style.bold('Where they part')}  ${style.dim(wrap('each stretch is computed alone, on the values of the reference', columns, 17))}`,
    ...shown,
    ...(more > 0 ? [`  ${style.dim(`and ${plural(more, 'more region')} in --json and --html`)}`] : []),
  ].join('\n')
}

const LABEL = 12

function renderFault(
  region: RegionReport,
  causes: readonly CauseReport[],
  { style, columns, number }: { style: Style; columns: number; number: number },
): string {
  const indent = 5 + LABEL
  const row = (label: string, text: string) => `     ${style.dim(label.padEnd(LABEL))}${wrap(text, columns, indent)}`
  const side = (value: string, nodes: RegionReport['referenceNodes']) => {
    const name = nodes.at(-1)?.name
    return `${value}  ${style.dim(operatorsOf(nodes))}${name && name !== value ? style.dim(` ${name}`) : ''}`
  }
  const { cut } = region
  const from =
    cut.length === 0
      ? 'constants'
      : cut
          .slice(0, 3)
          .map(({ reference }) => reference)
          .filter((name, at, all) => all.indexOf(name) === at)
          .join(', ')
  return [
    `  ${String(number)}  ${style.bad(style.bold(headline(region)))}`,
    row('reference', side(region.reference, region.referenceNodes)),
    row('candidate', side(region.candidate, region.candidateNodes)),
    row('starts at', `${from}${cut.length > 3 ? ` and ${cut.length - 3} more` : ''}`),
    row(
      'paired',
      `${FOUND[region.found]} (confidence ${formatNumber(region.confidence)})${region.layout === 'same' ? '' : `; ${region.layout}`}`,
    ),
    row('alone', distanceText(region)),
    ...(region.accumulated === null
      ? []
      : [row('in the run', `relative L2 ${formatNumber(region.accumulated)} with all that happened before`)]),
    ...(region.smallest ? [row('smallest', smallestText(region.smallest))] : []),
    ...causes.slice(0, MAX_CAUSES).flatMap((cause, at) => renderCause(cause, causes.slice(0, at), row, style)),
    ...(causes.length === 0 ? [row('cause', 'not known')] : []),
  ].join('\n')
}

function headline({ referenceNodes, reference }: RegionReport): string {
  const node = referenceNodes.at(-1)
  if (node === undefined) return reference
  return `${node.op} ${node.name === '' ? reference : node.name}`
}

function renderCause(
  cause: CauseReport,
  earlier: readonly CauseReport[],
  row: (label: string, text: string) => string,
  style: Style,
): string[] {
  const { label, proved, confidence, detail, fix, indistinguishable = [] } = cause
  const weight = proved ? style.bad('proved') : `${Math.round(confidence * 100)} %`
  // another word for the same
  if (earlier.some((other) => other.detail === detail)) return [row('or', `${label} (${weight})`)]
  const proof = proofText(cause)
  return [
    row('cause', `${style.bold(label)} (${weight}): ${detail}`),
    ...(proof === '' ? [] : [row('proof', proof)]),
    ...(indistinguishable.length === 0 ? [] : [row('or', indistinguishable.join('; '))]),
    ...(fix === undefined || fix === '' ? [] : [row('fix', style.bold(fix))]),
  ]
}

/** Heights of a sparkline, lowest first. */
const BARS = '▁▂▃▄▅▆▇█'
/** Differences from rounding to total, as powers of ten: each bar is one. */
const LOWEST = -8

/** How the difference grows through the net, in two lines of bars: each region alone, and the whole run. */
export function renderDrift({ regions }: Comparison, style: Style, columns: number): string {
  const measured = regions.filter(({ relL2 }) => relL2 !== null)
  if (measured.length === 0) return ''
  const width = Math.max(1, Math.min(regions.length, columns - 16))
  const line = (of: (region: RegionReport) => number | null, isBad: (region: RegionReport) => boolean) =>
    bins(regions, width)
      .map((bin) => {
        const values = bin.map(of).filter((value) => value !== null)
        const bar = values.length === 0 ? '·' : barOf(Math.max(...values))
        return bin.some(isBad) ? style.bad(bar) : bin.some(({ state }) => state === 'accounted') ? style.warn(bar) : bar
      })
      .join('')
  const isBad = ({ state }: RegionReport) => state === 'different'
  const nearest = measured
    .filter(({ state, ratio }) => (state === 'same' || state === 'suspicious') && ratio !== null)
    .sort((a, b) => b.ratio! - a.ratio!)[0]
  const closest =
    nearest && nearest.ratio! > 0
      ? `; nearest to the limit of 10: ${formatTimes(nearest.ratio!)} x floor at ${nearest.reference}`
      : ''
  return [
    `${style.bold('Through the network')}  ${style.dim(wrap(`${plural(regions.length, 'region')} in order; relative L2 from ${BARS[0]} 1e-8 to ${BARS.at(-1)} 0.1 and more${closest}`, columns, 21))}`,
    `  alone       ${line(({ relL2, state }) => relL2 ?? (state === 'different' ? 1 : null), isBad)}`,
    `  whole run   ${line(({ accumulated }) => accumulated, isBad)}`,
  ].join('\n')
}

function barOf(value: number): string {
  const step = value <= 0 ? 0 : Math.round(Math.log10(value)) - LOWEST
  return BARS[Math.max(0, Math.min(BARS.length - 1, step))]!
}

function bins(regions: readonly RegionReport[], count: number): RegionReport[][] {
  const all: RegionReport[][] = Array.from({ length: count }, () => [])
  for (const [at, region] of regions.entries()) all[Math.floor((at * count) / regions.length)]!.push(region)
  return all
}

/** Names of at most so many are printed per reason. */
const MAX_NAMES = 6

/** How values found each other, and which did not: every one is counted, those that matter are named. */
export function renderPairing(report: Comparison, style: Style, columns: number): string {
  const { pairing } = report
  if (pairing === null) return ''
  const found = Object.entries(pairing.found).filter(([, count]) => count > 0)
  const total = found.reduce((sum, [, count]) => sum + count, 0)
  const how = found.sort(([, a], [, b]) => b - a).map(([rule, count]) => `${count} by ${RULES[rule] ?? rule}`)
  const isInside = ({ reason }: { reason: string }) => reason.startsWith('inside a region')
  const [own, other] = [pairing.unpaired.reference.filter(isInside), pairing.unpaired.candidate.filter(isInside)]
  const inside =
    own.length + other.length === 0
      ? []
      : [
          `  ${wrap(`${plural(own.length, 'value')} of the reference and ${other.length} of the candidate lie inside regions: the other side has no such value, what follows is judged`, columns, 2)}`,
        ]
  const lines = (['reference', 'candidate'] as const).flatMap((side) => {
    const groups = new Map<string, string[]>()
    for (const each of pairing.unpaired[side])
      if (!isInside(each)) groups.set(each.reason, [...(groups.get(each.reason) ?? []), each.name])
    return [...groups].map(
      ([reason, names]) =>
        `  ${wrap(`${plural(names.length, 'value')} of the ${side} without partner (${reason}): ${names.slice(0, MAX_NAMES).join(', ')}${names.length > MAX_NAMES ? ', ...' : ''}`, columns, 2)}`,
    )
  })
  const silent = unjudged(report).map(
    ({ reference, reason }) => `  ${wrap(`not judged: ${reference}: ${reason ?? 'no reason given'}`, columns, 2)}`,
  )
  return [
    `${style.bold('Pairing')}  ${style.dim(wrap(`${plural(total, 'value')} paired: ${how.join(', ')}`, columns, 9))}`,
    ...inside,
    ...lines,
    ...silent.slice(0, MAX_NAMES),
    ...(silent.length > MAX_NAMES
      ? [`  ${style.dim(`and ${silent.length - MAX_NAMES} more not judged, in --json`)}`]
      : []),
  ].join('\n')
}

const RULES: Readonly<Record<string, string>> = {
  interface: 'place among inputs and outputs',
  name: 'name',
  weights: 'weights',
  values: 'equal values',
  structure: 'structure',
  resynchronised: 'putting the value of the reference in',
}

/** What modelwright.yaml expects, and whether it is so. */
export function renderAccounted({ accounted }: Comparison, style: Style, columns: number): string {
  if (accounted.length === 0) return ''
  const rows = accounted.map(({ where, what, reason, state, found, places }) => {
    const [word, paint] = state === 'holds' ? ['holds', style.good] : [state.replaceAll('-', ' '), style.bad]
    const count = places.length > 1 ? ` (${places.length} places)` : ''
    return [
      `  ${paint(word.padEnd(6))} ${style.bold(what)} at ${where.join(', ')}${count}: ${wrap(reason, columns, 9)}`,
      `         ${style.dim(wrap(found, columns, 9))}`,
    ].join('\n')
  })
  return [style.bold('Accounted differences'), ...rows].join('\n')
}

/** Top classes, boxes, masks. */
export function renderAgreement({ agreement }: Comparison, style: Style, columns: number): string {
  if (agreement.length === 0) return ''
  const rows = agreement.map(
    ({ output, kind, summary, recognised }) =>
      `  ${wrap(`${kind} ${output}: ${summary}`, columns, 4)}\n    ${style.dim(wrap(`taken for ${kind}: ${recognised}`, columns, 4))}`,
  )
  return [`${style.bold('For the task')}  ${style.dim('information beside the verdict')}`, ...rows].join('\n')
}
