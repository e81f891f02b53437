import { type AffineParts, affineParts, channelsOf, scaleOf, throughAffine } from './affine.ts'
import { combine, full, type Part, reshape } from './build-expression.ts'
import { Inputs, type LedgerState } from './ledger.ts'
import { type Draft, finish, type MappingContext } from './mapping.ts'
import { type Slot, type SlotRole, slotOf, type Unit } from './units.ts'

/**
 * Whether a BatchNorm of the target can hold one of the source as it is. Keras leaves out gamma (`scale=False`) or beta
 * (`center=False`); what they would hold must then go into the kernel before.
 */
export function canHold(source: Unit, target: Unit): boolean {
  const has = (unit: Unit, role: SlotRole) => slotOf(unit, role) !== undefined
  if (has(source, 'gamma') && !has(target, 'gamma')) return false
  if (has(source, 'variance') && !has(target, 'variance') && !has(target, 'gamma')) return false
  const shifts = has(source, 'beta') || (has(source, 'mean') && !has(target, 'mean'))
  return !shifts || has(target, 'beta')
}

/** The vectors of an affine unit of the target. */
export interface AffineTask {
  readonly target: Unit
  /** the unit of the source that becomes it; without one it must do nothing */
  readonly source?: Unit
  /** bias of the layer before, which has no place of its own in the target */
  readonly bias?: Slot
  /** BatchNorms that are multiplied into the kernel before, whose shift only this unit can take */
  readonly folded: readonly Unit[]
}

/** One draft per stored vector of the target's unit. */
export function mapAffine(context: MappingContext, task: AffineTask): Draft[] {
  return task.target.slots.flatMap((slot) => mapSlot(context, task, slot))
}

function mapSlot(context: MappingContext, task: AffineTask, slot: Slot): Draft[] {
  const { target, source } = task
  const inputs = new Inputs()
  const { tensor, role } = slot
  const made = (part: Part, state: LedgerState, reason: string) => [
    finish(tensor, inputs, reshape(part, tensor.shape), state, reason),
  ]
  const count = channelsOf(target)
  if (role === 'scale-factor') return made(full(1, tensor.shape), 'derived', 'factor of the running sums: 1')
  if (role === 'other') return [{ target: tensor, from: [], state: 'derived', reason: 'no part of what is computed' }]
  const isNorm = slotOf(target, 'variance') !== undefined
  if (source === undefined || task.folded.length > 0) return identity(context, task, slot, made)

  const parts = affineParts(source, context.epsilonOf(source), inputs)
  const bias = task.bias && reshape(inputs.part(task.bias.tensor), [count])
  const label = `scale and shift of BatchNorm "${source.name}", epsilon ${context.epsilonOf(source)}`
  if (!isNorm) {
    if (role === 'gamma') {
      const scale = scaleOf(parts)
      if (scale === undefined) return made(full(1, [count]), 'no-counterpart', 'ones: the reference scales nothing')
      return made(scale, parts.variance ? 'folded' : 'mapped', parts.variance ? label : 'unchanged')
    }
    const shift = throughAffine(bias, parts)
    if (shift === undefined) return made(full(0, [count]), 'no-counterpart', 'zeros: the reference adds nothing here')
    const isPlain = parts.variance === undefined && bias === undefined
    return made(shift, isPlain ? 'mapped' : 'folded', isPlain ? 'unchanged' : label)
  }
  if (parts.variance === undefined) return fromScale(context, task, slot, parts, made)
  switch (role) {
    case 'gamma':
    case 'beta':
    case 'bias': {
      const part = role === 'gamma' ? parts.gamma : parts.beta
      if (part) return made(part, 'mapped', 'unchanged')
      const value = role === 'gamma' ? 1 : 0
      return made(full(value, [count]), 'no-counterpart', `${value === 1 ? 'ones' : 'zeros'}: the reference has none`)
    }
    case 'mean': {
      const mean = parts.mean ?? full(0, [count])
      if (bias === undefined) return made(mean, 'mapped', 'unchanged')
      return made(combine(mean, '-', bias), 'merged', 'bias of the layer before taken off: the target has none')
    }
    default:
      return made(parts.variance, 'mapped', 'unchanged')
  }
}

type Made = (part: Part, state: LedgerState, reason: string) => Draft[]

/** A scale and shift as a BatchNorm with mean 0, whose variance and epsilon make 1. */
function fromScale(
  context: MappingContext,
  { target, bias }: AffineTask,
  { role }: Slot,
  parts: AffineParts,
  made: Made,
) {
  const count = channelsOf(target)
  const epsilon = context.epsilonOf(target)
  if (role === 'gamma') return made(parts.gamma ?? full(1, [count]), 'mapped', 'scale')
  if (role === 'beta') return made(parts.beta ?? full(0, [count]), 'mapped', 'shift')
  if (role === 'variance')
    return made(full(1 - epsilon, [count]), 'no-counterpart', `1 - epsilon: divides by 1 with epsilon ${epsilon}`)
  if (bias) throw new RangeError('a bias before a scale and shift belongs into the shift')
  return made(full(0, [count]), 'no-counterpart', 'zeros: the reference has a scale and shift only')
}

/** A BatchNorm that does nothing but carry what has no other place: the reference has none here, or it was folded. */
function identity(
  context: MappingContext,
  { target, bias, folded }: AffineTask,
  { role, tensor }: Slot,
  made: Made,
): Draft[] {
  const count = channelsOf(target)
  const epsilon = context.epsilonOf(target)
  const why = folded.length > 0 ? 'its BatchNorm is multiplied into the kernel' : 'the reference has no BatchNorm here'
  const inputs = new Inputs()
  let shift: Part | undefined = bias && reshape(inputs.part(bias.tensor), [count])
  for (const unit of folded) shift = throughAffine(shift, affineParts(unit, context.epsilonOf(unit), inputs))
  const carries = slotOf(target, 'beta') ? 'beta' : 'mean'
  if (role === carries && shift !== undefined) {
    const part = role === 'beta' ? shift : combine(0, '-', shift)
    return [finish(tensor, inputs, reshape(part, tensor.shape), 'folded', `carries the bias: ${why}`)]
  }
  if (role === 'gamma') return made(full(1, [count]), 'no-counterpart', `ones: ${why}`)
  if (role === 'variance')
    return made(
      full(1 - epsilon, [count]),
      'no-counterpart',
      `1 - epsilon (${epsilon}), so that it divides by 1: ${why}`,
    )
  return made(full(0, [count]), 'no-counterpart', `zeros: ${why}`)
}
