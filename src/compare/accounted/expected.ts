import { CAUSES, type CauseLabel } from '../vocabulary.ts'

/** What may be expected besides a cause of the vocabulary. */
export const EXPECTED_KINDS = {
  new: 'the candidate has something there that the reference lacks',
  removed: 'the candidate lacks something that the reference has there',
  replaced: 'what stands there is something else on purpose, in whatever way',
  shape: 'sizes differ there, and only by the stated counts (classes, for instance)',
} as const satisfies Record<string, string>

export type ExpectedKind = keyof typeof EXPECTED_KINDS | CauseLabel

/** Every word that `what` may be. */
export const EXPECTED_WORDS = [...Object.keys(EXPECTED_KINDS), ...Object.keys(CAUSES)] as readonly ExpectedKind[]

/** A value of an attribute, or a size. */
export type ExpectedValue = number | string | boolean | readonly number[]

/** A difference that is on purpose: one entry of `compare.expected` in modelwright.yaml. */
export interface ExpectedDifference {
  /** names of tensors, nodes, layers or modules of either side, or patterns of them */
  readonly where: readonly string[]
  readonly what: ExpectedKind
  readonly reason: string
  /** of the reference and of the candidate */
  readonly values?: readonly [ExpectedValue, ExpectedValue]
}

/** A difference that the comparison found, under all names that a user may know it by. */
export interface FoundDifference {
  readonly reference: readonly string[]
  readonly candidate: readonly string[]
  /** labels of the vocabulary and kinds of `EXPECTED_KINDS`; the first is what it is most likely */
  readonly kinds: readonly string[]
  /** of attributes, where both sides state them */
  readonly values?: readonly [ExpectedValue, ExpectedValue]
  readonly shapes?: readonly [readonly number[], readonly number[]]
  /** whether it alone would forbid a match */
  readonly decides: boolean
  /** one sentence for a person */
  readonly text: string
}
