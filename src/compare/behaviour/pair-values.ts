import { type Distance, distance } from '../distance.ts'
import type { RegionPair } from '../regions/region.ts'
import { flattenedLayout, flattenSource, type Layout, layoutsBetween, reorder } from './layout.ts'
import type { Side } from './recording.ts'

/** A value of the reference with the value of the candidate that stands for it. */
export interface ValuePair {
  readonly reference: string
  readonly candidate: string
  /** how the candidate's axes relate: `same`, `reshaped`, or `NCHW -> NHWC` and the like */
  readonly layout: string
  readonly order: Layout
  /** the worst over all runs; undefined where sizes differ */
  readonly distance: Distance | undefined
  readonly found: RegionPair['found']
}

/** Both directions of a pairing. */
export interface Pairing {
  /** by value of the reference: the one that stands for it best */
  readonly pairs: ReadonlyMap<string, ValuePair>
  /** by value of the candidate; several may stand for one of the reference */
  readonly partners: ReadonlyMap<string, ValuePair>
}

/** Largest relL2 that counts as equal for a value of the reference. */
export type Tolerance = (referenceValue: string) => number

/** Values smaller than this say nothing: many of them are equal by accident. */
const MIN_ELEMENTS = 2
/** Whatever the structure says, values further apart than this do not pair by themselves. */
const MAX_STRUCTURE_DISTANCE = 0.05

export interface PairingOptions {
  /**
   * With the same name, or the same operator on paired inputs, values may be so many times further off. More than 1 is
   * for pairs that are judged afterwards, by replay.
   */
  readonly structureMargin?: number
  /** pairs that are known already, by candidate value; they stand whatever their values are */
  readonly settled?: ReadonlyMap<string, ValuePair>
}

/**
 * Finds for every value of the reference the candidate's value that equals it, on all runs, within `tolerance`.
 *
 * Names are tried first, but only values decide. Layouts considered: the same order of elements (whatever the shape),
 * and channels moved between second and last place (NCHW/NHWC). No other permutation is tried: "some permutation
 * fits" would hide a real fault.
 */
export function pairValues(
  reference: Side,
  candidate: Side,
  tolerance: Tolerance,
  { structureMargin = 1, settled = new Map() }: PairingOptions = {},
): Pairing {
  const bySize = new Map<number, string[]>()
  const rank = new Map<string, number>()
  for (const [index, name] of candidate.order.entries()) {
    rank.set(name, index / candidate.order.length)
    const size = candidate.numbers(name, 0).length
    const list = bySize.get(size)
    if (list) list.push(name)
    else bySize.set(size, [name])
  }
  const pairs = new Map([...settled.values()].map((pair) => [pair.reference, pair]))
  const partners = new Map(settled)
  const used = new Set(settled.keys())
  for (const [index, name] of reference.order.entries()) {
    if (pairs.has(name)) continue
    const size = reference.numbers(name, 0).length
    if (size < MIN_ELEMENTS && !reference.outputs.has(name)) continue
    const limit = tolerance(name)
    const wide = structureMargin > 1 ? Math.min(limit * structureMargin, MAX_STRUCTURE_DISTANCE) : limit
    const own = reference.print(name)
    const place = index / reference.order.length
    let best: { pair: ValuePair; cost: number } | undefined
    const ranked = (bySize.get(size) ?? [])
      .filter((other) => !settled.has(other) && similar(own, candidate.print(other), wide))
      .map((other) => ({
        other,
        cost: cost(name, other, reference, candidate) + (used.has(other) ? 4 : 0) + Math.abs(place - rank.get(other)!),
      }))
      .sort((left, right) => left.cost - right.cost)
    for (const { other, cost: plain } of ranked) {
      // nothing behind it can be cheaper
      if (best !== undefined && plain >= best.cost) break
      const twin = isTwin(reference, candidate, partners, name, other)
      const pair = tryPair(reference, candidate, pairs, name, other, twin ? wide : limit)
      if (pair === undefined) continue
      const total = plain + Math.max(0, Math.log10((pair.distance?.relL2 ?? 0) / limit) + 2) / 2
      if (best === undefined || total < best.cost)
        best = {
          pair: twin && name !== other && (pair.distance?.relL2 ?? 0) > limit ? { ...pair, found: 'structure' } : pair,
          cost: total,
        }
    }
    if (best === undefined || (used.has(best.pair.candidate) && isTurnedInTurn(reference, candidate, name, best.pair)))
      continue
    pairs.set(name, best.pair)
    const { candidate: other } = best.pair
    if (!partners.has(other) || isCloser(best.pair, partners.get(other)!)) partners.set(other, best.pair)
    used.add(other)
  }
  withoutIdleFlattens(reference, pairs, partners)
  pairRepeats(reference, candidate, tolerance, pairs, partners)
  return { pairs, partners }
}

/** Values of the candidate that hold once more what a paired one holds, e.g. before or behind a transpose. */
function pairRepeats(
  reference: Side,
  candidate: Side,
  tolerance: Tolerance,
  pairs: ReadonlyMap<string, ValuePair>,
  partners: Map<string, ValuePair>,
): void {
  const bySize = new Map<number, string[]>()
  for (const name of pairs.keys()) {
    const size = reference.numbers(name, 0).length
    bySize.set(size, [...(bySize.get(size) ?? []), name])
  }
  for (const other of candidate.order) {
    const size = candidate.numbers(other, 0).length
    if (partners.has(other) || size < MIN_ELEMENTS) continue
    const own = candidate.print(other)
    for (const name of bySize.get(size) ?? []) {
      const limit = tolerance(name)
      if (!similar(reference.print(name), own, limit)) continue
      const pair = tryPair(reference, candidate, pairs, name, other, limit)
      if (pair === undefined) continue
      partners.set(other, pair)
      break
    }
  }
}

const isCloser = (left: ValuePair, right: ValuePair) =>
  right.found === 'values' && (left.distance?.relL2 ?? 1) < (right.distance?.relL2 ?? 1)

/**
 * A transpose of the reference equals what the candidate holds in another order anyway. Where the candidate transposes
 * that, too, it is the result of that which stands for it, whether it agrees or not.
 */
function isTurnedInTurn(reference: Side, candidate: Side, name: string, { candidate: other }: ValuePair): boolean {
  if (reference.producer.get(name)?.op !== 'Transpose') return false
  return (candidate.consumers.get(other) ?? []).some(({ op }) => op === 'Transpose')
}

/** The same operator on inputs that stand for each other one by one. */
function isTwin(
  reference: Side,
  candidate: Side,
  partners: ReadonlyMap<string, ValuePair>,
  name: string,
  other: string,
): boolean {
  return (
    reference.producer.get(name)?.op === candidate.producer.get(other)?.op &&
    takesTheSame(reference, candidate, partners, name, other)
  )
}

/** Whether two values are made of values that stand for each other one by one. */
export function takesTheSame(
  reference: Side,
  candidate: Side,
  partners: ReadonlyMap<string, ValuePair>,
  name: string,
  other: string,
): boolean {
  const [node, otherNode] = [reference.producer.get(name), candidate.producer.get(other)]
  if (node === undefined || otherNode === undefined) return false
  const data = node.inputs.filter((input) => reference.shape(input) !== undefined)
  const otherData = otherNode.inputs.filter((input) => candidate.shape(input) !== undefined)
  return (
    data.length === otherData.length &&
    data.length > 0 &&
    data.every((input, at) => partners.get(otherData[at]!)?.reference === input) &&
    node.outputs.indexOf(name) === otherNode.outputs.indexOf(other)
  )
}

/**
 * A flatten in another order is the same only if what follows makes up for it, as a dense kernel with its columns
 * re-ordered does. Where nothing behind it agrees, the order itself is the difference.
 */
function withoutIdleFlattens(reference: Side, pairs: Map<string, ValuePair>, partners: Map<string, ValuePair>): void {
  for (const [name, pair] of pairs) {
    if (!pair.layout.startsWith('flattened')) continue
    const users = reference.consumers.get(name) ?? []
    if (users.some((node) => node.outputs.some((output) => pairs.has(output)))) continue
    pairs.delete(name)
    if (partners.get(pair.candidate) === pair) partners.delete(pair.candidate)
  }
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
    if (layout.name === 'reshaped' && !sameSizes && flattenSource(reference, name) !== undefined) continue
    const worst = distanceUnder(reference, candidate, name, other, layout, limit)
    if (worst)
      return {
        reference: name,
        candidate: other,
        layout: layout.name,
        order: layout,
        distance: worst,
        found: name === other ? 'name' : 'values',
      }
  }
  return undefined
}

/** The worst distance over all runs; undefined where one exceeds `limit`, or the sizes differ. */
export function distanceUnder(
  reference: Side,
  candidate: Side,
  name: string,
  other: string,
  layout: Layout,
  limit = Number.POSITIVE_INFINITY,
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

/** The smallest distance over the layouts that the shapes allow, worst run each, with its layout. */
export function nearestUnder(
  reference: Side,
  candidate: Side,
  pairs: ReadonlyMap<string, ValuePair>,
  name: string,
  other: string,
): { order: Layout; distance: Distance } | undefined {
  const flattened = flattenedLayout(reference, candidate, pairs, name, other)
  const layouts = [
    ...layoutsBetween(reference.shape(name) ?? [], candidate.shape(other) ?? []),
    ...(flattened ? [flattened] : []),
  ]
  let best: { order: Layout; distance: Distance } | undefined
  for (const order of layouts) {
    const worst = distanceUnder(reference, candidate, name, other, order)
    if (worst && (best === undefined || worst.relL2 < best.distance.relL2)) best = { order, distance: worst }
  }
  return best
}

const squeezed = (shape: readonly number[]) => shape.filter((size) => size !== 1).join()

/** Figures that no reordering of elements changes. */
export interface Fingerprint {
  readonly min: number
  readonly max: number
  readonly norm: number
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
