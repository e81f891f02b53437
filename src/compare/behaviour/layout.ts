import { type ArrayValue, contiguousStrides, numbersOf, transpose } from '../../tensor/array-value.ts'
import { type Dtype, elementCount } from '../../tensor/dtype.ts'
import { encodeValues } from '../../tensor/encode.ts'
import type { Side } from './recording.ts'

/** How the candidate's axes are to be moved to stand in the reference's order. */
export interface Layout {
  readonly name: string
  /** numpy.transpose axes applied to the candidate's array of `shape`; absent when the order is the same */
  readonly permutation?: readonly number[]
  readonly shape?: readonly number[]
}

export const SAME_LAYOUT: Layout = { name: 'same' }

/** Axes that move channels from the end to second place, and back. */
export const channelsFirst = (rank: number) => [
  0,
  rank - 1,
  ...Array.from({ length: rank - 2 }, (_, index) => index + 1),
]
export const channelsLast = (rank: number) => [0, ...Array.from({ length: rank - 2 }, (_, index) => index + 2), 1]

/** The layouts under which an array of `candidate` shape may hold what one of `reference` shape holds. */
export function layoutsBetween(reference: readonly number[], candidate: readonly number[]): Layout[] {
  const layouts: Layout[] = []
  const equal = reference.length === candidate.length && reference.every((size, axis) => size === candidate[axis])
  layouts.push(equal ? SAME_LAYOUT : { name: 'reshaped' })
  if (reference.length !== candidate.length || reference.length < 3) return layouts
  for (const [permutation, name] of [
    [channelsFirst(reference.length), 'channels first -> channels last'],
    [channelsLast(reference.length), 'channels last -> channels first'],
  ] as const) {
    if (permutation.every((axis, index) => candidate[axis] === reference[index]))
      layouts.push({ name, permutation, shape: candidate })
  }
  return layouts
}

/**
 * The order of elements behind a flatten: when the reference flattens a channels-first value and the candidate the
 * same value channels-last, the two vectors hold the same numbers in an order that follows from the values' layouts.
 */
export function flattenedLayout(
  reference: Side,
  candidate: Side,
  pairs: ReadonlyMap<string, { readonly candidate: string; readonly layout: string }>,
  name: string,
  other: string,
): Layout | undefined {
  const source = flattenSource(reference, name)
  const otherSource = flattenSource(candidate, other)
  if (source === undefined || otherSource === undefined) return undefined
  const pair = pairs.get(source)
  if (pair === undefined || pair.candidate !== otherSource || pair.layout === 'same' || pair.layout === 'reshaped')
    return undefined
  const shape = candidate.shape(otherSource)
  const layout = layoutsBetween(reference.shape(source) ?? [], shape ?? []).find(
    ({ name: layoutName }) => layoutName === pair.layout,
  )
  return layout && { ...layout, name: `flattened ${layout.name}` }
}

/** The value that a flattening or reshaping node takes. */
export function flattenSource(side: Side, name: string): string | undefined {
  const node = side.producer.get(name)
  return node !== undefined && (node.op === 'Flatten' || node.op === 'Reshape') ? node.inputs[0] : undefined
}

/** Elements of the candidate's `values` in the reference's order. */
export function reorder(
  values: Float32Array | Float64Array,
  { permutation, shape }: Layout,
): Float32Array | Float64Array {
  if (permutation === undefined || shape === undefined) return values
  const strides = contiguousStrides(shape)
  const sizes = permutation.map((axis) => shape[axis]!)
  const steps = permutation.map((axis) => strides[axis]!)
  const out = values instanceof Float32Array ? new Float32Array(values.length) : new Float64Array(values.length)
  const index = new Array<number>(sizes.length).fill(0)
  let from = 0
  for (let to = 0; to < out.length; to++) {
    out[to] = values[from]!
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      index[axis]!++
      from += steps[axis]!
      if (index[axis]! < sizes[axis]!) break
      from -= index[axis]! * steps[axis]!
      index[axis] = 0
    }
  }
  return out
}

/** numpy.transpose axes that bring the reference's array into the candidate's order. */
export function towardsCandidate({ permutation }: Layout): readonly number[] | undefined {
  return permutation?.map((_, axis) => permutation.indexOf(axis))
}

/**
 * A value of the reference as the candidate holds it: axes moved, and in its element type.
 *
 * @param like what the candidate itself computed there. Its shape is taken where the number of elements is the same;
 *   otherwise (the fault is one of size) the reference's sizes stand
 */
export function asCandidate(value: ArrayValue, layout: Layout, like: { dtype: Dtype; shape: readonly number[] }) {
  const axes = towardsCandidate(layout)
  const count = elementCount(value.shape)
  let moved = value
  if (axes && layout.shape && layout.permutation) {
    const sizes = layout.permutation.map((axis) => layout.shape![axis]!)
    if (value.shape.length === axes.length) moved = transpose(value, axes)
    else if (elementCount(sizes) === count) moved = transpose({ ...value, shape: sizes }, axes)
  }
  const shape = elementCount(like.shape) === count ? like.shape : moved.shape
  const bytes = like.dtype === value.dtype ? moved.bytes : encodeValues(like.dtype, numbersOf(moved))
  return { dtype: like.dtype, shape, bytes }
}
