import type { Entry } from './entry.ts'
import { type Judgement, judge } from './judge.ts'
import { affinity, assign, commit, type Draft, draftOf, freeEntries, hintsFor, type Matching } from './matching.ts'
import { plausibleTransforms } from './search.ts'
import { applyTransform, sameShape, type Transform, type Values } from './transform.ts'

/**
 * Pairs what values could not: constants (all zeros, all ones) and tensors whose values differ. Partners are, in this
 * order: the same role in layers that correspond; the same name; the same role, size and rank in order.
 */
export async function pairByStructure(matching: Matching): Promise<void> {
  await pairWithinLayers(matching)
  await pairByName(matching)
  await pairConstants(matching)
  await pairWithinLayers(matching)
  await pairInOrder(matching, (entry) => entry.dims.length >= 2)
  await pairWithinLayers(matching)
  await pairInOrder(matching, (entry) => entry.dims.length < 2 && entry.owned && entry.count > 1)
}

/**
 * Pairs equal constants that belong together beyond doubt, before folding looks for what is left: those of the same
 * name, the same role in layers that correspond, and statistics of a BatchNorm that was never trained.
 */
export async function pairCertainConstants(matching: Matching): Promise<void> {
  const isConstant = ({ print }: Entry) => print.constant !== undefined
  await pairByName(matching, isConstant)
  await pairWithinLayers(matching, isConstant)
  await pairConstants(matching, ({ role }) => role === 'mean' || role === 'variance')
  await pairWithinLayers(matching, isConstant)
}

const isEqualConstant = (reference: Entry, candidate: Entry) => reference.print.multiset === candidate.print.multiset

async function pairWithinLayers(matching: Matching, wanted?: (entry: Entry) => boolean): Promise<void> {
  for (const reference of freeEntries(matching, 'reference')) {
    const group = matching.partners.get(reference.group)
    if (group === undefined || reference.role === 'unknown' || wanted?.(reference) === false) continue
    const [candidate, second] = group.entries.filter(
      (entry) => entry.role === reference.role && isAlike(reference, entry) && !matching.taken.has(entry),
    )
    if (!candidate || second || (wanted && !isEqualConstant(reference, candidate))) continue
    await pairAnyhow(matching, reference, candidate, 'structure')
  }
}

async function pairByName(matching: Matching, wanted?: (entry: Entry) => boolean): Promise<void> {
  const named = new Map(freeEntries(matching, 'candidate').map((entry) => [entry.name, entry]))
  for (const reference of freeEntries(matching, 'reference')) {
    const candidate = named.get(reference.name)
    if (!candidate || !isAlike(reference, candidate)) continue
    if (wanted && !(wanted(reference) && isEqualConstant(reference, candidate))) continue
    await pairAnyhow(matching, reference, candidate, 'name')
  }
}

/** All zeros, all ones, single values: equal ones are interchangeable, so a free choice among them is stated. */
async function pairConstants(matching: Matching, wanted: (entry: Entry) => boolean = () => true): Promise<void> {
  const left = freeEntries(matching, 'reference').filter((entry) => entry.print.constant !== undefined && wanted(entry))
  const right = freeEntries(matching, 'candidate').filter(
    (entry) => entry.print.constant !== undefined && wanted(entry),
  )
  const fits = (reference: Entry, candidate: Entry) =>
    candidate.print.multiset === reference.print.multiset &&
    isAlike(reference, candidate) &&
    (reference.role === candidate.role || reference.role === 'unknown' || candidate.role === 'unknown')
  const pairs = assign(left, right, (r, c) => (fits(r, c) ? affinity(matching, r, c) : Number.NEGATIVE_INFINITY))
  for (const [reference, candidate] of pairs) {
    if (!fits(reference, candidate)) continue
    const draft = await pairAnyhow(matching, reference, candidate, 'order')
    draft.ambiguous = right.filter((other) => other !== candidate && fits(reference, other)).map(({ name }) => name)
  }
}

/** Tensors of one kind and size, in order, where both sides have equally many; else by the likeliest names. */
async function pairInOrder(matching: Matching, wanted: (entry: Entry) => boolean): Promise<void> {
  const kinds = new Map<string, { reference: Entry[]; candidate: Entry[] }>()
  for (const side of ['reference', 'candidate'] as const) {
    for (const entry of freeEntries(matching, side).filter(wanted)) {
      const key = `${entry.dims.length > 1 ? 'kernel' : entry.role}:${[...entry.dims].sort((a, b) => a - b).join()}`
      let kind = kinds.get(key)
      if (kind === undefined) {
        kind = { reference: [], candidate: [] }
        kinds.set(key, kind)
      }
      kind[side].push(entry)
    }
  }
  const inOrder = (entries: Entry[]) => entries.sort((a, b) => a.group.order - b.group.order || a.index - b.index)
  for (const { reference, candidate } of kinds.values()) {
    const pairs =
      reference.length === candidate.length
        ? inOrder(reference).map((entry, at): [Entry, Entry] => [entry, inOrder(candidate)[at]!])
        : assign(reference, candidate, (r, c) => affinity(matching, r, c))
    for (const [r, c] of pairs) await pairAnyhow(matching, r, c, 'order')
  }
}

const isAlike = (a: Entry, b: Entry) =>
  a.count === b.count &&
  sameShape(
    [...a.dims].sort((x, y) => x - y),
    [...b.dims].sort((x, y) => x - y),
  )

async function pairAnyhow(
  matching: Matching,
  reference: Entry,
  candidate: Entry,
  pairedBy: Draft['pairedBy'],
): Promise<Draft> {
  const left = await matching.cache.load(reference.tensor)
  const right = await matching.cache.load(candidate.tensor)
  const hints = hintsFor(matching, reference, candidate)
  const shapes = [reference.tensor.shape, candidate.tensor.shape] as const
  let best: { judgement: Judgement; transform: Transform | null } | undefined
  for (const transform of plausibleTransforms(...shapes, hints).slice(0, 12)) {
    const expected = applyTransform(left, shapes[0], transform)
    const judgement = judge(expected, right, { reference, candidate, transform })
    if (best === undefined || judgement.maxRel < 0.5 * best.judgement.maxRel) best = { judgement, transform }
  }
  const { judgement, transform } = best ?? { judgement: UNKNOWN, transform: null }
  const levels = judgement.accepted ? undefined : fewLevels(right, candidate)
  return commit(matching, { ...draftOf(reference, candidate, judgement, [transform], pairedBy), levels })
}

/** Number of distinct values of a kernel that was rounded to at most 256 levels; undefined otherwise. */
function fewLevels(values: Values, { dims, count }: Entry): number | undefined {
  if (dims.length < 2 || count < 512) return undefined
  const seen = new Set<number>()
  for (const value of values) {
    seen.add(value)
    if (seen.size > 256) return undefined
  }
  return seen.size
}

const UNKNOWN: Judgement = { relation: 'different', maxAbs: Number.NaN, maxRel: Number.NaN, accepted: false }
