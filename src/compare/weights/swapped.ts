import type { Layer } from '../../layers/layer.ts'
import { causeAt } from './causes.ts'
import type { WeightCause } from './comparison.ts'
import type { Group, PreparedSet } from './entry.ts'
import type { Draft, Matching } from './matching.ts'
import { sameShape } from './transform.ts'

/**
 * Two layers of equal shape that hold each other's weights. Values pair them crosswise; where both sides use the same
 * names, or where both graphs say which layer feeds which, the crossing shows.
 */
export function findSwapped(matching: Matching): WeightCause[] {
  const kernels = matching.drafts.filter(({ reference, accepted }) => reference.dims.length >= 2 && accepted)
  const byName = new Map(matching.drafts.map((draft) => [draft.reference.name, draft]))
  const upstream = [feeders(matching.reference), feeders(matching.candidate)] as const
  const causes: WeightCause[] = []
  const done = new Set<Draft>()
  for (const draft of kernels) {
    if (done.has(draft)) continue
    const other = crossedByName(draft, byName) ?? crossedInGraph(matching, draft, kernels, upstream)
    if (other === undefined || done.has(other)) continue
    done.add(draft).add(other)
    const [first, second] = [draft, other].sort((a, b) => a.reference.group.order - b.reference.group.order) as [
      Draft,
      Draft,
    ]
    for (const each of [first, second]) each.accepted = false
    causes.push({
      ...causeAt(first, {
        label: 'weight-swapped',
        confidence: 0.9,
        proved: true,
        detail: `"${first.candidate.group.name}" and "${second.candidate.group.name}" hold each other's weights`,
      }),
      candidateLayer: second.candidate.group.name,
    })
  }
  return causes
}

function crossedByName({ reference, candidate }: Draft, byName: ReadonlyMap<string, Draft>): Draft | undefined {
  if (reference.name === candidate.name) return undefined
  const other = byName.get(candidate.name)
  return other?.candidate.name === reference.name && sameShape(other.reference.dims, reference.dims) ? other : undefined
}

type Feeders = ReadonlyMap<Group, ReadonlySet<Group>>

function crossedInGraph(
  matching: Matching,
  draft: Draft,
  kernels: readonly Draft[],
  [before, after]: readonly [Feeders, Feeders],
): Draft | undefined {
  const partner = (group: Group, swap?: readonly [Draft, Draft]) => {
    if (swap && group === swap[0].reference.group) return swap[1].candidate.group
    if (swap && group === swap[1].reference.group) return swap[0].candidate.group
    return matching.partners.get(group)
  }
  const agrees = (reference: Group, candidate: Group, swap?: readonly [Draft, Draft]): boolean | undefined => {
    const left = before.get(reference)
    const right = after.get(candidate)
    if (left === undefined || right === undefined) return undefined
    const moved = [...left].map((group) => partner(group, swap))
    if (moved.includes(undefined)) return undefined
    return moved.length === right.size && moved.every((group) => right.has(group!))
  }
  const places = (each: Draft) => agrees(each.reference.group, each.candidate.group)
  if (places(draft) !== false) return undefined
  return kernels.find((other) => {
    if (other === draft || places(other) !== false || !sameShape(other.reference.dims, draft.reference.dims))
      return false
    const swap = [draft, other] as const
    return (
      agrees(draft.reference.group, other.candidate.group, swap) === true &&
      agrees(other.reference.group, draft.candidate.group, swap) === true
    )
  })
}

/** For each layer with a kernel, the nearest layers with kernels that feed it; empty without a graph. */
function feeders({ groups, set }: PreparedSet): Feeders {
  const producers = new Map<string, Layer>()
  for (const layer of set.layers) for (const output of layer.outputs) producers.set(output, layer)
  const owner = new Map<Layer, Group>()
  for (const group of groups)
    if (group.layer && group.entries.some(({ dims }) => dims.length >= 2)) owner.set(group.layer, group)
  const nearest = new Map<Layer, ReadonlySet<Group>>()
  const found = new Map<Group, ReadonlySet<Group>>()
  for (const layer of set.layers) {
    // layers come in order of execution: what feeds this one is known
    const from = new Set<Group>()
    for (const input of layer.inputs) {
      const producer = producers.get(input)
      if (producer === undefined) continue
      const own = owner.get(producer)
      if (own) from.add(own)
      else for (const group of nearest.get(producer) ?? []) from.add(group)
    }
    nearest.set(layer, from)
    const group = owner.get(layer)
    if (group && layer.inputs.length > 0) found.set(group, from)
  }
  return found
}
