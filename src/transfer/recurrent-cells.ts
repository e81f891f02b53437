import type { Slot, Unit } from './units.ts'

/**
 * How a framework stores one recurrent cell. Rows of a gate block are H long.
 *
 * - `torch`: (G H, I), (G H, H), two biases (G H); gates i f g o, r z n
 * - `keras`: (I, G H), (H, G H), one bias (G H), or (2, G H) for a GRU with reset_after; gates i f c o, z r h
 * - `rows`: as Keras, but outputs first: what TensorFlow Lite keeps of a loop
 * - `onnx`: (directions, G H, I), (directions, G H, H), (directions, 2 G H); gates i o f c, z r h
 * - `gates`: TensorFlow Lite's UNIDIRECTIONAL_SEQUENCE_LSTM, one tensor per gate: i f c o
 */
export type CellForm = 'torch' | 'keras' | 'rows' | 'onnx' | 'gates'

/** One direction of one layer. */
export interface Cell {
  readonly unit: Unit
  readonly form: CellForm
  /** 4 for LSTM, 3 for GRU, 1 for a plain cell */
  readonly gates: number
  readonly hidden: number
  readonly inputs: number
  /** kernel, recurrent kernel (one per gate in `gates`), and up to two biases, in the form's order */
  readonly kernels: readonly Slot[]
  readonly recurrents: readonly Slot[]
  readonly biases: readonly Slot[]
  /** index in ONNX's leading axis */
  readonly lane: number
}

/** Order of blocks that leads from the stored gates to i f g o (r z n); the inverse leads back. */
const TO_CANONICAL: Readonly<Record<CellForm, Readonly<Record<number, readonly number[]>>>> = {
  torch: {},
  keras: { 3: [1, 0, 2] },
  rows: { 3: [1, 0, 2] },
  onnx: { 4: [0, 2, 3, 1], 3: [1, 0, 2] },
  gates: {},
}

/** Blocks in canonical order, as places in the stored order. */
export function canonicalOrder({ form, gates }: Pick<Cell, 'form' | 'gates'>): readonly number[] {
  return TO_CANONICAL[form][gates] ?? Array.from({ length: gates }, (_, gate) => gate)
}

/** Blocks in stored order, as places in the canonical order. */
export function storedOrder(cell: Pick<Cell, 'form' | 'gates'>): number[] {
  const order = canonicalOrder(cell)
  return order.map((_, place) => order.indexOf(place))
}

/** The cells of a recurrent unit: layers in order, forward before backward; empty where its tensors are not understood. */
export function cellsOf(unit: Unit): Cell[] {
  const kernels = unit.slots.filter(({ role }) => role === 'kernel')
  const recurrents = unit.slots.filter(({ role }) => role === 'recurrent-kernel')
  const biases = unit.slots.filter(({ role }) => role === 'bias' || role === 'recurrent-bias')
  if (kernels[0]?.tensor.shape.length === 3) return onnxCells(unit, kernels[0], recurrents[0], biases[0])
  if (unit.slots.some(({ tensor }) => /weight_ih_l\d/.test(tensor.name))) return torchCells(unit)
  if (recurrents.length === 0 && kernels.length >= 8) return gateCells(unit, kernels)
  const form = kernels.some(({ layout }) => layout === 'OI') ? 'rows' : 'keras'
  return kernelCells(unit, form, kernels, recurrents, biases)
}

function onnxCells(unit: Unit, kernel: Slot, recurrent: Slot | undefined, bias: Slot | undefined): Cell[] {
  if (recurrent === undefined) return []
  const [directions, rows, inputs] = kernel.tensor.shape as [number, number, number]
  const hidden = recurrent.tensor.shape[2]!
  return Array.from(
    { length: directions },
    (_, lane): Cell => ({
      unit,
      form: 'onnx',
      gates: rows / hidden,
      hidden,
      inputs,
      kernels: [kernel],
      recurrents: [recurrent],
      biases: bias ? [bias] : [],
      lane,
    }),
  )
}

function torchCells(unit: Unit): Cell[] {
  const find = (name: string) => unit.slots.find(({ tensor }) => tensor.name.endsWith(name))
  const cells: Cell[] = []
  for (let layer = 0; find(`weight_ih_l${layer}`); layer++)
    for (const suffix of ['', '_reverse']) {
      const at = (name: string) => find(`${name}_l${layer}${suffix}`)
      const [kernel, recurrent] = [at('weight_ih'), at('weight_hh')]
      if (!kernel || !recurrent) continue
      const [rows, hidden] = recurrent.tensor.shape as [number, number]
      const biases = [at('bias_ih'), at('bias_hh')].filter((slot) => slot !== undefined)
      cells.push({
        unit,
        form: 'torch',
        gates: rows / hidden,
        hidden,
        inputs: kernel.tensor.shape[1]!,
        kernels: [kernel],
        recurrents: [recurrent],
        biases,
        lane: 0,
      })
    }
  return cells
}

/** Keras lists forward and backward by name, in either order. */
function kernelCells(
  unit: Unit,
  form: 'keras' | 'rows',
  kernels: readonly Slot[],
  recurrents: readonly Slot[],
  biases: readonly Slot[],
): Cell[] {
  const isBackward = (slot: Slot) => /backward/.test(slot.tensor.name)
  const cells = kernels.flatMap((kernel, at): Cell[] => {
    const recurrent = recurrents[at]
    if (recurrent === undefined) return []
    const [rows, columns] = recurrent.tensor.shape as [number, number]
    const [wide, hidden] = form === 'rows' ? [rows, columns] : [columns, rows]
    return [
      {
        unit,
        form,
        gates: wide / hidden,
        hidden,
        inputs: kernel.tensor.shape[form === 'rows' ? 1 : 0]!,
        kernels: [kernel],
        recurrents: [recurrent],
        biases: kernels.length === 1 ? biases : biases[at] ? [biases[at]] : [],
        lane: 0,
      },
    ]
  })
  return cells.sort((a, b) => Number(isBackward(a.kernels[0]!)) - Number(isBackward(b.kernels[0]!)))
}

/** Operands: input kernels i f c o, recurrent kernels i f c o, then biases i f c o among the rest. */
function gateCells(unit: Unit, kernels: readonly Slot[]): Cell[] {
  const [first, recurrent] = [kernels[0]!.tensor.shape, kernels[4]!.tensor.shape]
  const biases = unit.slots.filter(({ role, tensor }) => role !== 'kernel' && tensor.shape.length === 1)
  return [
    {
      unit,
      form: 'gates',
      gates: 4,
      hidden: recurrent[0]!,
      inputs: first[1]!,
      kernels: kernels.slice(0, 4),
      recurrents: kernels.slice(4, 8),
      biases: biases.slice(-4),
      lane: 0,
    },
  ]
}
