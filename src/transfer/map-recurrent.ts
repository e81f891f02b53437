import { elementCount } from '../tensor/dtype.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { blocks, combine, concat, full, type Part, reshape, slice, transpose } from './build-expression.ts'
import { Inputs, type LedgerState } from './ledger.ts'
import { type Draft, finish } from './mapping.ts'
import { type Cell, canonicalOrder, cellsOf, storedOrder } from './recurrent-cells.ts'
import type { Unit } from './units.ts'

/** Two cells that correspond, and how sure that is. */
export interface CellPair {
  readonly source: Cell
  readonly target: Cell
  /** the only one of its sizes */
  readonly isOnly: boolean
}

/** Cells of equal sizes in order: layer after layer, forward before backward. */
export function pairCells(sources: readonly Unit[], targets: readonly Unit[]): CellPair[] {
  const key = ({ gates, hidden, inputs }: Cell) => `${gates} ${hidden} ${inputs}`
  const groups = new Map<string, Cell[]>()
  for (const cell of forwardFirst(sources.flatMap(cellsOf)))
    groups.set(key(cell), [...(groups.get(key(cell)) ?? []), cell])
  const sizes = new Map([...groups].map(([name, cells]) => [name, cells.length]))
  return forwardFirst(targets.flatMap(cellsOf)).flatMap((target) => {
    const source = groups.get(key(target))?.shift()
    return source ? [{ source, target, isOnly: sizes.get(key(target)) === 1 }] : []
  })
}

/** Two directions that a file keeps as layers of their own: the forward one first. */
function forwardFirst(cells: readonly Cell[]): Cell[] {
  const nameOf = ({ kernels, form, unit }: Cell) => (form === 'rows' ? unit.name : kernels[0]!.tensor.name)
  const stem = (cell: Cell) =>
    nameOf(cell)
      .replaceAll(/forward|backward/g, '*')
      .replaceAll(/_\d+/g, '')
  const sorted = [...cells]
  for (const [at, cell] of sorted.entries()) {
    const next = sorted[at + 1]
    if (next === undefined || !/backward/.test(nameOf(cell)) || !/forward/.test(nameOf(next))) continue
    if (stem(cell) === stem(next)) sorted.splice(at, 2, next, cell)
  }
  return sorted
}

/** Every stored tensor of the target's recurrent units; `pairs` in the order of the target's cells. */
export function mapRecurrent(pairs: readonly CellPair[]): Map<Unit, Draft[]> {
  const drafts = new Map<Unit, Draft[]>()
  const add = (unit: Unit, found: readonly Draft[]) => drafts.set(unit, [...(drafts.get(unit) ?? []), ...found])
  const onnx = new Map<Unit, CellPair[]>()
  for (const pair of pairs) {
    const { unit, form } = pair.target
    if (form === 'onnx') onnx.set(unit, [...(onnx.get(unit) ?? []), pair])
    else add(unit, mapCell(pair))
  }
  for (const [unit, lanes] of onnx) add(unit, mapLanes(lanes))
  return drafts
}

/** A cell in canonical form: (G H, I), (G H, H) and the two biases (G H), gates i f g o or r z n. */
interface Canonical {
  readonly kernel: Part
  readonly recurrent: Part
  readonly biases: readonly Part[]
}

function canonical(cell: Cell, inputs: Inputs): Canonical {
  const { form, gates, hidden, lane } = cell
  const rows = gates * hidden
  const ordered = (part: Part) => blocks(part, 0, canonicalOrder(cell))
  const parts = (slots: Cell['kernels']) => slots.map(({ tensor }) => inputs.part(tensor))
  const [kernel, recurrent] = [parts(cell.kernels), parts(cell.recurrents)]
  const stored = parts(cell.biases)
  switch (form) {
    case 'torch':
      return { kernel: kernel[0]!, recurrent: recurrent[0]!, biases: stored }
    case 'keras':
    case 'rows': {
      const turned = (part: Part) => ordered(form === 'keras' ? transpose(part, [1, 0]) : part)
      const biases = stored.flatMap((bias) => {
        if (bias.shape.length === 1) return [ordered(bias)]
        return [0, 1].map((row) => ordered(reshape(slice(bias, 0, row, row + 1), [rows])))
      })
      return { kernel: turned(kernel[0]!), recurrent: turned(recurrent[0]!), biases }
    }
    case 'onnx': {
      const own = (part: Part) => reshape(slice(part, 0, lane, lane + 1), part.shape.slice(1))
      const biases = stored.flatMap((bias) =>
        [0, 1].map((half) => ordered(slice(own(bias), 0, half * rows, (half + 1) * rows))),
      )
      return { kernel: ordered(own(kernel[0]!)), recurrent: ordered(own(recurrent[0]!)), biases }
    }
    case 'gates':
      return {
        kernel: concat(0, kernel),
        recurrent: concat(0, recurrent),
        biases: stored.length === 4 ? [concat(0, stored)] : [],
      }
  }
}

function mapCell({ source, target }: CellPair): Draft[] {
  const { form, gates, hidden } = target
  const label = labelOf(source, target)
  const stored = (part: Part) => blocks(part, 0, storedOrder(target))
  const made = (
    tensor: Tensor,
    make: (from: Canonical) => Part,
    state: LedgerState = 'mapped',
    reason = label,
  ): Draft => {
    const inputs = new Inputs()
    return finish(tensor, inputs, make(canonical(source, inputs)), state, reason)
  }
  const kernel = (tensor: Tensor, which: 'kernel' | 'recurrent') =>
    made(tensor, (from) => (form === 'keras' ? transpose(stored(from[which]), [1, 0]) : stored(from[which])))
  if (form === 'gates') {
    const gate = (part: Part, at: number) => slice(part, 0, at * hidden, (at + 1) * hidden)
    return [
      ...target.kernels.map(({ tensor }, at) => made(tensor, (from) => gate(from.kernel, at), 'split')),
      ...target.recurrents.map(({ tensor }, at) => made(tensor, (from) => gate(from.recurrent, at), 'split')),
      ...target.biases.map(({ tensor }, at) => made(tensor, (from) => gate(summed(from, gates * hidden), at), 'split')),
    ]
  }
  const drafts = [kernel(target.kernels[0]!.tensor, 'kernel'), kernel(target.recurrents[0]!.tensor, 'recurrent')]
  for (const [at, { tensor }] of target.biases.entries())
    drafts.push(...mapBias(source, target, tensor, at, made, stored))
  return drafts
}

type Made = (tensor: Tensor, make: (from: Canonical) => Part, state?: LedgerState, reason?: string) => Draft

function mapBias(
  source: Cell,
  target: Cell,
  tensor: Tensor,
  at: number,
  made: Made,
  stored: (part: Part) => Part,
): Draft[] {
  const rows = target.gates * target.hidden
  const count = biasCount(source)
  if (count === 0) return [made(tensor, () => full(0, tensor.shape), 'no-counterpart', 'zeros: the reference has none')]
  const isPair = elementCount(tensor.shape) === 2 * rows
  if (isPair)
    return [
      made(
        tensor,
        (from) => reshape(concat(0, bothBiases(from, rows).map(stored)), tensor.shape),
        count === 2 ? 'merged' : 'mapped',
      ),
    ]
  if (target.form === 'torch' || target.biases.length === 2) {
    if (count === 2) return [made(tensor, ({ biases }) => stored(biases[at]!))]
    if (at === 0) return [made(tensor, (from) => stored(summed(from, rows)))]
    return [
      made(
        tensor,
        () => full(0, tensor.shape),
        'no-counterpart',
        'zeros: the reference has one bias, the first takes it',
      ),
    ]
  }
  if (count === 1) return [made(tensor, (from) => stored(summed(from, rows)))]
  // the two biases of a GRU's new gate stand on different sides of the reset gate: they have no sum
  if (target.gates === 3)
    return [
      {
        target: tensor,
        from: [],
        state: 'no-counterpart',
        reason: 'one bias cannot hold the two of a GRU that resets behind the product (reset_after)',
      },
    ]
  return [made(tensor, (from) => stored(summed(from, rows)), 'merged', 'sum of the two biases')]
}

/** Biases that the source has per gate: none, one, or one for each kernel. */
function biasCount({ form, biases }: Cell): number {
  if (biases.length === 0) return 0
  if (form === 'onnx') return 2
  if (form === 'gates') return 1
  return biases.length === 2 || biases[0]!.tensor.shape.length === 2 ? 2 : 1
}

function summed({ biases }: Canonical, rows: number): Part {
  const [first, second] = biases
  if (first === undefined) return full(0, [rows])
  return second === undefined ? first : combine(first, '+', second)
}

function bothBiases({ biases }: Canonical, rows: number): Part[] {
  return [biases[0] ?? full(0, [rows]), biases[1] ?? full(0, [rows])]
}

/** ONNX: all directions in one tensor. */
function mapLanes(lanes: readonly CellPair[]): Draft[] {
  const { target, source } = lanes[0]!
  const directions = target.kernels[0]!.tensor.shape[0]!
  const rows = target.gates * target.hidden
  if (lanes.length !== directions) return []
  const label = labelOf(source, target)
  const made = (tensor: Tensor, make: (from: Canonical) => Part, state: LedgerState): Draft => {
    const inputs = new Inputs()
    const parts = lanes.map((lane) => {
      const part = make(canonical(lane.source, inputs))
      return reshape(part, [1, ...part.shape])
    })
    return finish(tensor, inputs, concat(0, parts), state, label)
  }
  const stored = (part: Part) => blocks(part, 0, storedOrder(target))
  const state: LedgerState = directions > 1 ? 'merged' : 'mapped'
  return [
    made(target.kernels[0]!.tensor, ({ kernel }) => stored(kernel), state),
    made(target.recurrents[0]!.tensor, ({ recurrent }) => stored(recurrent), state),
    ...target.biases.map(({ tensor }) =>
      made(tensor, (from) => concat(0, bothBiases(from, rows).map(stored)), 'merged'),
    ),
  ]
}

const NAMES: Readonly<Record<Cell['form'], Readonly<Record<number, string>>>> = {
  torch: { 4: 'ifgo', 3: 'rzn' },
  keras: { 4: 'ifgo', 3: 'zrn' },
  rows: { 4: 'ifgo', 3: 'zrn' },
  onnx: { 4: 'iofg', 3: 'zrn' },
  gates: { 4: 'ifgo' },
}

/** For a person: `gates ifgo -> iofg`. */
function labelOf(source: Cell, target: Cell): string {
  const [from, to] = [NAMES[source.form][source.gates], NAMES[target.form][target.gates]]
  return from === undefined || from === to ? 'gates in the same order' : `gates ${from} -> ${to}`
}
