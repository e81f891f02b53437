import {
  type BatchNorm,
  type BatchNormValues,
  batchNormEntries,
  channelScale,
  findBatchNorms,
  loadBatchNorm,
} from './batch-norm.ts'
import { fitChannelScale, type ScaleFit, scaleChannels } from './channel-scale.ts'
import type { Folding, Side } from './comparison.ts'
import type { Entry } from './entry.ts'
import { combineEpsilons, type SolvedEpsilon, scaleMisfit, snapEpsilon, solveEpsilon } from './epsilon.ts'
import { type AxisSignature, axisSignatures, signatureDistance } from './fingerprint.ts'
import { draftFolded } from './folded-draft.ts'
import { reversedTransforms } from './layouts.ts'
import { findLooseNorm } from './loose-norms.ts'
import { affinity, commit, freeEntries, hintsFor, type Matching } from './matching.ts'
import { pairAffine } from './pair-affine.ts'
import { commitBias } from './pair-bias.ts'
import { pairBiasesAlone } from './pair-stale.ts'
import { findTransforms, plausibleTransforms } from './search.ts'
import { applyTransform, type Transform, type Values } from './transform.ts'
import { halfStepOf } from './values.ts'

/** A kernel of the folded side that is a scaled kernel of the other side, and the BatchNorm that explains the scale. */
interface FoldedKernel {
  readonly unfolded: Entry
  readonly folded: Entry
  /** from the unfolded kernel to the folded one */
  readonly transforms: readonly (Transform | null)[]
  readonly axis: number
  readonly norm: BatchNorm
  readonly values: BatchNormValues
  /** undefined for a scale and shift, which hold no epsilon */
  readonly solved?: SolvedEpsilon
  /** the convolution's own bias, where it was found apart from its kernel */
  readonly bias?: Entry
  readonly fit: ScaleFit
}

/** What folding showed of one side. */
export interface FoldingFound {
  readonly unfolded: Side
  readonly epsilon: number
}

/**
 * Pairs kernels and biases of the side that has BatchNorm multiplied in with those of the side that keeps it apart.
 *
 * Multiplying each output channel by its own factor leaves the shape of the channel's values: that finds the kernel.
 * Its factors must be gamma / sqrt(variance + epsilon) of one BatchNorm: that finds the BatchNorm and epsilon. The
 * bias must then be what these give.
 */
export async function pairFolded(matching: Matching, unfolded: Side): Promise<FoldingFound | undefined> {
  const isFree = (norm: BatchNorm) => batchNormEntries(norm).every((entry) => !matching.taken.has(entry))
  const norms = findBatchNorms(matching[unfolded]).filter(isFree)
  const kernels = await findFoldedKernels(matching, unfolded, norms)
  const stated = norms.flatMap(({ statedEpsilon }) => statedEpsilon ?? [])
  const affine = await pairAffine(
    matching,
    unfolded,
    norms.filter((norm) => !kernels.some((kernel) => sharesTensor(kernel.norm, norm))),
  )
  const combined = combineEpsilons([...kernels, ...affine].flatMap(({ solved }) => solved ?? []))
  const epsilon = combined === undefined ? undefined : snapEpsilon(combined, stated)
  for (const kernel of kernels) await commitKernel(matching, unfolded, kernel, epsilon ?? 0)
  for (const each of affine) each.commit(epsilon!)
  await pairBiasesAlone(matching, unfolded, norms.filter(isFree), epsilon ?? stated[0])
  return epsilon === undefined ? undefined : { unfolded, epsilon }
}

const sharesTensor = (a: BatchNorm, b: BatchNorm) =>
  batchNormEntries(a).some((entry) => batchNormEntries(b).includes(entry))

async function findFoldedKernels(matching: Matching, side: Side, norms: readonly BatchNorm[]): Promise<FoldedKernel[]> {
  const other = side === 'reference' ? 'candidate' : 'reference'
  const isKernel = (entry: Entry) => entry.dims.length >= 2 && entry.print.constant === undefined
  const vectors = freeEntries(matching, side).filter(({ dims }) => dims.length === 1)
  const sizes = new Set([...norms.map(({ size }) => size), ...vectors.map(({ count }) => count)])
  if (sizes.size === 0) return []
  const left = await withSignatures(matching, freeEntries(matching, side).filter(isKernel), sizes)
  const right = await withSignatures(matching, freeEntries(matching, other).filter(isKernel), sizes)
  const ideas: { unfolded: Entry; folded: Entry; cost: number }[] = []
  for (const unfolded of left) {
    for (const folded of right) {
      if (unfolded.entry.count !== folded.entry.count) continue
      const distance = nearestAxes(unfolded.signatures, folded.signatures)
      const coarse = halfStepOf(unfolded.entry) ?? halfStepOf(folded.entry)
      if (distance > (coarse ? 0.25 : 0.02)) continue
      const [reference, candidate] =
        side === 'reference' ? [unfolded.entry, folded.entry] : [folded.entry, unfolded.entry]
      ideas.push({
        unfolded: unfolded.entry,
        folded: folded.entry,
        cost: distance - 1e-3 * affinity(matching, reference, candidate),
      })
    }
  }
  ideas.sort((a, b) => a.cost - b.cost)
  const found: FoldedKernel[] = []
  const used = new Set<unknown>()
  const loaded = new Map<BatchNorm, BatchNormValues>()
  for (const norm of norms) loaded.set(norm, await loadBatchNorm(norm, matching.cache))
  for (const { unfolded, folded } of ideas) {
    if (used.has(unfolded) || used.has(folded)) continue
    const left = norms.filter((norm) => !batchNormEntries(norm).some((entry) => used.has(entry)))
    const kernel = await explain(matching, side, [unfolded, folded], { norms: left, loaded, sizes, used })
    if (kernel === undefined) continue
    for (const entry of [unfolded, folded, kernel.bias, ...batchNormEntries(kernel.norm)]) used.add(entry)
    found.push(kernel)
  }
  return found
}

async function withSignatures(matching: Matching, entries: readonly Entry[], sizes: ReadonlySet<number>) {
  const found: { entry: Entry; signatures: AxisSignature[] }[] = []
  for (const entry of entries)
    found.push({
      entry,
      signatures: axisSignatures(await matching.cache.load(entry.tensor), entry.tensor.shape, sizes),
    })
  return found
}

function nearestAxes(left: readonly AxisSignature[], right: readonly AxisSignature[]): number {
  let nearest = Number.POSITIVE_INFINITY
  for (const a of left) for (const b of right) nearest = Math.min(nearest, signatureDistance(a, b))
  return nearest
}

interface Explanations {
  readonly norms: readonly BatchNorm[]
  readonly loaded: ReadonlyMap<BatchNorm, BatchNormValues>
  /** output channels that a BatchNorm or its pieces could have */
  readonly sizes: ReadonlySet<number>
  readonly used: ReadonlySet<unknown>
}

async function explain(
  matching: Matching,
  side: Side,
  [unfolded, folded]: readonly [Entry, Entry],
  { norms, loaded, sizes, used }: Explanations,
): Promise<FoldedKernel | undefined> {
  const from = unfolded.tensor.shape
  const to = folded.tensor.shape
  const kernel = await matching.cache.load(unfolded.tensor)
  const other = await matching.cache.load(folded.tensor)
  const steps = { other: halfStepOf(folded) }
  const hints = hintsFor(matching, unfolded, folded)
  const plain = plausibleTransforms(from, to, hints)
  for (const tier of [() => plain, () => reversedTransforms(from, to, plain, hints)]) {
    const fits: { transform: Transform | null; fit: ScaleFit }[] = []
    for (const transform of tier()) {
      const moved = applyTransform(kernel, from, transform)
      for (const [axis, size] of to.entries()) {
        if (size < 2 || size === folded.count || !sizes.has(size)) continue
        const fit = fitChannelScale(moved, other, to, axis, steps)
        if (fit.misfit <= 1) fits.push({ transform, fit })
      }
    }
    if (fits.length === 0) continue
    const { fit } = fits[0]!
    const choices = norms
      .filter((norm) => norm.size === fit.scale.length)
      .flatMap((norm) => {
        const values = loaded.get(norm)!
        const solved = solveEpsilon(values, fit)
        return solved && solved.misfit <= 1 ? [{ norm, values, solved, near: distanceInGraph(unfolded, norm) }] : []
      })
      .sort((a, b) => a.near - b.near || a.solved.misfit - b.solved.misfit)
    const best = choices[0] ?? (await findLooseNorm(matching, side, fit, [unfolded, folded], used))
    if (best === undefined) continue
    const transforms = fits.filter((each) => each.fit.axis === fit.axis).map(({ transform }) => transform)
    return { unfolded, folded, transforms, axis: fit.axis, ...best, fit }
  }
  return undefined
}

/** 0 where the graph leads from the kernel's layer straight to the BatchNorm; else how far apart they are listed. */
function distanceInGraph(kernel: Entry, norm: BatchNorm): number {
  const [layer, next] = [kernel.group.layer, norm.group.layer]
  if (layer && next && layer.outputs.some((name) => next.inputs.includes(name))) return 0
  return norm.group === kernel.group ? 0 : 1
}

async function commitKernel(matching: Matching, side: Side, kernel: FoldedKernel, epsilon: number): Promise<void> {
  const { unfolded, folded, transforms, norm, values, solved, axis } = kernel
  const fits = solved !== undefined && scaleMisfit(values, kernel.fit, epsilon) <= 1
  const own = solved === undefined ? 0 : fits ? epsilon : snapEpsilon(solved, [])
  const scale = channelScale(values, own)
  const folding = (entries: readonly Entry[]): Folding => ({
    unfolded: side,
    batchNorm: entries.map(({ name }) => name),
    ...(solved === undefined ? {} : { epsilon: own }),
    ...(solved && solved.uncertainty < 0.5 * solved.epsilon
      ? { solved: { epsilon: solved.epsilon, uncertainty: solved.uncertainty } }
      : {}),
  })
  const [transform = null] = transforms
  const moved = applyTransform(await matching.cache.load(unfolded.tensor), unfolded.tensor.shape, transform)
  const expected = scaleChannels(moved, folded.tensor.shape, axis, scale)
  const actual = await matching.cache.load(folded.tensor)
  const scaling = [norm.gamma, norm.variance].filter((entry) => entry !== undefined)
  const draft = draftFolded(side, {
    principal: unfolded,
    folded,
    inputs: [unfolded, ...scaling],
    expected,
    actual,
    transforms: side === 'reference' ? transforms : await inverse(matching, moved, unfolded, folded),
    folding: folding(scaling),
  })
  commit(matching, draft)
  const bias =
    kernel.bias ??
    unfolded.group.entries.find(
      (entry) => entry.role === 'bias' && entry.count === norm.size && !matching.taken.has(entry),
    )
  await commitBias(matching, side, {
    norm,
    values,
    epsilon: own,
    bias,
    near: folded,
    folding: folding(batchNormEntries(norm)),
  })
}

/** Layouts from the folded kernel to the unfolded one, for when the reference is the folded side. */
async function inverse(
  matching: Matching,
  moved: Values,
  unfolded: Entry,
  folded: Entry,
): Promise<readonly (Transform | null)[]> {
  const source = { values: moved, shape: folded.tensor.shape }
  const target = { values: await matching.cache.load(unfolded.tensor), shape: unfolded.tensor.shape }
  return findTransforms(source, target, hintsFor(matching, folded, unfolded))
}
