import type { Entry, Group, PreparedSet } from './entry.ts'
import type { Values } from './transform.ts'
import type { ValueCache } from './values.ts'

/** The stored tensors of one BatchNorm; a scale and shift that stand for one have no mean and variance. */
export interface BatchNorm {
  readonly group: Group
  readonly gamma?: Entry
  readonly beta?: Entry
  readonly mean?: Entry
  readonly variance?: Entry
  /** Caffe: stored mean and variance are divided by it */
  readonly scaleFactor?: Entry
  readonly size: number
  /** as the graph states it */
  readonly statedEpsilon?: number
}

/** Its values; absent gamma is 1, absent beta is 0. */
export interface BatchNormValues {
  readonly gamma: Values
  readonly beta: Values
  readonly mean: Values
  readonly variance: Values
}

/** Every BatchNorm of a side. In Caffe the scale and shift are a layer of their own, right behind. */
export function findBatchNorms({ groups }: PreparedSet): BatchNorm[] {
  const found: BatchNorm[] = []
  for (const [at, group] of groups.entries()) {
    const role = (name: Entry['role'], from = group) => from.entries.find((entry) => entry.role === name)
    const mean = role('mean')
    const variance = role('variance')
    if (!mean || !variance || mean.count !== variance.count) continue
    let gamma = role('gamma')
    let beta = role('beta')
    const next = groups[at + 1]
    const follows = next && group.layer && next.layer?.inputs.some((name) => group.layer!.outputs.includes(name))
    if (!gamma && next && (follows || !group.layer)) {
      const scale = role('gamma', next) ?? next.entries.find(({ role }) => role === 'unknown')
      const isScaleLayer = next.entries.every(({ dims, count }) => dims.length <= 1 && count === mean.count)
      if (scale && isScaleLayer && !role('mean', next)) {
        gamma = scale
        beta ??= role('beta', next) ?? role('bias', next)
      }
    }
    const scaleFactor = role('scale-factor')
    const epsilon = group.layer?.attributes.epsilon
    found.push({
      group,
      mean,
      variance,
      size: mean.count,
      ...(gamma && gamma.count === mean.count ? { gamma } : {}),
      ...(beta && beta.count === mean.count ? { beta } : {}),
      ...(scaleFactor ? { scaleFactor } : {}),
      ...(epsilon === undefined ? {} : { statedEpsilon: epsilon }),
    })
  }
  return found
}

/** Tensors of a BatchNorm, in the usual order. */
export function batchNormEntries({ gamma, beta, mean, variance, scaleFactor }: BatchNorm): Entry[] {
  return [gamma, beta, mean, variance, scaleFactor].filter((entry) => entry !== undefined)
}

export async function loadBatchNorm(norm: BatchNorm, cache: ValueCache): Promise<BatchNormValues> {
  const load = async (entry: Entry | undefined, otherwise: number): Promise<Values> =>
    entry ? cache.load(entry.tensor) : new Float32Array(norm.size).fill(otherwise)
  const factor = norm.scaleFactor ? (await cache.load(norm.scaleFactor.tensor))[0]! : 1
  const divided = async (entry: Entry | undefined, otherwise: number) => {
    if (entry === undefined) return new Float32Array(norm.size).fill(otherwise)
    const values = await cache.load(entry.tensor)
    return factor === 1 ? values : Float64Array.from(values, (value) => (factor === 0 ? 0 : value / factor))
  }
  return {
    gamma: await load(norm.gamma, 1),
    beta: await load(norm.beta, 0),
    mean: await divided(norm.mean, 0),
    variance: await divided(norm.variance, 1),
  }
}

/** gamma / sqrt(variance + epsilon), per channel. */
export function channelScale({ gamma, variance }: BatchNormValues, epsilon: number): Float64Array {
  return Float64Array.from(gamma, (value, channel) => value / Math.sqrt(variance[channel]! + epsilon))
}

/** (bias - mean) * scale + beta, per channel: the bias that remains after folding. */
export function channelShift(norm: BatchNormValues, epsilon: number, bias?: Values): Float64Array {
  const { beta, mean } = norm
  return channelScale(norm, epsilon).map(
    (scale, channel) => ((bias?.[channel] ?? 0) - mean[channel]!) * scale + beta[channel]!,
  )
}
