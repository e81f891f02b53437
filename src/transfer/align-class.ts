import type { UnitPair } from './align.ts'
import { assign } from './assignment.ts'
import type { Unit } from './units.ts'

/** What speaks for a pair, each 0..1. */
export interface Evidence {
  structure(source: Unit, target: Unit): number
  names(source: Unit, target: Unit): number
  neighbours(source: Unit, target: Unit): number
  /** -1..1: order of the files agrees, or runs backwards */
  readonly direction: number
  /** false forbids the pair */
  accepts?(source: Unit, target: Unit): boolean
}

const WEIGHTS = { structure: 8, names: 4, neighbours: 4, order: 4 } as const

/** A gain smaller than this is none. */
const TIE = 1e-9

/**
 * Pairs units of the same shape by the assignment with most evidence. A pair that could change partners with another
 * one at no loss is ambiguous, and says so.
 */
export function alignClass(sources: readonly Unit[], targets: readonly Unit[], evidence: Evidence): UnitPair[] {
  const order = orderScore(sources, targets, evidence.direction)
  const parts = sources.map((source, row) =>
    targets.map((target, column) => ({
      structure: WEIGHTS.structure * evidence.structure(source, target),
      names: WEIGHTS.names * evidence.names(source, target),
      neighbours: WEIGHTS.neighbours * evidence.neighbours(source, target),
      order: order(row, column),
      accepted: evidence.accepts?.(source, target) ?? true,
    })),
  )
  const total = (row: number, column: number): number => {
    const { structure, names, neighbours, order: place, accepted } = parts[row]![column]!
    return accepted ? structure + names + neighbours + place : -1000
  }
  const columns = assign(sources.length, targets.length, total)
  return columns.flatMap((column, row): UnitPair[] => {
    if (column === undefined || !parts[row]![column]!.accepted) return []
    const rivals = targets.flatMap((_, other) => {
      if (other === column || !parts[row]![other]!.accepted) return []
      const otherRow = columns.indexOf(other)
      const gain = (score: (r: number, c: number) => number) =>
        otherRow < 0
          ? score(row, column) - score(row, other)
          : score(row, column) + score(otherRow, other) - score(row, other) - score(otherRow, column)
      return [{ rival: sources[otherRow], gain }]
    })
    const least = (score: (r: number, c: number) => number) => Math.min(...rivals.map(({ gain }) => gain(score)))
    const part = (name: 'structure' | 'names' | 'neighbours') => (r: number, c: number) => parts[r]![c]![name]
    // a target that stays free is no rival of the source's: then the source could stand here or there
    const tied = rivals.filter(({ gain }) => gain(total) <= TIE)
    const ambiguous = tied.flatMap(({ rival }) => rival ?? sources[row]!)
    const pair = { source: sources[row]!, target: targets[column]!, ambiguous }
    if (rivals.length === 0) return [{ ...pair, foundBy: 'shape', confidence: sources.length > 1 ? 0.8 : 0.99 }]
    if (ambiguous.length > 0) return [{ ...pair, foundBy: 'order', confidence: 0.3 }]
    if (least(part('structure')) > TIE) return [{ ...pair, foundBy: 'structure', confidence: 0.97 }]
    if (least(part('neighbours')) > TIE) return [{ ...pair, foundBy: 'neighbours', confidence: 0.95 }]
    if (least(part('names')) > TIE) return [{ ...pair, foundBy: 'names', confidence: 0.9 }]
    return [{ ...pair, foundBy: 'order', confidence: sources.length === targets.length ? 0.85 : 0.6 }]
  })
}

/** Squared distance between ranks within the class: the assignment that keeps the order is the best one. */
function orderScore(
  sources: readonly Unit[],
  targets: readonly Unit[],
  direction: number,
): (row: number, column: number) => number {
  if (Math.abs(direction) < 0.3) direction = 0
  const rank = (units: readonly Unit[]) => {
    const sorted = [...units].sort((a, b) => a.index - b.index)
    return units.map((unit) => (sorted.indexOf(unit) + 0.5) / units.length)
  }
  const [left, right] = [rank(sources), rank(targets)]
  const place = (row: number) => (direction < 0 ? 1 - left[row]! : left[row]!)
  return (row, column) => WEIGHTS.order * Math.abs(direction) * (1 - (place(row) - right[column]!) ** 2)
}
