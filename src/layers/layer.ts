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
  /** it multiplies, but how often is not known: a shape is missing, or the operator or its body is not understood */
  readonly isUncounted?: true
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

/** What surrounds the input of a window: sizes per spatial axis, or a rule that follows from sizes. */
export type Padding =
  | { readonly begin: readonly number[]; readonly end: readonly number[] }
  | 'same-upper'
  | 'same-lower'
  | 'valid'

/** Attributes under one name each, spatial ones in the order [height, width]; absent where the layer has none. */
export interface LayerAttributes {
  readonly kernelSize?: readonly number[]
  readonly strides?: readonly number[]
  readonly dilations?: readonly number[]
  /** begin and end per spatial axis; `same-upper` puts the odd pixel at the end (TensorFlow), `same-lower` before */
  readonly padding?: Padding
  readonly groups?: number
  /** channels that a convolution gives, units of a dense or recurrent layer */
  readonly outputSize?: number
  /** extra size at the end of each spatial axis of a transposed convolution */
  readonly outputPadding?: readonly number[]
  readonly epsilon?: number
  /** share of the *old* statistics kept, Keras' convention (PyTorch's momentum m is 1 - m here) */
  readonly momentum?: number
  /** activation or pool function: `relu`, `relu6`, `leaky-relu`, `prelu`, `sigmoid`, `max`, `average` ... */
  readonly function?: string
  /** slope or other parameter of an activation */
  readonly alpha?: number
  readonly clipRange?: readonly [number, number]
  /** of a concatenation, softmax or norm; of a dense layer: the input is flattened from this axis on */
  readonly axis?: number
  readonly ceilMode?: boolean
  readonly countIncludePad?: boolean
  /** factors of a resize per spatial axis */
  readonly scales?: readonly number[]
  readonly resizeMode?: string
  readonly coordinateMode?: string
  /** data layout in which this layer works */
  readonly dataFormat?: 'channels-first' | 'channels-last'
  /** target shape of a reshape (-1: what is left, 0: as it was), spatial target of a resize; permutation of a transpose */
  readonly shape?: readonly (number | null)[]
  readonly permutation?: readonly number[]
}
