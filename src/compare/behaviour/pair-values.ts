import { contiguousStrides } from '../../tensor/array-value.ts'
import { type Distance, distance } from '../distance.ts'
import type { Side } from './recording.ts'

/** A value of the reference with the value of the candidate that equals it. */
export interface ValuePair {
  readonly reference: string
  readonly candidate: string
  /** how the candidate's axes relate: `same`, `reshaped`, or `NCHW -> NHWC` and the like */
  readonly layout: string
  /** the worst over all runs */
  readonly distance: Distance
  readonly found: 'name' | 'values'
}

/** Largest relL2 that counts as equal for a value of the reference. */
export type Tolerance = (referenceValue: string) => number

/** Values smaller than this say nothing: many of them are equal by accident. */
const MIN_ELEMENTS = 2

/**
 * Finds for every value of the reference the candidate's value that equals it, on all runs, within `tolerance`.
 *
 * Names are tried first, but only values decide. Layouts considered: the same order of elements (whatever the shape),
 * and channels moved between second and last place (NCHW/NHWC). No other permutation is tried: "some permutation
 * fits" would hide a real fault.
 */
export function pairValues(reference: Side, candidate: Side, tolerance: Tolerance): Map<string, ValuePair> {
  const bySize = new Map<number, string[]>()
  const rank = new Map<string, number>()
  for (const [index, name] of candidate.order.entries()) {
    rank.set(name, index / candidate.order.length)
    const size = candidate.numbers(name, 0).length
    const list = bySize.get(size)
    if (list) list.push(name)
    else bySize.set(size, [name])
  }
  const prints = new Map<string, Fingerprint>()
  const print = (name: string) => {
    const known = prints.get(name)
    if (known) return known
    const made = fingerprint(candidate.numbers(name, 0))
    prints.set(name, made)
    return made
  }
  const pairs = new Map<string, ValuePair>()
  const used = new Set<string>()
  for (const [index, name] of reference.order.entries()) {
    const numbers = reference.numbers(name, 0)
    if (numbers.length < MIN_ELEMENTS && !reference.outputs.has(name)) continue
    const limit = tolerance(name)
    const own = fingerprint(numbers)
    const place = index / reference.order.length
    const alike = (bySize.get(numbers.length) ?? []).filter((other) => similar(own, print(other), limit))
    const ranked = alike
      .map((other) => ({
        other,
        cost: cost(name, other, reference, candidate) + (used.has(other) ? 4 : 0) + Math.abs(place - rank.get(other)!),
      }))
      .sort((left, right) => left.cost - right.cost)
    for (const { other } of ranked) {
      const pair = tryPair(reference, candidate, pairs, name, other, limit)
      if (pair === undefined) continue
      pairs.set(name, pair)
      used.add(other)
      break
    }
  }
  return withoutIdleFlattens(reference, pairs)
}

/**
 * A flatten in another order is the same only if what follows makes up for it, as a dense kernel with its columns
 * re-ordered does. Where nothing behind it agrees, the order itself is the difference.
 */
function withoutIdleFlattens(reference: Side, pairs: Map<string, ValuePair>): Map<string, ValuePair> {
  for (const [name, { layout }] of pairs) {
    if (!layout.startsWith('flattened')) continue
    const users = reference.consumers.get(name) ?? []
    if (!users.some((node) => node.outputs.some((output) => pairs.has(output)))) pairs.delete(name)
  }
  return pairs
}

function cost(name: string, other: string, reference: Side, candidate: Side): number {
  if (name === other) return 0
  const op = reference.producer.get(name)?.op
  const otherOp = candidate.producer.get(other)?.op
  return op === otherOp ? 1 : 2
}

/** The pair, when the two values are equal within `limit` on every run under one layout. */
function tryPair(
  reference: Side,
  candidate: Side,
  pairs: ReadonlyMap<string, ValuePair>,
  name: string,
  other: string,
  limit: number,
): ValuePair | undefined {
  const shape = reference.shape(name) ?? []
  const otherShape = candidate.shape(other) ?? []
  const flattened = flattenedLayout(reference, candidate, pairs, name, other)
  const sameSizes = squeezed(shape) === squeezed(otherShape)
  for (const layout of [...layoutsBetween(shape, otherShape), ...(flattened ? [flattened] : [])]) {
    // A flattened value is not the value that it was flattened from, though the numbers are the same.
    if (layout.name === 'reshaped' && !sameSizes && dataSource(reference, name) !== undefined) continue
    const worst = distanceUnder(reference, candidate, name, other, layout, limit)
    if (worst)
      return {
        reference: name,
        candidate: other,
        layout: layout.name,
        distance: worst,
        found: name === other ? 'name' : 'values',
      }
  }
  return undefined
}

function distanceUnder(
  reference: Side,
  candidate: Side,
  name: string,
  other: string,
  layout: Layout,
  limit: number,
): Distance | undefined {
  let worst: Distance | undefined
  for (let run = 0; run < reference.recording.runs.length; run++) {
    const values = reference.numbers(name, run)
    const others = reorder(candidate.numbers(other, run), layout)
    if (values.length !== others.length) return undefined
    const found = distance(values, others)
    if (!(found.relL2 <= limit)) return undefined
    if (worst === undefined || found.relL2 > worst.relL2) worst = found
  }
  return worst
}

/** How the candidate's axes are to be moved to stand in the reference's order. */
export interface Layout {
  readonly name: string
  /** numpy.transpose axes applied to the candidate's array of `shape`; absent when the order is the same */
  readonly permutation?: readonly number[]
  readonly shape?: readonly number[]
}

const SAME: Layout = { name: 'same' }

/** The layouts under which an array of `candidate` shape may hold what one of `reference` shape holds. */
export function layoutsBetween(reference: readonly number[], candidate: readonly number[]): Layout[] {
  const layouts: Layout[] = []
  const equal = reference.length === candidate.length && reference.every((size, axis) => size === candidate[axis])
  layouts.push(equal ? SAME : { name: 'reshaped' })
  if (reference.length !== candidate.length || reference.length < 3) return layouts
  const rank = reference.length
  const toFirst = [0, rank - 1, ...Array.from({ length: rank - 2 }, (_, index) => index + 1)]
  const toLast = [0, ...Array.from({ length: rank - 2 }, (_, index) => index + 2), 1]
  for (const [permutation, name] of [
    [toFirst, 'channels first -> channels last'],
    [toLast, 'channels last -> channels first'],
  ] as const) {
    if (permutation.every((axis, index) => candidate[axis] === reference[index]))
      layouts.push({ name, permutation, shape: candidate })
  }
  return layouts
}

/**
 * The order of elements behind a flatten: when the reference flattens a channels-first value and the candidate the
 * same value channels-last, the two vectors hold the same numbers in an order that follows from the values' layouts.
 */
export function flattenedLayout(
  reference: Side,
  candidate: Side,
  pairs: ReadonlyMap<string, ValuePair>,
  name: string,
  other: string,
): Layout | undefined {
  const source = dataSource(reference, name)
  const otherSource = dataSource(candidate, other)
  if (source === undefined || otherSource === undefined) return undefined
  const pair = pairs.get(source)
  if (pair === undefined || pair.candidate !== otherSource || pair.layout === 'same' || pair.layout === 'reshaped')
    return undefined
  const shape = candidate.shape(otherSource)
  const layout = layoutsBetween(reference.shape(source) ?? [], shape ?? []).find(
    ({ name: layoutName }) => layoutName === pair.layout,
  )
  return layout && { ...layout, name: `flattened ${layout.name}` }
}

const squeezed = (shape: readonly number[]) => shape.filter((size) => size !== 1).join()

/** The value that a flattening or reshaping node takes. */
function dataSource(side: Side, name: string): string | undefined {
  const node = side.producer.get(name)
  return node !== undefined && (node.op === 'Flatten' || node.op === 'Reshape') ? node.inputs[0] : undefined
}

/** Elements of `values` in the reference's order. */
export function reorder(
  values: Float32Array | Float64Array,
  { permutation, shape }: Layout,
): Float32Array | Float64Array {
  if (permutation === undefined || shape === undefined) return values
  const strides = contiguousStrides(shape)
  const sizes = permutation.map((axis) => shape[axis]!)
  const steps = permutation.map((axis) => strides[axis]!)
  const out = values instanceof Float32Array ? new Float32Array(values.length) : new Float64Array(values.length)
  const index = new Array<number>(sizes.length).fill(0)
  let from = 0
  for (let to = 0; to < out.length; to++) {
    out[to] = values[from]!
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      index[axis]!++
      from += steps[axis]!
      if (index[axis]! < sizes[axis]!) break
      from -= index[axis]! * steps[axis]!
      index[axis] = 0
    }
  }
  return out
}

interface Fingerprint {
  readonly min: number
  readonly max: number
  readonly norm: number
}

/** Figures that no reordering of elements changes. */
function fingerprint(values: ArrayLike<number>): Fingerprint {
  let min = Number.POSITIVE_INFINITY
  let max = Number.NEGATIVE_INFINITY
  let squares = 0
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (value < min) min = value
    if (value > max) max = value
    squares += value * value
  }
  return { min, max, norm: Math.sqrt(squares) }
}

/** Whether two values can be equal within `limit`: an element may be off by at most limit x norm. */
function similar(reference: Fingerprint, candidate: Fingerprint, limit: number): boolean {
  if (!Number.isFinite(reference.norm) || !Number.isFinite(candidate.norm))
    return Number.isFinite(reference.norm) === Number.isFinite(candidate.norm)
  const slack = limit * reference.norm * 1.01 + 1e-30
  return (
    Math.abs(reference.norm - candidate.norm) <= slack &&
    Math.abs(reference.min - candidate.min) <= slack &&
    Math.abs(reference.max - candidate.max) <= slack
  )
}
