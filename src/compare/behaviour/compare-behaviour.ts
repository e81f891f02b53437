import { type Distance, distance } from '../distance.ts'
import type { ProvedCause } from '../hypotheses/faulty-region.ts'
import type { RegionResult } from '../regions/region.ts'
import { type Divergence, findDivergence, leftover, openSearch } from './divergence.ts'
import { explainDivergence, type ValueCause } from './explain.ts'
import { layoutsBetween, reorder } from './layout.ts'
import { type Pairing, pairValues, type Tolerance, type ValuePair } from './pair-values.ts'
import { type Recording, type Side, sideOf } from './recording.ts'
import type { Anchor } from './search.ts'

/** What two recordings of the same inputs say about two models. */
export interface BehaviourComparison {
  readonly verdict: 'match' | 'mismatch' | 'not-compared'
  readonly reason: string
  /** every observed value of the reference, in order of execution, inputs left out */
  readonly values: readonly ValueResult[]
  readonly outputs: readonly OutputResult[]
  readonly divergence: Divergence | undefined
  /** what the values at the divergence show, most certain first */
  readonly causes: readonly ValueCause[]
  /** regions replayed alone, in order of execution; empty where the candidate was not run again */
  readonly regions: readonly RegionResult[]
  /** independent differences, the first one first */
  readonly faults: readonly Fault[]
  readonly pairing: Pairing
  /** relL2 at a paired value of the candidate when both models run from their inputs, the worst input */
  readonly accumulated: ReadonlyMap<string, number>
  /** outputs and values that were not compared, with the reason */
  readonly notCompared: readonly { readonly what: string; readonly reason: string }[]
}

/** A region that differs when it is run alone, where it is to be looked for, and what the values say about why. */
export interface Fault {
  readonly result: RegionResult
  readonly divergence: Divergence
  readonly causes: readonly ValueCause[]
  /** causes found by running the region again with one thing changed */
  readonly proofs: readonly ProvedCause[]
}

export interface ValueResult {
  readonly reference: string
  readonly candidate: string | undefined
  /** `hidden`: no counterpart (fused, folded), but everything behind it agrees; `after-divergence`: behind the fault */
  readonly status: 'equal' | 'different' | 'hidden' | 'after-divergence'
  readonly layout: string | undefined
  readonly distance: Distance | undefined
  readonly tolerance: number
}

export interface OutputResult extends ValueResult {
  readonly referenceShape: readonly number[]
  readonly candidateShape: readonly number[] | undefined
}

/**
 * Compares two recordings made on the same inputs by their values alone, where the candidate cannot be run again: pairs
 * values, judges every output, finds the first divergence.
 *
 * An output counts as compared only when both sides have it; outputs pair by name, else by position. No output
 * compared is `not-compared`, never a match.
 */
export function compareBehaviour(
  referenceRecording: Recording,
  candidateRecording: Recording,
  tolerance: Tolerance,
  anchors: readonly Anchor[] = [],
): BehaviourComparison {
  const reference = sideOf(referenceRecording)
  const candidate = sideOf(candidateRecording)
  const pairing = pairValues(reference, candidate, tolerance)
  const { pairs } = pairing
  const notCompared: { what: string; reason: string }[] = []
  const outputs = compareOutputs(reference, candidate, pairs, tolerance, notCompared)
  const differing = outputs.filter(({ status }) => status !== 'equal')
  const divergence =
    differing.length === 0 ? undefined : findDivergence(openSearch(reference, candidate, pairing, anchors), differing)
  const causes = divergence === undefined ? [] : explainDivergence(reference, candidate, pairs, divergence)
  const values = valueResults(reference, pairs, divergence, tolerance)
  const judged = outputs.filter(({ candidate: partner }) => partner !== undefined)
  const rest = { regions: [], faults: [], pairing, accumulated: new Map<string, number>() }
  if (judged.length === 0) {
    return {
      ...rest,
      verdict: 'not-compared',
      reason: 'no output of the reference has a counterpart',
      values,
      outputs,
      divergence: undefined,
      causes,
      notCompared,
    }
  }
  const wrong = outputs.filter(({ status }) => status === 'different')
  if (wrong.length > 0) {
    const names = wrong.map(({ reference: name }) => `"${name}"`).join(', ')
    return {
      ...rest,
      verdict: 'mismatch',
      reason: `${wrong.length} of ${outputs.length} output${outputs.length === 1 ? ' differs' : 's differ'}: ${names}`,
      values,
      outputs,
      divergence,
      causes,
      notCompared,
    }
  }
  const runs = referenceRecording.runs.length
  const which = outputs.length === 1 ? 'the output agrees' : `all ${outputs.length} outputs agree`
  const reason = `${which} on ${runs} input${runs === 1 ? '' : 's'}`
  return { ...rest, verdict: 'match', reason, values, outputs, divergence: undefined, causes, notCompared }
}

export function compareOutputs(
  reference: Side,
  candidate: Side,
  pairs: ReadonlyMap<string, ValuePair>,
  tolerance: Tolerance,
  notCompared: { what: string; reason: string }[],
): OutputResult[] {
  const others = candidate.recording.graph.outputs.map(({ name }) => name)
  const names = reference.recording.graph.outputs.map(({ name }) => name)
  if (others.length > names.length) {
    for (const extra of others.slice(names.length))
      notCompared.push({ what: `output "${extra}" of the candidate`, reason: 'the reference has fewer outputs' })
  }
  return names.map((name, position): OutputResult => {
    const other = others.includes(name) ? name : others[position]
    const limit = tolerance(name)
    const base = {
      reference: name,
      candidate: other,
      tolerance: limit,
      referenceShape: reference.shape(name) ?? [],
      candidateShape: other === undefined ? undefined : candidate.shape(other),
    }
    if (other === undefined) {
      notCompared.push({ what: `output "${name}" of the reference`, reason: 'the candidate has fewer outputs' })
      return { ...base, status: 'different', layout: undefined, distance: undefined }
    }
    const pair = pairs.get(name)
    if (pair?.candidate === other) return { ...base, status: 'equal', layout: pair.layout, distance: pair.distance }
    return { ...base, ...judgeDirectly(reference, candidate, name, other, limit) }
  })
}

/** Compares two values over all runs, in the order in which they are stored or with channels at the other end. */
function judgeDirectly(
  reference: Side,
  candidate: Side,
  name: string,
  other: string,
  limit: number,
): Pick<OutputResult, 'status' | 'layout' | 'distance'> {
  let nearest: { layout: string; distance: Distance } | undefined
  for (const layout of layoutsBetween(reference.shape(name) ?? [], candidate.shape(other) ?? [])) {
    let worst: Distance | undefined
    for (let run = 0; run < reference.recording.runs.length; run++) {
      const values = reference.numbers(name, run)
      const others = reorder(candidate.numbers(other, run), layout)
      if (values.length !== others.length) return { status: 'different', layout: undefined, distance: undefined }
      const found = distance(values, others)
      if (worst === undefined || found.relL2 > worst.relL2) worst = found
    }
    if (worst && (nearest === undefined || worst.relL2 < nearest.distance.relL2))
      nearest = { layout: layout.name === 'reshaped' ? 'same' : layout.name, distance: worst }
  }
  return {
    status: nearest !== undefined && nearest.distance.relL2 <= limit ? 'equal' : 'different',
    layout: nearest?.layout ?? 'same',
    distance: nearest?.distance,
  }
}

function valueResults(
  reference: Side,
  pairs: ReadonlyMap<string, ValuePair>,
  divergence: Divergence | undefined,
  tolerance: Tolerance,
): ValueResult[] {
  const { hidden } = leftover(reference, new Set(pairs.keys()))
  const invisible = new Set(hidden)
  const inputs = new Set(reference.recording.graph.inputs.map(({ name }) => name))
  return reference.order
    .filter((name) => !inputs.has(name))
    .map((name) => {
      const pair = pairs.get(name)
      const base = { reference: name, tolerance: tolerance(name) }
      if (pair)
        return { ...base, candidate: pair.candidate, status: 'equal', layout: pair.layout, distance: pair.distance }
      if (divergence?.referenceTensor === name) {
        return {
          ...base,
          candidate: divergence.candidateTensor,
          status: 'different',
          layout: undefined,
          distance: divergence.distance,
        }
      }
      const status = invisible.has(name) || divergence === undefined ? 'hidden' : 'after-divergence'
      return { ...base, candidate: undefined, status, layout: undefined, distance: undefined }
    })
}
