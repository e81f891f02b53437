import { elementCount } from '../tensor/dtype.ts'
import { combine, type Part, reshape, sqrt } from './build-expression.ts'
import type { Inputs } from './ledger.ts'
import { slotOf, type Unit } from './units.ts'

/** An affine unit as parts of an expression: `(x - mean) * scale + beta`; absent parts do nothing. */
export interface AffineParts {
  readonly count: number
  readonly gamma?: Part
  readonly beta?: Part
  readonly mean?: Part
  readonly variance?: Part
  readonly epsilon: number
}

/** The stored vectors of an affine unit, Caffe's running sums divided by their factor. */
export function affineParts(unit: Unit, epsilon: number, inputs: Inputs): AffineParts {
  const count = channelsOf(unit)
  const factor = slotOf(unit, 'scale-factor')
  const vector = (role: 'gamma' | 'beta' | 'mean' | 'variance'): Part | undefined => {
    const slot = slotOf(unit, role) ?? (role === 'beta' ? slotOf(unit, 'bias') : undefined)
    if (slot === undefined) return undefined
    const part = reshape(inputs.part(slot.tensor), [count])
    const isSum = factor !== undefined && (role === 'mean' || role === 'variance')
    return isSum ? combine(part, '/', inputs.part(factor.tensor)) : part
  }
  const [gamma, beta, mean, variance] = [vector('gamma'), vector('beta'), vector('mean'), vector('variance')]
  return {
    count,
    epsilon,
    ...(gamma ? { gamma } : {}),
    ...(beta ? { beta } : {}),
    ...(mean ? { mean } : {}),
    ...(variance ? { variance } : {}),
  }
}

/** Channels that an affine unit works on. */
export function channelsOf(unit: Unit): number {
  const slot = unit.slots.find(({ role }) => role !== 'scale-factor' && role !== 'other') ?? unit.slots[0]!
  return elementCount(slot.tensor.shape)
}

/** What each channel is multiplied by: gamma / sqrt(variance + epsilon); undefined for 1. */
export function scaleOf({ gamma, variance, epsilon }: AffineParts): Part | undefined {
  if (variance === undefined) return gamma
  const deviation = sqrt(combine(variance, '+', epsilon))
  return combine(gamma ?? 1, '/', deviation)
}

/** `(value - mean) * scale + beta` for what stands before it; undefined where nothing remains. */
export function throughAffine(value: Part | undefined, parts: AffineParts): Part | undefined {
  const { mean, beta } = parts
  const scale = scaleOf(parts)
  let result = value
  if (mean !== undefined) result = combine(result ?? 0, '-', mean)
  if (result !== undefined && scale !== undefined) result = combine(result, '*', scale)
  if (beta === undefined) return result
  return result === undefined ? beta : combine(result, '+', beta)
}
