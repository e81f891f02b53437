import type { Graph, Node } from '../model/graph.ts'
import type { Model } from '../model/model.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { Layer } from './layer.ts'

/** A layer before shapes are known: what an adapter makes of one node. */
export interface Draft extends Omit<Layer, 'inputShapes' | 'outputShapes' | 'macs'> {
  readonly node: Node
  /** every operand in the operator's order, weights and constants included; empty string: left out */
  readonly operands: readonly string[]
  /** name of the value or tensor that is the kernel, with its axes: known even where the kernel is computed */
  readonly kernel?: { readonly value: string; readonly layout: string }
  /** of a separable convolution: the kernel above is its depthwise half, this its 1 x 1 half */
  readonly pointwise?: { readonly value: string; readonly layout: string }
}

/** What an adapter works with. */
export interface Dialect {
  /** ids of the formats whose graphs speak it */
  readonly formats: readonly string[]
  /** shapes in its files leave out the batch; a 1 is put in front of them */
  readonly hasNoBatch?: boolean
  draft(context: DialectContext): Draft[]
}

export interface DialectContext {
  readonly model: Model
  readonly graph: Graph
  readonly nodes: readonly Node[]
  readonly tensors: ReadonlyMap<string, Tensor>
  /** values of small stored tensors: shapes, axes, pads, scales, bounds */
  readonly constants: ReadonlyMap<string, readonly number[]>
}

/** What most adapters need to fill in: the rest of a Draft follows from the node. */
export type DraftParts = Pick<Draft, 'kind'> &
  Partial<Pick<Draft, 'weights' | 'attributes' | 'kernel' | 'pointwise' | 'fusedActivation' | 'inputs' | 'operands'>>

/** A draft of `node`: its inputs are the operands that are no weights. */
export function draftOf(node: Node, parts: DraftParts): Draft {
  const weights = parts.weights ?? []
  const own = new Set(weights.map(({ tensor }) => tensor))
  return {
    name: node.name,
    op: node.op,
    node,
    kind: parts.kind,
    weights,
    attributes: parts.attributes ?? {},
    inputs: parts.inputs ?? node.inputs.filter((name) => name !== '' && !own.has(name)),
    outputs: node.outputs,
    operands: parts.operands ?? node.inputs,
    ...(parts.kernel ? { kernel: parts.kernel } : {}),
    ...(parts.pointwise ? { pointwise: parts.pointwise } : {}),
    ...(parts.fusedActivation ? { fusedActivation: parts.fusedActivation } : {}),
  }
}
