import type { Node } from '../model/graph.ts'

type Shape = readonly number[] | undefined

/**
 * How many products or terms the longest sum of a node has: K of the bound sqrt(K) x u for its rounding error.
 *
 * @param shapes of the node's inputs, in order; undefined where unknown
 * @returns 1 for operators without a sum, and where the shapes do not tell
 */
export function reductionLength(_node: Node, _shapes: readonly Shape[]): number {
  return 1
}
