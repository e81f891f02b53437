import {
  axisPermutations,
  flattenTransforms,
  gateTransforms,
  identityTransform,
  type LayoutHints,
  multiplierTransforms,
  regroupedTransforms,
  reversedTransforms,
} from './layouts.ts'
import {
  applyTransform,
  equalUnder,
  sameShape,
  sourceIndex,
  squeeze,
  type Transform,
  type Values,
} from './transform.ts'

/** A kernel with its shape. */
export interface ShapedValues {
  readonly values: Values
  readonly shape: readonly number[]
}

/** Whether reference value r (at index i) and candidate value c (at index j) count as the same. */
export type Agrees = (r: number, c: number, i: number, j: number) => boolean

/** Elements that are looked at before a whole tensor is. */
const SAMPLES = 61

/** Layouts worth trying, plainest first; `null` is the identity. */
export function plausibleTransforms(
  from: readonly number[],
  to: readonly number[],
  hints: LayoutHints,
): (Transform | null)[] {
  const found: (Transform | null)[] = []
  const a = squeeze(from)
  const b = squeeze(to)
  if (sameShape(a, b)) found.push(identityTransform(from, to))
  found.push(...axisPermutations(from, to, hints), ...multiplierTransforms(from, to))
  found.push(...flattenTransforms(from, to, hints))
  if (!sameShape([...a].sort(), [...b].sort()))
    found.push(identityTransform(from, to), ...regroupedTransforms(from, to))
  return found
}

/**
 * All layouts under which the two arrays agree, from the plainest tier that has any: orders of axes and regroupings;
 * reversed axes; blocks of gates; rows or columns in another order. Empty when none does.
 *
 * @param agrees equality by default
 */
export function findTransforms(
  reference: ShapedValues,
  candidate: ShapedValues,
  hints: LayoutHints,
  agrees?: Agrees,
): (Transform | null)[] {
  const plain = plausibleTransforms(reference.shape, candidate.shape, hints)
  const holds = (transform: Transform | null) => agreesUnder(reference, candidate, transform, agrees)
  const tiers = [
    () => plain,
    () => reversedTransforms(reference.shape, candidate.shape, plain, hints),
    () => gateTransforms(reference.shape, candidate.shape, hints),
  ]
  for (const tier of tiers) {
    const found = tier().filter(holds)
    if (found.length > 0) return found
  }
  if (agrees !== undefined) return []
  const reordered = plain.flatMap((transform) => findReorder(reference, candidate, transform) ?? [])
  return reordered.slice(0, 1)
}

function agreesUnder(
  reference: ShapedValues,
  candidate: ShapedValues,
  transform: Transform | null,
  agrees?: Agrees,
): boolean {
  const source = sourceIndex(reference.shape, transform)
  const { length } = candidate.values
  const step = Math.max(1, Math.floor(length / SAMPLES))
  for (let k = 0, j = 0; k < SAMPLES && j < length; k++, j += step) {
    // neighbouring samples must not share their position along the last axes
    const at = Math.min(length - 1, j + (k % step))
    const i = source(at)
    const r = reference.values[i]!
    const c = candidate.values[at]!
    if (agrees ? !agrees(r, c, i, at) : r !== c && !(Number.isNaN(r) && Number.isNaN(c))) return false
  }
  if (agrees === undefined) return equalUnder(reference.values, reference.shape, candidate.values, transform)
  for (let j = 0; j < length; j++) {
    const i = source(j)
    if (!agrees(reference.values[i]!, candidate.values[j]!, i, j)) return false
  }
  return true
}

/** Rows or columns of equal content in another order, along one axis of the candidate. */
function findReorder(reference: ShapedValues, candidate: ShapedValues, base: Transform | null): Transform | undefined {
  const { shape } = candidate
  if (base?.kind === 'flatten' || squeeze(shape).length < 2) return undefined
  const moved = applyTransform(reference.values, reference.shape, base)
  for (const [axis, size] of shape.entries()) {
    if (size < 2) continue
    const places = new Map<string, number>()
    for (const [index, key] of sliceKeys(moved, shape, axis).entries()) places.set(key, index)
    if (places.size !== size) continue
    const from = sliceKeys(candidate.values, shape, axis).map((key) => places.get(key) ?? -1)
    if (from.includes(-1) || new Set(from).size !== size) continue
    const isSameRank = base === null || (base.permutation?.length ?? 0) === shape.length
    if (!isSameRank) continue
    const transform: Transform = {
      kind: 'reorder',
      label: `${base === null ? '' : `${base.label}, `}slices of axis ${axis} in another order`,
      view: base?.view ?? reference.shape,
      permutation: base?.permutation ?? [...shape.keys()],
      reorder: { axis, from },
    }
    if (equalUnder(reference.values, reference.shape, candidate.values, transform)) return transform
  }
  return undefined
}

function sliceKeys(values: Values, shape: readonly number[], axis: number): string[] {
  const size = shape[axis]!
  const inner = shape.slice(axis + 1).reduce((product, n) => product * n, 1)
  const sums = new Float64Array(size)
  const weighted = new Float64Array(size)
  const position = new Float64Array(size)
  for (let j = 0; j < values.length; j++) {
    const slice = Math.floor(j / inner) % size
    const at = ++position[slice]!
    sums[slice]! += values[j]!
    weighted[slice]! += values[j]! * at
  }
  return Array.from(sums, (sum, slice) => `${sum}:${weighted[slice]}`)
}
