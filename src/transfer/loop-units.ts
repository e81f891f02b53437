import { elementCount } from '../tensor/dtype.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { Slot, Unit } from './units.ts'

/**
 * Units of parameters that no layer of the graph takes, as they stand in bodies of loops. TensorFlow Lite keeps a
 * recurrent layer so: `.../lstm_cell/MatMul` (4 H, I), `.../lstm_cell/MatMul_1` (4 H, H) and a bias (4 H).
 */
export function unitsOfLoops(tensors: readonly Tensor[]): Unit[] {
  const cells = new Map<string, Tensor[]>()
  const units: Unit[] = []
  for (const tensor of tensors) {
    const prefix = /^[^;]*?(lstm|gru)_cell[^/;]*(?=\/)/.exec(tensor.name)?.[0]
    if (prefix === undefined) units.push(unitOf('other', [{ role: 'other', tensor }], tensor.name))
    else cells.set(prefix, [...(cells.get(prefix) ?? []), tensor])
  }
  for (const [prefix, members] of cells) {
    const slots = cellSlots(members)
    if (slots) units.push(unitOf('recurrent', slots, prefix))
    else units.push(...members.map((tensor) => unitOf('other', [{ role: 'other', tensor }], tensor.name)))
  }
  return units
}

function unitOf(kind: Unit['kind'], slots: Slot[], name: string): Unit {
  return { name, kind, slots, attributes: {}, layers: [], index: 0 }
}

/** The recurrent kernel is G times as high as it is wide; the other matrix is the input kernel. */
function cellSlots(members: readonly Tensor[]): Slot[] | undefined {
  const matrices = members.filter(({ shape }) => shape.length === 2)
  const recurrent = matrices.find(({ name, shape }) => /MatMul_1/.test(name) && [3, 4].includes(shape[0]! / shape[1]!))
  const kernel = matrices.find((tensor) => tensor !== recurrent && /MatMul/.test(tensor.name))
  const biases = members.filter((tensor) => tensor !== kernel && tensor !== recurrent)
  if (!kernel || !recurrent || biases.some(({ shape }) => elementCount(shape) % recurrent.shape[0]! !== 0))
    return undefined
  return [
    { role: 'kernel', tensor: kernel, layout: 'OI' },
    { role: 'recurrent-kernel', tensor: recurrent, layout: 'OI' },
    ...[...biases]
      .sort((a, b) => Number(/BiasAdd_1/.test(a.name)) - Number(/BiasAdd_1/.test(b.name)))
      .map((tensor): Slot => ({ role: 'bias', tensor })),
  ]
}
