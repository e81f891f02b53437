import type { Graph, Node } from '../model/graph.ts'
import type { ArrayValue } from '../tensor/array-value.ts'
import type { Dtype } from '../tensor/dtype.ts'
import type { Tensor } from '../tensor/tensor.ts'

/**
 * An ONNX model as parts that can be put together anew: regions that are replayed, repairs that are tried, repros that
 * are written. Structure is held; weights stay in the file until a fragment needs them.
 */
export interface OnnxProgram {
  readonly irVersion: number
  /** operator set versions by domain; `ai.onnx` for the default one */
  readonly opsets: ReadonlyMap<string, number>
  /** the neutral main graph; its nodes are the keys of everything here */
  readonly graph: Graph
  /** stored tensors by the value name that nodes use, initializers and results of `Constant` nodes alike */
  readonly constants: ReadonlyMap<string, Tensor>
  /** the node as the file holds it (NodeProto bytes): lossless where the neutral form is not */
  encoded(node: Node): Promise<Uint8Array>
  /** model-local functions as stored (FunctionProto bytes), carried along unread */
  readonly functions: readonly Uint8Array[]
}

/** An attribute to write. `null` removes it. */
export type AttributeEdit =
  | null
  | { readonly float: number }
  | { readonly int: number | bigint }
  | { readonly string: string }
  | { readonly floats: readonly number[] }
  | { readonly ints: readonly (number | bigint)[] }
  | { readonly tensor: ArrayValue }

/** A node of a fragment: one of the program's, changed or not, or a new one. */
export type FragmentNode =
  | {
      readonly from: Node
      /** another name than its own: what the runtime calls it when it refuses it */
      readonly name?: string
      /** replace the names that it takes or gives, position by position */
      readonly inputs?: readonly string[]
      readonly outputs?: readonly string[]
      readonly attributes?: Readonly<Record<string, AttributeEdit>>
    }
  | {
      readonly op: string
      readonly domain?: string
      readonly name?: string
      readonly inputs: readonly string[]
      readonly outputs: readonly string[]
      readonly attributes?: Readonly<Record<string, AttributeEdit>>
    }

/**
 * A small graph to run alone. Values that its nodes take and nobody gives are the program's constants; anything else
 * that is missing is an error (CANNOT_RUN) that names it.
 */
export interface Fragment {
  readonly nodes: readonly FragmentNode[]
  /** values that are fed, e.g. the reference's own at the cut */
  readonly inputs: readonly FragmentInput[]
  readonly outputs: readonly string[]
  /** types of outputs, for a file that other tools check; the runtime infers those that are absent */
  readonly outputTypes?: readonly FragmentInput[]
  /** constants that replace the program's, or new ones, by value name */
  readonly constants?: ReadonlyMap<string, ArrayValue>
}

export interface FragmentInput {
  readonly name: string
  readonly dtype: Dtype
  /** its sizes; a name for a free one. Absent: unknown rank */
  readonly shape?: readonly (number | string)[]
}
