/**
 * A change of layout that leads from the reference's array to the candidate's, in numpy's terms:
 * `reference.reshape(view).transpose(permutation)`, then axes in `reversed` flipped, blocks along an axis reordered,
 * then reshaped to the candidate's shape. Absent steps do nothing.
 */
export interface Transform {
  readonly kind: TransformKind
  /** for a person: `OIHW -> HWIO`, `H and W swapped`, `flatten order CHW -> HWC (C=24, H=4, W=3)` */
  readonly label: string
  readonly view?: readonly number[]
  readonly permutation?: readonly number[]
  /** axes, after the permutation */
  readonly reversed?: readonly number[]
  /** axis after the permutation, and for each index of the candidate the index it came from */
  readonly reorder?: { readonly axis: number; readonly from: readonly number[] }
}

/**
 * - `permutation`: axes in another order; `reshape`: same order, another shape
 * - `flatten`: columns of a dense kernel regrouped (C, H, W)
 * - `channels-reversed`: input channels of a kernel in reverse; `flip`: spatial axes reversed
 * - `gates`: blocks of a recurrent kernel in another order; `reorder`: rows or columns in another order
 */
export type TransformKind = 'permutation' | 'reshape' | 'flatten' | 'channels-reversed' | 'flip' | 'gates' | 'reorder'

/** Decoded values: float32 where that holds them without loss worth having, float64 otherwise. */
export type Values = Float32Array | Float64Array

/** A gather plan: element j of the result, walking `dims` in C order, is element `offset + sum(index * stride)`. */
interface Gather {
  readonly dims: readonly number[]
  readonly strides: readonly number[]
  readonly offset: number
  readonly reorder?: { readonly axis: number; readonly from: readonly number[] } | undefined
}

/** Shape after view and permutation, before the final reshape. */
export function transformedShape(shape: readonly number[], transform: Transform): number[] {
  const view = transform.view ?? shape
  return (transform.permutation ?? view.map((_, axis) => axis)).map((axis) => view[axis]!)
}

function plan(shape: readonly number[], transform: Transform): Gather {
  const view = transform.view ?? shape
  const viewStrides: number[] = new Array(view.length)
  let stride = 1
  for (let axis = view.length - 1; axis >= 0; axis--) {
    viewStrides[axis] = stride
    stride *= view[axis]!
  }
  const permutation = transform.permutation ?? view.map((_, axis) => axis)
  const dims = permutation.map((axis) => view[axis]!)
  const strides = permutation.map((axis) => viewStrides[axis]!)
  let offset = 0
  for (const axis of transform.reversed ?? []) {
    offset += (dims[axis]! - 1) * strides[axis]!
    strides[axis] = -strides[axis]!
  }
  return transform.reorder ? { dims, strides, offset, reorder: transform.reorder } : coalesce({ dims, strides, offset })
}

/** Joins neighbouring axes that are walked as one, so that inner loops are long. */
function coalesce({ dims, strides, offset }: Gather): Gather {
  const outDims: number[] = []
  const outStrides: number[] = []
  for (let axis = 0; axis < dims.length; axis++) {
    const size = dims[axis]!
    if (size === 1) continue
    const last = outDims.length - 1
    if (last >= 0 && outStrides[last] === strides[axis]! * size) {
      outDims[last] = outDims[last]! * size
      outStrides[last] = strides[axis]!
    } else {
      outDims.push(size)
      outStrides.push(strides[axis]!)
    }
  }
  return { dims: outDims, strides: outStrides, offset }
}

/** Calls `run(j, i, length, stride)` for each innermost run until it answers false. */
function walk(gather: Gather, run: (j: number, i: number, length: number, stride: number) => boolean): boolean {
  const { dims, strides, offset, reorder } = gather
  const rank = dims.length
  if (rank === 0) return run(0, offset, 1, 1)
  const last = rank - 1
  let position = 0
  const descend = (axis: number, base: number): boolean => {
    if (axis === last && reorder?.axis !== last) {
      const ok = run(position, base, dims[last]!, strides[last]!)
      position += dims[last]!
      return ok
    }
    const size = dims[axis]!
    const stride = strides[axis]!
    for (let index = 0; index < size; index++) {
      const from = reorder?.axis === axis ? reorder.from[index]! : index
      const next = base + from * stride
      if (axis === last) {
        if (!run(position, next, 1, 1)) return false
        position++
      } else if (!descend(axis + 1, next)) return false
    }
    return true
  }
  return descend(0, offset)
}

/** The reference's values in the candidate's order; a new array unless nothing moves. */
export function applyTransform(values: Values, shape: readonly number[], transform: Transform | null): Values {
  if (transform === null || transform.kind === 'reshape') return values
  const out = values instanceof Float32Array ? new Float32Array(values.length) : new Float64Array(values.length)
  walk(plan(shape, transform), (j, i, length, stride) => {
    for (let k = 0; k < length; k++) out[j + k] = values[i + k * stride]!
    return true
  })
  return out
}

/** Whether the reference after `transform` has the candidate's numbers, NaN equal to NaN. */
export function equalUnder(
  reference: Values,
  shape: readonly number[],
  candidate: Values,
  transform: Transform | null,
): boolean {
  const same = (j: number, i: number, length: number, stride: number): boolean => {
    for (let k = 0; k < length; k++) {
      const r = reference[i + k * stride]!
      const c = candidate[j + k]!
      if (r !== c && !(Number.isNaN(r) && Number.isNaN(c))) return false
    }
    return true
  }
  return transform === null || transform.kind === 'reshape'
    ? same(0, 0, candidate.length, 1)
    : walk(plan(shape, transform), same)
}

/** Where element `j` of the candidate comes from in the reference. */
export function sourceIndex(shape: readonly number[], transform: Transform | null): (j: number) => number {
  if (transform === null || transform.kind === 'reshape') return (j) => j
  const { dims, strides, offset, reorder } = plan(shape, transform)
  return (j) => {
    let rest = j
    let i = offset
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      const size = dims[axis]!
      const index = rest % size
      rest = (rest - index) / size
      i += (reorder?.axis === axis ? reorder.from[index]! : index) * strides[axis]!
    }
    return i
  }
}

/** `shape` without sizes of 1. */
export function squeeze(shape: readonly number[]): number[] {
  return shape.filter((size) => size !== 1)
}

/** Whether two shapes are the same list of sizes. */
export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis])
}
