import type { Node } from '../../model/graph.ts'
import {
  type BehaviourComparison,
  compareOutputs,
  type Fault,
  type OutputResult,
  type ValueResult,
} from '../behaviour/compare-behaviour.ts'
import { attemptsAt, type Divergence, divergenceAt, frontier, leftover } from '../behaviour/divergence.ts'
import { explainDivergence, type ValueCause } from '../behaviour/explain.ts'
import { distanceUnder, type Pairing, type ValuePair } from '../behaviour/pair-values.ts'
import { type Recording, type Side, sideOf } from '../behaviour/recording.ts'
import type { Anchor, Search } from '../behaviour/search.ts'
import type { ProvedCause } from '../hypotheses/faulty-region.ts'
import type { RunForced } from './forced.ts'
import { arbitrate, type Evaluate, judgeRegions, type ReductionLength, SAME_RATIO } from './judge-regions.ts'
import type { RegionPair, RegionResult } from './region.ts'
import { type Correspondence, forcesOf, refused, resynchronise } from './resynchronise.ts'

/** Outputs that end up further apart than this are shown as different where some region is. */
const OUTPUT_LIMIT = 1e-5
/** Outputs that are further apart end to end are not said to agree, though every region does. */
const VISIBLE_DRIFT = 1e-2

/** Faults behind which the candidate is run once more, to see what its values show. */
const MAX_EXPLAINED = 4

export interface ReplayOptions {
  readonly run: RunForced
  readonly anchors: readonly Anchor[]
  readonly reductionLength: ReductionLength
  /** constants of the candidate that are rounded while the reference runs with other ones: largest relative rounding */
  readonly coarse: ReadonlyMap<string, number>
  readonly evaluate: Evaluate
  /** layers that hold each other's weights, by node: their values are right, and in each other's place */
  readonly exchanged: readonly Pick<Anchor, 'referenceNode' | 'candidateNode'>[]
  /** whether the files state a difference in a region that forbids a match: then suspicious is different */
  readonly stated: (region: RegionResult['region']) => boolean
  /** finds causes by running a faulty region changed */
  readonly prove: (
    result: RegionResult,
    suspects: () => Promise<readonly ValueCause[]>,
  ) => Promise<readonly ProvedCause[]>
}

/**
 * Compares two models of which the candidate can be run again: pairs values by running it on the reference's values,
 * then judges every region between paired values alone.
 *
 * @param naturalRecording what the candidate computes from its inputs
 * @throws {ToolError} CANNOT_RUN when not even the plain replay runs
 */
export async function compareByReplay(
  referenceRecording: Recording,
  naturalRecording: Recording,
  { run, anchors, coarse, reductionLength, evaluate, exchanged, stated, prove }: ReplayOptions,
): Promise<BehaviourComparison> {
  const reference = sideOf(referenceRecording)
  const natural = sideOf(naturalRecording)
  const found = await resynchronise(reference, natural, run, anchors, Math.max(0, ...coarse.values()))
  const { pairing, replayed } = found
  const disturbed = await run(forcesOf(natural, pairing), { inputs: 1, disturbed: true })
  const plain = judgeRegions(reference, replayed, sideOf(disturbed), pairing, { reductionLength, coarse })
  const judged = await arbitrate(reference, replayed, pairing, plain, evaluate)
  const results = inOrder(reference, judged).map(
    (result): RegionResult =>
      result.state === 'suspicious' && stated(result.region) ? { ...result, state: 'different' } : result,
  )
  const notCompared: { what: string; reason: string }[] = []
  const ends = compareOutputs(reference, natural, new Map(), () => OUTPUT_LIMIT, notCompared)
  const byCandidate = new Map(results.map((result) => [result.region.at.candidate, result]))
  const places = results
    .filter(({ state }) => state === 'different')
    .map((result) => ({ result, ...placeOf(reference, replayed, pairing, found, anchors, result) }))
    .map((place) => ({ ...place, exchange: atExchange(reference, replayed, exchanged, place.divergence) }))
    .map(({ exchange, ...place }) => ({ ...place, exchanged: exchange !== undefined, ...exchange }))
    .sort((left, right) => orderOf(reference, left) - orderOf(reference, right))
  const faults: Fault[] = []
  for (const [index, place] of places.entries()) {
    let seen: readonly ValueCause[] = []
    // another run of the whole candidate: only where nothing is proved without it
    const suspects = async () => (seen = await explain(reference, natural, run, pairing, place))
    // the files have proved an exchange; where the values meet there is nothing to mend
    const proofs = index < MAX_EXPLAINED && !place.exchanged ? await prove(place.result, suspects) : []
    const causes = place.repaired && !proofs.some((cause) => cause.proved) ? proved(seen) : seen
    const provedPlace = atStretch(reference, replayed, pairing, proofs) ?? atOtherSize(reference, replayed, proofs)
    const divergence = provedPlace ?? place.divergence
    faults.push({ result: place.result, divergence, causes, proofs })
  }
  const outputs = ends.map((output) => outputResult(output, pairing, byCandidate, faults))
  const [first] = faults
  const values = valueResults(reference, pairing, byCandidate, first)
  const rest = {
    values,
    outputs,
    divergence: first?.divergence,
    causes: first?.causes ?? [],
    regions: results,
    faults,
    pairing,
    accumulated: accumulated(reference, natural, pairing),
    notCompared: [...notCompared, ...unpaired(reference, natural, pairing, found)],
  }
  return { ...rest, ...verdictOf(reference, outputs, results, faults) }
}

/** Where a region that differs is to be looked for: an operator left out or added stands in it, else it is its end. */
function placeOf(
  reference: Side,
  replayed: Side,
  pairing: Pairing,
  found: Correspondence,
  anchors: readonly Anchor[],
  result: RegionResult,
): { divergence: Divergence; repaired: boolean } {
  const { at, referenceNodes, candidateNodes } = result.region
  const pairs = new Map(pairing.pairs)
  const partners = new Map([...pairing.partners].map(([name, { reference: partner }]) => [name, partner]))
  pairs.delete(at.reference)
  partners.delete(at.candidate)
  const inside = referenceNodes.flatMap(({ outputs }) => outputs).filter((name) => !pairs.has(name))
  const search: Search = {
    reference,
    candidate: replayed,
    pairs,
    partners,
    open: new Set(reference.order.filter((name) => name === at.reference || inside.includes(name))),
    anchors: new Map([...anchors].reverse().map((anchor) => [anchor.candidateNode, anchor])),
  }
  const open = candidateNodes
    .flatMap(({ outputs }) => outputs)
    .filter((name) => replayed.shape(name) !== undefined && !partners.has(name))
  const repaired = candidateNodes.find((node) => found.repairs.has(node))
  const known = (repaired && found.repairs.get(repaired)) ?? found.places.get(at.candidate)
  const placed = known
    ? undefined
    : frontier(replayed, open)
        .flatMap((name) => attemptsAt(search, name))
        .find(({ end }) => end.candidate === at.candidate && end.reference === at.reference)
  const divergence =
    ownPlace(search, at, known ?? placed?.divergence) ?? divergenceAt(search, at.reference, at.candidate)
  // what the candidate makes of the reference's values is what is shown, not what it made of its own
  const own = divergence.referenceTensor === at.reference && divergence.candidateTensor === at.candidate
  return {
    divergence: own
      ? { ...divergence, distance: result.distance, candidateShape: replayed.shape(at.candidate) }
      : divergence,
    repaired: repaired !== undefined,
  }
}

/**
 * Operators that one side lacks, and whose absence is proved, are the place of the difference, wherever in the region
 * they stand: the value behind them on the side that has them, and what the other side goes on with.
 */
function atStretch(
  reference: Side,
  replayed: Side,
  { pairs, partners }: Pairing,
  proofs: readonly ProvedCause[],
): Divergence | undefined {
  const [{ proved, label, stretch } = { proved: false, label: 'unknown', stretch: undefined }] = proofs
  if (!proved || stretch === undefined) return undefined
  const extra = stretch.side === 'candidate'
  // most added operators are seen as such before they are proved; those that pass a value on as it is are not
  if (extra && label !== 'dtype-cast') return undefined
  const pair = extra ? partners.get(stretch.from) : pairs.get(stretch.from)
  if (pair === undefined) return undefined
  const referenceTensor = extra ? pair.reference : stretch.to
  const candidateTensor = extra ? stretch.to : label === 'dtype-cast' ? behindCasts(replayed, pair) : pair.candidate
  const gap = distanceUnder(reference, replayed, referenceTensor, candidateTensor, pair.order)
  return divergenceOf(reference, replayed, referenceTensor, candidateTensor, gap)
}

/**
 * Two operators that give other sizes part there, though their region ends only where the sizes agree again. The first
 * of them in the reference's order, where several had to be put right together.
 */
function atOtherSize(reference: Side, replayed: Side, proofs: readonly ProvedCause[]): Divergence | undefined {
  const places = proofs
    .flatMap(({ proved, label, at }) => (proved && label === proofs[0]?.label && at ? [at] : []))
    .filter((at) => reference.shape(at.reference)?.join() !== replayed.shape(at.candidate)?.join())
    .sort((left, right) => reference.order.indexOf(left.reference) - reference.order.indexOf(right.reference))
  const [first] = places
  return first && divergenceOf(reference, replayed, first.reference, first.candidate, undefined)
}

function divergenceOf(
  reference: Side,
  replayed: Side,
  referenceTensor: string,
  candidateTensor: string,
  gap: Divergence['distance'],
): Divergence {
  return {
    referenceTensor,
    candidateTensor,
    referenceNode: reference.producer.get(referenceTensor),
    candidateNode: replayed.producer.get(candidateTensor),
    distance: gap,
    referenceShape: reference.shape(referenceTensor) ?? [],
    candidateShape: replayed.shape(candidateTensor),
  }
}

/** What a value is after it has passed through other element types. */
function behindCasts(side: Side, { candidate }: ValuePair): string {
  let name = candidate
  for (;;) {
    const [cast, ...others] = side.consumers.get(name) ?? []
    const [next] = cast?.outputs ?? []
    if (cast?.op !== 'Cast' || others.length > 0 || next === undefined || side.shape(next) === undefined) return name
    name = next
  }
}

/**
 * Exchanged weights give right values in each other's place: what pairs by value shows the difference only where these
 * values meet. It stands at the layers themselves.
 */
function atExchange(
  reference: Side,
  replayed: Side,
  exchanged: ReplayOptions['exchanged'],
  { referenceTensor }: Divergence,
): { divergence: Divergence } | undefined {
  for (const { referenceNode, candidateNode } of exchanged) {
    const node = reference.recording.graph.nodes.find(({ name }) => name === referenceNode)
    const other = replayed.recording.graph.nodes.find(({ name }) => name === candidateNode)
    const [name, otherName] = [node?.outputs[0], other?.outputs[0]]
    if (!node || !other || name === undefined || otherName === undefined || name === referenceTensor) continue
    if (!behindNodes(reference, [node]).has(referenceTensor)) continue
    const divergence: Divergence = {
      referenceTensor: name,
      candidateTensor: otherName,
      referenceNode: node,
      candidateNode: other,
      distance: distanceUnder(reference, replayed, name, otherName, { name: 'same' }),
      referenceShape: reference.shape(name) ?? [],
      candidateShape: replayed.shape(otherName),
    }
    return { divergence }
  }
  return undefined
}

/** Operators that only move or pad: what they do to a value belongs to the operator that takes it. */
const MOVES =
  /^(Pad|Transpose|Reshape|Flatten|Squeeze|Unsqueeze|Slice|Gather|Concat|Split|Identity|Cast|Constant|Shape)$/

/** Added operators stand at the value that they are applied to; added moves at the result of what takes them. */
function ownPlace(search: Search, at: RegionPair, found: Divergence | undefined): Divergence | undefined {
  const { inserted } = found ?? {}
  if (found === undefined || inserted === undefined) return found
  const moves = inserted.nodes.every(({ op }) => MOVES.test(op))
  const place =
    !moves && search.reference.producer.has(inserted.source)
      ? divergenceAt(search, inserted.source, inserted.end)
      : divergenceAt(search, at.reference, at.candidate)
  return { ...place, inserted }
}

/** What the values show when the candidate goes on with what the region makes of the reference's values. */
async function explain(
  reference: Side,
  natural: Side,
  run: RunForced,
  pairing: Pairing,
  { result, divergence }: Pick<Fault, 'result' | 'divergence'>,
) {
  const behind = behindNodes(natural, result.region.candidateNodes)
  const before = {
    pairs: new Map([...pairing.pairs].filter(([, { candidate }]) => !behind.has(candidate))),
    partners: new Map([...pairing.partners].filter(([name]) => !behind.has(name))),
  }
  const recording = await run(forcesOf(natural, before)).catch(refused)
  return recording === undefined ? [] : explainDivergence(reference, sideOf(recording), before.pairs, divergence)
}

/** Left out or added, as a run without it has shown. */
const proved = ([first, ...rest]: readonly ValueCause[]): ValueCause[] =>
  first === undefined ? [] : [{ ...first, proved: true, confidence: Math.max(first.confidence, 0.98) }, ...rest]

/** Everything that depends on a result of `nodes`, these included. */
function behindNodes(side: Side, nodes: readonly Node[]): Set<string> {
  const behind = new Set(nodes.flatMap(({ outputs }) => outputs))
  for (const node of side.recording.graph.nodes)
    if (node.inputs.some((name) => behind.has(name))) for (const name of node.outputs) behind.add(name)
  return behind
}

const orderOf = (reference: Side, { divergence }: Pick<Fault, 'divergence'>) =>
  reference.order.indexOf(divergence.referenceTensor)

function inOrder(reference: Side, results: readonly RegionResult[]): RegionResult[] {
  const rank = new Map(reference.order.map((name, index) => [name, index]))
  return [...results].sort((left, right) => rank.get(left.region.at.reference)! - rank.get(right.region.at.reference)!)
}

/** How an output came out end to end, and whether a region is to blame. */
function outputResult(
  output: OutputResult,
  { pairs }: Pairing,
  results: ReadonlyMap<string, RegionResult>,
  faults: readonly Fault[],
): OutputResult {
  if (output.candidate === undefined) return output
  const own = results.get(output.candidate)
  const layout = pairs.get(output.reference)?.layout ?? output.layout
  const differs = own?.state === 'different' || (faults.length > 0 && output.status === 'different')
  return { ...output, layout, status: differs ? 'different' : 'equal' }
}

function valueResults(
  reference: Side,
  { pairs }: Pairing,
  results: ReadonlyMap<string, RegionResult>,
  first: Fault | undefined,
): ValueResult[] {
  const hidden = new Set(leftover(reference, new Set(pairs.keys())).hidden)
  const inputs = new Set(reference.recording.graph.inputs.map(({ name }) => name))
  return reference.order
    .filter((name) => !inputs.has(name))
    .map((name): ValueResult => {
      const pair = pairs.get(name)
      const result = pair && results.get(pair.candidate)
      const tolerance = (result?.floor ?? 0) * SAME_RATIO
      if (pair === undefined) {
        const place = first?.divergence.referenceTensor === name
        const status = place ? 'different' : hidden.has(name) ? 'hidden' : 'after-divergence'
        const candidate = place ? first?.divergence.candidateTensor : undefined
        return { reference: name, tolerance, candidate, status, layout: undefined, distance: undefined }
      }
      const own = result?.region.at.reference === name
      return {
        reference: name,
        tolerance,
        candidate: pair.candidate,
        status: own && result.state === 'different' ? 'different' : 'equal',
        layout: pair.layout,
        distance: own ? result.distance : pair.distance,
      }
    })
}

/** How far apart paired values are when both models run from their inputs. */
function accumulated(reference: Side, natural: Side, { partners }: Pairing): Map<string, number> {
  const drift = new Map<string, number>()
  for (const { candidate, reference: name, order } of partners.values()) {
    const gap = distanceUnder(reference, natural, name, candidate, order)
    if (gap) drift.set(candidate, gap.relL2)
  }
  return drift
}

/** Values from which a difference could reach an output, and that stand for nothing. */
function unpaired(reference: Side, candidate: Side, { pairs, partners }: Pairing, { lost }: Correspondence) {
  const own = leftover(reference, new Set(pairs.keys())).unexplained
  const others = leftover(candidate, new Set(partners.keys())).unexplained
  const gaps: { what: string; reason: string }[] = []
  if (own.length > 0)
    gaps.push({
      what: `${own.length} value${own.length === 1 ? '' : 's'} of the reference, "${own[0]}" and what follows`,
      reason: 'no value of the candidate could be paired, also by running it on the values of the reference',
    })
  if (lost.length > 0 && others.length > 0)
    gaps.push({
      what: `${others.length} value${others.length === 1 ? '' : 's'} of the candidate, "${others[0]}" and what follows`,
      reason: 'nothing in the reference restores agreement when it is put in their place',
    })
  return gaps
}

/** Nothing compared is no match, an output that only one side has is a difference, and so is a region that differs. */
function verdictOf(
  reference: Side,
  outputs: readonly OutputResult[],
  results: readonly RegionResult[],
  faults: readonly Fault[],
): Pick<BehaviourComparison, 'verdict' | 'reason'> {
  const judged = outputs.filter(({ candidate }) => candidate !== undefined)
  if (judged.length === 0) return { verdict: 'not-compared', reason: 'no output of the reference has a counterpart' }
  const missing = outputs.filter(({ candidate }) => candidate === undefined)
  const [first] = faults
  if (first) {
    const wrong = outputs.filter(({ status }) => status === 'different').length
    const seen = wrong === 0 ? ', though no output shows it' : `; ${wrong} of ${outputs.length} outputs differ`
    const which = `${faults.length} of ${results.length} regions ${faults.length === 1 ? 'differs' : 'differ'} when run alone`
    return { verdict: 'mismatch', reason: `${which}${seen}` }
  }
  if (missing.length > 0)
    return {
      verdict: 'mismatch',
      reason: `${missing.length} of ${outputs.length} outputs are missing: ${missing.map(({ reference: name }) => `"${name}"`).join(', ')}`,
    }
  if (judged.every(({ reference: name }) => saysNothing(reference, name)))
    return { verdict: 'not-compared', reason: 'every output of the reference is constant on these inputs' }
  const open = new Set(results.filter(({ state }) => state === 'not-judged').map(({ region }) => region.at.candidate))
  if (judged.every(({ candidate }) => open.has(candidate!)))
    return {
      verdict: 'not-compared',
      reason: 'rounding alone moves every output too far for agreement to say anything',
    }
  const runs = reference.recording.runs.length
  const doubtful = results.filter(({ state }) => state === 'suspicious').length
  const doubt = doubtful === 0 ? '' : `, ${doubtful} of them further from it than rounding usually takes them`
  const which = outputs.length === 1 ? 'the output agrees' : `all ${outputs.length} outputs agree`
  const farthest = judged.reduce((most, output) => (driftOf(output) > driftOf(most) ? output : most), judged[0]!)
  if (driftOf(farthest) > VISIBLE_DRIFT)
    return {
      verdict: 'match',
      reason: `${results.length === 1 ? 'the region agrees' : `each of ${results.length} regions agrees`} by itself on ${runs} input${runs === 1 ? '' : 's'}${doubt}; in the whole run rounding grows to relative L2 ${Number(driftOf(farthest).toPrecision(3))} at output "${farthest.reference}"`,
    }
  return {
    verdict: 'match',
    reason: `${which} on ${runs} input${runs === 1 ? '' : 's'}, and ${results.length === 1 ? 'the region' : `each of ${results.length} regions`} by itself${doubt}`,
  }
}

const driftOf = ({ distance }: OutputResult) => distance?.relL2 ?? 0

/** Constant over all inputs, or nowhere finite: agreement there vouches for nothing. */
function saysNothing(reference: Side, name: string): boolean {
  let low = Number.POSITIVE_INFINITY
  let high = Number.NEGATIVE_INFINITY
  for (const [run] of reference.recording.runs.entries()) {
    for (const value of reference.numbers(name, run)) {
      if (!Number.isFinite(value)) continue
      if (value < low) low = value
      if (value > high) high = value
    }
  }
  return !(high - low > 1e-6 * Math.max(Math.abs(high), Math.abs(low)))
}
