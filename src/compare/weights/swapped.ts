import type { Layer } from '../../layers/layer.ts'
import { causeAt } from './causes.ts'
import type { WeightCause } from './comparison.ts'
import type { Group, PreparedSet } from './entry.ts'
import type { Draft, Matching } from './matching.ts'
import { crossedInProduct, factors } from './products.ts'
import { sameShape } from './transform.ts'

/**
 * Two layers of equal shape that hold each other's weights. Values pair them crosswise; where both sides use the same
 * names, or where both graphs say which layer feeds which, the crossing shows.
 */
export function findSwapped(matching: Matching): WeightCause[] {
  const kernels = matching.drafts.filter(({ reference, accepted }) => reference.dims.length >= 2 && accepted)
  const vectors = matching.drafts.filter(
    ({ reference, accepted }) => reference.dims.length < 2 && reference.print.constant === undefined && accepted,
  )
  const byName = new Map(matching.drafts.map((draft) => [draft.reference.name, draft]))
  const upstream = [feeders(matching.reference), feeders(matching.candidate)] as const
  const downstream = [factors(matching.reference), factors(matching.candidate)] as const
  const causes: WeightCause[] = []
  const done = new Set<Draft>()
  const layers = new Set<Group>()
  for (const draft of [...kernels, ...vectors]) {
    if (done.has(draft) || layers.has(draft.reference.group)) continue
    const isKernel = draft.reference.dims.length >= 2
    const other =
      crossedByName(draft, byName) ??
      (isKernel
        ? (crossedInGraph(matching, draft, kernels, upstream) ??
          crossedInProduct(draft, kernels, downstream) ??
          crossedByNorm(matching, draft, kernels))
        : undefined)
    if (other === undefined || done.has(other)) continue
    done.add(draft).add(other)
    layers.add(draft.reference.group).add(other.reference.group)
    const [first, second] = [draft, other].sort((a, b) => a.reference.group.order - b.reference.group.order) as [
      Draft,
      Draft,
    ]
    for (const each of [first, second]) each.accepted = false
    straighten(matching, first, second)
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

/** What surrounds the two layers is compared as they stand, not as their weights were found. */
function straighten({ partners }: Matching, first: Draft, second: Draft): void {
  for (const [left, right] of [
    [first.reference.group, second.candidate.group],
    [second.reference.group, first.candidate.group],
  ] as const) {
    partners.set(left, right)
    partners.set(right, left)
  }
}

/** Names that exporters count up say nothing about which layer is meant: `onnx::Conv_203`, `142`. */
const isCounted = (name: string) => /::|^\W*\d+$/.test(name)

function crossedByName({ reference, candidate }: Draft, byName: ReadonlyMap<string, Draft>): Draft | undefined {
  if (reference.name === candidate.name || isCounted(reference.name)) return undefined
  const other = byName.get(candidate.name)
  return other?.candidate.name === reference.name && sameShape(other.reference.dims, reference.dims) ? other : undefined
}

/**
 * Two kernels that are folded with each other's BatchNorm. Without a graph the BatchNorm listed next after a kernel is
 * its own, as long as it is for most.
 */
function crossedByNorm(matching: Matching, draft: Draft, kernels: readonly Draft[]): Draft | undefined {
  const side = draft.folding?.unfolded
  if (side === undefined || matching[side].set.layers.some(({ inputs }) => inputs.length > 0)) return undefined
  const { groups } = matching[side]
  const listed = ({ [side]: { group } }: Draft) =>
    groups.slice(groups.indexOf(group) + 1).find(({ entries }) => entries.some(({ role }) => role === 'variance'))
  const used = ({ folding }: Draft) =>
    groups.find(({ entries }) => entries.some(({ name }) => folding?.batchNorm.includes(name)))
  const folded = kernels.filter(({ folding }) => folding?.unfolded === side)
  const regular = folded.filter((each) => listed(each) === used(each)).length
  if (regular < folded.length / 2 || listed(draft) === used(draft)) return undefined
  return folded.find(
    (other) =>
      other !== draft &&
      sameShape(other.reference.dims, draft.reference.dims) &&
      listed(other) === used(draft) &&
      listed(draft) === used(other),
  )
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
