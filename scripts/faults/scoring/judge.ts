import type { Answer, NamedPlace, Pair, Planted, Split, Truth } from './pair.ts'

/** How one planted fault was answered. */
export interface FaultScore {
  readonly exact: boolean
  /** exact, or one operator away */
  readonly near: boolean
  readonly cause1: boolean
  readonly cause3: boolean
  /** the right cause, first and proved */
  readonly proved: boolean
  /** a wrong cause that is called proved */
  readonly wronglyProved: boolean
}

/** One pair scored against its truth. */
export interface Scored {
  readonly id: string
  readonly architecture: string
  readonly variant: string
  /** class of the (first) fault, or what was changed in a benign pair */
  readonly what: string
  readonly split: Split | 'all'
  readonly faulty: boolean
  readonly subtle: boolean
  readonly verdictRight: boolean
  readonly error: boolean
  /** the first fault of a faulty pair */
  readonly first: FaultScore | null
  /** where there are several: each of them, found among the regions */
  readonly each: readonly FaultScore[]
  /** the counts add up and every skipped value is named */
  readonly accountsForAll: boolean
  readonly milliseconds: number
}

/** Scores the answer to one pair. */
export function judge(pair: Pair, truth: Truth, answer: Answer): Scored {
  const { total, compared, skipped } = answer.coverage
  const faults: readonly Planted[] = truth.faulty ? [truth, ...(truth.further ?? [])] : []
  return {
    id: pair.id,
    architecture: truth.architecture,
    variant: truth.variant,
    what: truth.faulty ? faults.map(({ faultClass }) => faultClass).join(' + ') : truth.change,
    split: truth.split ?? 'all',
    faulty: truth.faulty,
    subtle: truth.faulty && truth.subtle,
    verdictRight: answer.verdict === (truth.faulty ? 'mismatch' : 'match'),
    error: answer.verdict === 'error',
    first: truth.faulty ? faultScore(truth, firstPlace(answer)) : null,
    each: faults.length > 1 ? faults.map((fault) => faultScore(fault, placeFor(fault, answer))) : [],
    accountsForAll: answer.verdict !== 'error' && compared + skipped === total && answer.listed >= skipped,
    milliseconds: answer.milliseconds,
  }
}

/** The first difference with the causes of its own region where the report judges regions, else with those of the report. */
function firstPlace({ first, regions }: Answer): NamedPlace | null {
  const region = regions.find(
    ({ referenceTensor, candidateTensor }) =>
      first !== null &&
      ((referenceTensor !== null && referenceTensor === first.referenceTensor) ||
        (candidateTensor !== null && candidateTensor === first.candidateTensor)),
  )
  return region !== undefined && region.causes.length > 0 && first !== null
    ? { ...first, causes: region.causes }
    : first
}

/** The named place that lies where `fault` shows: exactly, else one operator away; undefined where none does. */
function placeFor(fault: Planted, { regions, first }: Answer): NamedPlace | null {
  const places = regions.length > 0 ? regions : first === null ? [] : [first]
  return (
    places.find((place) => liesIn(place, fault.accept)) ?? places.find((place) => liesIn(place, fault.near)) ?? null
  )
}

function faultScore(fault: Planted, place: NamedPlace | null): FaultScore {
  if (place === null)
    return { exact: false, near: false, cause1: false, cause3: false, proved: false, wronglyProved: false }
  const exact = liesIn(place, fault.accept)
  const right = place.causes.map(({ label }) => fault.causesAccepted.includes(label))
  const [top] = place.causes
  return {
    exact,
    near: exact || liesIn(place, fault.near),
    cause1: right[0] === true,
    cause3: right.slice(0, 3).includes(true),
    proved: right[0] === true && top!.proved,
    wronglyProved: right[0] === false && top!.proved,
  }
}

function liesIn(place: NamedPlace, { referenceTensors, candidateTensors }: Planted['accept']): boolean {
  return (
    (place.referenceTensor !== null && referenceTensors.includes(place.referenceTensor)) ||
    (place.candidateTensor !== null && candidateTensors.includes(place.candidateTensor))
  )
}
