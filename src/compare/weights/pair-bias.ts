import { type BatchNorm, type BatchNormValues, batchNormEntries, channelShift } from './batch-norm.ts'
import type { Folding, Side } from './comparison.ts'
import type { Entry } from './entry.ts'
import { draftFolded } from './folded-draft.ts'
import { commit, freeEntries, type Matching } from './matching.ts'
import type { Values } from './transform.ts'

/** A bias that folding a BatchNorm makes. */
export interface BiasIdea {
  readonly norm: BatchNorm
  readonly values: BatchNormValues
  readonly epsilon: number
  readonly bias: Entry | undefined
  /** the folded kernel beside which the bias should stand */
  readonly near: Entry | undefined
  readonly folding: Folding
}

/** Pairs the bias that is left after folding with the tensor of the folded side that holds it; false where none does. */
export async function commitBias(matching: Matching, side: Side, idea: BiasIdea): Promise<boolean> {
  const { norm, values, epsilon, bias, near } = idea
  const other = side === 'reference' ? 'candidate' : 'reference'
  const biasValues = bias ? await matching.cache.load(bias.tensor) : undefined
  const expected = channelShift(values, epsilon, biasValues)
  const terms = largestTerm(values, epsilon, biasValues)
  const mate = near?.group.entries.find(
    (entry) => entry !== near && entry.count === norm.size && entry.dims.length <= 1,
  )
  const vectors = freeEntries(matching, other).filter((entry) => entry.count === norm.size && entry.dims.length <= 1)
  const principal = bias ?? norm.beta ?? norm.mean ?? norm.gamma
  let best: { entry: Entry; actual: Values; gap: number } | undefined
  for (const entry of mate && !matching.taken.has(mate) && mate.role === 'bias' ? [mate] : vectors) {
    const actual = await matching.cache.load(entry.tensor)
    let gap = 0
    for (let k = 0; k < actual.length; k++) gap = Math.max(gap, Math.abs(actual[k]! - expected[k]!))
    if (best === undefined || gap < best.gap) best = { entry, actual, gap }
  }
  if (best === undefined || principal === undefined) return false
  const draft = draftFolded(side, {
    principal,
    folded: best.entry,
    inputs: [...(bias ? [bias] : []), ...batchNormEntries(norm)],
    expected,
    actual: best.actual,
    transforms: [null],
    folding: idea.folding,
    terms,
  })
  if (!draft.accepted && best.entry !== mate) return false
  commit(matching, draft, near === undefined)
  return draft.accepted
}

function largestTerm({ beta, mean, gamma, variance }: BatchNormValues, epsilon: number, bias?: Values): number {
  let largest = 0
  for (let k = 0; k < beta.length; k++) {
    const scale = Math.abs(gamma[k]! / Math.sqrt(variance[k]! + epsilon))
    largest = Math.max(largest, Math.abs(beta[k]!), Math.abs(mean[k]!) * scale, Math.abs(bias?.[k] ?? 0) * scale)
  }
  return largest
}
