import type { Node } from '../../model/graph.ts'
import { isFloat } from '../../tensor/dtype.ts'
import { reorder } from '../behaviour/layout.ts'
import { distanceUnder, type Pairing, type ValuePair } from '../behaviour/pair-values.ts'
import type { Side } from '../behaviour/recording.ts'
import { distance } from '../distance.ts'
import { regionAt } from './cut-regions.ts'
import type { RegionResult, RegionState } from './region.ts'
import { unitOf } from './unit.ts'

/** Up to so many times what rounding explains is the same, up to so many suspicious, above it different. */
export const SAME_RATIO = 10
export const SUSPICIOUS_RATIO = 100

/** Longest sum in a region's operators: K of the bound sqrt(K) x u. */
export type ReductionLength = (node: Node, side: Side) => number

export const JUDGEMENT_RULE =
  `every region between paired values is run alone on the reference's own values; its relative L2 distance is divided ` +
  `by what rounding explains there (the largest of a quarter unit in the last place, the response of the region itself ` +
  `to inputs moved by half a unit, and sqrt(K)/8 units for sums of K terms): up to ${SAME_RATIO} times is the same, ` +
  `up to ${SUSPICIOUS_RATIO} suspicious, above different`

/**
 * Judges every paired value of the candidate by itself.
 *
 * @param replayed the candidate run with every paired value cut: each holds what its own operators make of the
 *   reference's values
 * @param disturbed the same with all feeds moved by half a unit in the last place, on the first input
 */
export function judgeRegions(
  reference: Side,
  replayed: Side,
  disturbed: Side | undefined,
  pairing: Pairing,
  reductionLength: ReductionLength,
): RegionResult[] {
  return [...pairing.partners.values()]
    .filter(({ candidate }) => replayed.producer.has(candidate))
    .map((pair) => judge(reference, replayed, disturbed, pairing, pair, reductionLength))
}

function judge(
  reference: Side,
  replayed: Side,
  disturbed: Side | undefined,
  pairing: Pairing,
  pair: ValuePair,
  reductionLength: ReductionLength,
): RegionResult {
  const region = regionAt(reference, replayed, pairing, pair)
  const { floor, floorFrom } = floorOf(replayed, disturbed, pair, region.candidateNodes, reductionLength)
  const gap = distanceUnder(reference, replayed, pair.reference, pair.candidate, pair.order)
  if (gap === undefined)
    return {
      region,
      state: 'different',
      reason: 'the sizes differ',
      floor,
      floorFrom,
      ratio: Number.POSITIVE_INFINITY,
    }
  const ratio = gap.relL2 / floor
  return { region, state: stateOf(ratio), distance: gap, floor, floorFrom, ratio }
}

export const stateOf = (ratio: number): RegionState =>
  ratio <= SAME_RATIO ? 'same' : ratio <= SUSPICIOUS_RATIO ? 'suspicious' : 'different'

/** What rounding alone explains at a value. */
function floorOf(
  replayed: Side,
  disturbed: Side | undefined,
  { candidate, order }: ValuePair,
  nodes: readonly Node[],
  reductionLength: ReductionLength,
): Pick<RegionResult, 'floor' | 'floorFrom'> {
  const dtype = replayed.recording.runs[0]?.get(candidate)?.dtype ?? 'float32'
  // integers are exact
  if (!isFloat(dtype)) return { floor: 1e-12, floorFrom: 'unit' }
  const unit = Math.max(unitOf(dtype), ...nodes.map((node) => unitInside(replayed, node)))
  const terms = nodes.reduce((longest, node) => Math.max(longest, reductionLength(node, replayed)), 1)
  const sum = (Math.sqrt(terms) * unit) / 8
  const response = responseOf(replayed, disturbed, candidate, order)
  const floor = Math.max(unit / 4, sum, response)
  const floorFrom = floor === response ? 'disturbance' : floor === sum ? 'reduction' : 'unit'
  return { floor, floorFrom }
}

/** The widest spacing among the values that an operator inside the region gives. */
const unitInside = (side: Side, { outputs }: Node) =>
  Math.max(0, ...outputs.map((name) => unitOf(side.recording.runs[0]?.get(name)?.dtype)))

function responseOf(replayed: Side, disturbed: Side | undefined, name: string, order: ValuePair['order']): number {
  if (disturbed === undefined) return 0
  const [plain, moved] = [reorder(replayed.numbers(name, 0), order), reorder(disturbed.numbers(name, 0), order)]
  if (plain.length !== moved.length) return 0
  const { relL2 } = distance(plain, moved)
  return Number.isFinite(relL2) ? relL2 : 0
}
