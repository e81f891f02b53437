import type { BatchNorm, BatchNormValues } from './batch-norm.ts'
import type { ScaleFit } from './channel-scale.ts'
import type { Side } from './comparison.ts'
import type { Entry } from './entry.ts'
import { type SolvedEpsilon, solveEpsilon } from './epsilon.ts'
import { freeEntries, type Matching } from './matching.ts'
import type { Values } from './transform.ts'
import { halfStepOf } from './values.ts'

/** A BatchNorm recognised by its values alone. */
export interface LooseNorm {
  readonly norm: BatchNorm
  readonly values: BatchNormValues
  /** undefined for a scale and shift, which hold no epsilon */
  readonly solved?: SolvedEpsilon
  /** of the convolution before it, where that went into the folded bias */
  readonly bias?: Entry
}

interface Vector {
  readonly entry: Entry
  readonly values: Values
}

/** More vectors of one size than this, and only those nearest to the kernel in the file are tried. */
const MAX_VECTORS = 24

/** No network has a larger epsilon. */
const LARGEST_EPSILON = 0.1

/**
 * Explains a kernel's channel scales by vectors of which neither names nor graph say what they are: a TensorFlow graph
 * has BatchNorm in pieces (Rsqrt, Mul, Sub), an object-based checkpoint numbers its variables, an exporter leaves a
 * multiplication and an addition.
 *
 * @param fit scales that lead from `unfolded` to `folded`
 */
export async function findLooseNorm(
  matching: Matching,
  side: Side,
  fit: ScaleFit,
  [unfolded, folded]: readonly [Entry, Entry],
  used: ReadonlySet<unknown>,
): Promise<LooseNorm | undefined> {
  const size = fit.scale.length
  const load = async (entries: readonly Entry[]): Promise<Vector[]> => {
    const found: Vector[] = []
    for (const entry of entries) found.push({ entry, values: await matching.cache.load(entry.tensor) })
    return found
  }
  const isVector = (entry: Entry) => entry.dims.length === 1 && entry.count === size && !used.has(entry)
  const near = (to: Entry) => (a: Entry, b: Entry) => Math.abs(a.index - to.index) - Math.abs(b.index - to.index)
  const own = freeEntries(matching, side).filter(isVector).sort(near(unfolded)).slice(0, MAX_VECTORS)
  const vectors = await load(own)
  const others = await load(
    freeEntries(matching, folded.side).filter(isVector).sort(near(folded)).slice(0, MAX_VECTORS),
  )
  const mates = others.filter(({ entry }) => entry.group === folded.group)
  const biases = folded.group.entries.filter((entry) => entry.dims.length <= 1 && entry.count === size)
  // a shift that equals the folded bias found its partner before
  if (biases.length > 0 && biases.every((entry) => matching.taken.has(entry))) return findScale(fit, unfolded, vectors)
  return (
    findScaleAndShift(fit, unfolded, vectors, mates.length > 0 ? mates : others) ??
    findFour(fit, unfolded, vectors, mates.length > 0 ? mates : others)
  )
}

function findScale(fit: ScaleFit, { group }: Entry, vectors: readonly Vector[]): LooseNorm | undefined {
  const size = fit.scale.length
  const gamma = vectors.find(({ values }) => isScale(values, fit))
  if (gamma === undefined) return undefined
  const zeros = new Float32Array(size)
  const values = { gamma: gamma.values, beta: zeros, mean: zeros, variance: new Float32Array(size).fill(1) }
  return { norm: { group, size, gamma: gamma.entry }, values }
}

function findScaleAndShift(
  fit: ScaleFit,
  unfolded: Entry,
  vectors: readonly Vector[],
  biases: readonly Vector[],
): LooseNorm | undefined {
  const { group } = unfolded
  const size = fit.scale.length
  for (const gamma of vectors) {
    if (!isScale(gamma.values, fit)) continue
    const plain = { mean: new Float32Array(size), variance: new Float32Array(size).fill(1) }
    for (const beta of vectors) {
      if (beta === gamma) continue
      for (const bias of biasesOf(unfolded, vectors, [gamma, beta])) {
        const values = { gamma: gamma.values, beta: beta.values, ...plain }
        if (!biases.some((folded) => isShift(folded, values, fit.scale, bias?.values))) continue
        const norm = { group, size, gamma: gamma.entry, beta: beta.entry }
        return { norm, values, ...(bias ? { bias: bias.entry } : {}) }
      }
    }
  }
  return undefined
}

function isScale(values: Values, { scale, uncertainty }: ScaleFit): boolean {
  return scale.every(
    (value, k) =>
      !Number.isFinite(value) || Math.abs(values[k]! - value) <= 6 * (uncertainty[k]! + 3e-7) * Math.abs(value),
  )
}

function findFour(
  fit: ScaleFit,
  unfolded: Entry,
  vectors: readonly Vector[],
  biases: readonly Vector[],
): LooseNorm | undefined {
  const { group } = unfolded
  const size = fit.scale.length
  const none = new Float32Array(size)
  for (const variance of vectors) {
    if (variance.values.some((value) => value < 0)) continue
    for (const gamma of vectors) {
      if (gamma === variance) continue
      const half = { gamma: gamma.values, variance: variance.values, mean: none, beta: none }
      const solved = solveEpsilon(half, fit)
      if (solved === undefined || solved.misfit > 1 || solved.epsilon > LARGEST_EPSILON) continue
      for (const mean of vectors) {
        for (const beta of vectors) {
          if (mean === beta || [variance, gamma].some((taken) => taken === mean || taken === beta)) continue
          for (const bias of biasesOf(unfolded, vectors, [variance, gamma, mean, beta])) {
            const values = { ...half, mean: mean.values, beta: beta.values }
            if (!biases.some((folded) => isShift(folded, values, fit.scale, bias?.values))) continue
            const entries = { gamma: gamma.entry, beta: beta.entry, mean: mean.entry, variance: variance.entry }
            return { norm: { group, size, ...entries }, values, solved, ...(bias ? { bias: bias.entry } : {}) }
          }
        }
      }
    }
  }
  return undefined
}

/** The convolution's own bias: that of its layer, or none, or a vector stored right beside the kernel. */
function biasesOf(unfolded: Entry, vectors: readonly Vector[], taken: readonly Vector[]): (Vector | undefined)[] {
  const free = vectors.filter((vector) => !taken.includes(vector))
  const own = free.find(({ entry }) => entry.group === unfolded.group && entry.role === 'bias')
  if (own) return [own]
  return [undefined, ...free.filter(({ entry }) => Math.abs(entry.index - unfolded.index) <= 3)]
}

function isShift(
  folded: Vector,
  { beta, mean }: BatchNormValues,
  scale: Float64Array,
  bias: Values | undefined,
): boolean {
  const step = halfStepOf(folded.entry)
  let largest = 0
  for (const [k, factor] of scale.entries())
    largest = Math.max(largest, Math.abs(beta[k]!), Math.abs(mean[k]! * factor), Math.abs(folded.values[k]!))
  for (const [k, factor] of scale.entries()) {
    if (!Number.isFinite(factor)) continue
    const expected = ((bias?.[k] ?? 0) - mean[k]!) * factor + beta[k]!
    const allowed = 1e-5 * largest + 1.01 * (step?.(k, folded.values[k]!) ?? 0)
    if (!(Math.abs(folded.values[k]! - expected) <= allowed)) return false
  }
  return true
}
