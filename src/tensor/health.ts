import { isFloat } from './dtype.ts'
import type { TensorStatistics } from './statistics.ts'
import type { Tensor } from './tensor.ts'

/**
 * What can be wrong with stored values. `error`: the network cannot work with it. `warning`: hardly meant. `note`:
 * harmless by itself, but says something (a bias never trained, a channel that died).
 */
export interface HealthFinding {
  readonly tensor: string
  readonly problem: HealthProblem
  readonly severity: 'error' | 'warning' | 'note'
  /** elements concerned; all of them for a scale or a constant */
  readonly count: number
  /** one clause with the numbers, e.g. `largest magnitude 3.2e6` */
  readonly detail: string
}

export type HealthProblem =
  | 'nan'
  | 'infinity'
  | 'negative-variance'
  | 'all-zero'
  | 'constant'
  | 'denormal'
  | 'large-scale'
  | 'small-scale'
  /** not read: a partner file is missing, unsafe or short */
  | 'unreadable'

/**
 * Trained weights lie within about ±50 even in old networks without normalisation; 10,000 leaves a wide margin. What
 * passes it is a counter, a pixel mean or broken. Statistics of a BatchNorm (a vector) may be large by nature and are
 * not judged: activations of unscaled 0..255 pictures have variances of 1e5 and more.
 */
const LARGE_KERNEL = 1e4

/** A kernel whose values differ by less than this answers the same to every input: it was never initialised or died. */
const SMALL_KERNEL_STD = 1e-8

/**
 * Fewer denormals than this share are what weight decay leaves in any network; they are a note. So are those of
 * vectors: the running statistics of a dead channel decay towards zero, which slows nothing down.
 */
const MANY_DENORMALS = 0.01

/**
 * Judges one tensor by its statistics. Kernels (two dimensions and more) are judged more strictly than vectors: a bias
 * of zeros is normal, a kernel of zeros is not.
 *
 * Integers, booleans and text are never judged on scale; constants of a graph (role `constant`: reshape targets, anchor
 * grids) only on NaN and infinity, for they may be anything. One finding at most of all-zero, constant and scale.
 */
export function judgeHealth(
  tensor: Pick<Tensor, 'name' | 'dtype' | 'shape' | 'role'>,
  statistics: TensorStatistics,
): HealthFinding[] {
  const findings: HealthFinding[] = []
  const { count, min, max, std } = statistics
  const report = (problem: HealthProblem, severity: HealthFinding['severity'], found: number, detail: string) =>
    findings.push({ tensor: tensor.name, problem, severity, count: found, detail })
  if (statistics.nanCount > 0) report('nan', 'error', statistics.nanCount, `${statistics.nanCount} of ${count} are NaN`)
  const infinities = statistics.positiveInfinityCount + statistics.negativeInfinityCount
  // masks of attention and padding of a max pool are minus infinity on purpose
  if (infinities > 0) {
    const severity = tensor.role === 'constant' ? 'note' : 'error'
    report('infinity', severity, infinities, `${infinities} of ${count} are infinite`)
  }
  if (tensor.role === 'constant' || tensor.role === 'optimizer' || !isFloat(tensor.dtype)) return findings
  // values that are left beside NaN and infinities say nothing more
  if (findings.length > 0 || min === null || max === null || std === null) return findings

  // [1, 1, C] is a vector in another shape (slope of a PReLU)
  const isKernel = tensor.shape.length >= 2 && tensor.shape.filter((size) => size > 1).length !== 1 && count > 1
  if (isVariance(tensor.name) && min < 0) report('negative-variance', 'error', count, `smallest variance ${brief(min)}`)
  if (statistics.denormalCount > 0) {
    const share = statistics.denormalCount / count
    report(
      'denormal',
      isKernel && share >= MANY_DENORMALS ? 'warning' : 'note',
      statistics.denormalCount,
      `${statistics.denormalCount} of ${count} below the smallest normal ${tensor.dtype}`,
    )
  }
  const severity = isKernel ? 'warning' : 'note'
  if (statistics.zeroCount === count && count > 1) report('all-zero', severity, count, `all ${count} values are 0`)
  else if (statistics.isConstant && count > 1)
    report('constant', severity, count, `all ${count} values are ${brief(min)}`)
  else if (isKernel && Math.max(-min, max) > LARGE_KERNEL)
    report('large-scale', 'warning', count, `largest magnitude ${brief(Math.max(-min, max))}, above ${LARGE_KERNEL}`)
  else if (isKernel && std < SMALL_KERNEL_STD)
    report('small-scale', 'warning', count, `standard deviation ${brief(std)}, below ${SMALL_KERNEL_STD}`)
  return findings
}

/** Names that the frameworks give to the running variance of a BatchNorm. */
function isVariance(name: string): boolean {
  return /(running_var|moving_variance|rolling_variance)(:0)?$/.test(name)
}

const brief = (value: number) => String(Number(value.toPrecision(3)))
