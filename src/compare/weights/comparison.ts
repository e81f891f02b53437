import type { Layer } from '../../layers/layer.ts'
import type { Dtype } from '../../tensor/dtype.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { Transform } from './transform.ts'

/**
 * What `compareWeights` takes of a model: its stored tensors and, where its file has a graph, the layers that own them.
 * Values are streamed when they are needed; a `Model` and `layersOf(model)` fit as they are.
 */
export interface WeightSet {
  readonly tensors: readonly Tensor[]
  /** in order of execution; empty for a file of weights only */
  readonly layers: readonly Layer[]
  /** `pytorch`, `keras`, `caffe` ...: decides which defaults are known where the file states none */
  readonly framework?: string
}

/** Which of the two models a tensor belongs to. */
export type Side = 'reference' | 'candidate'

/**
 * How the values of a pair relate.
 *
 * - `exact`: the same numbers in the same order (the shape may differ in sizes of 1)
 * - `layout`: the same numbers after the stated transform
 * - `folded`: equal, within float rounding, to a convolution or dense layer with its BatchNorm multiplied in
 * - `rounded`: equal to the other side rounded (or cut) to the narrower float type that stores it
 * - `quantised`: within half a step of the integers' scale
 * - `close`: alike, but further apart than rounding explains
 * - `different`: partners by structure or name whose values differ
 */
export type WeightRelation = 'exact' | 'layout' | 'folded' | 'rounded' | 'quantised' | 'close' | 'different'

/** One correspondence. `reference` and `candidate` name the principal tensors; the lists name all that enter. */
export interface WeightPair {
  readonly reference: string
  readonly candidate: string
  readonly relation: WeightRelation
  /** from reference to candidate; null where the order is the same, or unknown */
  readonly transform: Transform | null
  /** largest |candidate - expected|, where expected is the reference after transform and folding */
  readonly maxAbs: number
  /** `maxAbs` divided by the largest |expected| of the tensor: zeros do not blow it up */
  readonly maxRel: number
  /** whether this pair agrees with two models that compute the same function */
  readonly accepted: boolean
  /** what made them partners */
  readonly pairedBy: 'values' | 'structure' | 'name' | 'order'
  /** for a person: why it is close or different, how it was cut, what was folded */
  readonly detail?: string
  readonly referenceTensors: readonly string[]
  readonly candidateTensors: readonly string[]
  readonly folding?: Folding
  /** narrower type that the values were brought to */
  readonly storage?: Dtype
  /** largest distance in units of the quantisation step */
  readonly maxSteps?: number
  /** other tensors or transforms that fit as well */
  readonly ambiguous?: readonly string[]
}

/** BatchNorm multiplied into its neighbour. */
export interface Folding {
  /** the side that still keeps BatchNorm apart */
  readonly unfolded: Side
  /** the tensors of the BatchNorm that enter */
  readonly batchNorm: readonly string[]
  /** value used; a well-known number where that explains the values as well as the solved one; none in a scale and shift */
  readonly epsilon?: number
  /** as solved from the values alone, with its uncertainty; undefined where no channel shows it */
  readonly solved?: { readonly epsilon: number; readonly uncertainty: number }
}

/** A tensor without a partner. `matters`: its absence makes the two models differ. */
export interface UnpairedTensor {
  readonly name: string
  readonly dtype: Dtype
  readonly shape: readonly number[]
  readonly matters: boolean
  readonly reason: string
}

/** A suspected or proven fault; labels are those of the report's vocabulary. */
export interface WeightCause {
  readonly label: CauseLabel
  /** 0..1 */
  readonly confidence: number
  /** true when the stated change reproduces the other side's values */
  readonly proved: boolean
  readonly detail: string
  /** the attribute's values in reference and candidate, where both state them */
  readonly values?: readonly [AttributeNumbers, AttributeNumbers]
  /** further layers in which the very same differs; an empty name is not known */
  readonly alsoIn?: readonly LayerPair[]
  /** whether it alone forbids a match; false for what the files cannot settle (an epsilon that one does not state) */
  readonly decides: boolean
  readonly referenceLayer?: string
  readonly candidateLayer?: string
  /** the pair that shows it, where it is one of weights */
  readonly referenceTensor?: string
  readonly candidateTensor?: string
  /** position of the layer in the reference, for sorting: earlier faults first */
  readonly order: number
}

/** What a numeric attribute holds. */
export type AttributeNumbers = number | boolean | string | readonly number[]

/** The labels that stored tensors and attributes can show, a part of the report's vocabulary. */
export type CauseLabel =
  | 'activation-extra'
  | 'activation-missing'
  | 'activation-parameter'
  | 'activation-type'
  | 'bias-missing'
  | 'bn-affine'
  | 'bn-epsilon'
  | 'bn-statistics'
  | 'clip-range'
  | 'concat-order'
  | 'constant-value'
  | 'dilation'
  | 'flatten-order'
  | 'groups'
  | 'input-channel-order'
  | 'kernel-flipped'
  | 'layer-extra'
  | 'layer-missing'
  | 'layernorm-epsilon'
  | 'lstm-gate-order'
  | 'padding'
  | 'pooling-ceil-mode'
  | 'pooling-count-include-pad'
  | 'pooling-type'
  | 'position-embedding'
  | 'residual-missing'
  | 'resize-coordinates'
  | 'resize-mode'
  | 'softmax-axis'
  | 'stride'
  | 'weight-permuted'
  | 'weight-quantised'
  | 'weight-stale'
  | 'weight-swapped'
  | 'weight-transposed'

/** Everything that the stored tensors say about two models. Each tensor of both sides is in one pair or unpaired. */
export interface WeightComparison {
  readonly verdict: 'match' | 'mismatch' | 'not-compared'
  /** one sentence */
  readonly reason: string
  readonly pairs: readonly WeightPair[]
  readonly unpaired: { readonly reference: readonly UnpairedTensor[]; readonly candidate: readonly UnpairedTensor[] }
  /** earliest layer of the reference first */
  readonly causes: readonly WeightCause[]
  /** harmless peculiarities of the port as a whole, e.g. height and width exchanged in every kernel */
  readonly notes: readonly string[]
  /** layers that correspond, for comparing attributes; in the reference's order */
  readonly layerPairs: readonly LayerPair[]
  /** BatchNorm epsilon found in folded values, model-wide; undefined where nothing was folded */
  readonly epsilon?: number
}

/** Layers whose kernels are partners. Names are those of `Layer.name`, or of the tensors' common prefix. */
export interface LayerPair {
  readonly reference: string
  readonly candidate: string
}
