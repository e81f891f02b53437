import type { Dtype } from '../tensor/dtype.ts'

/** A computation as the file states it, in the format's own operator names. */
export interface Graph {
  readonly name: string
  /** `main` runs; `function` is called by name; `subgraph` belongs to a node */
  readonly kind: 'main' | 'function' | 'subgraph'
  readonly inputs: readonly Value[]
  readonly outputs: readonly Value[]
  /** in file order, which every format we read makes a valid order of execution unless a warning says otherwise */
  readonly nodes: readonly Node[]
  /** type and shape of intermediate values, where the file states them; keyed by value name */
  readonly values: ReadonlyMap<string, Value>
}

export interface Value {
  readonly name: string
  readonly dtype?: Dtype
  /** a number, a symbolic name, or null for unknown; absent when even the rank is unknown */
  readonly shape?: readonly (number | string | null)[]
  /** anything that is not a tensor: `sequence`, `optional`, `map`, `resource` */
  readonly container?: string
}

/** One operator call, or one layer in formats that store layers. */
export interface Node {
  /** unique within its graph */
  readonly name: string
  /** operator or layer type, as the format spells it: `Conv`, `CONV_2D`, `Conv2D`, `Convolution` */
  readonly op: string
  /** operator set, e.g. `ai.onnx`, `com.microsoft`; empty where the format has one only */
  readonly domain: string
  /** value or tensor names; an empty string is an optional input left out */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: Readonly<Record<string, AttributeValue>>
  /** tensors that the layer owns rather than takes as inputs (Keras, Caffe, Darknet, ncnn), by role */
  readonly parameters?: readonly NodeParameter[]
  /** bodies of control flow, by attribute name */
  readonly subgraphs?: Readonly<Record<string, Graph>>
  /** `a/b/c` or `a.b.c` path of the module it came from, where the file says so */
  readonly scope?: string
}

export interface NodeParameter {
  /** the format's own word: `kernel`, `gamma`, `running_mean`, `blob 0` */
  readonly role: string
  readonly tensor: string
}

/** An attribute: JSON-like, plus 64-bit integers and references to stored tensors. */
export type AttributeValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly AttributeValue[]
  | { readonly tensor: string }
  | { readonly [key: string]: AttributeValue }
