/**
 * One output of both models on one or more samples, values decoded. Task-level agreement speaks of what a user of the
 * model sees: the first class, the boxes, the mask. It is information beside the verdict and never part of it.
 */
export interface ObservedOutput {
  readonly reference: string
  readonly candidate: string
  readonly shape: readonly number[]
  /** whether the element type is a float; labels and counts are integers */
  readonly isFloat: boolean
  /** operator that computes it in the reference, where known */
  readonly op?: string
  /** relL2 that rounding alone may cause here; rank swaps closer than that are benign */
  readonly tolerance: number
  /** flat, C order, the candidate's brought into the reference's layout; one entry per input given */
  readonly runs: readonly { readonly reference: ArrayLike<number>; readonly candidate: ArrayLike<number> }[]
}

/** What the user may say of an output in modelwright.yaml. */
export const OUTPUT_KINDS = ['boxes', 'scores', 'mask', 'raw'] as const
export type OutputKind = (typeof OUTPUT_KINDS)[number]
