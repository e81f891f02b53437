import { type ArrayValue, numbersOf, transpose } from '../../tensor/array-value.ts'
import { elementCount } from '../../tensor/dtype.ts'
import { distance } from '../distance.ts'
import type { CauseLabel } from '../vocabulary.ts'
import { flipped, permutations, reshaped, show, showList, swapAxes, takeAlong } from './arrays.ts'

/** How a candidate's weight came from the reference's, as far as the numbers show. */
export interface WeightRelation {
  readonly label: CauseLabel
  readonly also?: readonly CauseLabel[]
  /** `rows 0 and 1 are exchanged` */
  readonly what: string
  /** gives the candidate's from the reference's; absent where values are other values */
  readonly apply?: (reference: ArrayValue) => ArrayValue
}

/** What a weight is to its operator. Axes are those of the stored array. */
export interface WeightPlace {
  readonly kind: 'conv' | 'conv-transpose' | 'dense' | 'vector' | 'recurrent' | 'table' | 'other'
  /** first layer: its input channels are those of the picture */
  readonly first?: boolean
  /** of recurrent operators: blocks along axis 1 */
  readonly gates?: number
}

/**
 * The simplest relation of two arrays of one shape: mirrored, transposed, slices re-ordered, gates re-ordered, few
 * levels, zeros, a part never loaded, scaled; else other values. Undefined when they are equal within `tolerance`.
 */
export function relationOf(
  reference: ArrayValue,
  candidate: ArrayValue,
  place: WeightPlace,
  tolerance = 1e-5,
): WeightRelation | undefined {
  const same = (value: ArrayValue) =>
    value.shape.join() === candidate.shape.join() && near(numbersOf(value), numbersOf(candidate), tolerance)
  if (same(reference)) return undefined
  if (!holdSameNumbers(reference, candidate, tolerance)) return otherValues(reference, candidate)
  for (const { label, also, what, apply } of MOVES) {
    for (const move of apply(reference, place)) {
      const made = move.run(reference)
      if (same(made))
        return {
          label: label(place, move),
          ...(also ? { also } : {}),
          what: `${what}${move.what}`,
          apply: move.run,
        }
    }
  }
  return reordered(reference, candidate, place, tolerance) ?? otherValues(reference, candidate)
}

/** Whether one may be the other in another order: sums and sums of squares do not depend on it. */
function holdSameNumbers(reference: ArrayValue, candidate: ArrayValue, tolerance: number): boolean {
  const [mine, theirs] = [reference, candidate].map((value) => {
    let sum = 0
    let square = 0
    let size = 0
    for (const number of numbersOf(value)) {
      sum += number
      size += Math.abs(number)
      square += number * number
    }
    return { sum, square, size }
  }) as [Sums, Sums]
  return (
    Math.abs(mine.sum - theirs.sum) <= 10 * tolerance * mine.size &&
    Math.abs(mine.square - theirs.square) <= 10 * tolerance * mine.square
  )
}

interface Sums {
  readonly sum: number
  readonly square: number
  readonly size: number
}

const near = (a: ArrayLike<number>, b: ArrayLike<number>, tolerance: number) => distance(a, b).relL2 <= tolerance

interface Move {
  readonly what: string
  readonly run: (value: ArrayValue) => ArrayValue
  readonly axis?: number
}

const spatial = (value: ArrayValue) => value.shape.map((_, axis) => axis).slice(2)

/** Index of the input-channel axis of a kernel. */
const inputAxis = ({ kind }: WeightPlace, value: ArrayValue): number =>
  kind === 'conv-transpose' ? 0 : kind === 'dense' ? value.shape.length - 2 : 1

const MOVES: readonly {
  label: (place: WeightPlace, move: Move) => CauseLabel
  also?: readonly CauseLabel[]
  what: string
  apply: (value: ArrayValue, place: WeightPlace) => Move[]
}[] = [
  {
    label: () => 'kernel-flipped',
    what: 'the kernel is mirrored',
    apply: (value, { kind }) => {
      if (!kind.startsWith('conv') || spatial(value).every((axis) => value.shape[axis] === 1)) return []
      const axes = spatial(value)
      return [axes, ...axes.map((axis) => [axis])].map((some) => ({
        what:
          some.length === axes.length ? ' in every spatial axis (rotated by 180 degrees)' : ` along axis ${some[0]}`,
        run: (each) => flipped(each, some),
      }))
    },
  },
  {
    label: (place) => (place.first ? 'input-channel-order' : 'weight-permuted'),
    what: 'its input channels are in reverse order',
    apply: (value, place) => {
      if (!place.kind.startsWith('conv') && !place.first) return []
      const axis = inputAxis(place, value)
      return (value.shape[axis] ?? 1) < 2 ? [] : [{ what: '', run: (each) => flipped(each, [axis]), axis }]
    },
  },
  {
    label: (place, { axis }) => (place.first && axis === 1 ? 'input-channel-order' : 'weight-transposed'),
    what: 'axes ',
    apply: ({ shape }) =>
      shape
        .flatMap((size, a) =>
          shape.flatMap((other, b) => (b > a && size === other && size > 1 ? [[a, b] as const] : [])),
        )
        .map(([a, b]) => ({ what: `${a} and ${b} are exchanged`, run: (each) => swapAxes(each, a, b) })),
  },
  {
    label: () => 'weight-transposed',
    what: 'its values lie in the order of another layout: ',
    // the same shape, filled as if axes came in another order
    apply: ({ shape }) =>
      shape.length < 2 || shape.length > 4
        ? []
        : permutations(shape.length)
            .filter((axes) => axes.some((axis, at) => axis !== at))
            .map((axes) => ({
              what: `transposed by (${axes.join(', ')})`,
              run: (each) => reshaped(transpose(each, axes), each.shape),
            })),
  },
  {
    label: () => 'weight-transposed',
    what: 'its values lie in the order of another layout: ',
    apply: ({ shape }) =>
      shape.length < 2 || shape.length > 4
        ? []
        : permutations(shape.length)
            .filter((axes) => axes.some((axis, at) => axis !== at))
            .map((axes) => ({
              what: `read as (${axes.map((axis) => shape[axis]).join(', ')}), transposed by (${axes.join(', ')})`,
              run: (each) => {
                const first = reshaped(
                  each,
                  axes.map((axis) => shape[axis]!),
                )
                const back = axes.map((_, at) => axes.indexOf(at))
                return transpose(first, back)
              },
            })),
  },
  {
    label: () => 'lstm-gate-order',
    what: 'gate blocks are in the order ',
    apply: (value, { kind, gates }) => {
      const axis = 1
      if (kind !== 'recurrent' || !gates || (value.shape[axis] ?? 0) % gates !== 0) return []
      return permutations(gates)
        .filter((order) => order.some((from, at) => from !== at))
        .map((order) => ({ what: order.join(', '), run: (each) => takeBlocks(each, axis, order, gates) }))
    },
  },
]

/** Blocks along an axis in another order; a bias of ONNX holds two rows of gates one behind the other. */
export function takeBlocks(value: ArrayValue, axis: number, order: readonly number[], gates: number): ArrayValue {
  const total = value.shape[axis]!
  const halves = value.shape.length === 2 ? 2 : 1
  const size = total / gates / halves
  const slices = Array.from({ length: halves }, (_, half) =>
    order.flatMap((block) => Array.from({ length: size }, (_, at) => half * gates * size + block * size + at)),
  ).flat()
  return takeAlong(value, axis, slices)
}

/** Slices along one axis stand in another order. */
function reordered(
  reference: ArrayValue,
  candidate: ArrayValue,
  place: WeightPlace,
  tolerance: number,
): WeightRelation | undefined {
  for (let axis = 0; axis < reference.shape.length; axis++) {
    const order = sliceOrder(reference, candidate, axis)
    if (order === undefined) continue
    const run = (value: ArrayValue) => takeAlong(value, axis, order)
    if (!near(numbersOf(run(reference)), numbersOf(candidate), tolerance)) continue
    const first = place.first && axis === inputAxis(place, reference)
    return {
      label: first ? 'input-channel-order' : 'weight-permuted',
      what: `slices along axis ${axis} are ${orderName(order)}`,
      apply: run,
    }
  }
  return undefined
}

/** For each slice of the candidate, the reference's that it equals; undefined unless one to one and moved. */
export function sliceOrder(reference: ArrayValue, candidate: ArrayValue, axis: number): number[] | undefined {
  const count = reference.shape[axis]!
  if (count < 2 || count > 65_536 || reference.shape.join() !== candidate.shape.join()) return undefined
  const mine = sliceSums(reference, axis)
  const theirs = sliceSums(candidate, axis)
  const scale = Math.max(...mine.map(Math.abs), 1e-30)
  const sorted = mine.map((value, at) => ({ value, at })).sort((a, b) => a.value - b.value)
  const taken = new Set<number>()
  const order: number[] = []
  for (const [to, value] of theirs.entries()) {
    // slices that look alike stay where they are
    const stays = Math.abs(mine[to]! - value) <= 1e-6 * scale && !taken.has(to)
    const from = stays ? to : nearest(sorted, value, taken)
    if (from === undefined || Math.abs(mine[from]! - value) > 1e-4 * scale) return undefined
    taken.add(from)
    order.push(from)
  }
  return order.some((from, to) => from !== to) ? order : undefined
}

function nearest(
  sorted: readonly { value: number; at: number }[],
  value: number,
  taken: ReadonlySet<number>,
): number | undefined {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle]!.value < value) low = middle + 1
    else high = middle
  }
  let left = low - 1
  let right = low
  while (left >= 0 && taken.has(sorted[left]!.at)) left--
  while (right < sorted.length && taken.has(sorted[right]!.at)) right++
  const [a, b] = [sorted[left], sorted[right]]
  if (a === undefined) return b?.at
  return b === undefined || value - a.value <= b.value - value ? a.at : b.at
}

/** A weighted sum per slice: another one for other content, the same wherever the slice stands. */
function sliceSums(value: ArrayValue, axis: number): number[] {
  const numbers = numbersOf(value)
  const inner = elementCount(value.shape.slice(axis + 1))
  const count = value.shape[axis]!
  const sums = new Array<number>(count).fill(0)
  for (let at = 0; at < numbers.length; at++) {
    const outer = Math.floor(at / (inner * count))
    sums[Math.floor(at / inner) % count]! += numbers[at]! * (1 + (((at % inner) * 7 + outer * 13) % 11) / 11)
  }
  return sums
}

/** An order in words: a reversal, two halves exchanged, groups interleaved, or its beginning. */
export function orderName(order: readonly number[]): string {
  const count = order.length
  const isOrder = (expected: (at: number) => number) => order.every((from, at) => from === expected(at))
  if (isOrder((at) => count - 1 - at)) return 'in reverse'
  if (count % 2 === 0 && isOrder((at) => (at + count / 2) % count)) return 'with the halves exchanged'
  const moved = order.flatMap((from, at) => (from === at ? [] : [at]))
  if (moved.length === 2) return `exchanged at ${moved.join(' and ')}`
  const shift = order[0]!
  if (isOrder((at) => (at + shift) % count)) return `rolled by ${shift}`
  for (let groups = 2; groups <= count / 2; groups++)
    if (count % groups === 0 && isOrder((at) => (at % groups) * (count / groups) + Math.floor(at / groups)))
      return `interleaved by ${groups} groups`
  return `in the order ${showList(order)}`
}

/** Other values: what can be said of them. */
function otherValues(reference: ArrayValue, candidate: ArrayValue): WeightRelation {
  const mine = numbersOf(reference)
  const theirs = numbersOf(candidate)
  const first = theirs[0] ?? 0
  if (theirs.every((value) => value === first) && theirs.length > 1 && !mine.every((value) => value === mine[0]))
    return { label: 'weight-stale', what: `all ${show(first)}: never loaded` }
  // a part shows already that there are many
  const levels = new Set(theirs.subarray(0, 65_536)).size > 256 ? theirs.length : new Set(theirs).size
  if (theirs.length >= 64 && levels <= Math.min(256, theirs.length / 4) && levels < new Set(mine).size / 2)
    return { label: 'weight-quantised', what: `${levels} distinct values in ${theirs.length}` }
  const { relL2 } = distance(mine, theirs)
  const changed = countChanged(mine, theirs)
  const factor = ratioOf(mine, theirs)
  if (factor !== undefined)
    return {
      label: 'constant-value',
      also: ['weight-stale'],
      what: `every value is ${show(factor)} times the reference's`,
    }
  const steps = uniformSteps(mine, theirs)
  if (steps !== undefined) return { label: 'weight-quantised', what: `rounded to multiples of ${show(steps)}` }
  const share = changed / Math.max(1, theirs.length)
  const part = share < 0.99 ? `${changed} of ${theirs.length} values differ` : 'all values differ'
  const rows = partlyLoaded(mine, theirs, candidate.shape)
  return {
    label: 'weight-stale',
    what: `${part}${rows}, by ${show(Number(relL2.toPrecision(3)))} relative L2`,
  }
}

const close = (a: number, b: number) => Math.abs(a - b) <= 1e-6 * Math.max(Math.abs(a), Math.abs(b))

function countChanged(mine: ArrayLike<number>, theirs: ArrayLike<number>): number {
  let count = 0
  for (let at = 0; at < mine.length; at++) if (!close(mine[at]!, theirs[at]!)) count++
  return count
}

function ratioOf(mine: ArrayLike<number>, theirs: ArrayLike<number>): number | undefined {
  let cross = 0
  let square = 0
  for (let at = 0; at < mine.length; at++) {
    cross += mine[at]! * theirs[at]!
    square += mine[at]! ** 2
  }
  const factor = cross / square
  if (!Number.isFinite(factor) || factor === 0 || Math.abs(factor - 1) < 1e-5 || mine.length < 2) return undefined
  const scaled = Float64Array.from({ length: mine.length }, (_, at) => mine[at]! * factor)
  return near(scaled, theirs, 1e-5) ? factor : undefined
}

/** The step of a grid that all candidate values lie on while the reference's are rounded to it; undefined for none. */
function uniformSteps(mine: ArrayLike<number>, theirs: Float32Array | Float64Array): number | undefined {
  if (new Set(theirs.subarray(0, 65_536)).size > 1000) return undefined
  const distinct = [...new Set(Array.from(theirs, Math.abs))].sort((a, b) => a - b)
  if (distinct.length < 3 || distinct.length > 300 || theirs.length < 2 * distinct.length) return undefined
  const gaps = distinct.slice(1).map((value, at) => value - distinct[at]!)
  const step = Math.min(...gaps.filter((gap) => gap > 1e-9 * distinct.at(-1)!))
  const onGrid = distinct.every((value) => Math.abs(value / step - Math.round(value / step)) < 1e-2)
  const rounded = Array.from(mine).every((value, at) => Math.abs(value - theirs[at]!) <= step)
  return onGrid && rounded ? step : undefined
}

function partlyLoaded(mine: ArrayLike<number>, theirs: ArrayLike<number>, shape: readonly number[]): string {
  const rows = shape[0] ?? 1
  const size = mine.length / rows
  if (rows < 2) return ''
  const wrong = Array.from({ length: rows }, (_, row) => row).filter((row) => {
    for (let at = row * size; at < (row + 1) * size; at++) if (!close(mine[at]!, theirs[at]!)) return true
    return false
  })
  return wrong.length < rows ? `, in slices ${showList(wrong)} of axis 0` : ''
}
