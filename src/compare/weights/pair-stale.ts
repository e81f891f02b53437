import { type BatchNorm, batchNormEntries, channelScale, loadBatchNorm } from './batch-norm.ts'
import { scaleChannels } from './channel-scale.ts'
import type { Side } from './comparison.ts'
import type { Entry } from './entry.ts'
import { draftFolded } from './folded-draft.ts'
import { commit, freeEntries, hintsFor, type Matching } from './matching.ts'
import { commitBias } from './pair-bias.ts'
import { plausibleTransforms } from './search.ts'
import { applyTransform, sameShape, type Transform } from './transform.ts'

/** A kernel that was not loaded leaves its BatchNorm's bias: it still tells which layer it is. */
export async function pairBiasesAlone(
  matching: Matching,
  side: Side,
  norms: readonly BatchNorm[],
  epsilon: number | undefined,
): Promise<void> {
  for (const norm of norms) {
    // an untrained BatchNorm shifts by nothing: any zero bias would do
    if (batchNormEntries(norm).every(({ print }) => print.constant !== undefined)) continue
    const values = await loadBatchNorm(norm, matching.cache)
    const { groups } = matching[side]
    const before = groups[groups.indexOf(norm.group) - 1]
    const bias = before?.entries.find(
      (entry) => entry.role === 'bias' && entry.count === norm.size && !matching.taken.has(entry),
    )
    for (const each of new Set([epsilon, norm.statedEpsilon, 1e-5, 1e-3].filter((value) => value !== undefined))) {
      const entries = batchNormEntries(norm)
      const folding = { unfolded: side, batchNorm: entries.map(({ name }) => name), epsilon: each }
      if (await commitBias(matching, side, { norm, values, epsilon: each, bias, near: undefined, folding })) {
        const draft = matching.drafts.at(-1)!
        const folded = side === 'reference' ? draft.candidate : draft.reference
        await commitStaleKernel(matching, side, norm, folded, before, each)
        break
      }
    }
  }
}

/** The kernel between a BatchNorm and the folded bias that matches it, though its own values do not. */
async function commitStaleKernel(
  matching: Matching,
  side: Side,
  norm: BatchNorm,
  bias: Entry,
  before: Entry['group'] | undefined,
  epsilon: number,
): Promise<void> {
  const unfolded = before?.entries.find((entry) => entry.dims.length >= 2 && !matching.taken.has(entry))
  const folded =
    bias.group.entries.find((entry) => entry.dims.length >= 2 && !matching.taken.has(entry)) ??
    freeEntries(matching, bias.side).find(
      (entry) => unfolded && entry.dims.length >= 2 && sameShape(sortedDims(entry), sortedDims(unfolded)),
    )
  if (!unfolded || !folded || unfolded.count !== folded.count) return
  const hints = hintsFor(matching, unfolded, folded)
  const transform = preferred(matching, plausibleTransforms(unfolded.tensor.shape, folded.tensor.shape, hints))
  const moved = applyTransform(await matching.cache.load(unfolded.tensor), unfolded.tensor.shape, transform)
  const axis = folded.tensor.shape.indexOf(norm.size)
  const scale = channelScale(await loadBatchNorm(norm, matching.cache), epsilon)
  const actual = await matching.cache.load(folded.tensor)
  const draft = draftFolded(side, {
    principal: unfolded,
    folded,
    inputs: [unfolded],
    expected: axis < 0 ? moved : scaleChannels(moved, folded.tensor.shape, axis, scale),
    actual,
    transforms: [transform],
    folding: { unfolded: side, batchNorm: batchNormEntries(norm).map(({ name }) => name), epsilon },
  })
  commit(matching, { ...draft, pairedBy: 'structure' })
}

const sortedDims = ({ dims }: Entry) => [...dims].sort((a, b) => a - b)

/** The layout that most pairs so far have; the plainest where none is known. */
function preferred(matching: Matching, transforms: readonly (Transform | null)[]): Transform | null {
  const votes = (transform: Transform | null) =>
    matching.drafts.filter(({ options }) => options.some((option) => option?.label === transform?.label)).length
  return [...transforms].sort((a, b) => votes(b) - votes(a))[0] ?? null
}
