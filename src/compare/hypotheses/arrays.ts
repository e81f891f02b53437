import { type ArrayValue, float32Array, numbersOf, transpose } from '../../tensor/array-value.ts'
import { type Dtype, elementCount } from '../../tensor/dtype.ts'
import { encodeValues } from '../../tensor/encode.ts'

/** A float32 scalar. */
export const scalar = (value: number): ArrayValue => float32Array([], Float32Array.of(value))

/** A vector of int64, as axes, pads and shapes are written. */
export const integers = (values: readonly number[]): ArrayValue => ({
  dtype: 'int64',
  shape: [values.length],
  bytes: encodeValues('int64', values),
})

/** Numbers as an array of the given type and shape. @throws {ToolError} NOT_ENCODABLE for packed types */
export const arrayOf = (dtype: Dtype, shape: readonly number[], values: ArrayLike<number>): ArrayValue =>
  dtype === 'float32'
    ? float32Array(shape, values instanceof Float32Array ? values : new Float32Array(values))
    : { dtype, shape, bytes: encodeValues(dtype, values) }

/** The same array with every number passed through `apply`. */
export function mapArray(value: ArrayValue, apply: (number: number, index: number) => number): ArrayValue {
  const numbers = numbersOf(value)
  const out = value.dtype === 'float32' ? new Float32Array(numbers.length) : new Float64Array(numbers.length)
  for (let at = 0; at < out.length; at++) out[at] = apply(numbers[at]!, at)
  return arrayOf(value.dtype, value.shape, out)
}

/** The same bytes under another shape of as many elements. */
export const reshaped = (value: ArrayValue, shape: readonly number[]): ArrayValue => ({ ...value, shape })

/** Slices of `axis` in another order: slice i of the result is slice `order[i]` of the input. */
export function takeAlong(value: ArrayValue, axis: number, order: readonly number[]): ArrayValue {
  const inner = elementCount(value.shape.slice(axis + 1))
  const outer = elementCount(value.shape.slice(0, axis))
  const count = value.shape[axis]!
  const width = inner === 0 ? 0 : value.bytes.length / Math.max(1, elementCount(value.shape))
  const out = new Uint8Array(outer * order.length * inner * width)
  const size = inner * width
  for (let block = 0; block < outer; block++)
    for (const [to, from] of order.entries()) {
      const start = (block * count + from) * size
      out.set(value.bytes.subarray(start, start + size), (block * order.length + to) * size)
    }
  const shape = value.shape.map((length, at) => (at === axis ? order.length : length))
  return { dtype: value.dtype, shape, bytes: out }
}

/** The array mirrored along some axes. */
export const flipped = (value: ArrayValue, axes: readonly number[]): ArrayValue =>
  axes.reduce((array, axis) => takeAlong(array, axis, reversedOrder(array.shape[axis]!)), value)

/** `n-1, ..., 0` */
export const reversedOrder = (count: number): number[] => Array.from({ length: count }, (_, at) => count - 1 - at)

/** The array with two axes exchanged. */
export function swapAxes(value: ArrayValue, first: number, second: number): ArrayValue {
  const axes = value.shape.map((_, axis) => (axis === first ? second : axis === second ? first : axis))
  return transpose(value, axes)
}

/** The permutation that undoes one. */
export function inverse(permutation: readonly number[]): number[] {
  const out = new Array<number>(permutation.length)
  for (const [to, from] of permutation.entries()) out[from] = to
  return out
}

/** All orders of `count` things, at most 5 of them. */
export function permutations(count: number): number[][] {
  if (count === 0) return [[]]
  return permutations(count - 1).flatMap((rest) =>
    Array.from({ length: count }, (_, at) => [...rest.slice(0, at), count - 1, ...rest.slice(at)]),
  )
}

/** A number as people write it: six digits, no trailing zeros. */
export const show = (value: number): string => String(Number(value.toPrecision(6)))

/** A few numbers of a list. */
export const showList = (values: readonly (number | bigint)[], most = 8): string =>
  `${values.slice(0, most).join(', ')}${values.length > most ? ', ...' : ''}`
