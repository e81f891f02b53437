import type { FragmentInput } from '../../onnx/program.ts'
import { type ArrayValue, numbersOf } from '../../tensor/array-value.ts'
import { distance } from '../distance.ts'
import type { RegionPair } from '../regions/region.ts'
import { mapArray } from './arrays.ts'
import type { FaultyRegion } from './faulty-region.ts'
import type { Change, Trial } from './hypothesis.ts'
import { openContext, type RegionContext, toCandidate, toReference } from './region-context.ts'
import { isReal, type Precompute, type RegionSide } from './region-side.ts'
import { blamed, layOut, used } from './variants.ts'

/** What came of a trial. */
export interface Outcome {
  readonly trial: Trial
  /** relL2 on the first input; Infinity when it could not run or the shape is another */
  readonly first: number
  /** worst relL2 over the inputs that judge; only for trials that restored parity on the first input */
  readonly after?: number
  /** inputs that judged, recorded and disturbed ones, the one used for fitting not counted */
  readonly judged: number
  /** parity on every recorded input that judges */
  readonly restored: boolean
  /** parity on disturbed inputs too (smaller, larger, of other sign): the functions are the same, not only here */
  readonly general: boolean
}

/** A faulty region, its values on all inputs, and the means to run it changed. */
export interface Laboratory {
  readonly context: RegionContext
  /** runs all trials on the first input, and what restores parity there on the others */
  test(trials: readonly Trial[]): Promise<readonly Outcome[]>
}

/** One set of values at the cut: recorded, or recorded and disturbed. */
interface Probe {
  readonly values: ReadonlyMap<string, ArrayValue>
  readonly recorded: boolean
}

/** Values of interior tensors are kept for regions up to this size. */
const MAX_INTERIOR_NODES = 200
/** Ends of this many bytes are held at once. */
const MAX_BATCH_BYTES = 128 * 2 ** 20
const MAX_BATCH = 96
/** Trials that restored parity on the first input and are run on the others. */
const MAX_SURVIVORS = 16
/** Other operators for the same function round differently: so close they are the same, unless the fault is as small. */
const SAME_FUNCTION = 5e-6
/** How much further apart disturbed values may lie: rounding weighs more in them. */
const DISTURBED_MARGIN = 10

/**
 * Runs both sides unchanged on every input.
 * @throws {ToolError} CANNOT_RUN when the candidate's region does not run alone
 */
export async function openLaboratory(faulty: FaultyRegion): Promise<Laboratory> {
  const { region, run } = faulty
  const probes = probesFor(faulty)
  const shapes = declaredShapes(faulty)
  const starts = [...new Set(region.cut.map((pair) => pair.reference))]
  const feedsOf = {
    reference: probes.map(({ values }) => pick(values, starts)),
    candidate: probes.map(({ values }) => candidateFeeds(values, region.cut, shapes)),
  }
  const precompute =
    (role: 'reference' | 'candidate'): Precompute =>
    async (nodes, wanted) => {
      const [feed] = feedsOf[role]
      if (feed === undefined || !feedsOf[role].every((each) => sizesOf(each) === sizesOf(feed))) return new Map()
      const fragment = {
        nodes: used(
          nodes.map((from) => ({ from })),
          new Set(wanted),
        ),
        inputs: inputsOf([feed]),
        outputs: wanted,
      }
      const [results] = await run(faulty[role], fragment, [feed])
      return results ?? new Map()
    }
  const opened = await openContext(faulty, { reference: precompute('reference'), candidate: precompute('candidate') })
  const { reference, candidate } = opened
  const sides = { reference, candidate }
  const at = region.at

  /** The ends of one graph with all changes, per probe and change. A change that the runtime refuses is taken out. */
  const runChanges = async (
    role: 'reference' | 'candidate',
    changes: readonly Change[],
    indices: readonly number[],
    extra: readonly string[] = [],
  ): Promise<{ ends: (ArrayValue | undefined)[][]; observed: ReadonlyMap<string, ArrayValue> }> => {
    const feeds = indices.map((index) => feedsOf[role][index]!)
    const { fragment, ends } = layOut(sides[role], changes, inputsOf(feeds), extra)
    try {
      const results = await run(faulty[role], fragment, feeds)
      return { ends: results.map((result) => ends.map((name) => result.get(name))), observed: results[0] ?? new Map() }
    } catch (error) {
      if (changes.length === 0) throw error
      if (changes.length === 1) return { ends: indices.map(() => [undefined]), observed: new Map() }
      const at = blamed(error instanceof Error ? error.message : '')
      if (at !== undefined && at < changes.length) {
        const rest = await runChanges(
          role,
          changes.filter((_, each) => each !== at),
          indices,
        )
        return { ends: rest.ends.map((row) => row.toSpliced(at, 0, undefined)), observed: new Map() }
      }
      const middle = Math.ceil(changes.length / 2)
      const first = await runChanges(role, changes.slice(0, middle), indices)
      const second = await runChanges(role, changes.slice(middle), indices)
      return { ends: first.ends.map((row, each) => [...row, ...second.ends[each]!]), observed: new Map() }
    }
  }

  const all = probes.map((_, index) => index)
  const interior = (side: RegionSide) =>
    side.nodes.length > MAX_INTERIOR_NODES
      ? []
      : side.nodes.flatMap(({ outputs }) => outputs.filter((name) => name !== ''))
  const base = async (side: RegionSide) => {
    const seen = await runChanges(side.role, [], [0], [...new Set([...interior(side), ...endOf(side)])])
    for (const [name, value] of [...feedsOf[side.role][0]!, ...seen.observed]) side.observed.set(name, value)
    if (endOf(side).length === 0) return probes.map((_, index) => feedsOf[side.role][index]!.get(side.output))
    const rest = all.length > 1 ? (await runChanges(side.role, [{}], all.slice(1))).ends.map(([end]) => end) : []
    return [seen.observed.get(side.output), ...rest]
  }
  const theirs = await base(candidate)
  const mine = await base(reference).catch(() => probes.map(() => undefined))
  const expected = probes.map(({ values, recorded }, index) => (recorded ? values.get(at.reference) : mine[index]))
  const actual = theirs.map((value, index) => value && toReference(value, at, expected[index]?.shape))
  for (const [name, value] of probes[0]!.values) if (!reference.observed.has(name)) reference.observed.set(name, value)
  const recordings = all.filter((index) => probes[index]!.recorded)
  const apart = Math.max(...recordings.map((index) => errorBetween(expected[index], actual[index])))
  const tolerance = Math.max(faulty.tolerance, Math.min(SAME_FUNCTION, apart / 20))
  const rebuilt = errorBetween(expected[0], mine[0]) <= tolerance
  const informative = all.filter(
    (index) => probes[index]!.recorded || (isSpread(expected[index]) && isSpread(actual[index])),
  )
  const context: RegionContext = {
    ...opened,
    before: recordings.map((index) => errorBetween(expected[index], actual[index])),
    expected: recordings.map((index) => expected[index]!),
    actual: recordings.map((index) => actual[index]),
  }

  const errorOf = (trial: Trial, index: number, end: ArrayValue | undefined): number =>
    trial.side === 'reference'
      ? errorBetween(actual[index], end)
      : errorBetween(expected[index], end && toReference(end, at, expected[index]?.shape))

  const firstErrors = async (role: 'reference' | 'candidate', trials: readonly Trial[]) => {
    const bytes = expected[0]?.bytes.length ?? 1
    const size = Math.max(4, Math.min(MAX_BATCH, Math.floor(MAX_BATCH_BYTES / Math.max(1, bytes))))
    const errors: number[] = []
    for (let start = 0; start < trials.length; start += size) {
      const batch = trials.slice(start, start + size)
      const { ends } = await runChanges(
        role,
        batch.map(({ change }) => change),
        [0],
      )
      for (const [each, trial] of batch.entries()) errors.push(errorOf(trial, 0, ends[0]?.[each]))
    }
    return errors
  }

  const judge = async (role: 'reference' | 'candidate', trials: readonly Trial[]): Promise<Outcome[]> => {
    const firsts = await firstErrors(role, trials)
    const outcomes = trials.map(
      (trial, each): Outcome => ({ trial, first: firsts[each]!, judged: 0, restored: false, general: false }),
    )
    const survivors = outcomes
      .filter(({ first }) => first <= tolerance)
      .sort((a, b) => a.trial.parameters - b.trial.parameters || b.trial.prior - a.trial.prior)
      .slice(0, MAX_SURVIVORS)
    const others = informative.filter((index) => index > 0)
    if (survivors.length === 0) return outcomes
    const { ends } =
      others.length === 0
        ? { ends: [] }
        : await runChanges(
            role,
            survivors.map(({ trial }) => trial.change),
            others,
          )
    for (const [each, outcome] of survivors.entries()) {
      const { trial, first } = outcome
      const errors = others.map((index, row) => errorOf(trial, index, ends[row]?.[each]))
      const recorded = errors.filter((_, row) => probes[others[row]!]!.recorded)
      const disturbed = errors.filter((_, row) => !probes[others[row]!]!.recorded)
      if (trial.parameters === 0) recorded.push(first)
      const after = Math.max(0, ...recorded)
      outcomes[outcomes.indexOf(outcome)] = {
        ...outcome,
        after,
        judged: recorded.length + disturbed.length,
        restored: recorded.every((error) => error <= tolerance),
        general: disturbed.every((error) => error <= DISTURBED_MARGIN * tolerance),
      }
    }
    return outcomes
  }

  return {
    context,
    async test(trials) {
      const candidates = trials.filter(({ side }) => side === 'candidate')
      const references = rebuilt ? trials.filter(({ side }) => side === 'reference') : []
      return [...(await judge('candidate', candidates)), ...(await judge('reference', references))]
    },
  }
}

/** The region's end, unless it is fed: then nothing is computed. */
const endOf = (side: RegionSide): string[] => (side.producer.has(side.output) ? [side.output] : [])

/** The recorded values, and three disturbed copies that no fault was fitted to. */
function probesFor({ region, values }: FaultyRegion): Probe[] {
  const recorded = values.map((each): Probe => ({ values: each, recorded: true }))
  const cut = [...new Set(region.cut.map((pair) => pair.reference))]
  if (!cut.some((name) => isReal(values[0]?.get(name)))) return recorded
  const disturbed = (run: number, apply: (value: number, index: number) => number): Probe => ({
    values: new Map(
      cut.flatMap((name) => {
        const value = values[run]?.get(name)
        return value ? [[name, isReal(value) ? mapArray(value, apply) : value] as const] : []
      }),
    ),
    recorded: false,
  })
  const last = values.length - 1
  return [
    ...recorded,
    disturbed(0, (value) => 0.1 * value),
    // every third number of other sign: what is always positive behind a ReLU is not here
    disturbed(last, (value, index) => (index % 3 === 1 ? -3 * value : 3 * value)),
  ]
}

const sizesOf = (feed: ReadonlyMap<string, ArrayValue>) =>
  [...feed].map(([name, { shape }]) => `${name} ${shape.join()}`).join('\n')

const pick = (values: ReadonlyMap<string, ArrayValue>, names: readonly string[]): ReadonlyMap<string, ArrayValue> =>
  new Map(names.flatMap((name) => (values.has(name) ? [[name, values.get(name)!] as const] : [])))

function candidateFeeds(
  values: ReadonlyMap<string, ArrayValue>,
  cut: readonly RegionPair[],
  shapes: ReadonlyMap<string, readonly number[]>,
): ReadonlyMap<string, ArrayValue> {
  return new Map(
    cut.flatMap((pair) => {
      const value = values.get(pair.reference)
      return value ? [[pair.candidate, toCandidate(value, pair, shapes.get(pair.candidate))] as const] : []
    }),
  )
}

/** Shapes of the values that the candidate is fed: as it states them, or as they were. */
function declaredShapes({
  candidate: { graph },
  region,
  shapes,
}: FaultyRegion): ReadonlyMap<string, readonly number[]> {
  const fed = region.cut.flatMap(({ candidate }) => graph.values.get(candidate) ?? [])
  const stated = [...graph.inputs, ...graph.outputs, ...fed]
  return new Map([
    ...stated.flatMap(({ name, shape }) =>
      shape?.every((size): size is number => typeof size === 'number' && size > 0) ? [[name, shape] as const] : [],
    ),
    ...(shapes ?? []),
  ])
}

/** Types of what is fed; sizes that change between feeds are left open. */
function inputsOf(feeds: readonly ReadonlyMap<string, ArrayValue>[]): FragmentInput[] {
  return [...(feeds[0] ?? [])].map(([name, { dtype, shape }]) => {
    const same = feeds.every((feed) => feed.get(name)?.shape.join() === shape.join())
    return same ? { name, dtype, shape } : { name, dtype }
  })
}

/** relL2 of `value` from `truth`; Infinity for another shape or nothing at all. */
function errorBetween(truth: ArrayValue | undefined, value: ArrayValue | undefined): number {
  if (truth === undefined || value === undefined || truth.shape.join() !== value.shape.join())
    return Number.POSITIVE_INFINITY
  return distance(numbersOf(truth), numbersOf(value)).relL2
}

/** Finite and not the same number everywhere: agreement says something. */
function isSpread(value: ArrayValue | undefined): boolean {
  if (value === undefined) return false
  const numbers = numbersOf(value)
  return numbers.every(Number.isFinite) && numbers.some((number) => number !== numbers[0])
}
