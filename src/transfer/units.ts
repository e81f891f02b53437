import type { Layer, LayerAttributes, LayerWeight } from '../layers/layer.ts'
import type { Tensor } from '../tensor/tensor.ts'

/** What a stored tensor does in its unit. */
export type SlotRole = LayerWeight['role'] | 'recurrent-bias'

/** One stored tensor of a unit. */
export interface Slot {
  readonly role: SlotRole
  readonly tensor: Tensor
  /** axes of a kernel by letter, see `LayerWeight.layout` */
  readonly layout?: string | undefined
}

/**
 * - `conv`, `conv-transpose`, `dense`: a kernel and perhaps a bias ("linear" below)
 * - `affine`: BatchNorm, or a scale and shift per channel that stands for one
 * - `other`: a parameter on its own (position embedding, class token, layer scale)
 */
export type UnitKind =
  | 'conv'
  | 'conv-transpose'
  | 'dense'
  | 'affine'
  | 'norm'
  | 'slope'
  | 'embedding'
  | 'recurrent'
  | 'attention'
  | 'other'

/** The tensors that change together: one layer, with the bias that some formats keep in an operator of its own. */
export interface Unit {
  /** of the layer, or the common prefix of the tensors */
  readonly name: string
  readonly kind: UnitKind
  readonly slots: Slot[]
  readonly attributes: LayerAttributes
  /** where the graph keeps epsilon as a stored number rather than an attribute */
  readonly epsilonTensor?: Tensor
  /** layers that it was made of, the first one first; empty for a file without a graph */
  readonly layers: Layer[]
  /** position in order of execution, else in the file */
  index: number
}

/** The stored tensors of a model, sorted into units. */
export interface UnitSet {
  readonly units: readonly Unit[]
  /** in order of execution; empty without a graph */
  readonly layers: readonly Layer[]
  readonly hasGraph: boolean
  /** whether `index` is the order of the network: files that list their contents by name do not keep it */
  readonly isOrdered: boolean
  /** how the framework lays out kernels where the file does not say */
  readonly convention: Convention
  /** tensors that are no parameters of the network, and why */
  readonly auxiliary: ReadonlyMap<Tensor, string>
}

/**
 * Order of a kernel's axes where only names and shapes are known: `torch` outputs first (PyTorch, Caffe, ONNX),
 * `keras` outputs last, `tflite` outputs first and inputs last.
 */
export type Convention = 'torch' | 'keras' | 'tflite'

export const isLinear = ({ kind }: Pick<Unit, 'kind'>): boolean =>
  kind === 'conv' || kind === 'conv-transpose' || kind === 'dense'

/** The tensor of that role, where the unit has one. */
export function slotOf(unit: Unit, role: SlotRole): Slot | undefined {
  return unit.slots.find((slot) => slot.role === role)
}
