import type { Node } from '../../model/graph.ts'
import type { Distance } from '../distance.ts'

/**
 * A value of the reference and the value of the candidate that stands for it.
 *
 * - `name`: both are called the same and agree, or both layers do
 * - `weights`: they enter or leave layers that hold corresponding weights
 * - `values`: they are equal, within rounding, on every input
 * - `structure`: same operator on paired inputs
 * - `resynchronised`: with the reference's value in this place, what follows agrees again
 */
export interface RegionPair {
  readonly reference: string
  readonly candidate: string
  readonly layout: string
  /** numpy.transpose axes that bring the reference's array into the candidate's order; absent when it is the same */
  readonly toCandidate?: readonly number[]
  readonly found: 'interface' | 'name' | 'weights' | 'values' | 'structure' | 'resynchronised'
  /** 0 to 1 */
  readonly confidence: number
}

/**
 * What lies between paired values: N nodes of the reference and M of the candidate that are to compute the same.
 * Replayed alone, on the reference's own values at the cut, the candidate's nodes are judged without anything that
 * happens before or behind them.
 */
export interface Region {
  readonly at: RegionPair
  /** paired values that both sides' nodes start from; the same set on both sides */
  readonly cut: readonly RegionPair[]
  /** in order of execution */
  readonly referenceNodes: readonly Node[]
  readonly candidateNodes: readonly Node[]
}

/** `not-judged` always has a reason; it is never counted as the same. */
export type RegionState = 'same' | 'suspicious' | 'different' | 'accounted' | 'not-judged'

/** The judgement of one region, replayed on the reference's values of every input. */
export interface RegionResult {
  readonly region: Region
  readonly state: RegionState
  readonly reason?: string
  /** the worst over all inputs, candidate's replayed value against the reference's */
  readonly distance?: Distance
  /** relL2 that rounding alone explains at this place, and where that figure comes from */
  readonly floor: number
  readonly floorFrom: 'float64' | 'disturbance' | 'reduction' | 'unit'
  /** distance.relL2 / floor; <= 10 same, <= 100 suspicious, above different */
  readonly ratio: number
}
