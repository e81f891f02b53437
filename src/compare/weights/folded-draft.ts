import type { Folding, Side } from './comparison.ts'
import type { Entry } from './entry.ts'
import { judge } from './judge.ts'
import { type Draft, draftOf } from './matching.ts'
import type { Transform, Values } from './transform.ts'

/** Several tensors of the unfolded side that make one of the folded side. */
export interface FoldedPair {
  /** of the unfolded side: the tensor that the folded one stands for */
  readonly principal: Entry
  readonly folded: Entry
  /** all tensors of the unfolded side that enter */
  readonly inputs: readonly Entry[]
  /** in the layout of `folded` */
  readonly expected: Values
  readonly actual: Values
  /** from reference to candidate */
  readonly transforms: readonly (Transform | null)[]
  readonly folding: Folding
  /** magnitude of the largest term of `expected`, where terms cancel */
  readonly terms?: number
}

/** Judges a folded tensor. Only its own storage can be coarse here: what is expected was computed. */
export function draftFolded(unfolded: Side, pair: FoldedPair): Draft {
  const { principal, folded, expected, actual, transforms, folding, inputs } = pair
  const [reference, candidate] = unfolded === 'reference' ? [principal, folded] : [folded, principal]
  const { quantization: _, ...fine } = folded.tensor
  const computed: Entry = { ...folded, tensor: { ...fine, dtype: 'float32' }, narrow: undefined }
  const judgement = judge(expected, actual, { reference: computed, candidate: folded, transform: null }, pair.terms)
  const draft = draftOf(reference, candidate, judgement, transforms, 'values')
  const asFolded = judgement.relation === 'rounding' || judgement.relation === 'exact'
  return {
    ...draft,
    relation: asFolded ? 'folded' : draft.relation,
    detail: asFolded ? undefined : judgement.detail,
    referenceEntries: unfolded === 'reference' ? inputs : [folded],
    candidateEntries: unfolded === 'reference' ? [folded] : inputs,
    folding,
  }
}
