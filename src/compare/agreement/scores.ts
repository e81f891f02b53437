import type { ObservedOutput } from './output.ts'

/** Agreement of class scores over samples. */
export interface ScoreAgreement {
  readonly classes: number
  /** rows of scores looked at */
  readonly samples: number
  /** share of rows with the same first class */
  readonly top1: number
  readonly k: number
  /** mean share of the first k classes that both sides have, whatever their order */
  readonly topK: number
  /** rows whose first class is another one */
  readonly swaps: number
  /** of these, such that the reference's two scores lie closer together than rounding moves them */
  readonly benignSwaps: number
}

const TOP = 5

/**
 * Compares class scores `[..., C]` row by row: first class, first k classes, swaps of rank.
 *
 * A swap is benign when the reference scores both classes alike to within twice `tolerance` times the row's root mean
 * square: rounding may move each of the two by that much.
 * @param classes C, at least 2
 */
export function compareScores({ runs, tolerance }: ObservedOutput, classes: number): ScoreAgreement {
  const k = Math.min(TOP, classes)
  let [samples, same, swaps, benignSwaps, shared] = [0, 0, 0, 0, 0]
  for (const { reference, candidate } of runs) {
    for (let at = 0; at + classes <= reference.length; at += classes) {
      const [own, other] = [ranks(reference, at, classes, k), ranks(candidate, at, classes, k)]
      samples++
      shared += own.filter((index) => other.includes(index)).length / k
      if (own[0] === other[0]) {
        same++
        continue
      }
      swaps++
      const gap = Math.abs(reference[at + own[0]!]! - reference[at + other[0]!]!)
      if (gap <= 2 * tolerance * rootMeanSquare(reference, at, classes)) benignSwaps++
    }
  }
  const share = (count: number) => (samples === 0 ? Number.NaN : count / samples)
  return { classes, samples, top1: share(same), k, topK: share(shared), swaps, benignSwaps }
}

/** Indices of the k largest scores, largest first; equal ones in order of index; NaN last. */
function ranks(values: ArrayLike<number>, start: number, count: number, k: number): number[] {
  const best: number[] = []
  for (let index = 0; index < count; index++) {
    const value = order(values[start + index]!)
    if (best.length === k && value <= order(values[start + best[k - 1]!]!)) continue
    let place = best.length
    while (place > 0 && value > order(values[start + best[place - 1]!]!)) place--
    best.splice(place, 0, index)
    if (best.length > k) best.pop()
  }
  return best
}

const order = (value: number) => (Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value)

function rootMeanSquare(values: ArrayLike<number>, start: number, count: number): number {
  let sum = 0
  for (let index = 0; index < count; index++) sum += values[start + index]! ** 2
  return Math.sqrt(sum / count)
}
