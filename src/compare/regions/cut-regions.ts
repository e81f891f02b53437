import type { Node } from '../../model/graph.ts'
import { towardsCandidate } from '../behaviour/layout.ts'
import type { Pairing, ValuePair } from '../behaviour/pair-values.ts'
import type { Side } from '../behaviour/recording.ts'
import type { Region, RegionPair } from './region.ts'

/** How sure a pair is that was found in some way. */
const CONFIDENCE: Readonly<Record<RegionPair['found'], number>> = {
  interface: 0.9,
  name: 1,
  weights: 0.9,
  values: 0.95,
  structure: 0.85,
  resynchronised: 0.95,
}

/** A pair as reports state it. */
export function regionPair({ reference, candidate, layout, order, found }: ValuePair): RegionPair {
  const toCandidate = towardsCandidate(order)
  return {
    reference,
    candidate,
    layout,
    found,
    confidence: CONFIDENCE[found],
    ...(toCandidate ? { toCandidate } : {}),
  }
}

/**
 * The region that ends at a pair: on both sides the operators between it and the paired values before it. Paired values
 * that only one side starts from are in the cut too: the other side does not need them.
 */
export function regionAt(reference: Side, candidate: Side, { pairs, partners }: Pairing, at: ValuePair): Region {
  const own = slice(candidate, at.candidate, (name) => partners.has(name) || !candidate.producer.has(name))
  const cut = new Map<string, ValuePair>()
  for (const name of own.leaves) {
    const pair = partners.get(name)
    if (pair) cut.set(name, pair)
  }
  // one value of the reference may stand for several of the candidate: itself, and itself transposed
  const starts = new Set([...cut.values()].map((pair) => pair.reference))
  const theirs = slice(
    reference,
    at.reference,
    (name) => starts.has(name) || (pairs.has(name) && !isBehind(reference, name, starts)),
  )
  for (const name of theirs.leaves) {
    const pair = pairs.get(name)
    if (pair && !starts.has(name)) cut.set(pair.candidate, pair)
  }
  return {
    at: regionPair(at),
    cut: [...cut.values()].map(regionPair),
    referenceNodes: starts.has(at.reference) ? [] : inOrder(reference, theirs.nodes),
    candidateNodes: inOrder(candidate, own.nodes),
  }
}

/** Whether a value depends on one of `starts` within a few operators: the region then goes through it. */
function isBehind(side: Side, name: string, starts: ReadonlySet<string>): boolean {
  let edge = [name]
  const seen = new Set(edge)
  for (let depth = 0; depth < 12 && edge.length > 0; depth++) {
    edge = edge.flatMap((value) => side.producer.get(value)?.inputs ?? []).filter((value) => !seen.has(value))
    for (const value of edge) {
      if (starts.has(value)) return true
      seen.add(value)
    }
  }
  return false
}

/** Operators that a value is made by, back to values at which `stops` says so. */
function slice(side: Side, end: string, stops: (name: string) => boolean): { nodes: Set<Node>; leaves: Set<string> } {
  const nodes = new Set<Node>()
  const leaves = new Set<string>()
  const seen = new Set<string>()
  const edge = [end]
  for (let name = edge.pop(); name !== undefined; name = edge.pop()) {
    const node = side.producer.get(name)
    if (node === undefined || nodes.has(node)) continue
    nodes.add(node)
    for (const input of node.inputs) {
      if (input === '' || seen.has(input)) continue
      seen.add(input)
      if (stops(input)) leaves.add(input)
      else edge.push(input)
    }
  }
  return { nodes, leaves }
}

const inOrder = (side: Side, nodes: ReadonlySet<Node>) => side.recording.graph.nodes.filter((node) => nodes.has(node))
