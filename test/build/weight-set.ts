import { normal, seededRandom } from '../../src/compare/random.ts'
import type { WeightSet } from '../../src/compare/weights/comparison.ts'
import type { Layer } from '../../src/layers/layer.ts'
import type { Dtype } from '../../src/tensor/dtype.ts'
import { elementCount } from '../../src/tensor/dtype.ts'
import { encodeValues } from '../../src/tensor/encode.ts'
import type { Quantization, Tensor, TensorRole } from '../../src/tensor/tensor.ts'

/** An array with its shape; values as float32 holds them. */
export interface Weight {
  readonly shape: readonly number[]
  readonly values: Float32Array
  readonly dtype?: Dtype
  readonly quantization?: Quantization
  readonly role?: TensorRole
}

/** Normally distributed, the same for each seed. */
export function randomWeight(seed: number, ...shape: number[]): Weight {
  const random = seededRandom(seed)
  return { shape, values: Float32Array.from({ length: elementCount(shape) }, () => normal(random)) }
}

/** All elements alike. */
export function constantWeight(value: number, ...shape: number[]): Weight {
  return { shape, values: new Float32Array(elementCount(shape)).fill(value) }
}

/** numpy's transpose. */
export function transpose({ shape, values, ...rest }: Weight, ...axes: number[]): Weight {
  const strides = shape.map((_, axis) => elementCount(shape.slice(axis + 1)))
  const target = axes.map((axis) => shape[axis]!)
  const moved = Float32Array.from(values, (_, j) => {
    let left = j
    let i = 0
    for (let at = target.length - 1; at >= 0; at--) {
      i += (left % target[at]!) * strides[axes[at]!]!
      left = Math.floor(left / target[at]!)
    }
    return values[i]!
  })
  return { ...rest, shape: target, values: moved }
}

/** numpy's reshape. */
export const reshape = (weight: Weight, ...shape: number[]): Weight => ({ ...weight, shape })

/** Each value replaced, with its index along `axis`. */
export function mapAlong(weight: Weight, axis: number, change: (value: number, index: number) => number): Weight {
  const inner = elementCount(weight.shape.slice(axis + 1))
  const size = weight.shape[axis]!
  return { ...weight, values: weight.values.map((value, j) => change(value, Math.floor(j / inner) % size)) }
}

/** The axis backwards. */
export function reverse(weight: Weight, axis: number): Weight {
  const { shape, values } = weight
  const inner = elementCount(shape.slice(axis + 1))
  const size = shape[axis]!
  return {
    ...weight,
    values: values.map((_, j) => {
      const index = Math.floor(j / inner) % size
      return values[j + (size - 1 - 2 * index) * inner]!
    }),
  }
}

/** A set as `compareWeights` takes it; tensors stream in pieces of 24 bytes. */
export function weightSet(weights: Readonly<Record<string, Weight>>, layers: readonly Layer[] = []): WeightSet {
  return { tensors: Object.entries(weights).map(([name, weight]) => tensorOf(name, weight)), layers }
}

function tensorOf(
  name: string,
  { shape, values, dtype = 'float32', quantization, role = 'parameter' }: Weight,
): Tensor {
  const bytes = encodeValues(dtype, values)
  return {
    name,
    dtype,
    shape,
    bytes: bytes.length,
    role,
    ...(quantization ? { quantization } : {}),
    async *stream() {
      for (let start = 0; start < bytes.length; start += 24) yield bytes.slice(start, start + 24)
    },
  }
}
