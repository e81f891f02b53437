import type { Comparison } from './comparison.ts'
import type { CauseReport, RegionReport } from './regions.ts'
import { formatNumber, formatTimes } from './text.ts'

/** Regions that forbid a match, and those that come close to it, in the order of the reference. */
export function faultyRegions({ regions }: Pick<Comparison, 'regions'>): RegionReport[] {
  return regions.filter(({ state }) => state === 'different')
}

/**
 * Why a region differs: what was tested on it, else what the files say of its layers. Where a cause is proved, guesses
 * that are not are left to `--json`: with the proved one repaired nothing remains for them to explain.
 */
export function causesOf(region: RegionReport, report: Pick<Comparison, 'causes'>): CauseReport[] {
  const all = candidateCauses(region, report)
  const proved = all.filter((cause) => cause.proved)
  return proved.length > 0 ? proved : all
}

function candidateCauses(region: RegionReport, { causes }: Pick<Comparison, 'causes'>): CauseReport[] {
  if (region.causes.length > 0) return region.causes
  const names = (nodes: RegionReport['referenceNodes']) => nodes.map(({ name }) => name)
  const [own, other] = [names(region.referenceNodes), names(region.candidateNodes)]
  return causes.filter(
    ({ referenceLayer, candidateLayer }) =>
      (referenceLayer !== null && own.includes(referenceLayer)) ||
      (candidateLayer !== null && other.includes(candidateLayer)),
  )
}

/** Causes that no faulty region shows. */
export function otherCauses(report: Pick<Comparison, 'causes' | 'regions'>): CauseReport[] {
  const told = faultyRegions(report).flatMap((region) => candidateCauses(region, report))
  return report.causes.filter(
    ({ label, referenceLayer, detail }) =>
      !told.some(
        (other) => other.label === label && (other.referenceLayer === referenceLayer || other.detail === detail),
      ),
  )
}

/** Operators that only move values: what a region does is told by the others. */
const MOVING = new Set([
  'Transpose',
  'Reshape',
  'Identity',
  'Cast',
  'Shape',
  'Gather',
  'Slice',
  'Squeeze',
  'Unsqueeze',
  'Flatten',
  'Constant',
])
const MAX_OPERATORS = 6

/** The operators of one side: `Conv + BatchNormalization`; at most six; what only moves values is left out, the last one is not. */
export function operatorsOf(nodes: RegionReport['referenceNodes']): string {
  const own = nodes.filter(({ op }) => op !== 'Constant')
  if (own.length === 0) return 'the value itself'
  const telling = own.filter(({ op }, at) => !MOVING.has(op) || at === own.length - 1)
  const shown = telling.map(({ op }) => op)
  const rest = shown.length - MAX_OPERATORS
  return rest > 0 ? `${shown.slice(0, MAX_OPERATORS).join(' + ')} + ${rest} more` : shown.join(' + ')
}

/** How a region's ends were found to correspond. */
export const FOUND: Readonly<Record<RegionReport['found'], string>> = {
  interface: 'by their place among inputs or outputs',
  name: 'by name',
  weights: 'by their weights',
  values: 'by equal values',
  structure: 'by operator and inputs',
  resynchronised: 'with the value of the reference in its place, what follows agrees again',
}

/** `off by 14.5 (relative L2 0.737, 6.41 million x the floor), largest at [0, 2, 5, 2]`. */
export function distanceText({ relL2, maxAbs, ratio, worst, floor, floorFrom, reason }: RegionReport): string {
  if (relL2 === null && maxAbs === null) return reason ?? 'sizes differ, or a value is not finite'
  const size = ratio === null ? '' : `, ${formatTimes(ratio)} x what rounding explains`
  const place = worst === null ? '' : `, largest at [${worst.join(', ')}]`
  const from = floor === null ? '' : `; floor ${formatNumber(floor)} ${FLOOR_FROM[floorFrom]}`
  return `off by ${formatNumber(maxAbs ?? Number.NaN)} (relative L2 ${formatNumber(relL2 ?? Number.NaN)}${size})${place}${from}`
}

const FLOOR_FROM: Readonly<Record<RegionReport['floorFrom'], string>> = {
  float64: 'from the same computation in float64',
  disturbance: 'from inputs disturbed by one rounding',
  reduction: 'from the length of the sums',
  unit: 'from the element type',
}

/** Before and after the change that was tried: `0.737 before, 1.1e-7 after`. */
export function proofText({ before, after, proved }: CauseReport): string {
  if (before === undefined || after === undefined || before === null || after === null) return ''
  return `relative L2 ${formatNumber(before)} before the change, ${formatNumber(after)} after${proved ? '' : ': not proved'}`
}

/** Regions that say nothing about the models, with the reason. */
export function unjudged({ regions }: Pick<Comparison, 'regions'>): RegionReport[] {
  return regions.filter(({ state }) => state === 'not-judged')
}

/** What is left of a region after bisection: `2 of 7 operators (Mul + Add), from /a to /b`. */
export function smallestText(smallest: NonNullable<RegionReport['smallest']>): string {
  const { candidateNodes, from, cut, candidate, spliced } = smallest
  const starts = cut.map((pair) => pair.candidate).slice(0, 3)
  const size =
    candidateNodes.length === from ? `all ${from} operators` : `${candidateNodes.length} of ${from} operators`
  const tried = spliced === 0 ? '' : `; ${spliced} values of the reference were put in`
  return `${from === 1 ? 'one operator' : size} (${operatorsOf(candidateNodes)}), from ${starts.join(', ') || 'constants'} to ${candidate}${tried}`
}
