import {
  type BatchNorm,
  type BatchNormValues,
  batchNormEntries,
  channelScale,
  channelShift,
  loadBatchNorm,
} from './batch-norm.ts'
import type { Side } from './comparison.ts'
import type { Entry } from './entry.ts'
import { type SolvedEpsilon, scaleMisfit, snapEpsilon, solveEpsilon } from './epsilon.ts'
import { draftFolded } from './folded-draft.ts'
import { commit, freeEntries, type Matching } from './matching.ts'
import type { Values } from './transform.ts'
import { halfStepOf } from './values.ts'

/** A BatchNorm that the other side has as one multiplication and one addition. */
export interface AffineFound {
  readonly norm: BatchNorm
  readonly solved: SolvedEpsilon
  /** pairs the tensors, with the model's epsilon where it fits */
  commit(epsilon: number): void
}

/**
 * Finds BatchNorms that exporters wrote as `x * scale + shift`, scale = gamma / sqrt(variance + epsilon). A bias of
 * the convolution before may have gone into the shift. Scale and shift are known by their values.
 */
export async function pairAffine(
  matching: Matching,
  unfolded: Side,
  norms: readonly BatchNorm[],
): Promise<AffineFound[]> {
  const other = unfolded === 'reference' ? 'candidate' : 'reference'
  const vectors = freeEntries(matching, other).filter(({ dims }) => dims.length === 1)
  const used = new Set<Entry>()
  const found: AffineFound[] = []
  for (const norm of norms) {
    const values = await loadBatchNorm(norm, matching.cache)
    const fits: { scale: Entry; actual: Values; solved: SolvedEpsilon }[] = []
    for (const scale of vectors) {
      if (scale.count !== norm.size || used.has(scale) || scale.print.constant !== undefined) continue
      const actual = await matching.cache.load(scale.tensor)
      const solved = solveEpsilon(values, observed(scale, actual))
      if (solved && solved.misfit <= 1) fits.push({ scale, actual, solved })
    }
    const [best] = fits.sort((a, b) => a.solved.misfit - b.solved.misfit)
    if (!best) continue
    used.add(best.scale)
    const bias = biasBefore(matching, norm)
    const biasValues = bias ? await matching.cache.load(bias.tensor) : undefined
    const loaded: { entry: Entry; actual: Values }[] = []
    for (const entry of vectors)
      if (entry.count === norm.size) loaded.push({ entry, actual: await matching.cache.load(entry.tensor) })
    found.push({
      norm,
      solved: best.solved,
      commit: (epsilon) => {
        const fits = scaleMisfit(values, observed(best.scale, best.actual), epsilon) <= 1
        const own = fits ? epsilon : snapEpsilon(best.solved, [])
        const left = loaded.filter(({ entry }) => entry !== best.scale && !matching.taken.has(entry))
        commitAffine(matching, unfolded, { norm, values, ...best, bias, biasValues, epsilon: own, vectors: left })
      },
    })
  }
  return found
}

function observed(entry: Entry, actual: Values) {
  const step = halfStepOf(entry)
  return {
    scale: Float64Array.from(actual),
    uncertainty: Float64Array.from(actual, (value, k) => (step && value !== 0 ? step(k, value) / Math.abs(value) : 0)),
  }
}

/** The bias, still without a partner, of the layer before a BatchNorm. */
export function biasBefore(matching: Matching, { group, size }: BatchNorm): Entry | undefined {
  const { groups } = matching[group.side]
  const before = group.layer
    ? groups.find(({ layer }) => layer?.outputs.some((name) => group.layer!.inputs.includes(name)))
    : groups[groups.indexOf(group) - 1]
  return before?.entries.find((entry) => entry.role === 'bias' && entry.count === size && !matching.taken.has(entry))
}

interface Affine {
  readonly norm: BatchNorm
  readonly values: BatchNormValues
  readonly scale: Entry
  readonly actual: Values
  readonly solved: SolvedEpsilon
  readonly bias: Entry | undefined
  readonly biasValues: Values | undefined
  readonly epsilon: number
  readonly vectors: readonly { readonly entry: Entry; readonly actual: Values }[]
}

function commitAffine(matching: Matching, unfolded: Side, found: Affine): void {
  const { norm, values, scale, actual, epsilon, solved, bias, biasValues, vectors } = found
  const folding = (entries: readonly Entry[]) => ({
    unfolded,
    batchNorm: entries.map(({ name }) => name),
    epsilon,
    ...(solved.uncertainty < 0.5 * solved.epsilon
      ? { solved: { epsilon: solved.epsilon, uncertainty: solved.uncertainty } }
      : {}),
  })
  const scaling = [norm.gamma, norm.variance].filter((entry) => entry !== undefined)
  const principal = norm.gamma ?? norm.variance
  if (principal === undefined) return
  const expected = channelScale(values, epsilon)
  commit(
    matching,
    draftFolded(unfolded, {
      principal,
      folded: scale,
      inputs: scaling,
      expected,
      actual,
      transforms: [null],
      folding: folding(scaling),
    }),
    false,
  )
  const ideas = [
    { expected: channelShift(values, epsilon), inputs: batchNormEntries(norm) },
    ...(bias && biasValues
      ? [{ expected: channelShift(values, epsilon, biasValues), inputs: [bias, ...batchNormEntries(norm)] }]
      : []),
  ]
  const drafts = ideas.flatMap((idea) =>
    vectors.map(({ entry, actual }) =>
      draftFolded(unfolded, {
        principal: norm.beta ?? norm.mean ?? principal,
        folded: entry,
        inputs: idea.inputs,
        expected: idea.expected,
        actual,
        transforms: [null],
        folding: folding(batchNormEntries(norm)),
        terms: Math.max(...idea.expected.map(Math.abs), ...values.mean.map((mean, k) => Math.abs(mean * expected[k]!))),
      }),
    ),
  )
  const [best] = drafts.filter(({ accepted }) => accepted).sort((a, b) => a.maxRel - b.maxRel)
  if (best) commit(matching, best, false)
}
