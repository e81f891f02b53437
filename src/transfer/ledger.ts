import type { Tensor } from '../tensor/tensor.ts'
import { input, type Part, slice } from './build-expression.ts'
import type { Expression } from './expression.ts'
import { isSliced } from './fused-units.ts'

/**
 * What became of a tensor. Every stored tensor of both models is in exactly one state.
 *
 * - `mapped`: the same numbers, perhaps in another layout
 * - `folded`: BatchNorm multiplied into its neighbour, or taken apart again
 * - `split`, `merged`: one tensor to several, several to one (QKV, gates, two biases)
 * - `derived`: no parameter, or one that follows from others (counters, shapes, masks)
 * - `dropped`: left out on purpose (optimiser state, averaged copies)
 * - `no-counterpart`: the other model has nothing for it
 * - `ambiguous`: several partners fit equally well; a person has to choose
 */
export type LedgerState =
  | 'mapped'
  | 'folded'
  | 'split'
  | 'merged'
  | 'derived'
  | 'dropped'
  | 'no-counterpart'
  | 'ambiguous'

/** How a mapping was found; `map-file`: by a person. */
export type FoundBy = 'shape' | 'structure' | 'names' | 'order' | 'neighbours' | 'rule' | 'map-file'

/** What a tensor of the target is filled with. */
export interface TargetEntry {
  readonly target: Tensor
  readonly state: LedgerState
  /** tensors of the source, `$0` first */
  readonly from: readonly Tensor[]
  /** absent: the target keeps the values it has */
  readonly expression?: Expression
  /** for `ambiguous`: how it would be made of the first candidate */
  readonly proposal?: Expression
  /** for a person: layouts, folding, what initialises it, why it is left alone */
  readonly reason: string
  readonly foundBy: FoundBy
  /** 0..1 */
  readonly confidence: number
  /** for `ambiguous`: other tensors of the source that fit as well */
  readonly candidates: readonly string[]
  /** a parameter that the reference says nothing about: the transfer is not complete */
  readonly isMissing: boolean
}

/** What a tensor of the source went into. */
export interface SourceEntry {
  readonly source: Tensor
  readonly state: LedgerState
  readonly into: readonly string[]
  readonly reason: string
  /** a parameter that found no place: the target cannot compute what the reference does */
  readonly isLost: boolean
}

export interface Ledger {
  readonly targets: readonly TargetEntry[]
  readonly sources: readonly SourceEntry[]
  /** things to know that are no tensor: epsilons that differ, assumptions made */
  readonly notes: readonly string[]
}

/** Collects the inputs of one entry while its expression is built. */
export class Inputs {
  readonly tensors: Tensor[] = []

  /** `$n` for this tensor; the same tensor is one input however often it is used. */
  part(tensor: Tensor): Part {
    if (isSliced(tensor)) {
      const { of, axis, start, stop } = tensor.slice
      return slice(this.part(of), axis, start, stop)
    }
    const known = this.tensors.indexOf(tensor)
    if (known < 0) this.tensors.push(tensor)
    return input(known < 0 ? this.tensors.length - 1 : known, tensor.shape)
  }
}
