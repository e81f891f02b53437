import type { Node } from '../../model/graph.ts'
import { anchoredPlace, type Search } from './search.ts'

/** Operators that only the candidate applies, between two that the reference has next to each other. */
export interface Insertion {
  /** the reference's value that they are applied to, and the candidate's that equals it */
  readonly source: string
  readonly from: string
  /** what they make of it */
  readonly end: string
  readonly nodes: readonly Node[]
  /** the reference's and the candidate's operator that go on */
  readonly referenceUser?: Node
  readonly candidateUser?: Node
}

/** An insertion and the values where it shows: results of the operators that follow it on both sides. */
export interface InsertionPlace {
  readonly reference: string
  readonly candidate: string
  readonly insertion: Insertion
}

/** A written-out pad or shuffle has fewer operators than this. */
const MAX_INSERTED = 12

/**
 * Whether the candidate's first unexplained value is made by operators that the reference lacks: after them comes one
 * that the reference applies right where they begin (the same operator, or the one with the same weights).
 */
export function findInsertion(search: Search, other: string): InsertionPlace | undefined {
  const { candidate, partners } = search
  const first = candidate.producer.get(other)
  const from = first?.inputs.find((input) => partners.has(input))
  if (first === undefined || from === undefined || isWeighted(search, first)) return undefined
  const source = partners.get(from)!
  const nodes = [first]
  let end = other
  for (let depth = 0; depth < MAX_INSERTED; depth++) {
    const users = candidate.consumers.get(end) ?? []
    for (const user of users) {
      // the same operator again: it stands in the other's place rather than before it
      if (user.op === first.op) continue
      const place = follows(search, source, user, user.inputs.indexOf(end))
      if (place === undefined) continue
      const insertion = { source, from, end, nodes, referenceUser: place.node, candidateUser: user }
      return { reference: place.name, candidate: user.outputs[0]!, insertion }
    }
    const [next] = users
    if (next === undefined || users.length > 1 || next.outputs[0] === undefined || isWeighted(search, next))
      return undefined
    nodes.push(next)
    end = next.outputs[0]
  }
  return undefined
}

/** Layers are not passed by: what follows one belongs to it. */
const isWeighted = ({ anchors }: Search, { name, op }: Node) =>
  anchors.has(name) || /Conv|Gemm|^MatMul$|^(LSTM|GRU|RNN)$/.test(op)

/** The reference's operator that takes `source` as the candidate's takes the inserted operators' result. */
function follows(search: Search, source: string, user: Node, at: number): { name: string; node: Node } | undefined {
  const { reference, anchors, open } = search
  const users = reference.consumers.get(source) ?? []
  const known = anchoredPlace(search, user)
  if (known) return users.includes(known.node) ? known : undefined
  if (anchors.has(user.name)) return undefined
  const taken = new Set([...anchors.values()].map(({ referenceNode }) => referenceNode))
  const twin = users.find(
    (node) =>
      node.op === user.op &&
      node.inputs.indexOf(source) === at &&
      open.has(node.outputs[0] ?? '') &&
      !taken.has(node.name),
  )
  return twin && { name: twin.outputs[0]!, node: twin }
}

/** The operators between the candidate's value that equals the reference's output, and the candidate's output. */
export function findInsertionBeforeOutput(
  { candidate, pairs }: Pick<Search, 'candidate' | 'pairs'>,
  output: string,
  candidateOutput: string,
): Insertion | undefined {
  const from = pairs.get(output)?.candidate
  if (from === undefined) return undefined
  const nodes: Node[] = []
  let current = candidateOutput
  for (let depth = 0; depth < MAX_INSERTED && current !== from; depth++) {
    const node = candidate.producer.get(current)
    const input = node?.inputs.find((name) => name === from || candidate.producer.has(name))
    if (node === undefined || input === undefined) return undefined
    nodes.unshift(node)
    current = input
  }
  return current === from ? { source: output, from, end: candidateOutput, nodes } : undefined
}
