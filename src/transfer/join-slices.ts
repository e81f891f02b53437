import { concat, type Part } from './build-expression.ts'
import { renumber, shapeOf } from './expression.ts'
import { isSliced, type SlicedTensor } from './fused-units.ts'
import type { TargetEntry } from './ledger.ts'

/** Entries of the parts of one stored tensor become one entry that puts them together, where none is missing. */
export function joinSlices(entries: readonly TargetEntry[]): TargetEntry[] {
  const parts = new Map<SlicedTensor['slice']['of'], (TargetEntry & { target: SlicedTensor })[]>()
  const whole: TargetEntry[] = []
  for (const entry of entries) {
    const { target } = entry
    if (!isSliced(target)) whole.push(entry)
    else parts.set(target.slice.of, [...(parts.get(target.slice.of) ?? []), { ...entry, target }])
  }
  for (const [target, found] of parts) {
    const ordered = found.sort((a, b) => a.target.slice.start - b.target.slice.start)
    const [first, last] = [ordered[0]!, ordered.at(-1)!]
    const { axis } = first.target.slice
    const isWhole =
      first.target.slice.start === 0 &&
      last.target.slice.stop === target.shape[axis] &&
      ordered.every((entry, at) => at === 0 || ordered[at - 1]!.target.slice.stop === entry.target.slice.start)
    if (!isWhole || ordered.some(({ expression }) => expression === undefined)) continue
    const from = [...new Set(ordered.flatMap((entry) => entry.from))]
    const pieces = ordered.map(({ expression, from: own }): Part => {
      const numbers = new Map(own.map((tensor, index) => [index, from.indexOf(tensor)]))
      const moved = renumber(expression!, numbers)
      return {
        expression: moved,
        shape: shapeOf(
          moved,
          from.map(({ shape }) => shape),
        ),
      }
    })
    whole.push({
      ...first,
      target,
      from,
      expression: concat(axis, pieces).expression,
      state: 'merged',
      reason: `query, key and value one behind the other; ${first.reason}`,
      confidence: Math.min(...ordered.map(({ confidence }) => confidence)),
    })
  }
  return whole
}
