import type { Node } from '../../model/graph.ts'
import { type ArrayValue, transpose } from '../../tensor/array-value.ts'
import { elementCount } from '../../tensor/dtype.ts'
import type { RegionPair } from '../regions/region.ts'
import { alignNodes, type NodeMatch } from './align-nodes.ts'
import { inverse, reshaped } from './arrays.ts'
import type { FaultyRegion } from './faulty-region.ts'
import { openSide, type Precompute, type RegionSide } from './region-side.ts'

/** A faulty region as hypotheses look at it. */
export interface RegionContext {
  readonly faulty: FaultyRegion
  readonly reference: RegionSide
  readonly candidate: RegionSide
  /** nodes of the two sides that correspond, and those that have no counterpart */
  readonly matches: readonly NodeMatch[]
  /** reference value -> candidate value, for the cut, the end and what corresponding nodes give */
  readonly partners: ReadonlyMap<string, string>
  /** how far the candidate's end is from the reference's on each input: the error before any change */
  readonly before: readonly number[]
  /** the end's values on each recorded input, in the reference's layout */
  readonly expected: readonly ArrayValue[]
  readonly actual: readonly (ArrayValue | undefined)[]
}

/** Loads both sides; `before`, `expected` and `actual` are filled in by the first run. */
export async function openContext(
  faulty: FaultyRegion,
  precompute: Readonly<Record<'reference' | 'candidate', Precompute>>,
): Promise<Omit<RegionContext, 'before' | 'expected' | 'actual'>> {
  const { region } = faulty
  const open = (role: 'reference' | 'candidate', nodes: readonly Node[]) =>
    openSide(
      { role, program: faulty[role], inputs: unique(region.cut.map((pair) => pair[role])), output: region.at[role] },
      nodes,
      precompute[role],
    )
  const left = await open('reference', region.referenceNodes)
  const right = await open('candidate', region.candidateNodes)
  const partners = new Map(region.cut.map((pair) => [pair.reference, pair.candidate]))
  const matches = alignNodes(left, right, partners)
  for (const { reference: mine, candidate: theirs } of matches) {
    for (const [at, name] of (mine?.outputs ?? []).entries()) {
      const other = theirs?.outputs[at]
      if (name !== '' && other) partners.set(name, other)
    }
  }
  partners.set(region.at.reference, region.at.candidate)
  return { faulty, reference: left, candidate: right, matches, partners }
}

const unique = (names: readonly string[]): string[] => [...new Set(names)]

/** The reference's array as the candidate takes it. */
export function toCandidate(value: ArrayValue, pair: RegionPair, shape?: readonly number[]): ArrayValue {
  const moved =
    pair.toCandidate && pair.toCandidate.length === value.shape.length ? transpose(value, pair.toCandidate) : value
  return shape !== undefined && elementCount(shape) === elementCount(moved.shape) ? reshaped(moved, shape) : moved
}

/** The candidate's array in the reference's layout; undefined when it has another number of elements or another shape. */
export function toReference(value: ArrayValue, pair: RegionPair, shape: readonly number[] | undefined): ArrayValue {
  const moved =
    pair.toCandidate && pair.toCandidate.length === value.shape.length
      ? transpose(value, inverse(pair.toCandidate))
      : value
  const fits = shape !== undefined && elementCount(shape) === elementCount(moved.shape)
  // another shape of the same numbers in the same order is no difference of values: squeezed axes, flattened ends
  return fits && sameBut1(shape, moved.shape) ? reshaped(moved, shape) : moved
}

const sameBut1 = (a: readonly number[], b: readonly number[]) =>
  a.filter((size) => size !== 1).join() === b.filter((size) => size !== 1).join() || a.length !== b.length

/** The candidate's node that corresponds to one of the reference's, if any. */
export const counterpart = (context: RegionContext, node: Node): Node | undefined =>
  context.matches.find(({ reference }) => reference === node)?.candidate
