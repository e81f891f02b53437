import type { Neighbours } from './neighbours.ts'
import type { Unit } from './units.ts'

/** Rounds after which labels of two vision networks hardly ever part any further. */
const MAX_ROUNDS = 24

/**
 * Weisfeiler-Lehman labels: round 0 is what a unit is, each further round adds what the units before and behind it are.
 * Units of two graphs whose labels agree for r rounds have the same surroundings up to distance r.
 *
 * @param keys what each anchor is, the same words on both sides
 * @returns per anchor its label in each round
 */
export function structureLabels(
  sides: readonly { readonly keys: ReadonlyMap<Unit, string>; readonly neighbours: Neighbours }[],
): ReadonlyMap<Unit, readonly number[]> {
  const labels = new Map<Unit, number[]>()
  const numbers = new Map<string, number>()
  const numberOf = (text: string): number => {
    const known = numbers.get(text)
    if (known !== undefined) return known
    numbers.set(text, numbers.size)
    return numbers.size - 1
  }
  for (const { keys } of sides) for (const [unit, key] of keys) labels.set(unit, [numberOf(key)])
  for (let round = 1; round <= MAX_ROUNDS; round++) {
    const last = (unit: Unit) => labels.get(unit)?.[round - 1] ?? -1
    const next: [Unit, number][] = []
    for (const { keys, neighbours } of sides) {
      for (const unit of keys.keys()) {
        const { before, after } = neighbours.places.get(unit) ?? { before: [], after: [] }
        const around = (units: readonly Unit[]) =>
          units
            .map(last)
            .sort((a, b) => a - b)
            .join()
        next.push([unit, numberOf(`${last(unit)} ${around(before)} ${around(after)}`)])
      }
    }
    const before = new Set([...labels.values()].map((each) => each[round - 1])).size
    for (const [unit, label] of next) labels.get(unit)!.push(label)
    if (new Set(next.map(([, label]) => label)).size === before) break
  }
  return labels
}

/** Share of rounds in which two units look the same, 0..1. */
export function agreement(a: readonly number[] | undefined, b: readonly number[] | undefined): number {
  if (a === undefined || b === undefined) return 0
  let rounds = 0
  while (rounds < a.length && a[rounds] === b[rounds]) rounds++
  return rounds / Math.max(a.length, b.length)
}
