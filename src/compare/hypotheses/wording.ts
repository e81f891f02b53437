import type { Node } from '../../model/graph.ts'

/** `BatchNormalization "stage2.bn1"` */
export const named = (node: Node): string => `${node.op} "${node.name}"`

/** The node of the candidate where a fix belongs, or the end of the region where there is no counterpart. */
export const whereInCandidate = (node: Node | undefined, end: string): string =>
  node === undefined ? `before "${end}"` : `in ${named(node)}`
