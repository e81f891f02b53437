import { unravel } from '../compare/distance.ts'
import type { ProvedCause } from '../compare/hypotheses/faulty-region.ts'
import type { RegionPair, RegionResult } from '../compare/regions/region.ts'
import type { Node } from '../model/graph.ts'
import { finiteOrNull } from '../report/json.ts'
import type { CauseReport, RegionReport } from '../report/regions.ts'

/** What is known of a region besides its judgement. */
export interface RegionFacts {
  /** relL2 at its end when both models run from their inputs */
  readonly accumulated?: number
  /** of the reference's value at its end, to name the worst element by index */
  readonly shape?: readonly number[]
  /** why it differs, most likely first */
  readonly causes?: readonly ProvedCause[]
}

/** A judged region in the published form. */
export function regionReport(result: RegionResult, facts: RegionFacts = {}): RegionReport {
  const { region, state, reason, distance, floor, floorFrom, ratio } = result
  const { accumulated, shape, causes = [] } = facts
  const places = {
    reference: region.referenceNodes.at(-1)?.name ?? null,
    candidate: region.candidateNodes.at(-1)?.name ?? null,
  }
  return {
    ...pair(region.at),
    state,
    reason: reason ?? null,
    cut: region.cut.map(pair),
    referenceNodes: region.referenceNodes.map(node),
    candidateNodes: region.candidateNodes.map(node),
    relL2: distance ? finiteOrNull(distance.relL2) : null,
    maxAbs: distance ? finiteOrNull(distance.maxAbs) : null,
    maxRel: distance ? finiteOrNull(distance.maxRel) : null,
    worst: distance && distance.worst >= 0 && shape ? unravel(distance.worst, shape) : null,
    floor: finiteOrNull(floor),
    floorFrom,
    ratio: finiteOrNull(ratio),
    accumulated: accumulated === undefined ? null : finiteOrNull(accumulated),
    causes: causes.map((cause) => causeReport(cause, places)),
  }
}

const pair = ({ reference, candidate, layout, found, confidence }: RegionPair) => ({
  reference,
  candidate,
  layout,
  found,
  confidence,
})

const node = ({ name, op }: Node) => ({ name, op })

/** A proved cause in the published form, at the layers where its region ends. */
function causeReport(
  cause: ProvedCause,
  { reference, candidate }: { reference: string | null; candidate: string | null },
): CauseReport {
  const { label, confidence, proved, detail, before, after, fix, indistinguishable } = cause
  return {
    label,
    confidence,
    proved,
    detail,
    referenceLayer: reference,
    candidateLayer: candidate,
    ...(before === undefined ? {} : { before: finiteOrNull(before) }),
    ...(after === undefined ? {} : { after: finiteOrNull(after) }),
    fix,
    ...(indistinguishable === undefined ? {} : { indistinguishable: [...indistinguishable] }),
  }
}
