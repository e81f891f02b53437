import type { Node } from '../../model/graph.ts'
import { ACTIVATION_OPS } from '../hypotheses/activation-ops.ts'
import type { ValuePair } from './pair-values.ts'
import type { Side } from './recording.ts'

/** Nodes that hold corresponding weights: known from the comparison of weights, whatever the values do. */
export interface Anchor {
  readonly referenceNode: string
  readonly candidateNode: string
  /** the candidate's weights have the reference's BatchNorm multiplied in: its result corresponds to the BatchNorm's */
  readonly folded: boolean
}

/** Everything that the search for a counterpart looks at. */
export interface Search {
  readonly reference: Side
  readonly candidate: Side
  readonly pairs: ReadonlyMap<string, ValuePair>
  /** candidate value -> reference value, for the pairs found */
  readonly partners: ReadonlyMap<string, string>
  /** values of the reference from which a difference reaches an output */
  readonly open: ReadonlySet<string>
  /** by candidate node */
  readonly anchors: ReadonlyMap<string, Anchor>
}

/** Where an anchored node's result stands in the reference. */
export interface Place {
  readonly name: string
  /** the reference's node that holds the weights */
  readonly node: Node
  /** a fused candidate applies an activation, and between it and the weights the reference has this as well */
  readonly leftOut?: Node
}

/**
 * The open value of the reference that a node's result corresponds to, known by its weights. BatchNorm folded into the
 * weights, and an addition or activation fused into the node, are counted in: its result corresponds to theirs.
 */
export function anchoredPlace(search: Search, node: Node | undefined): Place | undefined {
  const { reference, anchors, open } = search
  const anchor = anchors.get(node?.name ?? '')
  if (node === undefined || anchor === undefined) return undefined
  const weighted = reference.recording.graph.nodes.find(({ name }) => name === anchor.referenceNode)
  let name = weighted?.outputs[0]
  if (weighted === undefined || name === undefined) return undefined
  const next = () => {
    const users = reference.consumers.get(name!) ?? []
    return users.length === 1 ? users[0] : undefined
  }
  const step = (accepts: (op: string) => boolean) => {
    const user = next()
    if (user && accepts(user.op)) name = user.outputs[0]!
    return user
  }
  if (anchor.folded) step((op) => op === 'BatchNormalization')
  const fused = node.op.startsWith('Fused')
  if (fused && node.inputs[3]) step((op) => op === 'Add')
  let leftOut: Node | undefined
  if (fused && typeof node.attributes.activation === 'string') {
    const user = step((op) => ACTIVATION_OPS.has(op))
    if ((user?.op === 'Add' || user?.op === 'Mul') && isActivated(reference, user)) {
      leftOut = user
      name = user.outputs[0]!
    }
  }
  if (!open.has(name)) return undefined
  return { name, node: weighted, ...(leftOut ? { leftOut } : {}) }
}

const isActivated = (side: Side, { outputs }: Node) =>
  (side.consumers.get(outputs[0] ?? '') ?? []).some(({ op }) => ACTIVATION_OPS.has(op))
