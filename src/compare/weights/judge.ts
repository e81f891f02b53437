import type { Dtype } from '../../tensor/dtype.ts'
import type { WeightRelation } from './comparison.ts'
import type { Entry } from './entry.ts'
import { sourceIndex, type Transform, type Values } from './transform.ts'
import { halfStepOf } from './values.ts'

/** Arithmetic in float32 in another order moves results by a few units in the last place of the largest term. */
export const FLOAT32_TOLERANCE = {
  rtol: 1e-5,
  why: 'float32 arithmetic in another order, relative to the largest value',
}

/** Beyond this distance (relative L2) two tensors are not alike. */
const ALIKE = 1e-2

/** How the candidate's values relate to the expected ones. */
export interface Judgement {
  readonly relation: Exclude<WeightRelation, 'layout' | 'folded'> | 'rounding'
  readonly maxAbs: number
  readonly maxRel: number
  readonly accepted: boolean
  readonly storage?: Dtype
  readonly maxSteps?: number
  readonly detail?: string
}

/**
 * Judges values that are already in the same order.
 *
 * @param expected the reference after transform and folding
 * @param entries whose storage may be coarser than float32
 * @param sizes magnitude of the terms that `expected` was computed from; its own largest value by default
 */
export function judge(
  expected: Values,
  actual: Values,
  entries: { readonly reference: Entry; readonly candidate: Entry; readonly transform: Transform | null },
  sizes?: number,
): Judgement {
  const { reference, candidate, transform } = entries
  const steps = [halfStepOf(candidate), halfStepOf(reference)] as const
  const source = steps[1] ? sourceIndex(reference.tensor.shape, transform) : undefined
  const quantised = (candidate.tensor.quantization ?? reference.tensor.quantization) !== undefined
  let maxAbs = 0
  let largest = 0
  let gap2 = 0
  let size2 = 0
  let maxSteps = 0
  let excess = 0
  let cut = 0
  let unlike = 0
  for (let j = 0; j < actual.length; j++) {
    const e = expected[j]!
    if (Math.abs(e) > largest && Number.isFinite(e)) largest = Math.abs(e)
  }
  const slack = 1e-6 * Math.max(largest, sizes ?? 0)
  for (let j = 0; j < actual.length; j++) {
    const e = expected[j]!
    const c = actual[j]!
    if (e === c || (Number.isNaN(e) && Number.isNaN(c))) {
      size2 += Number.isFinite(e) ? e * e : 0
      continue
    }
    const gap = Math.abs(c - e)
    if (!Number.isFinite(gap)) {
      unlike++
      continue
    }
    if (gap > maxAbs) maxAbs = gap
    gap2 += gap * gap
    size2 += e * e
    if (!steps[0] && !steps[1]) continue
    const half = (steps[0]?.(j, c) ?? 0) + (source && steps[1] ? steps[1](source(j), e) : 0)
    if (half > 0) maxSteps = Math.max(maxSteps, gap / (2 * half))
    const over = (gap - slack) / (half || 1e-300)
    if (over > excess) excess = over
    // cut towards zero: the stored one of the two is the smaller
    const stored = steps[0] ? c : e
    const exact = steps[0] ? e : c
    if (Math.abs(stored) > Math.abs(exact) + slack || over > 2) cut = Number.POSITIVE_INFINITY
  }
  const maxRel = maxAbs / (largest || 1)
  const numbers = { maxAbs, maxRel }
  if (unlike > 0) {
    return {
      relation: 'different',
      ...numbers,
      accepted: false,
      detail: `${unlike} elements are NaN or infinite on one side only`,
    }
  }
  if (maxAbs === 0) return { relation: 'exact', ...numbers, accepted: true }
  if (quantised && excess <= 1.01) return { relation: 'quantised', ...numbers, maxSteps, accepted: true }
  if (!quantised && (steps[0] || steps[1])) {
    const storage = steps[0]
      ? (candidate.narrow ?? candidate.tensor.dtype)
      : (reference.narrow ?? reference.tensor.dtype)
    if (excess <= 1.001)
      return { relation: 'rounded', ...numbers, storage, accepted: true, detail: 'rounded to the nearest' }
    if (cut === 0)
      return { relation: 'rounded', ...numbers, storage, accepted: true, detail: 'cut towards zero, not rounded' }
  }
  const tolerance = FLOAT32_TOLERANCE.rtol * Math.max(largest, sizes ?? 0)
  if (maxAbs <= tolerance) {
    return {
      relation: 'rounding',
      ...numbers,
      accepted: true,
      detail: `within ${FLOAT32_TOLERANCE.rtol}: ${FLOAT32_TOLERANCE.why}`,
    }
  }
  const distance = Math.sqrt(gap2 / (size2 || 1e-300))
  const steppy = maxSteps > 0 ? `; up to ${maxSteps.toPrecision(3)} steps of its storage` : ''
  return distance <= ALIKE
    ? {
        relation: 'close',
        ...numbers,
        ...(quantised ? { maxSteps } : {}),
        accepted: false,
        detail: `relative distance ${distance.toExponential(1)}: more than rounding, less than ${ALIKE}${steppy}`,
      }
    : {
        relation: 'different',
        ...numbers,
        ...(quantised ? { maxSteps } : {}),
        accepted: false,
        detail: `relative distance ${distance.toPrecision(3)}${steppy}`,
      }
}
