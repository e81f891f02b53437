import type { Node } from '../../model/graph.ts'
import type { OnnxProgram } from '../../onnx/program.ts'
import { type ArrayValue, numbersOf, transpose } from '../../tensor/array-value.ts'
import { elementCount } from '../../tensor/dtype.ts'
import { distance } from '../distance.ts'
import { inverse } from '../hypotheses/arrays.ts'
import type { FaultyRegion } from '../hypotheses/faulty-region.ts'
import type { Region, RegionPair } from '../regions/region.ts'
import { candidateFeed, gapAt, runForm, type SideForm } from './region-run.ts'

/** The smallest part of a region that still differs, and what it took to find. */
export interface Narrowed {
  readonly region: Region
  /** candidate's nodes before */
  readonly from: number
  /** values of the reference that were put into the candidate */
  readonly spliced: number
}

/** Runs are short, but a region that could not be paired may hold a whole network. */
const MAX_SPLICES = 200
/** Values with more elements have too many candidates by chance to be tried under all orders of axes. */
const MAX_ORDERS_RANK = 4

/**
 * Bisects a faulty region on the reference's values. A value inside the candidate that equals one of the reference is a
 * new beginning (what comes before is right); one into which the reference's value can be put so that the end agrees is
 * a new end (what follows is right). Repeated until nothing gives.
 *
 * @param shapes sizes of the candidate's values, where known
 */
export async function narrowRegion(
  faulty: FaultyRegion,
  shapes: ReadonlyMap<string, readonly number[]>,
): Promise<Narrowed> {
  let region = faulty.region
  let spliced = 0
  const from = region.candidateNodes.length
  for (let changed = true; changed && region.candidateNodes.length > 1; ) {
    changed = false
    const front = await newBeginning(faulty, region, shapes)
    if (front && front.candidateNodes.length < region.candidateNodes.length) {
      region = front
      changed = true
    }
    if (spliced >= MAX_SPLICES) break
    const back = await newEnd(faulty, region, shapes, MAX_SPLICES - spliced)
    spliced += back.spliced
    if (back.region && back.region.candidateNodes.length < region.candidateNodes.length) {
      region = back.region
      changed = true
    }
  }
  return { region, from, spliced }
}

const candidateForm = ({ candidate }: FaultyRegion, region: Region): SideForm => ({
  program: candidate,
  nodes: region.candidateNodes,
  output: region.at.candidate,
  constants: new Map(),
  attributes: new Map(),
})

/** Values that nodes give, the end left out, in order of execution. */
const inner = (nodes: readonly Node[], end: string) =>
  nodes.flatMap(({ op, outputs }) => (op === 'Constant' ? [] : outputs.filter((name) => name !== '' && name !== end)))

async function newBeginning(
  faulty: FaultyRegion,
  region: Region,
  shapes: ReadonlyMap<string, readonly number[]>,
): Promise<Region | undefined> {
  const names = inner(region.candidateNodes, region.at.candidate)
  const own = inner(region.referenceNodes, region.at.reference)
  if (names.length === 0 || own.length === 0) return undefined
  const seen = await Promise.all(
    faulty.values.map((values) =>
      runForm(faulty.run, candidateForm(faulty, region), candidateFeed(region.cut, values, shapes), names),
    ),
  )
  if (seen.some((each) => each === undefined)) return undefined
  const found: RegionPair[] = []
  for (const candidate of [...names].reverse()) {
    for (const reference of own) {
      const orders = ordersBetween(faulty.values[0]?.get(reference), seen[0]!.get(candidate))
      const order = orders.find((axes) =>
        faulty.values.every((values, run) =>
          agree(values.get(reference), seen[run]!.get(candidate), axes, faulty.tolerance),
        ),
      )
      if (order === undefined) continue
      found.push(pairOf(reference, candidate, order, 'values'))
      break
    }
  }
  return found.length === 0 ? undefined : restrict(faulty, { ...region, cut: [...region.cut, ...found] })
}

async function newEnd(
  faulty: FaultyRegion,
  region: Region,
  shapes: ReadonlyMap<string, readonly number[]>,
  limit: number,
): Promise<{ region?: Region; spliced: number }> {
  const form = candidateForm(faulty, region)
  const names = inner(region.candidateNodes, region.at.candidate)
  const own = inner(region.referenceNodes, region.at.reference)
  let spliced = 0
  const feeds = faulty.values.map((values) => candidateFeed(region.cut, values, shapes))
  const seen = names.length === 0 ? undefined : await runForm(faulty.run, form, feeds[0]!, names)
  if (seen === undefined) return { spliced }
  for (const candidate of names) {
    const suffix = { ...form, nodes: behind(region.candidateNodes, candidate) }
    for (const reference of own) {
      for (const order of ordersBetween(faulty.values[0]?.get(reference), seen.get(candidate))) {
        if (spliced >= limit) return { spliced }
        spliced++
        const shape = seen.get(candidate)!.shape
        const results = await Promise.all(
          faulty.values.map((values, run) => {
            const value = values.get(reference)
            const moved = value && { ...moveTo(value, order), shape }
            return moved ? runForm(faulty.run, suffix, new Map([...feeds[run]!, [candidate, moved]])) : undefined
          }),
        )
        const isRight = results.every((result, run) => {
          const [end, truth] = [result?.get(region.at.candidate), faulty.values[run]!.get(region.at.reference)]
          return end && truth && gapAt(region.at, truth, end).relL2 <= faulty.tolerance
        })
        if (!isRight) continue
        const at = pairOf(reference, candidate, order, 'resynchronised')
        return { region: restrict(faulty, { ...region, at }), spliced }
      }
    }
  }
  return { spliced }
}

function pairOf(
  reference: string,
  candidate: string,
  order: readonly number[] | undefined | 'same',
  found: RegionPair['found'],
): RegionPair {
  const axes = order === 'same' ? undefined : order
  return {
    reference,
    candidate,
    layout: axes === undefined ? 'same' : `axes ${axes.join(', ')}`,
    found,
    confidence: 0.9,
    ...(axes === undefined ? {} : { toCandidate: axes }),
  }
}

const moveTo = (value: ArrayValue, order: readonly number[] | 'same'): ArrayValue =>
  order === 'same' ? value : transpose(value, order)

/** Orders of axes under which one array may be the other; `same` also where only the sizes of 1 differ or axes merge. */
function ordersBetween(
  reference: ArrayValue | undefined,
  candidate: ArrayValue | undefined,
): (readonly number[] | 'same')[] {
  if (reference === undefined || candidate === undefined || reference.dtype === 'string') return []
  if (elementCount(reference.shape) !== elementCount(candidate.shape)) return []
  const rank = reference.shape.length
  if (rank !== candidate.shape.length || rank < 2 || rank > MAX_ORDERS_RANK) return ['same']
  const moved = permutations(rank).filter((axes) =>
    axes.every((axis, at) => reference.shape[axis] === candidate.shape[at]),
  )
  return moved.map((axes) => (axes.every((axis, at) => axis === at) ? 'same' : axes))
}

const permutations = (count: number): number[][] =>
  count === 0
    ? [[]]
    : permutations(count - 1).flatMap((rest) =>
        Array.from({ length: count }, (_, at) => [...rest.slice(0, at), count - 1, ...rest.slice(at)]),
      )

function agree(
  reference: ArrayValue | undefined,
  candidate: ArrayValue | undefined,
  order: readonly number[] | 'same',
  limit: number,
): boolean {
  if (reference === undefined || candidate === undefined) return false
  const own = order === 'same' ? candidate : transpose(candidate, inverse(order))
  const [truth, numbers] = [numbersOf(reference), numbersOf(own)]
  return truth.length === numbers.length && isTelling(truth) && distance(truth, numbers).relL2 <= limit
}

/** A value that is the same everywhere equals too much to be a partner. */
const isTelling = (numbers: ArrayLike<number>) =>
  Array.prototype.some.call(numbers, (number: number) => number !== numbers[0])

/** Nodes that a value leads to. */
function behind(nodes: readonly Node[], name: string): Node[] {
  return nodes.filter(({ outputs }) => !outputs.includes(name))
}

/** The region with its nodes cut down to those between its cut and its end; cut values that nobody takes are left out. */
function restrict({ candidate, reference }: FaultyRegion, region: Region): Region {
  const candidateNodes = between(
    candidate,
    region.candidateNodes,
    region.cut.map((pair) => pair.candidate),
    region.at.candidate,
  )
  const referenceNodes = between(
    reference,
    region.referenceNodes,
    region.cut.map((pair) => pair.reference),
    region.at.reference,
  )
  const taken = new Set([...candidateNodes, ...referenceNodes].flatMap(({ inputs }) => inputs))
  const cut = region.cut.filter((pair) => taken.has(pair.candidate) || taken.has(pair.reference))
  return { ...region, cut, candidateNodes, referenceNodes }
}

function between(program: OnnxProgram, nodes: readonly Node[], starts: readonly string[], end: string): Node[] {
  const stop = new Set(starts)
  const wanted = new Set([end])
  const kept: Node[] = []
  for (const node of [...nodes].reverse()) {
    if (!node.outputs.some((name) => wanted.has(name) && !stop.has(name))) continue
    kept.push(node)
    for (const name of node.inputs) if (!stop.has(name) && !program.constants.has(name)) wanted.add(name)
  }
  return kept.reverse()
}
