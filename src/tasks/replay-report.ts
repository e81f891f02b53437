import type { BehaviourComparison } from '../compare/behaviour/compare-behaviour.ts'
import { leftover } from '../compare/behaviour/divergence.ts'
import { type Recording, type Side, sideOf } from '../compare/behaviour/recording.ts'
import type { Comparison } from '../report/comparison.ts'
import type { PairingReport } from '../report/regions.ts'
import { regionReport } from './region-report.ts'

/** Regions that are the same are listed too up to this number; beyond it only the others are. */
const MAX_LISTED = 2000

/** The regions that were run alone and how they were paired, in the published form. */
export function replayReport(
  { regions, faults, pairing, accumulated }: BehaviourComparison,
  recordings: { readonly reference: Recording; readonly candidate: Recording },
): Pick<Comparison, 'regions' | 'pairing'> {
  const [reference, candidate] = [sideOf(recordings.reference), sideOf(recordings.candidate)]
  const listed = regions.length <= MAX_LISTED ? regions : regions.filter(({ state }) => state !== 'same')
  return {
    regions: listed.map((result) => {
      const { at } = result.region
      const fault = faults.find((each) => each.result === result)
      const drift = accumulated.get(at.candidate)
      const shape = reference.shape(at.reference)
      return regionReport(result, {
        ...(drift === undefined ? {} : { accumulated: drift }),
        ...(shape === undefined ? {} : { shape }),
        ...(fault === undefined ? {} : { causes: fault.proofs }),
      })
    }),
    pairing: {
      found: countFound(pairing),
      unpaired: {
        reference: unpaired(reference, new Set(pairing.pairs.keys())),
        candidate: unpaired(candidate, new Set(pairing.partners.keys())),
      },
    },
  }
}

function countFound({ partners }: BehaviourComparison['pairing']): PairingReport['found'] {
  const counts: PairingReport['found'] = {
    interface: 0,
    name: 0,
    weights: 0,
    values: 0,
    structure: 0,
    resynchronised: 0,
  }
  for (const { found } of partners.values()) counts[found]++
  return counts
}

function unpaired(side: Side, paired: ReadonlySet<string>): PairingReport['unpaired']['reference'] {
  const hidden = new Set(leftover(side, paired).hidden)
  return side.order
    .filter((name) => !paired.has(name))
    .map((name) => ({
      name,
      op: side.producer.get(name)?.op ?? null,
      reason: hidden.has(name)
        ? 'inside a region: the other side has no such value, and what follows is judged'
        : 'nothing on the other side corresponds',
    }))
}
