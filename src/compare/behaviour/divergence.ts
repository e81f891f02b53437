import type { Node } from '../../model/graph.ts'
import { type Distance, distance } from '../distance.ts'
import { findInsertion, findInsertionBeforeOutput, type Insertion } from './insertion.ts'
import { flattenedLayout, layoutsBetween, reorder, type ValuePair } from './pair-values.ts'
import type { Side } from './recording.ts'
import { type Anchor, anchoredPlace, type Search } from './search.ts'

/** The first value that differs although everything before it agrees. */
export interface Divergence {
  readonly referenceTensor: string
  /** undefined: the candidate has nothing that corresponds */
  readonly candidateTensor: string | undefined
  readonly referenceNode: Node | undefined
  readonly candidateNode: Node | undefined
  /** undefined when shapes differ or there is no counterpart */
  readonly distance: Distance | undefined
  readonly referenceShape: readonly number[]
  readonly candidateShape: readonly number[] | undefined
  /** operators that only the candidate has, right before this place */
  readonly inserted?: Insertion
  /** an operator of the reference that the candidate leaves out here */
  readonly leftOut?: Node
}

/** What pairing leaves over on one side: explained by fusion, or not. */
export interface Leftover {
  /** values that every path to an output passes through a paired value: hidden by fusion, not at fault */
  readonly hidden: readonly string[]
  /** values from which a difference reaches an output, in order of execution */
  readonly unexplained: readonly string[]
}

/**
 * Splits the values without partner. A value is hidden when all that uses it is paired or hidden itself: a fused or
 * folded candidate has no such value, and what comes after agrees. A graph output is never hidden.
 */
export function leftover(side: Side, paired: ReadonlySet<string>): Leftover {
  const hidden = new Set<string>()
  const observed = new Set(side.order)
  for (const name of [...side.order].reverse()) {
    if (paired.has(name) || side.outputs.has(name)) continue
    const users = side.consumers.get(name) ?? []
    const settled = users.every((node) =>
      node.outputs.every((output) => !observed.has(output) || paired.has(output) || hidden.has(output)),
    )
    if (settled) hidden.add(name)
  }
  const rest = side.order.filter((name) => !paired.has(name))
  return { hidden: rest.filter((name) => hidden.has(name)), unexplained: rest.filter((name) => !hidden.has(name)) }
}

/** Operators that only move values: what they give corresponds to what they take. */
const MOVES = new Set(['Transpose', 'Identity', 'Squeeze', 'Unsqueeze', 'Dropout', 'Cast'])

/**
 * The place where the two computations part: the candidate's first unexplained value and the reference's value that
 * corresponds to it, found by name, then by operator, paired inputs and nearness of values. Where the candidate leaves
 * an operator out, the place is that operator's result, and the candidate's value is what stands in its stead.
 */
export function findDivergence(
  reference: Side,
  candidate: Side,
  pairs: ReadonlyMap<string, ValuePair>,
  anchors: readonly Anchor[] = [],
  differing: readonly DifferingOutput[] = [],
): Divergence | undefined {
  const partners = partnersOf(candidate, pairs)
  const fromReference = leftover(reference, new Set(pairs.keys())).unexplained
  const fromCandidate = leftover(candidate, new Set(partners.keys())).unexplained
  const [first] = fromReference
  const search: Search = {
    reference,
    candidate,
    pairs,
    partners,
    open: new Set(fromReference),
    // a folded layer corresponds to a convolution and to its BatchNorm: the first of them is meant, so it is set last
    anchors: new Map([...anchors].reverse().map((anchor) => [anchor.candidateNode, anchor])),
  }
  if (first === undefined) return behindEverything(search, differing)
  for (const other of frontier(candidate, fromCandidate)) {
    const node = candidate.producer.get(other)
    const known = anchoredPlace(search, node)
    if (known === undefined && !isNamesake(search, other)) {
      const added = findInsertion(search, other)
      if (added) return { ...divergence(search, added.reference, added.candidate), inserted: added.insertion }
    }
    const name = known?.name ?? counterpart(search, other)
    if (name === undefined) continue
    const omitted = omission(search, known?.node ?? reference.producer.get(name), other)
    if (omitted) return divergence(search, omitted.reference, omitted.candidate)
    const { leftOut } = known ?? {}
    return { ...divergence(search, name, other), ...(leftOut ? { leftOut } : {}) }
  }
  return divergence(search, first, differing.find(({ reference: name }) => name === first)?.candidate)
}

/** An output of the reference and the one it was compared with. */
export interface DifferingOutput {
  readonly reference: string
  readonly candidate: string | undefined
}

/** All that the reference computes has an equal in the candidate, but its outputs are others: something follows. */
function behindEverything(search: Search, differing: readonly DifferingOutput[]): Divergence | undefined {
  const [output] = differing
  if (output === undefined) return undefined
  const inserted = output.candidate && findInsertionBeforeOutput(search, output.reference, output.candidate)
  return { ...divergence(search, output.reference, output.candidate), ...(inserted ? { inserted } : {}) }
}

/** Candidate value -> reference value; a value that is only moved keeps its partner. */
function partnersOf(candidate: Side, pairs: ReadonlyMap<string, ValuePair>): Map<string, string> {
  const partners = new Map([...pairs.values()].map((pair) => [pair.candidate, pair.reference]))
  for (const name of candidate.order) {
    const node = candidate.producer.get(name)
    const source = node === undefined || !MOVES.has(node.op) ? undefined : partners.get(node.inputs[0] ?? '')
    if (source !== undefined && !partners.has(name)) partners.set(name, source)
  }
  return partners
}

/** Unexplained values whose inputs are all settled: where a difference can begin. In order of execution. */
function frontier(side: Side, unexplained: readonly string[]): string[] {
  const open = new Set(unexplained)
  return unexplained.filter((name) => (side.producer.get(name)?.inputs ?? []).every((input) => !open.has(input)))
}

const isNamesake = ({ reference, candidate, open }: Search, other: string) =>
  open.has(other) && reference.producer.get(other)?.op === candidate.producer.get(other)?.op

function counterpart(search: Search, other: string): string | undefined {
  const { reference, candidate, open, partners } = search
  const node = candidate.producer.get(other)
  if (isNamesake(search, other)) return other
  const inputs = (node?.inputs ?? []).flatMap((input) => partners.get(input) ?? [])
  const size = candidate.numbers(other, 0).length
  let best: { name: string; cost: number } | undefined
  for (const [depth, name] of downstream(reference, inputs, open)) {
    const sameOp = reference.producer.get(name)?.op === node?.op
    const gap = reference.numbers(name, 0).length === size ? nearest(search, name, other)?.relL2 : undefined
    if (gap === undefined && !sameOp) continue
    // A value of another size is the counterpart only if the operator is the same and nothing nearer is found.
    const cost = Math.min(gap ?? 3, 3) + (sameOp ? 0 : 0.5) + depth * 0.05
    if (best === undefined || cost < best.cost) best = { name, cost }
  }
  return best?.name
}

const plainOp = ({ op }: Node) => op.replace(/^Fused/, '')

/**
 * Whether the candidate's node does what the reference's does but on an earlier value: then the operators between are
 * left out, and the first of their results is where the two part.
 */
function omission(
  { reference, candidate, partners, open }: Search,
  node: Node | undefined,
  other: string,
): { reference: string; candidate: string } | undefined {
  const otherNode = candidate.producer.get(other)
  if (node === undefined || otherNode === undefined || plainOp(node) !== plainOp(otherNode)) return undefined
  const taken = new Map(
    otherNode.inputs.flatMap((input): [string, string][] =>
      partners.has(input) ? [[partners.get(input)!, input]] : [],
    ),
  )
  let current = node.inputs.find((input) => open.has(input))
  for (let depth = 0; current !== undefined && depth < 8; depth++) {
    const inputs: readonly string[] = reference.producer.get(current)?.inputs ?? []
    const source = inputs.find((input) => taken.has(input))
    if (source !== undefined) return { reference: current, candidate: taken.get(source)! }
    current = inputs.find((input) => open.has(input))
  }
  return undefined
}

/** Open values reachable from `names` within a few operators, with their depth. */
function downstream(side: Side, names: readonly string[], open: ReadonlySet<string>): [number, string][] {
  const found = new Map<string, number>()
  let edge = [...names]
  for (let depth = 0; depth < 6 && edge.length > 0; depth++) {
    const next: string[] = []
    for (const name of edge) {
      for (const node of side.consumers.get(name) ?? []) {
        for (const output of node.outputs) {
          if (!open.has(output) || found.has(output)) continue
          found.set(output, depth)
          next.push(output)
        }
      }
    }
    edge = next
  }
  return [...found].map(([name, depth]) => [depth, name])
}

/** The smallest distance over the layouts that the shapes allow, worst run each. */
function nearest({ reference, candidate, pairs }: Search, name: string, other: string): Distance | undefined {
  const flattened = flattenedLayout(reference, candidate, pairs, name, other)
  const layouts = [
    ...layoutsBetween(reference.shape(name) ?? [], candidate.shape(other) ?? []),
    ...(flattened ? [flattened] : []),
  ]
  let best: Distance | undefined
  for (const layout of layouts) {
    let worst: Distance | undefined
    for (let run = 0; run < reference.recording.runs.length; run++) {
      const values = reference.numbers(name, run)
      const others = reorder(candidate.numbers(other, run), layout)
      if (values.length !== others.length) break
      const gap = distance(values, others)
      if (worst === undefined || gap.relL2 > worst.relL2) worst = gap
    }
    if (worst && (best === undefined || worst.relL2 < best.relL2)) best = worst
  }
  return best
}

function divergence(search: Search, name: string, other: string | undefined): Divergence {
  const { reference, candidate } = search
  const sameSize = other !== undefined && reference.numbers(name, 0).length === candidate.numbers(other, 0).length
  return {
    referenceTensor: name,
    candidateTensor: other,
    referenceNode: reference.producer.get(name),
    candidateNode: other === undefined ? undefined : candidate.producer.get(other),
    distance: sameSize ? nearest(search, name, other) : undefined,
    referenceShape: reference.shape(name) ?? [],
    candidateShape: other === undefined ? undefined : candidate.shape(other),
  }
}
