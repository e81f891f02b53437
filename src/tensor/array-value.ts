import { decodeValues } from './decode.ts'
import { byteLength, type Dtype, elementCount } from './dtype.ts'

/** A tensor's values in memory: an input, or what a model computed. */
export interface ArrayValue {
  readonly dtype: Dtype
  /** C order */
  readonly shape: readonly number[]
  /** raw little-endian values, C order, packed */
  readonly bytes: Uint8Array
}

/** Values as numbers; float32 is a view of the same memory, everything else is decoded to float64. */
export function numbersOf({ dtype, shape, bytes }: ArrayValue): Float32Array | Float64Array {
  const count = elementCount(shape)
  if (dtype === 'float32' && bytes.byteOffset % 4 === 0) return new Float32Array(bytes.buffer, bytes.byteOffset, count)
  return decodeValues(dtype, bytes, count)
}

/** float32 values with a shape. @throws RangeError never: sizes are the caller's contract */
export function float32Array(shape: readonly number[], values: Float32Array): ArrayValue {
  return { dtype: 'float32', shape, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) }
}

/**
 * The array with its axes in another order: result axis i is axis `permutation[i]` of the input (numpy.transpose).
 * Only for element types of whole bytes.
 */
export function transpose(value: ArrayValue, permutation: readonly number[]): ArrayValue {
  const { shape, bytes, dtype } = value
  const width = byteLength(dtype, 1)
  const outShape = permutation.map((axis) => shape[axis]!)
  const strides = contiguousStrides(shape)
  const steps = permutation.map((axis) => strides[axis]!)
  const out = new Uint8Array(bytes.length)
  const total = elementCount(shape)
  const index = new Array<number>(outShape.length).fill(0)
  // four bytes at once, as nearly all values are
  const words =
    width === 4 && bytes.byteOffset % 4 === 0 ? new Uint32Array(bytes.buffer, bytes.byteOffset, total) : null
  const outWords = new Uint32Array(out.buffer, 0, words ? total : 0)
  let from = 0
  for (let to = 0; to < total; to++) {
    if (words) outWords[to] = words[from]!
    else for (let byte = 0; byte < width; byte++) out[to * width + byte] = bytes[from * width + byte]!
    for (let axis = outShape.length - 1; axis >= 0; axis--) {
      index[axis]!++
      from += steps[axis]!
      if (index[axis]! < outShape[axis]!) break
      from -= index[axis]! * steps[axis]!
      index[axis] = 0
    }
  }
  return { dtype, shape: outShape, bytes: out }
}

/** Strides, in elements, of a dense C-ordered array of `shape`. */
export function contiguousStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1)
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * shape[axis + 1]!
  return strides
}
