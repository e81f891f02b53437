import type { TensorRole } from '../../tensor/tensor.ts'

/** One float32 array of a layer. */
export interface LayerWeight {
  /** behind the layer's name: `weights`, `biases`, `scales`, `rolling_mean`, `rolling_variance` */
  readonly name: string
  readonly shape: readonly number[]
  readonly role: TensorRole
  /** a matrix (out, in) that files of the first years store as (in, out) */
  readonly transposedWhenOld?: true
}

/** A trained array. */
export const parameter = (name: string, ...shape: number[]): LayerWeight => ({ name, shape, role: 'parameter' })

/** What batch normalisation adds, in file order; beta is the layer's `biases`. */
export const statistics = (prefix: string, channels: number): LayerWeight[] => [
  parameter(`${prefix}scales`, channels),
  { name: `${prefix}rolling_mean`, shape: [channels], role: 'buffer' },
  { name: `${prefix}rolling_variance`, shape: [channels], role: 'buffer' },
]

/**
 * Biases, then scales, mean and variance with batch normalisation, then the kernel: (out, in / groups, size, size);
 * of a deconvolution (in, out, size, size).
 * @source https://github.com/AlexeyAB/darknet/blob/master/src/parser.c (load_convolutional_weights)
 */
export const convolution = (prefix: string, kernel: number[], filters: number, normalized: boolean): LayerWeight[] => [
  parameter(`${prefix}biases`, filters),
  ...(normalized ? statistics(prefix, filters) : []),
  parameter(`${prefix}weights`, ...kernel),
]

/**
 * Biases, then the matrix (out, in), then scales, mean and variance: another order than convolution.
 * @source https://github.com/AlexeyAB/darknet/blob/master/src/parser.c (load_connected_weights)
 */
export const connected = (prefix: string, inputs: number, outputs: number, normalized: boolean): LayerWeight[] => [
  parameter(`${prefix}biases`, outputs),
  { ...parameter(`${prefix}weights`, outputs, inputs), transposedWhenOld: true },
  ...(normalized ? statistics(prefix, outputs) : []),
]
