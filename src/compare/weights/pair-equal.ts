import type { Entry } from './entry.ts'
import { judge } from './judge.ts'
import { affinity, assign, commit, type Draft, draftOf, freeEntries, hintsFor, type Matching } from './matching.ts'
import { findTransforms } from './search.ts'
import { sameShape } from './transform.ts'

/**
 * Pairs tensors that hold the same values in whatever order: they find each other by fingerprint, whatever they are
 * called. Constant tensors say nothing and wait. Where several hold the same values, layer, name and order decide.
 */
export async function pairEqual(matching: Matching): Promise<void> {
  const buckets = new Map<string, { reference: Entry[]; candidate: Entry[] }>()
  for (const side of ['reference', 'candidate'] as const) {
    for (const entry of freeEntries(matching, side)) {
      if (entry.print.constant !== undefined) continue
      let bucket = buckets.get(entry.print.multiset)
      if (bucket === undefined) {
        bucket = { reference: [], candidate: [] }
        buckets.set(entry.print.multiset, bucket)
      }
      bucket[side].push(entry)
    }
  }
  const shared = [...buckets.values()].filter(
    ({ reference, candidate }) => reference.length > 0 && candidate.length > 0,
  )
  const isSingle = ({ reference, candidate }: (typeof shared)[number]) =>
    reference.length === 1 && candidate.length === 1
  for (const { reference, candidate } of shared.filter(isSingle))
    await pairSameValues(matching, reference[0]!, candidate[0]!)
  for (const bucket of shared.filter((each) => !isSingle(each))) {
    const pairs = assign(bucket.reference, bucket.candidate, (r, c) => affinity(matching, r, c))
    for (const [reference, candidate] of pairs) {
      const draft = await pairSameValues(matching, reference, candidate)
      draft.ambiguous = bucket.candidate.filter((other) => other !== candidate).map(({ name }) => name)
    }
    for (const entry of [...bucket.reference, ...bucket.candidate]) {
      if (matching.taken.has(entry)) continue
      const [first] = entry.side === 'reference' ? bucket.reference : bucket.candidate
      matching.copies.set(entry, (first === entry ? bucket[entry.side][1] : first)!.name)
    }
  }
}

async function pairSameValues(matching: Matching, reference: Entry, candidate: Entry): Promise<Draft> {
  const left = { values: await matching.cache.load(reference.tensor), shape: reference.tensor.shape }
  const right = { values: await matching.cache.load(candidate.tensor), shape: candidate.tensor.shape }
  const options = findTransforms(left, right, hintsFor(matching, reference, candidate))
  if (options.length > 0) {
    const draft = draftOf(reference, candidate, EQUAL, options, 'values')
    return commit(matching, draft)
  }
  const judgement = sameShape(reference.dims, candidate.dims)
    ? judge(left.values, right.values, { reference, candidate, transform: null })
    : { ...EQUAL, maxAbs: Number.NaN, maxRel: Number.NaN }
  return commit(matching, {
    ...draftOf(reference, candidate, judgement, [null], 'values'),
    relation: 'different',
    accepted: false,
    detail: 'the same values in another order that no layout explains',
  })
}

const EQUAL = { relation: 'exact', maxAbs: 0, maxRel: 0, accepted: true } as const
