import { elementCount } from '../../tensor/dtype.ts'
import type { ObservedScale } from './epsilon.ts'
import type { Values } from './transform.ts'
import type { HalfStep } from './values.ts'

/** Factors per slice that lead from one kernel to another. */
export interface ScaleFit extends ObservedScale {
  readonly axis: number
  /** largest |other - factor x kernel| in units of what rounding explains; <= 1 is a perfect fit */
  readonly misfit: number
}

/** Rounding of a product in float32, relative to the slice's largest value. */
const FLOAT32_SLACK = 2e-6

/** Standard deviations of a fitted factor that rounding explains. */
const FACTOR_DEVIATIONS = 3

/**
 * Fits `other = factor[slice] x kernel` by least squares, one factor for each slice of `axis`.
 *
 * Stops at the first slice that does not fit.
 *
 * @param kernel already in the layout of `other`
 * @param shape of both
 * @param steps half steps of `other`'s and of the kernel's storage, where they are coarser than float32
 */
export function fitChannelScale(
  kernel: Values,
  other: Values,
  shape: readonly number[],
  axis: number,
  steps: { readonly other?: HalfStep | undefined; readonly kernel?: HalfStep | undefined },
): ScaleFit {
  const size = shape[axis]!
  const inner = elementCount(shape.slice(axis + 1))
  const scale = new Float64Array(size)
  const uncertainty = new Float64Array(size)
  let misfit = 0
  for (let slice = 0; slice < size; slice++) {
    let cross = 0
    let square = 0
    let largest = 0
    let noise = 0
    let count = 0
    for (let base = slice * inner; base < other.length; base += size * inner) {
      for (let k = base; k < base + inner; k++) {
        const from = kernel[k]!
        const to = other[k]!
        cross += from * to
        square += from * from
        const magnitude = to < 0 ? -to : to
        if (magnitude > largest) largest = magnitude
        count++
        if (steps.other) noise += steps.other(k, to) ** 2
      }
    }
    if (!(square > 1e-60)) {
      // a dead slice shows no factor; it must be dead on the other side too
      scale[slice] = Number.NaN
      if (largest > 1e-12) return { axis, scale, uncertainty, misfit: 1e9 }
      continue
    }
    const factor = cross / square
    scale[slice] = factor
    // rounding moves the factor itself too: by little over many elements, by a third of a step over eight
    const wobble = FACTOR_DEVIATIONS * Math.sqrt(noise / 3 / square)
    let kernelNoise = 0
    let worst = 0
    for (let base = slice * inner; base < other.length; base += size * inner) {
      for (let k = base; k < base + inner; k++) {
        const to = other[k]!
        const from = kernel[k]!
        let allowed = FLOAT32_SLACK * largest
        if (steps.other) allowed += 1.3 * steps.other(k, to) + wobble * Math.abs(from)
        if (steps.kernel) {
          const half = Math.abs(factor) * steps.kernel(k, from)
          allowed += 1.3 * half
          kernelNoise += half * half
        }
        const gap = Math.abs(to - factor * from)
        if (gap > worst * allowed) worst = gap / (allowed || 1e-300)
      }
    }
    misfit = Math.max(misfit, worst)
    if (misfit > 1) return { axis, scale, uncertainty, misfit }
    const error = Math.sqrt((noise + kernelNoise) / 3)
    const length = Math.abs(factor) * Math.sqrt(square)
    uncertainty[slice] = length > 0 ? Math.min(1, error / Math.sqrt(Math.max(1, count)) / length) : 1
    // slices that consist of rounding noise say nothing
    if (!(length > 1e-20)) scale[slice] = Number.NaN
  }
  return { axis, scale, uncertainty, misfit }
}

/** The kernel multiplied by one factor per slice of `axis`. */
export function scaleChannels(
  kernel: Values,
  shape: readonly number[],
  axis: number,
  scale: ArrayLike<number>,
): Values {
  const size = shape[axis]!
  const inner = elementCount(shape.slice(axis + 1))
  const out = kernel instanceof Float32Array ? new Float32Array(kernel.length) : new Float64Array(kernel.length)
  for (let base = 0, slice = 0; base < kernel.length; base += inner, slice = slice + 1 === size ? 0 : slice + 1)
    for (let k = base; k < base + inner; k++) out[k] = kernel[k]! * scale[slice]!
  return out
}
