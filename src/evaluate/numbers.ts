import type { Dtype } from '../tensor/dtype.ts'
import { elementCount } from '../tensor/dtype.ts'

/** An array of numbers with a shape, as operators take and give it. Arithmetic on it is that of float64. */
export interface Numbers {
  /** C order; `[]` is a scalar */
  readonly shape: readonly number[]
  /** booleans as 0 and 1; integers exact up to 2^53 */
  readonly values: Float64Array
  readonly kind: 'float' | 'int' | 'bool'
  /** the declared type, where it is known: integers wrap at its width. Floats are *not* rounded to it */
  readonly dtype?: Dtype
}

/** What is given to the evaluator: float32 values as they are recorded will do. */
export type GivenNumbers = Omit<Numbers, 'values'> & { readonly values: Float64Array | Float32Array }

/** Why a node is not evaluated. Thrown and caught within this room only: "not judged", never a guess. */
export class NotCovered extends Error {}

/** @throws {NotCovered} with `reason` unless `condition` */
export function demand(condition: boolean, reason: string): asserts condition {
  if (!condition) throw new NotCovered(reason)
}

/** Half a GiB of float64: an array that is larger is not worth a verdict. */
const MAX_ELEMENTS = 2 ** 26

/** Zeros for an array of `shape`. */
export function zeros(shape: readonly number[]): Float64Array {
  for (const size of shape) demand(Number.isInteger(size) && size >= 0, `size ${size}`)
  const count = elementCount(shape)
  demand(count <= MAX_ELEMENTS, `an array of ${count} elements`)
  return new Float64Array(count)
}

export function floats(shape: readonly number[], values: Float64Array): Numbers {
  return { shape, values, kind: 'float' }
}

/** Positions and sizes: ONNX gives them as int64. */
export function int64s(shape: readonly number[], values: Float64Array): Numbers {
  return { shape, values, kind: 'int', dtype: 'int64' }
}

export function bools(shape: readonly number[], values: Float64Array): Numbers {
  return { shape, values, kind: 'bool', dtype: 'bool' }
}

/** An array of the same type as `model`. */
export function alike(model: Numbers, shape: readonly number[], values: Float64Array): Numbers {
  return { kind: model.kind, ...(model.dtype ? { dtype: model.dtype } : {}), shape, values }
}

/** The only value of a scalar or an array of one element. */
export function scalarOf({ values }: Numbers): number {
  demand(values.length === 1, 'a scalar with several elements')
  return values[0]!
}

/** An axis from `-rank` to `rank - 1` as one from 0. */
export function axisOf(axis: number, rank: number): number {
  demand(Number.isInteger(axis) && axis >= -rank && axis < rank, `axis ${axis} of rank ${rank}`)
  return axis < 0 ? axis + rank : axis
}

export function axesOf(axes: ArrayLike<number>, rank: number): number[] {
  return Array.from(axes, (axis) => axisOf(axis, rank))
}

/** `shape` seen as [before, size of the axis, after]. */
export function around(shape: readonly number[], axis: number): [before: number, size: number, after: number] {
  return [elementCount(shape.slice(0, axis)), shape[axis]!, elementCount(shape.slice(axis + 1))]
}

/** Shape that two shapes broadcast to. @source ONNX, Broadcasting.md (multidirectional) */
export function broadcastShape(left: readonly number[], right: readonly number[]): number[] {
  const rank = Math.max(left.length, right.length)
  return Array.from({ length: rank }, (_, axis) => {
    const a = left[axis - rank + left.length] ?? 1
    const b = right[axis - rank + right.length] ?? 1
    demand(a === b || a === 1 || b === 1, `[${left}] and [${right}] do not broadcast`)
    return a === 1 ? b : a
  })
}

/** Strides, in elements, with which an array of `shape` is read as one of shape `to`; 0 where it repeats. */
export function broadcastStrides(shape: readonly number[], to: readonly number[]): number[] {
  const offset = to.length - shape.length
  demand(offset >= 0, `[${shape}] does not broadcast to [${to}]`)
  const strides = new Array<number>(to.length).fill(0)
  let stride = 1
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis]!
    demand(size === 1 || size === to[axis + offset], `[${shape}] does not broadcast to [${to}]`)
    strides[axis + offset] = size === 1 ? 0 : stride
    stride *= size
  }
  return strides
}

/** `source` repeated to the shape `to`. */
export function broadcastTo(source: Numbers, to: readonly number[]): Float64Array {
  const out = zeros(to)
  const from = source.values
  if (from.length === out.length) {
    out.set(from)
    return out
  }
  let position = 0
  forEachRow(to, [broadcastStrides(source.shape, to)], (length, [start], [step]) => {
    for (let index = 0; index < length; index++) out[position++] = from[start! + index * step!]!
  })
  return out
}

/**
 * Walks an array of `shape` row by row (a row is its last axis), several arrays in step.
 * @param strides per array, in elements, one per axis of `shape`
 * @param visit gets the length of the row, the offset of its first element in each array and the step within the row
 */
export function forEachRow(
  shape: readonly number[],
  strides: readonly (readonly number[])[],
  visit: (length: number, starts: readonly number[], steps: readonly number[]) => void,
): void {
  if (shape.includes(0)) return
  const rank = shape.length
  const length = rank === 0 ? 1 : shape[rank - 1]!
  const steps = strides.map((list) => (rank === 0 ? 0 : list[rank - 1]!))
  const starts = strides.map(() => 0)
  const index = new Array<number>(Math.max(rank - 1, 0)).fill(0)
  for (;;) {
    visit(length, starts, steps)
    let axis = rank - 2
    for (; axis >= 0; axis--) {
      index[axis]!++
      for (let array = 0; array < strides.length; array++) starts[array]! += strides[array]![axis]!
      if (index[axis]! < shape[axis]!) break
      for (let array = 0; array < strides.length; array++) starts[array]! -= strides[array]![axis]! * shape[axis]!
      index[axis] = 0
    }
    if (axis < 0) return
  }
}
