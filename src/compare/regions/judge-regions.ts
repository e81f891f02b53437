import type { Node } from '../../model/graph.ts'
import { isFloat } from '../../tensor/dtype.ts'
import { reorder } from '../behaviour/layout.ts'
import { distanceUnder, type Pairing, type ValuePair } from '../behaviour/pair-values.ts'
import type { Side } from '../behaviour/recording.ts'
import { distance } from '../distance.ts'
import { regionAt } from './cut-regions.ts'
import type { Region, RegionResult, RegionState } from './region.ts'
import { isHalf, unitOf } from './unit.ts'

/** Up to so many times what rounding explains is the same, up to so many suspicious, above it different. */
export const SAME_RATIO = 10
export const SUSPICIOUS_RATIO = 100

/** Where rounding alone moves a value by more than this share of its size, agreement says nothing. */
const MAX_FLOOR = 0.02

/** Rounded constants move a layer by about half of the largest rounding: well within the limit of the same. */
const STORED_SHARE = 8

/** Longest sum in a region's operators: K of the bound sqrt(K) x u. */
export type ReductionLength = (node: Node, side: Side) => number

/** What is known of the candidate's arithmetic besides its values. */
export interface Arithmetic {
  readonly reductionLength: ReductionLength
  /** constants that are rounded while the reference runs with other ones: largest relative rounding, by name */
  readonly coarse: ReadonlyMap<string, number>
}

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
  arithmetic: Arithmetic,
): RegionResult[] {
  return [...pairing.partners.values()]
    .filter(({ candidate }) => replayed.producer.has(candidate))
    .map((pair) => judge(reference, replayed, disturbed, pairing, pair, arithmetic))
}

function judge(
  reference: Side,
  replayed: Side,
  disturbed: Side | undefined,
  pairing: Pairing,
  pair: ValuePair,
  arithmetic: Arithmetic,
): RegionResult {
  const region = regionAt(reference, replayed, pairing, pair)
  const { floor, floorFrom } = floorOf(replayed, disturbed, pair, region.candidateNodes, arithmetic)
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
  const state = stateOf(ratio)
  const result = { region, distance: gap, floor, floorFrom, ratio }
  if (floor <= MAX_FLOOR || state === 'different') return { ...result, state }
  const share = `${Number((floor * 100).toPrecision(2))} %`
  return { ...result, state: 'not-judged', reason: `rounding alone moves this value by ${share} of its size` }
}

/** Results between these go to the arbiter, who computes the reference's side in float64. */
const DOUBTFUL = { from: 3, to: 1000 }
/** A float64 result that is further from the reference's own is of another computation: it decides nothing. */
const MAX_OWN_ERROR = 1e-5
/** Evaluations that one comparison may take. */
const MAX_ARBITRATED = 12

/** The value at a region's end in float64, from the reference's values at its cut; undefined where it cannot be had. */
export type Evaluate = (region: Region, input: number) => Promise<ArrayLike<number> | undefined>

/**
 * Judges doubtful regions by their distance to the float64 result, against the reference's own: where the reference is
 * the one that rounds, the candidate is not to blame, and where it is exact, less is forgiven.
 */
export async function arbitrate(
  reference: Side,
  replayed: Side,
  pairing: Pairing,
  results: readonly RegionResult[],
  evaluate: Evaluate,
): Promise<RegionResult[]> {
  let arbitrated = 0
  const judged: RegionResult[] = []
  for (const result of results) {
    const { ratio, region, distance: gap } = result
    const doubtful =
      result.state !== 'not-judged' && ratio >= DOUBTFUL.from && ratio <= DOUBTFUL.to && gap !== undefined
    const pair = pairing.partners.get(region.at.candidate)
    if (!doubtful || pair === undefined || arbitrated++ >= MAX_ARBITRATED) judged.push(result)
    else judged.push((await againstExact(reference, replayed, pair, result, evaluate)) ?? result)
  }
  return judged
}

async function againstExact(
  reference: Side,
  replayed: Side,
  { reference: name, candidate, order }: ValuePair,
  result: RegionResult,
  evaluate: Evaluate,
): Promise<RegionResult | undefined> {
  let own = 0
  let other = 0
  for (const [input] of reference.recording.runs.entries()) {
    const exact = await evaluate(result.region, input)
    const values = reference.numbers(name, input)
    if (exact === undefined || exact.length !== values.length) return undefined
    own = Math.max(own, distance(exact, values).relL2)
    other = Math.max(other, distance(exact, reorder(replayed.numbers(candidate, input), order)).relL2)
  }
  if (!(own <= MAX_OWN_ERROR)) return undefined
  const kept = result.floorFrom === 'disturbance' || result.floorFrom === 'unit' ? result.floor : 0
  const floor = Math.max(own, kept, unitOf(replayed.recording.runs[0]?.get(candidate)?.dtype) / 4)
  const ratio = other / floor
  return { ...result, floor, floorFrom: floor === own ? 'float64' : result.floorFrom, ratio, state: stateOf(ratio) }
}

const stateOf = (ratio: number): RegionState =>
  ratio <= SAME_RATIO ? 'same' : ratio <= SUSPICIOUS_RATIO ? 'suspicious' : 'different'

/** What rounding alone explains at a value. */
function floorOf(
  replayed: Side,
  disturbed: Side | undefined,
  { candidate, order }: ValuePair,
  nodes: readonly Node[],
  { reductionLength, coarse }: Arithmetic,
): Pick<RegionResult, 'floor' | 'floorFrom'> {
  const dtype = replayed.recording.runs[0]?.get(candidate)?.dtype ?? 'float32'
  // integers are exact
  if (!isFloat(dtype)) return { floor: 1e-12, floorFrom: 'unit' }
  // a model that computes in half precision rounds so; one that passes through it in places has a difference there
  const unit = isHalf(replayed)
    ? Math.max(unitOf(dtype), ...nodes.map((node) => unitInside(replayed, node)))
    : unitOf('float32')
  const terms = nodes.reduce((longest, node) => Math.max(longest, reductionLength(node, replayed)), 1)
  const sum = (Math.sqrt(terms) * unit) / 8
  const response = responseOf(replayed, disturbed, candidate, order)
  const stored = Math.max(0, ...nodes.flatMap(({ inputs }) => inputs.map((name) => coarse.get(name) ?? 0)))
  const floor = Math.max(unit / 4, sum, response, stored / STORED_SHARE)
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
