import type { UnitPair } from './align.ts'
import { full, reshape, transpose } from './build-expression.ts'
import { Inputs } from './ledger.ts'
import { type Draft, finish, type MappingContext } from './mapping.ts'
import { slotOf } from './units.ts'

/** Norms, slopes, tables and parameters on their own: the same numbers, sizes of 1 put where the target has them. */
export function mapPlain(_context: MappingContext, { source, target }: UnitPair): Draft[] {
  return target.slots.flatMap((slot): Draft[] => {
    const inputs = new Inputs()
    const { tensor, role } = slot
    const found = slotOf(source, role) ?? (source.slots.length === 1 ? source.slots[0] : undefined)
    if (found === undefined) {
      const value = role === 'beta' || role === 'bias' ? 0 : role === 'gamma' ? 1 : undefined
      if (value === undefined) return []
      const reason = `${value === 0 ? 'zeros' : 'ones'}: the reference has none`
      return [finish(tensor, inputs, full(value, tensor.shape), 'no-counterpart', reason)]
    }
    const part = inputs.part(found.tensor)
    const [from, to] = [wide(found.tensor.shape), wide(tensor.shape)]
    if (from.join() === to.join()) return [finish(tensor, inputs, reshape(part, tensor.shape), 'mapped', 'unchanged')]
    const order = to.map((size) => from.indexOf(size))
    const isClear = from.length === to.length && new Set(order).size === from.length && !order.includes(-1)
    if (!isClear) return []
    const moved = reshape(transpose(reshape(part, from), order), tensor.shape)
    return [finish(tensor, inputs, moved, 'mapped', `axes (${order.join(', ')}) of ${from.join(' x ')}`)]
  })
}

const wide = (shape: readonly number[]) => shape.filter((size) => size !== 1)
