/**
 * One view of a graph for all formats: the layers that matter in a vision network, with attributes and weight roles
 * under one set of names, so that a Keras `Conv2D`, a TFLite `CONV_2D`, an ONNX `Conv` and a Caffe `Convolution` can
 * be counted and compared. What an adapter does not know stays `other`, with the format's own operator name; nothing
 * is dropped.
 */
export interface Layer {
  /** the node's name */
  readonly name: string
  readonly kind: LayerKind
  /** operator as the format spells it */
  readonly op: string
  readonly weights: readonly LayerWeight[]
  readonly attributes: LayerAttributes
  /** names of the values that enter and leave; weights are not among them */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** in the format's own layout, where known or inferred; null for an unknown size */
  readonly inputShapes: readonly (readonly (number | null)[] | undefined)[]
  readonly outputShapes: readonly (readonly (number | null)[] | undefined)[]
  /** multiply-accumulates for one forward pass at the known shapes; undefined where shapes are unknown */
  readonly macs?: number
  /** activation that the format fuses into the layer (Keras `activation=`, TFLite fused_activation_function) */
  readonly fusedActivation?: string
}

export type LayerKind =
  | 'conv'
  | 'conv-transpose'
  | 'dense'
  | 'batch-norm'
  | 'norm'
  | 'embedding'
  | 'recurrent'
  | 'attention'
  | 'activation'
  | 'pool'
  | 'global-pool'
  | 'pad'
  | 'flatten'
  | 'reshape'
  | 'transpose'
  | 'add'
  | 'multiply'
  | 'concat'
  | 'resize'
  | 'softmax'
  | 'dropout'
  | 'constant'
  | 'input'
  | 'other'

export interface LayerWeight {
  readonly role:
    | 'kernel'
    | 'bias'
    | 'gamma'
    | 'beta'
    | 'mean'
    | 'variance'
    | 'slope'
    | 'recurrent-kernel'
    | 'table'
    | 'scale-factor'
    | 'other'
  readonly tensor: string
  /**
   * Meaning of the kernel's axes: O outputs, I inputs (per group), H, W, D, M depth multiplier, C channels.
   * `OIHW` PyTorch, ONNX, Caffe; `HWIO` Keras; `HWCM` Keras depthwise; `OHWI` TFLite; `1HWC` TFLite depthwise;
   * `IOHW` PyTorch transposed; `HWOI` Keras transposed; `OI` PyTorch dense; `IO` Keras dense.
   */
  readonly layout?: string
}

/** Attributes under one name each, spatial ones in the order [height, width]; absent where the layer has none. */
export interface LayerAttributes {
  readonly kernelSize?: readonly number[]
  readonly strides?: readonly number[]
  readonly dilations?: readonly number[]
  /** begin and end per spatial axis; `same-upper` puts the odd pixel at the end (TensorFlow), `same-lower` before */
  readonly padding?:
    | { readonly begin: readonly number[]; readonly end: readonly number[] }
    | 'same-upper'
    | 'same-lower'
    | 'valid'
  readonly groups?: number
  readonly epsilon?: number
  /** share of the *old* statistics kept, Keras' convention (PyTorch's momentum m is 1 - m here) */
  readonly momentum?: number
  /** activation or pool function: `relu`, `relu6`, `leaky-relu`, `prelu`, `sigmoid`, `max`, `average` ... */
  readonly function?: string
  /** slope or other parameter of an activation */
  readonly alpha?: number
  readonly clipRange?: readonly [number, number]
  readonly axis?: number
  readonly ceilMode?: boolean
  readonly countIncludePad?: boolean
  readonly resizeMode?: string
  readonly coordinateMode?: string
  /** data layout in which this layer works */
  readonly dataFormat?: 'channels-first' | 'channels-last'
  /** target shape of a reshape, permutation of a transpose */
  readonly shape?: readonly (number | null)[]
  readonly permutation?: readonly number[]
}
