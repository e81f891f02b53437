/**
 * How far apart two arrays of equal length are. Sums are taken in float64.
 *
 * NaN equals NaN and an infinity equals the same infinity at the same place; any other meeting with a non-finite
 * value counts in `nonFinite` and makes the distances infinite.
 */
export interface Distance {
  /** max |c - r|, in the tensor's own unit */
  readonly maxAbs: number
  /** maxAbs / max |r|: dimensionless; 0 when both are zero everywhere, Infinity when only the reference is */
  readonly maxRel: number
  /** ||c - r||2 / ||r||2 */
  readonly relL2: number
  /** flat index of the element with the largest |c - r|; -1 for empty arrays or no difference */
  readonly worst: number
  /** places where one side is NaN or infinite and the other is not the same */
  readonly nonFinite: number
}

/** Distance of `candidate` from `reference`; both flat, equal length, any range. */
export function distance(reference: ArrayLike<number>, candidate: ArrayLike<number>): Distance {
  // No question about the elements, three times as fast: whatever is not finite shows in the sums.
  let maxAbs = 0
  let worst = -1
  let scale = 0
  let difference2 = 0
  let reference2 = 0
  for (let i = 0; i < reference.length; i++) {
    const r = reference[i]!
    const gap = Math.abs(candidate[i]! - r)
    if (gap > maxAbs) {
      maxAbs = gap
      worst = i
    }
    const size = Math.abs(r)
    scale = size > scale ? size : scale
    difference2 += gap * gap
    reference2 += r * r
  }
  if (!Number.isFinite(difference2 + reference2)) return distanceOfAny(reference, candidate)
  return {
    maxAbs,
    maxRel: ratio(maxAbs, scale),
    relL2: ratio(Math.sqrt(difference2), Math.sqrt(reference2)),
    worst,
    nonFinite: 0,
  }
}

function distanceOfAny(reference: ArrayLike<number>, candidate: ArrayLike<number>): Distance {
  let maxAbs = 0
  let worst = -1
  let scale = 0
  let difference2 = 0
  let reference2 = 0
  let nonFinite = 0
  for (let i = 0; i < reference.length; i++) {
    const r = reference[i]!
    const c = candidate[i]!
    const gap = Math.abs(c - r)
    if (gap <= Number.MAX_VALUE) {
      if (gap > maxAbs) {
        maxAbs = gap
        worst = i
      }
      const size = r < 0 ? -r : r
      if (size > scale) scale = size
      difference2 += gap * gap
      reference2 += r * r
    } else if (r !== c && !(Number.isNaN(r) && Number.isNaN(c))) {
      if (nonFinite === 0) worst = i
      nonFinite++
    }
  }
  if (nonFinite > 0)
    return {
      maxAbs: Number.POSITIVE_INFINITY,
      maxRel: Number.POSITIVE_INFINITY,
      relL2: Number.POSITIVE_INFINITY,
      worst,
      nonFinite,
    }
  return {
    maxAbs,
    maxRel: ratio(maxAbs, scale),
    relL2: ratio(Math.sqrt(difference2), Math.sqrt(reference2)),
    worst,
    nonFinite,
  }
}

function ratio(difference: number, size: number): number {
  if (difference === 0) return 0
  return size === 0 ? Number.POSITIVE_INFINITY : difference / size
}

/** Index in `shape` of a flat C-order position, e.g. `[n, c, h, w]`. */
export function unravel(flat: number, shape: readonly number[]): number[] {
  const index = new Array<number>(shape.length).fill(0)
  let rest = flat
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = rest % shape[axis]!
    rest = Math.floor(rest / shape[axis]!)
  }
  return index
}
