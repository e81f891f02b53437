import type { CauseLabel } from '../vocabulary.ts'
import { CATALOGUE } from './catalogue.ts'
import type { FaultyRegion, ProvedCause } from './faulty-region.ts'
import type { Stage, Trial } from './hypothesis.ts'
import { type Laboratory, type Outcome, openLaboratory } from './laboratory.ts'
import { standalone } from './variants.ts'

/** What is known from elsewhere: causes that the comparison of weights or attributes names for this place. */
export interface Hint {
  readonly label: CauseLabel
  readonly confidence: number
  readonly detail: string
}

const STAGES: readonly Stage[] = ['stated', 'exact', 'wide', 'borrowed', 'fitted']
/** Independent inputs on which parity must come back. */
const MIN_JUDGED = 2
/** Trials per stage; beyond it the least likely are left out. */
const MAX_TRIALS = 600
/** A change that takes away this share of the error without restoring parity is worth naming. */
const PARTIAL = 0.5

/**
 * Why a region is wrong: changes one thing at a time, on the candidate towards the reference or on the reference
 * towards the candidate, runs it, and keeps what restores parity on inputs that were not used to choose it.
 *
 * @param hints causes that something else suspects; they decide between equals and are all there is when nothing proves
 * @param suspects more of them, which cost a run: asked for only when nothing is proved
 * @returns most likely first; never empty: `unknown` when nothing was found
 */
export async function explainRegion(
  faulty: FaultyRegion,
  hints: readonly Hint[] = [],
  suspects: () => Promise<readonly Hint[]> = async () => [],
): Promise<ProvedCause[]> {
  let laboratory: Laboratory
  try {
    laboratory = await openLaboratory(faulty)
  } catch (error) {
    return fallback([...(await suspects()), ...hints], error instanceof Error ? error.message : String(error))
  }
  const { context } = laboratory
  if (Math.max(...context.before) <= faulty.tolerance)
    return fallback(hints, 'run alone, the region computes the same as the reference')
  const all: Outcome[] = []
  for (const stage of STAGES) {
    const rows = CATALOGUE.filter((row) => row.stage === stage && (row.applies?.(context) ?? true))
    const trials = (await Promise.all(rows.map((row) => row.trials(context)))).flat()
    const outcomes = await laboratory.test(trials.slice(0, MAX_TRIALS))
    all.push(...outcomes)
    const proved = outcomes.filter(isProof)
    if (proved.length > 0) return report(proved, all, laboratory, hints)
  }
  const combined = await combination(laboratory, all)
  return combined ?? unproved(all, laboratory, [...(await suspects()), ...hints])
}

const isProof = ({ restored, judged, general, trial }: Outcome) =>
  restored && general && judged >= MIN_JUDGED && !trial.weak

const before = ({ context }: Laboratory): number => Math.max(...context.before)

/** Fewest fitted numbers first, then what both files state, then the likelier. */
function rank(hints: readonly Hint[]) {
  const known = (trial: Trial) =>
    hints.reduce((most, { label, confidence }) => (label === trial.label ? Math.max(most, confidence) : most), 0)
  const score = (trial: Trial) => trial.prior + (trial.observed ? 0.05 : 0) + 0.03 * known(trial)
  return (a: Outcome, b: Outcome) => a.trial.parameters - b.trial.parameters || score(b.trial) - score(a.trial)
}

function report(
  proved: readonly Outcome[],
  all: readonly Outcome[],
  laboratory: Laboratory,
  hints: readonly Hint[],
): ProvedCause[] {
  const ranked = [...proved].sort(rank(hints))
  const [best, ...rest] = ranked as [Outcome, ...Outcome[]]
  const equals = rest.filter(({ trial }) => trial.parameters === best.trial.parameters)
  const others = new Map<CauseLabel, Outcome>()
  for (const outcome of equals)
    if (outcome.trial.label !== best.trial.label && !others.has(outcome.trial.label))
      others.set(outcome.trial.label, outcome)
  const family = [
    ...new Set(
      equals
        .filter(({ trial }) => trial.detail !== best.trial.detail)
        .map(({ trial }) => `${trial.label}: ${trial.detail}`),
    ),
  ]
  const first = causeOf(best, laboratory, 0.97, family.slice(0, 6))
  const second = [...others.values()]
    .slice(0, 3)
    .map((outcome, at) => ({ ...causeOf(outcome, laboratory, 0.6 - 0.1 * at, []), proved: false }))
  return distinct([first, ...second, ...alsoOf(best), ...partials(all, laboratory), ...hinted(hints)])
}

function causeOf(
  { trial, after, first }: Outcome,
  laboratory: Laboratory,
  confidence: number,
  family: readonly string[],
): ProvedCause {
  return {
    label: trial.label,
    confidence,
    proved: true,
    before: before(laboratory),
    after: after ?? first,
    detail: trial.detail,
    fix: trial.fix,
    ...(trial.at ? { at: trial.at } : {}),
    ...(trial.stretch ? { stretch: { side: trial.side, ...trial.stretch } } : {}),
    ...(trial.side === 'candidate' ? { repair: standalone(laboratory.context.candidate, trial.change) } : {}),
    ...(family.length > 0 ? { indistinguishable: family } : {}),
  }
}

/** Other words for the same change. */
const alsoOf = ({ trial }: Outcome): ProvedCause[] =>
  (trial.also ?? []).map((label, at) => ({
    label,
    confidence: 0.4 - 0.05 * at,
    proved: false,
    detail: trial.detail,
    fix: trial.fix,
  }))

/** No single change is enough: all stated differences together, then without each one that is not needed. */
async function combination(laboratory: Laboratory, all: readonly Outcome[]): Promise<ProvedCause[] | undefined> {
  const stated = all.filter(({ trial }) => trial.observed && trial.side === 'candidate').map(({ trial }) => trial)
  const singles = stated.filter((trial, at) => !stated.slice(0, at).some((other) => overlaps(other, trial)))
  if (singles.length < 2) return undefined
  const works = async (trials: readonly Trial[]) => {
    const [outcome] = await laboratory.test([merged(trials)])
    return outcome !== undefined && isProof(outcome) ? outcome : undefined
  }
  let needed = singles
  let outcome = await works(needed)
  if (outcome === undefined) return undefined
  for (const trial of singles) {
    const fewer = needed.filter((each) => each !== trial)
    const still = fewer.length > 0 ? await works(fewer) : undefined
    if (still) {
      needed = fewer
      outcome = still
    }
  }
  const together = outcome
  return distinct(
    needed.map((trial, at) => ({
      ...causeOf({ ...together, trial }, laboratory, 0.95 - 0.02 * at, []),
      detail: needed.length > 1 ? `${trial.detail} (together with ${needed.length - 1} more)` : trial.detail,
    })),
  )
}

const overlaps = (a: Trial, b: Trial) =>
  [...(a.change.replace?.keys() ?? [])].some((node) => b.change.replace?.has(node)) ||
  [...(a.change.constants?.keys() ?? [])].some((name) => b.change.constants?.has(name))

function merged(trials: readonly Trial[]): Trial {
  return {
    ...trials[0]!,
    change: {
      replace: new Map(trials.flatMap(({ change }) => [...(change.replace ?? [])])),
      constants: new Map(trials.flatMap(({ change }) => [...(change.constants ?? [])])),
    },
  }
}

/** Nothing restores parity: stated differences, what restores it here but not in general, what takes most of it away. */
function unproved(all: readonly Outcome[], laboratory: Laboratory, hints: readonly Hint[]): ProvedCause[] {
  const here = all.filter(({ restored }) => restored).sort(rank(hints))
  const causes = [
    ...here
      .slice(0, 2)
      .flatMap((outcome) => [
        { ...causeOf(outcome, laboratory, outcome.trial.weak ? 0.4 : 0.7, []), proved: false },
        ...alsoOf(outcome),
      ]),
    ...hinted(hints.filter(({ confidence }) => confidence >= 0.8)),
    ...partials(all, laboratory),
    ...all
      .filter(({ trial }) => trial.observed)
      .sort(rank(hints))
      .slice(0, 3)
      .map((outcome) => ({ ...causeOf(outcome, laboratory, 0.3, []), proved: false })),
    ...hinted(hints),
  ].sort((a, b) => b.confidence - a.confidence)
  if (causes.length === 0) return fallback(hints, 'no change that was tried restores parity')
  return distinct(causes)
}

/** Changes that take most of the error away. */
function partials(all: readonly Outcome[], laboratory: Laboratory): ProvedCause[] {
  const error = laboratory.context.before[0] ?? Number.POSITIVE_INFINITY
  return all
    .filter(({ first, trial, restored }) => !restored && trial.parameters === 0 && first < PARTIAL * error)
    .sort((a, b) => a.first - b.first)
    .slice(0, 3)
    .map((outcome) => ({
      ...causeOf(outcome, laboratory, Math.max(0.1, 0.35 * (1 - outcome.first / Math.min(error, 1))), []),
      proved: false,
    }))
}

const hinted = (hints: readonly Hint[]): ProvedCause[] =>
  hints.map(({ label, confidence, detail }) => ({
    label,
    confidence: Math.min(0.5, confidence / 2),
    proved: false,
    detail,
    fix: '',
  }))

function fallback(hints: readonly Hint[], reason: string): ProvedCause[] {
  const known = [...hinted(hints)].sort((a, b) => b.confidence - a.confidence)
  return known.length > 0
    ? distinct(known)
    : [{ label: 'unknown', confidence: 0, proved: false, detail: reason, fix: '' }]
}

/** One cause per label, the first. */
const distinct = (causes: readonly ProvedCause[]): ProvedCause[] =>
  causes.filter(({ label }, at) => causes.findIndex((other) => other.label === label) === at)
