import type { Fragment, OnnxProgram } from '../../onnx/program.ts'
import type { ArrayValue } from '../../tensor/array-value.ts'
import type { Region } from '../regions/region.ts'
import type { CauseLabel } from '../vocabulary.ts'
import type { Change } from './hypothesis.ts'

/**
 * Runs a fragment of a program on several feeds, graph optimisation off.
 * @throws {ToolError} CANNOT_RUN with the runtime's reason: a hypothesis that cannot run is not proved
 */
export type RunFragment = (
  program: OnnxProgram,
  fragment: Fragment,
  feeds: readonly ReadonlyMap<string, ArrayValue>[],
) => Promise<readonly ReadonlyMap<string, ArrayValue>[]>

/** A region that differs when replayed alone, with all that is needed to find out why. */
export interface FaultyRegion {
  readonly region: Region
  readonly reference: OnnxProgram
  readonly candidate: OnnxProgram
  /** the reference's values at the cut, inside the region and at its end, in its own layout; one map per input, two or more */
  readonly values: readonly ReadonlyMap<string, ArrayValue>[]
  readonly run: RunFragment
  /** sizes that the candidate's values have when it runs from its own inputs, where known: a cut may only differ in shape */
  readonly shapes?: ReadonlyMap<string, readonly number[]>
  /** largest relL2 at which parity counts as restored */
  readonly tolerance: number
}

/** A cause, with what was tried and what came of it. */
export interface ProvedCause {
  readonly label: CauseLabel
  readonly confidence: number
  /** parity came back on inputs that were not used to choose or fit the change */
  readonly proved: boolean
  /** relL2 at the region's end before and after the change, the worst over the inputs that judge */
  readonly before?: number
  readonly after?: number
  /** what differs, in words: `epsilon 0.001 in the candidate, 1e-05 in the reference` */
  readonly detail: string
  /** what to do, in words: `set epsilon=1e-05 in BatchNorm "stage2.bn1"` */
  readonly fix: string
  /** the change of the candidate that restored parity, for a repaired copy; absent where the reference was changed */
  readonly repair?: Change
  /** operators of one side that the other lacks stand between these two of its values */
  readonly stretch?: { readonly side: 'reference' | 'candidate'; readonly from: string; readonly to: string }
  /** the two operators whose stated difference was put right, by what they give */
  readonly at?: { readonly reference: string; readonly candidate: string }
  /** other causes that the inputs could not tell from this one */
  readonly indistinguishable?: readonly string[]
}
