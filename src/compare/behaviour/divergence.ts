import type { Node } from '../../model/graph.ts'
import type { Distance } from '../distance.ts'
import { findInsertion, findInsertionBeforeOutput, type Insertion } from './insertion.ts'
import { nearestUnder, type Pairing } from './pair-values.ts'
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

/** Operators that leave values and their order alone: what they give corresponds to what they take. */
const KEEPS = new Set(['Identity', 'Squeeze', 'Unsqueeze', 'Dropout'])

/** A place where the computations may part, and what to feed instead to see whether what follows agrees again. */
export interface Attempt {
  readonly divergence: Divergence
  /** values that stand for each other behind the difference */
  readonly end: { readonly reference: string; readonly candidate: string }
  /**
   * - `replace`: the candidate's value at the end is the reference's
   * - `skip`: what inserted operators make is what they take
   * - `supply`: the operator at the end takes the result of the one that is left out
   */
  readonly kind: 'replace' | 'skip' | 'supply'
}

/** All that the search for places looks at. */
export function openSearch(
  reference: Side,
  candidate: Side,
  pairing: Pairing,
  anchors: readonly Anchor[] = [],
): Search & { readonly unexplained: readonly string[] } {
  const partners = partnersOf(candidate, pairing)
  return {
    reference,
    candidate,
    pairs: pairing.pairs,
    partners,
    open: new Set(leftover(reference, new Set(pairing.pairs.keys())).unexplained),
    // a folded layer corresponds to a convolution and to its BatchNorm: the first of them is meant, so it is set last
    anchors: new Map([...anchors].reverse().map((anchor) => [anchor.candidateNode, anchor])),
    unexplained: leftover(candidate, new Set(partners.keys())).unexplained,
  }
}

/**
 * The place where the two computations part: the candidate's first unexplained value and the reference's value that
 * corresponds to it, found by name, then by operator, paired inputs and nearness of values. Where the candidate leaves
 * an operator out, the place is that operator's result, and the candidate's value is what stands in its stead.
 */
export function findDivergence(
  search: Search & { readonly unexplained: readonly string[] },
  differing: readonly DifferingOutput[] = [],
): Divergence | undefined {
  const [first] = search.open
  if (first === undefined) return behindEverything(search, differing)
  for (const other of frontier(search.candidate, search.unexplained)) {
    const [attempt] = attemptsAt(search, other)
    if (attempt) return attempt.divergence
  }
  return divergenceAt(search, first, differing.find(({ reference: name }) => name === first)?.candidate)
}

/** What the candidate's unexplained value may stand for, most likely first. */
export function attemptsAt(search: Search, other: string): Attempt[] {
  const { reference, candidate } = search
  const node = candidate.producer.get(other)
  const known = anchoredPlace(search, node)
  const attempts: Attempt[] = []
  if (known === undefined && !isNamesake(search, other)) {
    const added = findInsertion(search, other)
    if (added) {
      const end = { reference: added.reference, candidate: added.candidate }
      const found = { ...divergenceAt(search, added.reference, added.candidate), inserted: added.insertion }
      attempts.push({ divergence: found, end, kind: 'skip' })
    }
  }
  const names = known ? [known.name] : []
  for (const name of [...names, ...counterparts(search, other)]) {
    if (attempts.some(({ kind, end }) => kind === 'replace' && end.reference === name)) continue
    const first = attempts.every(({ kind }) => kind === 'skip')
    const end = { reference: name, candidate: other }
    const maker = first && known ? known.node : reference.producer.get(name)
    const omitted = first ? omission(search, maker, other) : undefined
    if (omitted)
      attempts.push({ divergence: divergenceAt(search, omitted.reference, omitted.candidate), end, kind: 'supply' })
    const leftOut = name === known?.name ? known.leftOut : undefined
    attempts.push({
      divergence: { ...divergenceAt(search, name, other), ...(leftOut ? { leftOut } : {}) },
      end,
      kind: 'replace',
    })
  }
  return attempts
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
  return { ...divergenceAt(search, output.reference, output.candidate), ...(inserted ? { inserted } : {}) }
}

/** Candidate value -> reference value; a value that is only passed on keeps its partner. */
function partnersOf(candidate: Side, pairing: Pairing): Map<string, string> {
  const partners = new Map([...pairing.partners].map(([name, { reference }]) => [name, reference]))
  for (const name of candidate.order) {
    const node = candidate.producer.get(name)
    const source = node === undefined || !KEEPS.has(node.op) ? undefined : partners.get(node.inputs[0] ?? '')
    if (source !== undefined && !partners.has(name)) partners.set(name, source)
  }
  return partners
}

/** Unexplained values whose inputs are all settled: where a difference can begin. In order of execution. */
export function frontier(side: Side, unexplained: readonly string[]): string[] {
  const open = new Set(unexplained)
  return unexplained.filter((name) => (side.producer.get(name)?.inputs ?? []).every((input) => !open.has(input)))
}

const isNamesake = ({ reference, candidate, open }: Search, other: string) =>
  open.has(other) && reference.producer.get(other)?.op === candidate.producer.get(other)?.op

/** Open values of the reference that a value of the candidate may stand for, most likely first. */
function counterparts(search: Search, other: string): string[] {
  const { reference, candidate, open, partners } = search
  const node = candidate.producer.get(other)
  const inputs = (node?.inputs ?? []).flatMap((input) => partners.get(input) ?? [])
  const size = candidate.numbers(other, 0).length
  const found: { name: string; cost: number }[] = []
  for (const [depth, name] of downstream(reference, inputs, open)) {
    const sameOp = reference.producer.get(name)?.op === node?.op
    const gap = reference.numbers(name, 0).length === size ? nearest(search, name, other)?.relL2 : undefined
    if (gap === undefined && !sameOp) continue
    // A value of another size is the counterpart only if the operator is the same and nothing nearer is found.
    found.push({ name, cost: Math.min(gap ?? 3, 3) + (sameOp ? 0 : 0.5) + depth * 0.05 })
  }
  const ranked = found.sort((left, right) => left.cost - right.cost).map(({ name }) => name)
  return isNamesake(search, other) ? [other, ...ranked.filter((name) => name !== other)] : ranked
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

const nearest = ({ reference, candidate, pairs }: Search, name: string, other: string): Distance | undefined =>
  nearestUnder(reference, candidate, pairs, name, other)?.distance

/** The two values side by side. */
export function divergenceAt(search: Search, name: string, other: string | undefined): Divergence {
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
