import type { Node } from '../../model/graph.ts'
import type { FragmentNode } from '../../onnx/program.ts'
import type { ArrayValue } from '../../tensor/array-value.ts'
import type { CauseLabel } from '../vocabulary.ts'
import type { RegionContext } from './region-context.ts'

/** An edit of a region's nodes. What it does not mention stays as it is. */
export interface Change {
  /** nodes to run in place of a node; together they give every value that somebody still takes */
  readonly replace?: ReadonlyMap<Node, readonly FragmentNode[]>
  /** constants that replace the program's, or new ones */
  readonly constants?: ReadonlyMap<string, ArrayValue>
  /** nodes to run behind all others, and the value that is then the region's end */
  readonly behind?: { readonly nodes: readonly FragmentNode[]; readonly output: string }
}

/**
 * One way to test a hypothesis by running it. Changing the candidate must give the reference's value (a repair);
 * changing the reference must give the candidate's value (the fault, rebuilt). Either way both sides then compute the
 * same, on inputs that played no part in choosing the change.
 */
export interface Trial {
  readonly side: 'reference' | 'candidate'
  readonly change: Change
  readonly label: CauseLabel
  /** labels that would describe the same change as well, next best first */
  readonly also?: readonly CauseLabel[]
  /** numbers that were fitted to the first input; 0 when the change was known beforehand */
  readonly parameters: number
  /** 0 to 1: among changes with as many parameters that all restore parity, the likeliest is reported */
  readonly prior: number
  readonly detail: string
  readonly fix: string
  /** restores parity whatever is wrong, e.g. a whole layer taken out where the other side has nothing: no proof */
  readonly weak?: boolean
  /** values of `side` between which operators are left out: where these stand is where the models part */
  readonly stretch?: { readonly from: string; readonly to: string }
  /** the two operators whose stated difference is put right, by what they give */
  readonly at?: { readonly reference: string; readonly candidate: string }
  /** the change is a difference that both files state, so it is worth naming even when no run can prove it */
  readonly observed?: boolean
}

/**
 * - `stated`: differences that both files show, tried one at a time
 * - `exact`: changes without free parameters
 * - `wide`: more of these, many and seldom right: operators put between others, axes and channels in other orders
 * - `borrowed`: weights of other layers, and weights re-ordered
 * - `fitted`: numbers fitted on the first input, judged on the others
 */
export type Stage = 'stated' | 'exact' | 'wide' | 'borrowed' | 'fitted'

/** A row of the catalogue. */
export interface Hypothesis {
  readonly id: string
  readonly stage: Stage
  /** causes that it can prove */
  readonly labels: readonly CauseLabel[]
  /** how the region is run again, in words for `docs/causes.md` */
  readonly how: string
  /** cheap test; absent: always */
  readonly applies?: (context: RegionContext) => boolean
  readonly trials: (context: RegionContext) => readonly Trial[] | Promise<readonly Trial[]>
}

/** Types a row of the catalogue. */
export const defineHypothesis = (hypothesis: Hypothesis): Hypothesis => hypothesis
