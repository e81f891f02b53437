import type { LayerKind } from '../../layers/layer.ts'
import type { Dtype } from '../../tensor/dtype.ts'
import type { Folding, Side, WeightPair, WeightRelation } from './comparison.ts'
import type { Entry, Group, PreparedSet } from './entry.ts'
import type { Judgement } from './judge.ts'
import type { LayoutHints } from './layouts.ts'
import { nameSimilarity } from './names.ts'
import type { Transform } from './transform.ts'
import type { ValueCache } from './values.ts'

/** A pair while the rules of the whole model are still being found. */
export interface Draft {
  readonly reference: Entry
  readonly candidate: Entry
  relation: WeightRelation
  /** every layout that explains the values; the chosen one first once the rules are settled */
  options: readonly (Transform | null)[]
  readonly maxAbs: number
  readonly maxRel: number
  accepted: boolean
  readonly pairedBy: WeightPair['pairedBy']
  detail?: string | undefined
  readonly referenceEntries: readonly Entry[]
  readonly candidateEntries: readonly Entry[]
  readonly folding?: Folding | undefined
  readonly storage?: Dtype | undefined
  readonly maxSteps?: number | undefined
  ambiguous: readonly string[]
  /** distinct values of a float tensor that has few: it was rounded to levels */
  readonly levels?: number | undefined
}

/** The state of pairing: what is taken, which layers correspond. */
export interface Matching {
  readonly reference: PreparedSet
  readonly candidate: PreparedSet
  readonly cache: ValueCache
  readonly hints: LayoutHints
  readonly drafts: Draft[]
  readonly taken: Set<Entry>
  /** both ways */
  readonly partners: Map<Group, Group>
  /** further copies of tensors that are paired: name of the one that was */
  readonly copies: Map<Entry, string>
}

/** Entries of a side that have no partner yet. */
export function freeEntries(matching: Matching, side: Side): Entry[] {
  return matching[side].entries.filter((entry) => !matching.taken.has(entry))
}

/** Adds a pair; its tensors are taken, its layers partners. */
export function commit(matching: Matching, draft: Draft, withGroups = true): Draft {
  matching.drafts.push(draft)
  for (const entry of [...draft.referenceEntries, ...draft.candidateEntries]) matching.taken.add(entry)
  if (!withGroups) return draft
  const { partners } = matching
  const [left, right] = [draft.reference.group, draft.candidate.group]
  if (!partners.has(left) && !partners.has(right)) {
    partners.set(left, right)
    partners.set(right, left)
  }
  return draft
}

/** A draft of two tensors that were compared value by value. */
export function draftOf(
  reference: Entry,
  candidate: Entry,
  judgement: Judgement,
  options: readonly (Transform | null)[],
  pairedBy: Draft['pairedBy'],
): Draft {
  const [chosen] = options
  const moved = chosen !== null && chosen !== undefined && chosen.kind !== 'reshape'
  const { relation } = judgement
  return {
    reference,
    candidate,
    relation: relation === 'rounding' ? 'close' : relation === 'exact' && moved ? 'layout' : relation,
    options,
    maxAbs: judgement.maxAbs,
    maxRel: judgement.maxRel,
    accepted: judgement.accepted,
    pairedBy,
    detail: judgement.detail,
    referenceEntries: [reference],
    candidateEntries: [candidate],
    storage: judgement.storage,
    maxSteps: judgement.maxSteps,
    ambiguous: [],
  }
}

const UNGATED: ReadonlySet<LayerKind> = new Set(['conv', 'conv-transpose', 'dense', 'batch-norm', 'norm', 'attention'])

/** Hints for two particular tensors. */
export function hintsFor(matching: Matching, reference: Entry, candidate: Entry): LayoutHints {
  const kinds = [reference.group.kind, candidate.group.kind].filter((kind) => kind !== undefined)
  // what gives a recurrent layer its weights in parts (a slice, a concatenation) is no layer with weights
  const gated = !kinds.some((kind) => UNGATED.has(kind))
  return { ...matching.hints, referenceLayout: reference.layout, candidateLayout: candidate.layout, gated }
}

/**
 * Likelihood of partnership apart from values, for breaking ties: same layer, role and name, like position.
 * Values decide first; this is never enough alone.
 */
export function affinity(matching: Matching, reference: Entry, candidate: Entry): number {
  const partner = matching.partners.get(reference.group)
  const taken = partner !== undefined || matching.partners.get(candidate.group) !== undefined
  const place = (entry: Entry) => entry.index / Math.max(1, matching[entry.side].set.tensors.length - 1)
  const order = (entry: Entry) => {
    const { groups } = matching[entry.side]
    return groups.indexOf(entry.group) / Math.max(1, groups.length - 1)
  }
  return (
    (partner === candidate.group ? 4 : taken ? -2 : 0) +
    (reference.role === candidate.role ? 1 : 0) +
    2 * nameSimilarity(reference.name, candidate.name) +
    1 -
    Math.abs(order(reference) - order(candidate)) -
    0.1 * Math.abs(place(reference) - place(candidate))
  )
}

/** Pairs the likeliest first; with the runners-up that tie in the caller's eyes left free. */
export function assign(
  left: readonly Entry[],
  right: readonly Entry[],
  score: (reference: Entry, candidate: Entry) => number,
): [Entry, Entry][] {
  const all = left.flatMap((reference) =>
    right.map((candidate) => ({ reference, candidate, score: score(reference, candidate) })),
  )
  all.sort(
    (a, b) => b.score - a.score || a.reference.index - b.reference.index || a.candidate.index - b.candidate.index,
  )
  const used = new Set<Entry>()
  const pairs: [Entry, Entry][] = []
  for (const { reference, candidate } of all) {
    if (used.has(reference) || used.has(candidate)) continue
    used.add(reference)
    used.add(candidate)
    pairs.push([reference, candidate])
  }
  return pairs
}
