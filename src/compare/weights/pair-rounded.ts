import type { Entry } from './entry.ts'
import { judge } from './judge.ts'
import { affinity, commit, draftOf, freeEntries, hintsFor, type Matching } from './matching.ts'
import { type Agrees, findTransforms } from './search.ts'
import { applyTransform } from './transform.ts'
import { halfStepOf } from './values.ts'

/** Sums over a tensor's values that may differ by this share when one side is stored in few bits. */
const COARSE = 0.05
const FINE = 0.004

/**
 * Pairs tensors that are equal but for the storage of one side (float16, bfloat16, integers with a scale), or but for
 * float32 rounding. Candidates are those whose sums agree; values decide.
 */
export async function pairRounded(matching: Matching): Promise<void> {
  const left = freeEntries(matching, 'reference').filter(isInformative)
  const right = freeEntries(matching, 'candidate').filter(isInformative)
  const ideas: { reference: Entry; candidate: Entry; score: number }[] = []
  for (const reference of left) {
    for (const candidate of right) {
      const coarse = isCoarse(reference) || isCoarse(candidate)
      const limit = coarse ? COARSE : FINE
      if (reference.count !== candidate.count) continue
      const apart = Math.max(
        relativeGap(reference.print.sumOfSquares, candidate.print.sumOfSquares),
        relativeGap(reference.print.largest, candidate.print.largest),
      )
      if (apart > limit) continue
      ideas.push({ reference, candidate, score: 0.05 * affinity(matching, reference, candidate) - apart / limit })
    }
  }
  ideas.sort((a, b) => b.score - a.score)
  for (const { reference, candidate } of ideas) {
    if (matching.taken.has(reference) || matching.taken.has(candidate)) continue
    await tryPair(matching, reference, candidate)
  }
}

const isInformative = ({ print }: Entry) => print.constant === undefined && print.isFinite

const isCoarse = (entry: Entry) => halfStepOf(entry) !== undefined

function relativeGap(a: number, b: number): number {
  return Math.abs(a - b) / Math.max(Math.abs(a), Math.abs(b), 1e-300)
}

async function tryPair(matching: Matching, reference: Entry, candidate: Entry): Promise<void> {
  const left = { values: await matching.cache.load(reference.tensor), shape: reference.tensor.shape }
  const right = { values: await matching.cache.load(candidate.tensor), shape: candidate.tensor.shape }
  const slack = 1e-5 * reference.print.largest
  const steps = [halfStepOf(reference), halfStepOf(candidate)] as const
  // a step, not half: cut values are told from rounded ones afterwards
  const agrees: Agrees = (r, c, i, j) =>
    Math.abs(r - c) <= slack + 2.01 * ((steps[0]?.(i, r) ?? 0) + (steps[1]?.(j, c) ?? 0))
  const options = findTransforms(left, right, hintsFor(matching, reference, candidate), agrees)
  if (options.length === 0) return
  // coarse steps can let two layouts pass; the nearer one is meant
  const judged = options.map((transform) => {
    const expected = applyTransform(left.values, left.shape, transform)
    return { transform, judgement: judge(expected, right.values, { reference, candidate, transform }) }
  })
  judged.sort((a, b) => a.judgement.maxAbs - b.judgement.maxAbs)
  const accepted = judged.filter(({ judgement }) => judgement.accepted)
  const [best] = accepted
  if (!best) return
  const near = accepted.filter(({ judgement }) => judgement.maxAbs <= best.judgement.maxAbs * 1.01)
  const ordered = options.filter((option) => near.some(({ transform }) => transform === option))
  commit(matching, draftOf(reference, candidate, best.judgement, ordered, 'values'))
}
