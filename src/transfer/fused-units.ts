import type { Tensor } from '../tensor/tensor.ts'
import { kernelKey, outputsOf, type Reading, readingsOf } from './kernel-layout.ts'
import type { Convention, Slot, Unit, UnitSet } from './units.ts'

/** A part of a stored tensor that stands for a tensor of its own. */
export interface SlicedTensor extends Tensor {
  readonly slice: { readonly of: Tensor; readonly axis: number; readonly start: number; readonly stop: number }
}

export const isSliced = (tensor: Tensor): tensor is SlicedTensor => 'slice' in tensor

const PROJECTIONS = ['query', 'key', 'value'] as const

/**
 * Takes projections apart that one model keeps in one kernel and the other in three: (3 E, E), rows q, k, v. Only where
 * the other side has no kernel of the joint size, and three more of a third of it.
 */
export function splitFused(own: UnitSet, other: UnitSet): UnitSet {
  const [ownKeys, otherKeys] = [countKeys(own), countKeys(other)]
  const splits = new Map<Unit, Unit[]>()
  for (const unit of own.units) {
    if (unit.kind !== 'dense') continue
    const reading = readingsOf(unit, own.convention).find((each) => !otherKeys.has(kernelKey(each)) && thirdOf(each))
    const third = reading && thirdOf(reading)
    if (reading === undefined || third === undefined) continue
    const wanted = (ownKeys.get(third) ?? 0) + 3
    if ((otherKeys.get(third) ?? 0) < wanted) continue
    ownKeys.set(third, wanted)
    splits.set(unit, splitUnit(unit, reading))
  }
  if (splits.size === 0) return own
  const units = own.units.flatMap((unit) => splits.get(unit) ?? [unit])
  return { ...own, units: units.map((unit, index) => Object.assign(unit, { index })) }
}

function countKeys({ units, convention }: { units: readonly Unit[]; convention: Convention }): Map<string, number> {
  const counts = new Map<string, number>()
  for (const unit of units)
    for (const key of new Set(readingsOf(unit, convention).map(kernelKey))) counts.set(key, (counts.get(key) ?? 0) + 1)
  return counts
}

/** Key of one of three equal parts of the outputs. */
function thirdOf(reading: Reading): string | undefined {
  const outputs = outputsOf(reading)
  const [, inputs] = reading.canonical
  if (reading.isTransposed || reading.canonical.length !== 2 || outputs % 3 !== 0 || outputs === inputs)
    return undefined
  return kernelKey({ ...reading, canonical: [outputs / 3, inputs!] })
}

function splitUnit(unit: Unit, reading: Reading): Unit[] {
  const outputs = outputsOf(reading)
  return PROJECTIONS.map((projection, at) => {
    const slots = unit.slots.map(({ role, tensor, layout }): Slot => {
      const axis = role === 'kernel' ? reading.layout.indexOf('O') : tensor.shape.indexOf(outputs)
      return { role, tensor: sliceOf(tensor, axis, at), layout: role === 'kernel' ? reading.layout : layout }
    })
    return { ...unit, name: `${unit.name}/${projection}`, slots }
  })
}

function sliceOf(of: Tensor, axis: number, at: number): SlicedTensor {
  const size = of.shape[axis]! / 3
  const shape = of.shape.map((each, index) => (index === axis ? size : each))
  return {
    ...of,
    name: `${of.name} (${PROJECTIONS[at]})`,
    shape,
    bytes: of.bytes / 3,
    slice: { of, axis, start: at * size, stop: (at + 1) * size },
  }
}
