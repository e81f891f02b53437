import { compareAttributes, type PairedLayers } from '../attributes/compare-attributes.ts'
import { findWeightCauses } from './causes.ts'
import type { Side, UnpairedTensor, WeightComparison, WeightPair, WeightSet } from './comparison.ts'
import { type Entry, type PreparedSet, prepare } from './entry.ts'
import { collectHints } from './hints.ts'
import type { Draft, Matching } from './matching.ts'
import { pairEqual } from './pair-equal.ts'
import { pairFolded } from './pair-folded.ts'
import { pairRounded } from './pair-rounded.ts'
import { pairByStructure, pairCertainConstants } from './pair-structure.ts'
import { settleLayouts } from './rules.ts'
import { ValueCache } from './values.ts'

/** Decoded values kept beside those in use, so that memory stays near that of the largest pair. */
const CACHE_BYTES = 16 * 2 ** 20

/**
 * Pairs every stored tensor of two models by value, structure and shape, across formats, names and layouts.
 *
 * Each tensor is read once for its fingerprint, and again where it is compared. In this order: equal values in any
 * order; equal but for the storage of one side; BatchNorm multiplied in on one side; the rest by structure. Then one
 * layout rule per kind of kernel is settled for the whole model, and what breaks it is a cause.
 *
 * @returns every tensor of both sides in one pair or in `unpaired`; `match` iff all that matter are in accepted pairs
 *   and no cause decides against it; `not-compared` iff nothing could be paired
 * @throws {FormatError} when a file does not hold what its header promised
 */
export async function compareWeights(reference: WeightSet, candidate: WeightSet): Promise<WeightComparison> {
  const [left, right] = await prepareBoth(withKernelSizes(reference), withKernelSizes(candidate))
  const matching: Matching = {
    reference: left,
    candidate: right,
    cache: new ValueCache(CACHE_BYTES),
    hints: collectHints(left, right),
    drafts: [],
    taken: new Set(),
    partners: new Map(),
    copies: new Map(),
  }
  await pairEqual(matching)
  await pairRounded(matching)
  await pairCertainConstants(matching)
  const folded = [await pairFolded(matching, 'reference'), await pairFolded(matching, 'candidate')]
  await pairByStructure(matching)
  for (const side of ['reference', 'candidate'] as const) markCopies(matching, side)
  const rules = settleLayouts(matching)
  const { causes, notes } = findWeightCauses(matching, rules)
  causes.push(...compareAttributes(left.set, right.set, pairedLayers(matching)))
  const order = (draft: Draft) => draft.reference.group.order * 1e6 + draft.reference.index
  const drafts = [...matching.drafts].sort((a, b) => order(a) - order(b))
  const pairs = drafts.map(toPair)
  const unpaired = { reference: unpairedOf(matching, 'reference'), candidate: unpairedOf(matching, 'candidate') }
  const epsilon = folded.find((found) => found !== undefined)?.epsilon
  return {
    ...conclude(pairs, unpaired, causes),
    pairs,
    unpaired,
    causes: [...causes].sort((a, b) => a.order - b.order || b.confidence - a.confidence),
    notes,
    layerPairs: layerPairs(drafts, matching),
    ...(epsilon === undefined ? {} : { epsilon }),
  }
}

/** Formats that state a kernel's size by its shape only (TFLite) get it as an attribute. */
function withKernelSizes(set: WeightSet): WeightSet {
  const shapes = new Map(set.tensors.map(({ name, shape }) => [name, shape]))
  const layers = set.layers.map((layer) => {
    const kernel = layer.weights.find(({ role }) => role === 'kernel')
    const shape = shapes.get(kernel?.tensor ?? '')
    const { layout } = kernel ?? {}
    if (layer.attributes.kernelSize !== undefined || !layout || layout.length !== shape?.length) return layer
    const kernelSize = [...layout].flatMap((letter, axis) => ('DHW'.includes(letter) ? [shape[axis]!] : []))
    return kernelSize.length === 0 ? layer : { ...layer, attributes: { ...layer.attributes, kernelSize } }
  })
  return { ...set, layers }
}

function pairedLayers({ partners, reference }: Matching): PairedLayers[] {
  return reference.groups.flatMap((group) => {
    const left = group.layer
    const right = partners.get(group)?.layer
    return left && right ? [{ reference: left, candidate: right }] : []
  })
}

/** Trained parameters on both sides, unless a checkpoint's averaged copy is what the other side holds. */
async function prepareBoth(reference: WeightSet, candidate: WeightSet): Promise<[PreparedSet, PreparedSet]> {
  let left = await prepare(reference, 'reference', false)
  let right = await prepare(candidate, 'candidate', false)
  const isAveraged = (set: WeightSet) => set.tensors.some(({ role }) => role === 'ema')
  if (isAveraged(reference) !== isAveraged(candidate)) {
    if (isAveraged(reference)) {
      const averaged = await prepare(reference, 'reference', true)
      if (sharedValues(averaged, right) > sharedValues(left, right)) left = averaged
    } else {
      const averaged = await prepare(candidate, 'candidate', true)
      if (sharedValues(left, averaged) > sharedValues(left, right)) right = averaged
    }
  }
  return [left, right]
}

function sharedValues(left: PreparedSet, right: PreparedSet): number {
  const prints = new Set(right.entries.map(({ print }) => print.multiset))
  return left.entries.filter(({ print }) => print.constant === undefined && prints.has(print.multiset)).length
}

function toPair(draft: Draft): WeightPair {
  const [transform = null, ...others] = draft.options
  const names = (entries: readonly Entry[]) => entries.map(({ name }) => name)
  const alternatives = others.map((other) => other?.label ?? 'unchanged').filter((label) => label !== transform?.label)
  const ambiguous = [...draft.ambiguous, ...alternatives]
  return {
    reference: draft.reference.name,
    candidate: draft.candidate.name,
    relation: draft.relation,
    transform,
    maxAbs: draft.maxAbs,
    maxRel: draft.maxRel,
    accepted: draft.accepted,
    pairedBy: draft.pairedBy,
    ...(draft.detail === undefined ? {} : { detail: draft.detail }),
    referenceTensors: names(draft.referenceEntries),
    candidateTensors: names(draft.candidateEntries),
    ...(draft.folding ? { folding: draft.folding } : {}),
    ...(draft.storage ? { storage: draft.storage } : {}),
    ...(draft.maxSteps === undefined ? {} : { maxSteps: draft.maxSteps }),
    ...(ambiguous.length > 0 ? { ambiguous } : {}),
  }
}

function unpairedOf(matching: Matching, side: Side): UnpairedTensor[] {
  const { entries, auxiliary } = matching[side]
  const left = entries
    .filter((entry) => !matching.taken.has(entry))
    .map((entry) => ({ tensor: entry.tensor, ...whyUnpaired(matching, entry) }))
  return [...left, ...auxiliary.map((each) => ({ ...each, matters: false }))].map(({ tensor, matters, reason }) => ({
    name: tensor.name,
    dtype: tensor.dtype,
    shape: tensor.shape,
    matters,
    reason,
  }))
}

/** What holds the values of a tensor that is accounted for (tied weights, variables listed twice) is its copy. */
function markCopies(matching: Matching, side: Side): void {
  const { taken, copies } = matching
  const { entries } = matching[side]
  const known = new Map<string, string>()
  for (const entry of entries)
    if (taken.has(entry) && entry.print.constant === undefined) known.set(entry.print.multiset, entry.name)
  for (const entry of entries) {
    const original = known.get(entry.print.multiset)
    if (!taken.has(entry) && original !== undefined && !copies.has(entry)) copies.set(entry, original)
  }
}

function whyUnpaired(matching: Matching, entry: Entry): { matters: boolean; reason: string } {
  const copy = matching.copies.get(entry)
  if (copy !== undefined) return { matters: false, reason: `holds the same values as "${copy}"` }
  const { constant } = entry.print
  const { role } = entry
  if (constant === 0 && (role === 'bias' || role === 'beta' || role === 'unknown'))
    return { matters: false, reason: 'all zeros: adds nothing' }
  if (constant === 1 && (role === 'gamma' || role === 'scale-factor'))
    return { matters: false, reason: 'all ones: scales nothing' }
  if (!entry.owned) return { matters: false, reason: 'constant of the graph that no weighted layer owns' }
  const other = entry.side === 'reference' ? 'candidate' : 'reference'
  return { matters: true, reason: `nothing in the ${other} corresponds to it` }
}

function layerPairs(drafts: readonly Draft[], { partners }: Matching): { reference: string; candidate: string }[] {
  const pairs = new Map<string, { reference: string; candidate: string }>()
  for (const { reference, candidate } of drafts) {
    const partner = partners.get(reference.group) ?? candidate.group
    const pair = { reference: reference.group.name, candidate: partner.name }
    pairs.set(`${pair.reference}\n${pair.candidate}`, pair)
  }
  return [...pairs.values()]
}

function conclude(
  pairs: readonly WeightPair[],
  unpaired: WeightComparison['unpaired'],
  causes: WeightComparison['causes'],
): Pick<WeightComparison, 'verdict' | 'reason'> {
  if (pairs.length === 0)
    return { verdict: 'not-compared', reason: 'no stored tensor of one model corresponds to one of the other' }
  const wrong = pairs.filter(({ accepted }) => !accepted)
  const missing = unpaired.reference.filter(({ matters }) => matters)
  const extra = unpaired.candidate.filter(({ matters }) => matters)
  const faults = causes.filter(({ decides }) => decides)
  const parts = [
    wrong.length > 0 ? `${wrong.length} of ${pairs.length} pairs differ, first "${wrong[0]!.reference}"` : '',
    missing.length > 0 ? `${missing.length} of the reference without a partner, first "${missing[0]!.name}"` : '',
    extra.length > 0 ? `${extra.length} of the candidate without a partner, first "${extra[0]!.name}"` : '',
    faults.length > 0 && wrong.length + missing.length + extra.length === 0 ? faults[0]!.detail : '',
  ].filter((part) => part !== '')
  if (parts.length > 0) return { verdict: 'mismatch', reason: parts.join('; ') }
  return {
    verdict: 'match',
    reason: `${pairs.length === 1 ? 'the one pair agrees' : `all ${pairs.length} pairs agree`} and nothing that matters is left over`,
  }
}
