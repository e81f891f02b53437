import type { BatchNormValues } from './batch-norm.ts'

/** An epsilon solved from values. */
export interface SolvedEpsilon {
  readonly epsilon: number
  /** one standard deviation */
  readonly uncertainty: number
  /** largest |scale / predicted - 1| over the channels, in units of what rounding explains; <= 1 is a perfect fit */
  readonly misfit: number
}

/** Per-channel factors that were observed, with their relative uncertainty; NaN where a channel shows none. */
export interface ObservedScale {
  readonly scale: Float64Array
  readonly uncertainty: Float64Array
}

/** Rounding of gamma / sqrt(variance + epsilon) and of the product, in float32. */
const FLOAT32_NOISE = 3e-7

/**
 * Solves scale = gamma / sqrt(variance + epsilon) for epsilon: each channel gives (gamma / scale)^2 - variance, as
 * certain as its own variance is small. Channels with a variance near zero decide; where none has, the uncertainty
 * says so.
 * @returns undefined when the scales contradict this BatchNorm
 */
export function solveEpsilon(norm: BatchNormValues, observed: ObservedScale): SolvedEpsilon | undefined {
  const { gamma, variance } = norm
  const estimates: { value: number; deviation: number }[] = []
  for (const [channel, scale] of observed.scale.entries()) {
    const g = gamma[channel]!
    if (!Number.isFinite(scale) || g === 0 || scale === 0) continue
    if (Math.sign(g) !== Math.sign(scale)) return undefined
    const total = (g / scale) ** 2
    const relative = Math.hypot(observed.uncertainty[channel]!, FLOAT32_NOISE)
    estimates.push({ value: total - variance[channel]!, deviation: 2 * relative * total + 1e-300 })
  }
  if (estimates.length === 0) return undefined
  let weight = 0
  let sum = 0
  for (const { value, deviation } of estimates) {
    weight += deviation ** -2
    sum += value * deviation ** -2
  }
  const epsilon = Number.isFinite(sum / weight) ? sum / weight : estimates[0]!.value
  const uncertainty = Math.max(Number.isFinite(weight) ? weight ** -0.5 : 0, epsilon * 1e-8)
  if (epsilon < -5 * uncertainty) return undefined
  return { epsilon, uncertainty, misfit: scaleMisfit(norm, observed, Math.max(0, epsilon)) }
}

/** How far observed scales are from those of `epsilon`, in units of 6 standard deviations; the largest channel. */
export function scaleMisfit({ gamma, variance }: BatchNormValues, observed: ObservedScale, epsilon: number): number {
  let worst = 0
  for (const [channel, scale] of observed.scale.entries()) {
    if (!Number.isFinite(scale)) continue
    const predicted = gamma[channel]! / Math.sqrt(variance[channel]! + epsilon)
    const allowed = 6 * Math.hypot(observed.uncertainty[channel]!, FLOAT32_NOISE)
    const size = Math.max(Math.abs(predicted), 1e-30)
    worst = Math.max(worst, Math.abs(scale - predicted) / size / allowed)
  }
  return worst
}

/** Defaults of frameworks, the commonest first. TensorFlow's fused kernel takes nothing below 1.001e-5. */
export const WELL_KNOWN_EPSILONS = [
  1e-5, 1e-3, 1.001e-5, 1e-6, 1e-4, 2e-5, 1e-8, 1e-12, 1e-2, 1e-7, 5e-5, 1e-9, 1e-10, 3e-5, 8e-6, 2e-4, 0,
] as const

/** The smallest epsilon of TensorFlow's fused batch norm: smaller ones are raised to it. */
export const TENSORFLOW_FLOOR = 1.001e-5

/** One estimate out of several of the same quantity, each weighted by its certainty. */
export function combineEpsilons(solved: readonly SolvedEpsilon[]): SolvedEpsilon | undefined {
  if (solved.length === 0) return undefined
  let weight = 0
  let sum = 0
  for (const { epsilon, uncertainty } of solved) {
    weight += uncertainty ** -2
    sum += epsilon * uncertainty ** -2
  }
  return { epsilon: sum / weight, uncertainty: Math.max(weight ** -0.5, (sum / weight) * 1e-8), misfit: 0 }
}

/** The number that people wrote: a stated or well-known value within the uncertainty, else what was solved. */
export function snapEpsilon({ epsilon, uncertainty }: SolvedEpsilon, stated: readonly number[]): number {
  const reach = 4 * uncertainty + epsilon * 2e-7
  const near = [...stated, ...WELL_KNOWN_EPSILONS].filter((known) => Math.abs(known - epsilon) <= reach)
  const [first] = near
  if (first === undefined) return Math.max(0, Number(epsilon.toPrecision(4)))
  // 9.999999747378752e-6 is what float32 makes of 1e-5
  return WELL_KNOWN_EPSILONS.find((known) => Math.abs(known - first) <= known * 1e-6) ?? first
}

/**
 * Epsilon of a BatchNorm whose file states none, by framework. Keras is not among them: ports to it set PyTorch's
 * value as often as not, and files with its own models state it.
 */
export const DEFAULT_EPSILONS: Readonly<Record<string, number>> = { pytorch: 1e-5, caffe: 1e-5 }

/** `1e-5`, `1.001e-5`, `0.001`. */
export function formatEpsilon(value: number): string {
  return value >= 1e-3 ? String(Number(value.toPrecision(6))) : Number(value.toPrecision(6)).toExponential()
}
