import { causeAt, type WeightFindings } from './causes.ts'
import type { Folding } from './comparison.ts'
import type { Group } from './entry.ts'
import { DEFAULT_EPSILONS, formatEpsilon, TENSORFLOW_FLOOR } from './epsilon.ts'
import type { Draft, Matching } from './matching.ts'

/**
 * Epsilons that disagree: the one that folded values show against the one that the unfolded side states. Where that
 * side states none (a state dict), its framework's default is only a suspicion.
 */
export function findEpsilonCauses(matching: Matching): WeightFindings {
  const byFault = new Map<string, { draft: Draft; layers: Set<string>; stated: number; found: number; sure: boolean }>()
  const notes = new Set<string>()
  for (const draft of matching.drafts) {
    const { folding } = draft
    const found = folding?.epsilon
    if (folding === undefined || found === undefined || !draft.accepted) continue
    const { unfolded } = folding
    const group = normGroup(matching, draft)
    const stated = group?.layer?.attributes.epsilon
    const other = unfolded === 'reference' ? 'candidate' : 'reference'
    const expected = stated ?? DEFAULT_EPSILONS[matching[unfolded].set.framework ?? '']
    if (expected === undefined || agree(expected, found, folding.solved)) continue
    if (Math.abs(found - TENSORFLOW_FLOOR) < 1e-9 && expected < TENSORFLOW_FLOOR) {
      notes.add(
        `BatchNorm was folded in the ${other} with epsilon 1.001e-5 for ${formatEpsilon(expected)}: TensorFlow's fused kernel takes nothing smaller`,
      )
      continue
    }
    const key = `${expected}:${found}:${stated !== undefined}`
    const fault = byFault.get(key) ?? {
      draft,
      layers: new Set<string>(),
      stated: expected,
      found,
      sure: stated !== undefined,
    }
    fault.layers.add(group?.name ?? draft.reference.group.name)
    const orderOf = (each: Draft) => normGroup(matching, each)?.order ?? each.reference.group.order
    if (orderOf(draft) < orderOf(fault.draft)) fault.draft = draft
    byFault.set(key, fault)
  }
  const causes = [...byFault.values()].map(({ draft, layers, stated, found, sure }) => {
    const { unfolded } = draft.folding!
    const group = normGroup(matching, draft)
    const [reference, candidate] = unfolded === 'reference' ? [stated, found] : [found, stated]
    const basis = sure ? '' : `; the ${unfolded} states none, ${formatEpsilon(stated)} is its framework's default`
    return {
      ...causeAt(draft, {
        label: 'bn-epsilon',
        confidence: sure ? 0.98 : 0.5,
        proved: sure,
        decides: sure,
        detail: `epsilon ${formatEpsilon(candidate)} in the candidate, ${formatEpsilon(reference)} in the reference, in ${layers.size} BatchNorm${layers.size === 1 ? '' : 's'}${basis}`,
      }),
      values: [reference, candidate] as const,
      alsoIn: [...layers].map((name) =>
        unfolded === 'reference' ? { reference: name, candidate: '' } : { reference: '', candidate: name },
      ),
      ...(group && unfolded === 'reference' ? { referenceLayer: group.name, order: group.order } : {}),
    }
  })
  return { causes, notes: [...notes] }
}

function agree(expected: number, epsilon: number, solved: Folding['solved']): boolean {
  if (Math.abs(expected - epsilon) <= 1e-6 * expected) return true
  return solved === undefined ? false : Math.abs(expected - solved.epsilon) <= 4 * solved.uncertainty
}

/** The layer of the BatchNorm that was folded. */
function normGroup(matching: Matching, { folding }: Draft): Group | undefined {
  if (folding === undefined) return undefined
  const names = new Set(folding.batchNorm)
  return matching[folding.unfolded].entries.find(
    ({ name, role }) => names.has(name) && (role === 'variance' || role === 'mean'),
  )?.group
}
