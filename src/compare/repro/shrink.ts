import type { Node } from '../../model/graph.ts'
import type { AttributeEdit } from '../../onnx/program.ts'
import type { ArrayValue } from '../../tensor/array-value.ts'
import { takeAlong } from '../hypotheses/arrays.ts'
import type { RunFragment } from '../hypotheses/faulty-region.ts'
import type { Region } from '../regions/region.ts'
import { candidateFeed, endOf, type Gap, gapAt, runForm, type SideForm } from './region-run.ts'

/** A region on one input: what both sides start from, and both sides as they are run. */
export interface ReproCase {
  readonly region: Region
  /** the reference's values at the cut, in its own layout */
  readonly cut: ReadonlyMap<string, ArrayValue>
  readonly candidate: SideForm
  readonly reference: SideForm
  /** sizes that the candidate takes its inputs in, where they are more than moved axes */
  readonly shapes: ReadonlyMap<string, readonly number[]>
}

/** What a case computes on both sides. */
export interface ReproRun {
  /** the reference's end, in its layout */
  readonly expected: ArrayValue
  /** the candidate's end, in its own layout */
  readonly actual: ArrayValue
  readonly gap: Gap
  /** relL2 with the repair, where there is one */
  readonly repaired?: number
}

/** Constants of both sides, in memory, by side and name. */
export type Constants = (side: 'reference' | 'candidate') => ReadonlyMap<string, ArrayValue>

/** How far the error of a smaller case may lie from that of the whole before it is another fault. */
const MAX_GROWTH = 30
const MAX_DECLINE = 0.01
/** Times the floor from which a case shows the fault and not rounding (validation.md, section 5). */
export const REPRO_RATIO = 100
/** Sizes tried for space and sequences, and for channels. */
const SIZES = [2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48, 64]

/** Runs both sides. `undefined` where one of them does not run. */
export async function runCase(run: RunFragment, each: ReproCase): Promise<ReproRun | undefined> {
  const { region, reference, candidate, cut, shapes } = each
  const feed = candidateFeed(region.cut, cut, shapes)
  const own = cut.get(region.at.reference) ?? (await runForm(run, reference, cut))?.get(region.at.reference)
  const { change: _, ...asItIs } = candidate
  const other = (await runForm(run, asItIs, feed))?.get(candidate.output)
  if (own === undefined || other === undefined) return undefined
  const gap = gapAt(region.at, own, other)
  if (candidate.change === undefined) return { expected: own, actual: other, gap }
  const mended = (await runForm(run, candidate, feed))?.get(endOf(candidate))
  return {
    expected: own,
    actual: other,
    gap,
    repaired: mended ? gapAt(region.at, own, mended).relL2 : Number.POSITIVE_INFINITY,
  }
}

/**
 * Makes a case smaller, step by step, as long as it fails for the same reason: the same kind of difference, clearly
 * above rounding, of like size, and gone with the repair where one is known.
 *
 * @param floor relL2 that rounding explains
 * @returns the smallest case found, what it computes, and the steps in words
 */
export async function shrinkCase(
  run: RunFragment,
  whole: ReproCase,
  first: ReproRun,
  { floor, tolerance, constants }: { floor: number; tolerance: number; constants: Constants },
): Promise<{ smallest: ReproCase; result: ReproRun; steps: string[] }> {
  let [smallest, result] = [whole, first]
  const steps: string[] = []
  const isSame = (next: ReproRun) =>
    next.gap.kind === first.gap.kind &&
    next.expected.bytes.length > 0 &&
    next.actual.bytes.length > 0 &&
    (next.gap.kind !== 'values' ||
      (next.gap.relL2 > REPRO_RATIO * floor &&
        next.gap.relL2 <= MAX_GROWTH * first.gap.relL2 &&
        next.gap.relL2 >= MAX_DECLINE * first.gap.relL2)) &&
    (next.repaired === undefined || next.repaired <= tolerance)
  const done = new Set<string>()
  for (const { step, what } of STEPS) {
    // height and width are the second and third axis, or the third and fourth: not both
    if (done.has(what)) continue
    for (const { form, words } of step(smallest, constants, result)) {
      const next = await runCase(run, form)
      if (next === undefined || !isSame(next)) continue
      smallest = form
      result = next
      steps.push(words)
      done.add(what)
      break
    }
  }
  return { smallest, result, steps }
}

type Step = (each: ReproCase, constants: Constants, result: ReproRun) => Iterable<{ form: ReproCase; words: string }>

/** One sample of the batch: the first, else the others. */
function* oneSample(each: ReproCase): Iterable<{ form: ReproCase; words: string }> {
  const sizes = [...each.cut.values()].flatMap(({ shape }) => (shape.length > 1 ? [shape[0]!] : []))
  const [batch = 1] = sizes
  if (batch < 2 || sizes.some((size) => size !== batch)) return
  for (let sample = 0; sample < Math.min(batch, 8); sample++) {
    const cut = mapValues(each.cut, (value) => (value.shape.length > 1 ? takeAlong(value, 0, [sample]) : value))
    yield { form: { ...each, cut }, words: `batch of ${batch} cut to sample ${sample}` }
  }
}

/** Crops axes of the cut values together, smallest first. */
const crop = (axes: readonly number[], rank: number, what: string): Step =>
  function* (each) {
    const tall = [...each.cut.values()].filter(({ shape }) => shape.length === rank)
    const [first] = tall
    if (first === undefined) return
    const full = axes.map((axis) => first.shape[axis]!)
    if (tall.some(({ shape }) => axes.some((axis, at) => shape[axis] !== full[at]))) return
    for (const size of SIZES) {
      if (full.every((length) => size >= length)) return
      for (const isCentre of [false, true]) {
        const cut = mapValues(each.cut, (value) =>
          value.shape.length !== rank
            ? value
            : axes.reduce((array, axis) => {
                const length = array.shape[axis]!
                const count = Math.min(size, length)
                const start = isCentre ? Math.floor((length - count) / 2) : 0
                return takeAlong(array, axis, range(start, count))
              }, value),
        )
        yield {
          form: { ...each, cut },
          words: `${what} cut from ${full.join(' x ')} to ${full.map((length) => Math.min(size, length)).join(' x ')}`,
        }
      }
    }
  }

/**
 * Fewer channels: every axis of that size, in the cut, in the constants of both sides and in `group`, is cut to the
 * same first few. Where that tears apart what belongs together, the case no longer fails for the same reason.
 */
const channels = (which: 'of the result' | 'of the input'): Step =>
  function* (each, constants, { expected }) {
    const sizesOf = (shape: readonly number[]) => (shape.length > 1 ? [shape[1]!, shape.at(-1)!] : [])
    const sizes =
      which === 'of the result'
        ? sizesOf(expected.shape)
        : [...each.cut.values()].flatMap(({ shape }) => sizesOf(shape))
    for (const full of new Set(sizes)) {
      for (const size of SIZES) {
        if (size >= full) break
        const all = [each.cut, constants('candidate'), constants('reference')].flatMap((values) => [...values.values()])
        if (!all.some(({ shape }) => shape.includes(full))) break
        const fewer = (value: ArrayValue) =>
          value.shape.reduce(
            (array, length, axis) => (length === full ? takeAlong(array, axis, range(0, size)) : array),
            value,
          )
        const side = (form: SideForm, own: ReadonlyMap<string, ArrayValue>): SideForm => ({
          ...form,
          constants: mapValues(new Map([...own, ...form.constants]), fewer),
          attributes: withGroups(form, full, size),
          ...(form.change?.constants
            ? { change: { ...form.change, constants: mapValues(form.change.constants, fewer) } }
            : {}),
        })
        const form = {
          ...each,
          cut: mapValues(each.cut, (value) => (value.shape.length > 1 ? fewer(value) : value)),
          candidate: side(each.candidate, constants('candidate')),
          reference: side(each.reference, constants('reference')),
        }
        yield { form, words: `channels ${which} cut from ${full} to ${size}` }
      }
    }
  }

const STEPS: readonly { readonly what: string; readonly step: Step }[] = [
  { what: 'batch', step: oneSample },
  { what: 'space', step: crop([2, 3], 4, 'height and width') },
  { what: 'space', step: crop([1, 2], 4, 'height and width') },
  { what: 'length', step: crop([1], 3, 'length') },
  { what: 'result', step: channels('of the result') },
  { what: 'input', step: channels('of the input') },
]

function withGroups({ nodes, attributes }: SideForm, full: number, size: number): SideForm['attributes'] {
  const edited = new Map<Node, Readonly<Record<string, AttributeEdit>>>(attributes)
  for (const node of nodes) {
    const { group } = node.attributes
    if (Number(group) === full) edited.set(node, { ...edited.get(node), group: { int: size } })
  }
  return edited
}

const range = (start: number, count: number) => Array.from({ length: count }, (_, at) => start + at)

const mapValues = (values: ReadonlyMap<string, ArrayValue>, apply: (value: ArrayValue) => ArrayValue) =>
  new Map([...values].map(([name, value]) => [name, apply(value)]))
