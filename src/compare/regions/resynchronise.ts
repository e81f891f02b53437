import { ToolError } from '../../errors.ts'
import type { Node } from '../../model/graph.ts'
import { type Attempt, attemptsAt, type Divergence, frontier, leftover, openSearch } from '../behaviour/divergence.ts'
import { SAME_LAYOUT } from '../behaviour/layout.ts'
import {
  distanceUnder,
  nearestUnder,
  type Pairing,
  pairValues,
  takesTheSame,
  type ValuePair,
} from '../behaviour/pair-values.ts'
import { firstRuns, type Side, sideOf } from '../behaviour/recording.ts'
import type { Anchor, Search } from '../behaviour/search.ts'
import type { Force, RunForced } from './forced.ts'
import { isHalf, unitOf } from './unit.ts'

/** How the values of two models correspond, found out by running the candidate on the reference's values. */
export interface Correspondence {
  readonly pairing: Pairing
  /** the candidate with everything paired cut: each value is what its own operators make of the reference's values */
  readonly replayed: Side
  /** where a difference was found on the way, by the candidate's value behind it */
  readonly places: ReadonlyMap<string, Divergence>
  /** operators left out or added: what supplies or skips them makes what follows agree; by the candidate's operator */
  readonly repairs: ReadonlyMap<Node, Divergence>
  /** values of the candidate for which nothing restores agreement: what follows them could not be paired by running */
  readonly lost: readonly string[]
}

/** Runs of the candidate that may be spent on finding counterparts; each independent difference takes one or more. */
const MAX_RUNS = 40
/** Pairs are checked against the run in which they are cut, and made anew, so many times. */
const MAX_REVISIONS = 3
/** Counterparts are tried on so many inputs. */
const TRIED_INPUTS = 2
/** Counterparts tried for one value. */
const MAX_ATTEMPTS = 6
/** Places further on, within as many operators. */
const MAX_FAR_ATTEMPTS = 8
const MAX_DEPTH = 12
/** Distances that are measured to rank them, of values that are not smaller than this. */
const MAX_MEASURED = 100
const MIN_SIZE = 2
/** Operators that may be skipped as added ones. */
const MAX_SKIPPED = 4
/** What ten times the distance costs, and what an operator further on. */
const NEARNESS = 0.15
const STEP = 0.04
/** Both run from their inputs: rounding has grown, a small fault is everywhere. Only candidates for pairs. */
const NEAR = 1e-3
/** What is made of the same values by other operators, in float32. */
const EQUAL = 1e-5
const HALF_EQUAL = 8 * unitOf('float16')
/** The same operator on the same values still stands for it when it differs this many times more: it is the fault. */
const STRUCTURE_MARGIN = 30
const REPLAYED_MARGIN = 5000

/**
 * Pairs the values of both models by progressive resynchronisation.
 *
 * Where a value of the candidate has all its inputs paired but equals nothing in the reference, and the difference goes
 * on, it is given the reference's value and the rest runs again: the right counterpart is the one behind which values
 * agree again. One difference does not drown those that follow, and each independent one is found.
 *
 * @param natural what the candidate computes from its inputs, on all of them
 * @param rounding largest relative rounding of the candidate's constants that the reference does not share
 */
export async function resynchronise(
  reference: Side,
  natural: Side,
  run: RunForced,
  anchors: readonly Anchor[],
  rounding: number,
): Promise<Correspondence> {
  const settled = new Map<string, ValuePair>()
  const loose = pairValues(reference, natural, () => NEAR, { structureMargin: STRUCTURE_MARGIN })
  const equal = Math.max(EQUAL, 2 * rounding, isHalf(natural) ? HALF_EQUAL : 0)
  const start = await stabilise(reference, natural, run, loose, settled, equal)
  if (reference.recording.runs.length === 0) return { ...start, places: new Map(), repairs: new Map(), lost: [] }
  const first = sideOf(firstRuns(reference.recording, TRIED_INPUTS))
  const places = new Map<string, Divergence>()
  const repairs = new Map<Node, Divergence>()
  const lost = new Set<string>()
  const witnesses: Force[] = []
  let side = sideOf(firstRuns(start.replayed.recording, TRIED_INPUTS))
  let { pairing } = start
  let runs = 0

  const tryOut = async (attempt: Attempt): Promise<Outcome | undefined> => {
    const pair = pairOf(first, side, pairing, attempt)
    const force = forceOf(attempt, pair, side, pairing)
    if (force === undefined) return undefined
    const known = attempt.kind === 'replace' ? new Map([...settled, [pair.candidate, pair]]) : settled
    runs++
    const forces = forcesOf(side, pairing, force.consumer ? [] : [pair.candidate, force.candidate])
    const recording = await run([...forces, ...witnesses, force], { inputs: TRIED_INPUTS }).catch(refused)
    if (recording === undefined) return undefined
    const next = sideOf(recording)
    const found = pairReplayed(first, next, known, equal)
    const open = new Set(leftover(next, new Set(found.partners.keys())).unexplained)
    // operators that are skipped or supplied count when what takes them agrees
    const end = attempt.kind === 'supply' ? [pair.candidate] : resultsOf(side, force.candidate)
    const gained = [...found.pairs.keys()].some((name) => name !== pair.reference && !pairing.pairs.has(name))
    const restored =
      !end.some((name) => open.has(name)) && (gained || end.length === 0) && !crossesOutputs(first, next, found)
    return { attempt, pair, force, side: next, pairing: found, open: open.size, restored }
  }

  while (runs < MAX_RUNS) {
    const search = openSearch(first, side, pairing, anchors)
    const other = frontier(side, search.unexplained).find((name) => !lost.has(name))
    if (other === undefined) break
    const attempts = [...interfaceAttempt(search, other), ...attemptsAt(search, other)].slice(0, MAX_ATTEMPTS)
    let best: Outcome | undefined
    const tried = new Set<string>()
    for (const attempt of [...attempts, ...farAttempts(search, other)]) {
      const key = `${attempt.kind} ${attempt.end.reference} ${attempt.end.candidate}`
      if (runs >= MAX_RUNS) break
      if (tried.has(key)) continue
      tried.add(key)
      const outcome = await tryOut(attempt)
      if (outcome && (best === undefined || outcome.restored || outcome.open < best.open)) best = outcome
      if (outcome?.restored) break
    }
    if (best === undefined || !(best.restored || best.open < search.unexplained.length - 1)) {
      lost.add(other)
      if (attempts[0]) places.set(attempts[0].end.candidate, attempts[0].divergence)
      continue
    }
    const { attempt, pair, force } = best
    if (attempt.kind === 'replace') {
      places.set(pair.candidate, attempt.divergence)
      settled.set(pair.candidate, pair)
    } else {
      witnesses.push(force)
      const node = force.consumer ?? side.producer.get(force.candidate)
      if (node) repairs.set(node, attempt.divergence)
      // what only repeats a known value does so with the repair alone
      for (const [name, found] of best.pairing.partners)
        if (!pairing.partners.has(name) && !pairing.pairs.has(found.reference)) settled.set(name, found)
    }
    side = best.side
    pairing = best.pairing
  }
  const end =
    settled.size === 0
      ? { ...start, pairing: withOutputs(reference, natural, start.pairing) }
      : await stabilise(reference, natural, run, withOutputs(reference, natural, pairing), settled, equal)
  return {
    ...end,
    pairing: withHidden(reference, end.replayed, end.pairing, anchors),
    places,
    repairs,
    lost: [...lost],
  }
}

/** Pairs that stand when each of them is cut, and the run that shows it. */
async function stabilise(
  reference: Side,
  natural: Side,
  run: RunForced,
  from: Pairing,
  settled: ReadonlyMap<string, ValuePair>,
  equal: number,
): Promise<{ pairing: Pairing; replayed: Side }> {
  const fixed = new Map([
    ...settled,
    ...[...from.partners].filter(([, { found }]) => found === 'interface' || found === 'resynchronised'),
  ])
  let pairing = from
  for (let revision = 0; ; revision++) {
    const replayed = sideOf(await run(forcesOf(natural, pairing)))
    const next = pairReplayed(reference, replayed, fixed, equal)
    const stands = [...pairing.partners].every(
      ([name, { reference: partner }]) => next.partners.get(name)?.reference === partner,
    )
    if (stands || revision === MAX_REVISIONS) return { pairing: stands ? next : pairing, replayed }
    pairing = next
  }
}

/** Pairs values that are made of the reference's own: equal ones, and the same operators on the same values. */
function pairReplayed(
  reference: Side,
  replayed: Side,
  settled: ReadonlyMap<string, ValuePair>,
  equal: number,
): Pairing {
  const limit = (name: string) => Math.max(equal, 8 * unitOf(reference.recording.runs[0]?.get(name)?.dtype))
  return pairValues(reference, replayed, limit, { structureMargin: REPLAYED_MARGIN, settled })
}

/**
 * Values that differ and yet do not matter for what follows on these inputs (a branch that is scaled down to nothing)
 * stand for each other by name, or by the weights that they are made with, and by what they are made of.
 */
function withHidden(reference: Side, replayed: Side, from: Pairing, anchors: readonly Anchor[]): Pairing {
  const pairs = new Map(from.pairs)
  const partners = new Map(from.partners)
  const weighted = new Map(anchors.filter(({ folded }) => !folded).map((each) => [each.candidateNode, each]))
  const results = new Map(reference.recording.graph.nodes.map(({ name, outputs }) => [name, outputs[0]]))
  for (const other of replayed.order) {
    if (partners.has(other)) continue
    const node = replayed.producer.get(other)
    const made = results.get(weighted.get(node?.name ?? '')?.referenceNode ?? '')
    const name = reference.producer.has(other) ? other : made
    if (name === undefined || pairs.has(name) || !takesTheSame(reference, replayed, partners, name, other)) continue
    if (name !== other && reference.producer.get(name)?.op !== node?.op) continue
    const pair = { ...pairOf(reference, replayed, from, { end: { reference: name, candidate: other } }) }
    if (pair.distance === undefined) continue
    pairs.set(name, { ...pair, found: name === other ? 'name' : 'weights' })
    partners.set(other, pairs.get(name)!)
  }
  return { pairs, partners }
}

/** Outputs correspond by name, else by position, whatever they hold. */
function withOutputs(reference: Side, candidate: Side, { pairs, partners }: Pairing): Pairing {
  const all = { pairs: new Map(pairs), partners: new Map(partners) }
  const others = candidate.recording.graph.outputs.map(({ name }) => name)
  for (const [position, { name }] of reference.recording.graph.outputs.entries()) {
    const other = others.includes(name) ? name : others[position]
    if (other === undefined || candidate.shape(other) === undefined || reference.shape(name) === undefined) continue
    if (all.partners.get(other)?.reference === name && all.pairs.get(name)?.candidate === other) continue
    const pair = { ...pairOf(reference, candidate, all, { end: { reference: name, candidate: other } }) }
    all.pairs.set(name, { ...pair, found: 'interface' })
    all.partners.set(other, { ...pair, found: 'interface' })
  }
  return all
}

/** Whether an output of the candidate equals another value than the output that it stands for, and that one is open. */
const crossesOutputs = (reference: Side, candidate: Side, { partners, pairs }: Pairing): boolean =>
  [...candidate.outputs].some((name) => {
    const own = outputOf({ reference, candidate }, name)
    const partner = partners.get(name)?.reference
    return own !== undefined && partner !== undefined && partner !== own && !pairs.has(own)
  })

interface Outcome {
  readonly attempt: Attempt
  readonly pair: ValuePair
  readonly force: Force
  readonly side: Side
  readonly pairing: Pairing
  /** values left unexplained */
  readonly open: number
  /** what takes the value agrees again */
  readonly restored: boolean
}

/** Everything that is paired, as replacements; graph inputs are given anyway. */
export function forcesOf(side: Side, { partners }: Pairing, without: readonly string[] = []): Force[] {
  return [...partners.values()]
    .filter(({ candidate }) => side.producer.has(candidate) && !without.includes(candidate))
    .map(({ candidate, reference, order }) => ({ candidate, reference, order }))
}

function pairOf(
  reference: Side,
  candidate: Side,
  { pairs, partners }: Pairing,
  { end }: Pick<Attempt, 'end'>,
): ValuePair {
  const nearest = nearestUnder(reference, candidate, pairs, end.reference, end.candidate)
  // Wrong values may happen to be nearer in another order: where shapes are equal that takes more than nearness.
  const sameShape = reference.shape(end.reference)?.join() === candidate.shape(end.candidate)?.join()
  const inputs = candidate.producer.get(end.candidate)?.inputs ?? []
  const told = inputs.some((name) => partners.get(name)?.layout === nearest?.order.name)
  const order = nearest === undefined || (sameShape && !told) ? SAME_LAYOUT : nearest.order
  const gap = nearest && distanceUnder(reference, candidate, end.reference, end.candidate, order)
  return { ...end, layout: order.name, order, distance: gap, found: 'resynchronised' }
}

/** What is fed to see whether an attempt is right. */
function forceOf({ kind, divergence }: Attempt, pair: ValuePair, side: Side, { partners }: Pairing): Force | undefined {
  const { candidate, reference, order } = pair
  if (kind === 'replace') return { candidate, reference, order }
  if (kind === 'skip') {
    const { inserted } = divergence
    if (inserted === undefined) return undefined
    const { end, source, from } = inserted
    return { candidate: end, reference: source, order: partners.get(from)?.order ?? SAME_LAYOUT }
  }
  const { candidateTensor: taken, referenceTensor } = divergence
  const consumer = side.producer.get(candidate)
  if (taken === undefined || consumer === undefined) return undefined
  return { candidate: taken, reference: referenceTensor, order: partners.get(taken)?.order ?? SAME_LAYOUT, consumer }
}

/** Observed results of the operators that take a value. */
const resultsOf = (side: Side, name: string) =>
  (side.consumers.get(name) ?? []).flatMap(({ outputs }) => outputs.filter((output) => side.shape(output)))

/** The reference's output of the same name, or at the same position, as one of the candidate's. */
function outputOf(
  { reference, candidate }: Pick<Search, 'reference' | 'candidate'>,
  other: string,
): string | undefined {
  const names = reference.recording.graph.outputs.map(({ name }) => name)
  const at = candidate.recording.graph.outputs.findIndex(({ name }) => name === other)
  return names.includes(other) ? other : names[at]
}

function interfaceAttempt(search: Search, other: string): Attempt[] {
  const name = search.candidate.outputs.has(other) ? outputOf(search, other) : undefined
  return name !== undefined && search.open.has(name) ? [plainAttempt(search, name, other)] : []
}

/**
 * Places here and further on, where the values may be in step again: what enters layers that hold corresponding
 * weights; values of one size on both sides, the nearest first; and what an operator takes, in case only the candidate
 * has it.
 */
function farAttempts(search: Search, other: string): Attempt[] {
  const { reference, candidate, open, anchors, partners, pairs } = search
  const nodes = new Map(reference.recording.graph.nodes.map((node) => [node.name, node]))
  const found: { attempt: Attempt; cost: number }[] = []
  const chain = downstreamOf(candidate, other)
  for (const [depth, name] of chain) {
    for (const user of candidate.consumers.get(name) ?? []) {
      const anchored = nodes.get(anchors.get(user.name)?.referenceNode ?? '')
      const source = anchored?.inputs[0]
      if (user.inputs[0] !== name || source === undefined || !open.has(source)) continue
      found.push({ attempt: plainAttempt(search, source, name), cost: 0.8 + depth * STEP })
    }
  }
  const sources = (candidate.producer.get(other)?.inputs ?? []).flatMap((input) => partners.get(input) ?? [])
  const theirs = sources.flatMap((source) => downstreamOf(reference, source)).filter(([, name]) => open.has(name))
  let measured = 0
  for (const [depth, name] of chain) {
    const size = candidate.numbers(name, 0).length
    for (const [ownDepth, own] of theirs) {
      if (reference.numbers(own, 0).length !== size || size < MIN_SIZE || measured++ > MAX_MEASURED) continue
      // nothing follows an output that could show whether it is the right one
      if (candidate.outputs.has(name) && outputOf(search, name) !== own) continue
      const gap = nearestUnder(reference, candidate, pairs, own, name)?.distance.relL2
      if (gap === undefined) continue
      const sameOp = reference.producer.get(own)?.op === candidate.producer.get(name)?.op
      const cost = NEARNESS * Math.log10(Math.min(gap, 2) / EQUAL) + (depth + ownDepth / 2) * STEP + (sameOp ? 0 : 0.02)
      found.push({ attempt: plainAttempt(search, own, name), cost })
    }
  }
  const from = (candidate.producer.get(other)?.inputs ?? []).find((input) => partners.has(input))
  for (const [depth, end] of from === undefined ? [] : chain.filter(([steps]) => steps < MAX_SKIPPED)) {
    const source = partners.get(from!)!
    if (candidate.numbers(end, 0).length !== reference.numbers(source, 0).length) continue
    found.push({ attempt: skipAttempt(search, { source, from: from!, end }), cost: 0.3 + depth * STEP })
  }
  const seen = new Set<string>()
  return found
    .sort((left, right) => left.cost - right.cost)
    .map(({ attempt }) => attempt)
    .filter(({ kind, end }) => {
      const key = `${kind} ${end.reference} ${end.candidate}`
      return !seen.has(key) && seen.add(key)
    })
    .slice(0, MAX_FAR_ATTEMPTS)
}

/** Operators between `from` and `end` that only the candidate has. */
function skipAttempt(
  { reference, candidate }: Search,
  { source, from, end }: { source: string; from: string; end: string },
): Attempt {
  const nodes: Node[] = []
  for (let name = end; name !== from; ) {
    const node = candidate.producer.get(name)
    const next = node?.inputs.find((input) => input === from || candidate.producer.has(input))
    if (node === undefined || next === undefined) break
    nodes.unshift(node)
    name = next
  }
  const [candidateUser] = candidate.consumers.get(end) ?? []
  const referenceUser = (reference.consumers.get(source) ?? []).find(({ op }) => op === candidateUser?.op)
  const inserted = {
    source,
    from,
    end,
    nodes,
    ...(candidateUser ? { candidateUser } : {}),
    ...(referenceUser ? { referenceUser } : {}),
  }
  const { divergence } = plainAttempt({ reference, candidate }, source, end)
  return { kind: 'skip', end: { reference: source, candidate: end }, divergence: { ...divergence, inserted } }
}

/** Values that depend on `from` through some operators, itself included, with their depth. */
function downstreamOf(side: Side, from: string): [number, string][] {
  const found = new Map([[from, 0]])
  let edge = [from]
  for (let depth = 1; depth < MAX_DEPTH && edge.length > 0; depth++) {
    edge = edge.flatMap((name) => resultsOf(side, name)).filter((name) => !found.has(name))
    for (const name of edge) found.set(name, depth)
  }
  return [...found].map(([name, depth]) => [depth, name])
}

function plainAttempt(
  { reference, candidate }: Pick<Search, 'reference' | 'candidate'>,
  name: string,
  other: string,
): Attempt {
  return {
    kind: 'replace',
    end: { reference: name, candidate: other },
    divergence: {
      referenceTensor: name,
      candidateTensor: other,
      referenceNode: reference.producer.get(name),
      candidateNode: candidate.producer.get(other),
      distance: undefined,
      referenceShape: reference.shape(name) ?? [],
      candidateShape: candidate.shape(other),
    },
  }
}

/** A run that the runtime refuses (sizes do not fit) shows that the attempt is wrong. */
export function refused(error: unknown): undefined {
  if (error instanceof ToolError && error.code === 'CANNOT_RUN') return undefined
  throw error
}
