import type { Tensor } from '../tensor/tensor.ts'
import type { Part } from './build-expression.ts'
import { type Expression, inputsOf, renumber } from './expression.ts'
import type { Reading } from './kernel-layout.ts'
import type { Inputs, LedgerState } from './ledger.ts'
import type { Unit, UnitSet } from './units.ts'

/** What every rule of the mapping may look at. */
export interface MappingContext {
  readonly source: UnitSet
  readonly target: UnitSet
  readonly readings: ReadonlyMap<Unit, Reading>
  /** of a BatchNorm: as its file states it, else its framework's default */
  epsilonOf(unit: Unit): number
  /** the port works on transposed pictures (MATLAB heritage): height and width change places in every kernel */
  readonly swapsHeightAndWidth: boolean
}

/** How one tensor of the target is made, before it is known how its unit was found. */
export interface Draft {
  readonly target: Tensor
  readonly from: readonly Tensor[]
  readonly expression?: Expression
  readonly state: LedgerState
  readonly reason: string
}

/** A draft with its expression; inputs that the expression turned out not to need are left out. */
export function finish(target: Tensor, inputs: Inputs, part: Part, state: LedgerState, reason: string): Draft {
  const used = inputsOf(part.expression)
  const kept = inputs.tensors.filter((_, index) => used.has(index))
  const numbers = new Map(kept.map((tensor, index) => [inputs.tensors.indexOf(tensor), index]))
  return { target, from: kept, expression: renumber(part.expression, numbers), state, reason }
}
