import { decodeFloat16 } from '../../tensor/decode.ts'
import { elementCount } from '../../tensor/dtype.ts'
import { encodeFloat16 } from '../../tensor/encode.ts'
import { distance } from '../distance.ts'
import type { CauseLabel } from '../vocabulary.ts'
import type { Divergence } from './divergence.ts'
import type { ValueCause } from './explain.ts'
import { layoutsBetween, reorder } from './layout.ts'
import type { ValuePair } from './pair-values.ts'
import type { Side } from './recording.ts'

type Numbers = Float32Array | Float64Array

/** A relation holds when what remains after it is below this, relative L2, on every input. */
const HOLDS = 1e-5

/**
 * Simple relations between the two values at the first difference: slices in another order, one factor, one offset
 * per channel, another softmax axis, values rounded to half precision. Each is fitted on the first input and must hold
 * on all of them.
 */
export function relationsBetween(
  reference: Side,
  candidate: Side,
  pairs: ReadonlyMap<string, ValuePair>,
  found: Divergence,
): ValueCause[] {
  const shape = found.referenceShape
  const other = found.candidateTensor
  if (other === undefined || found.candidateShape === undefined) return []
  if (elementCount(shape) !== elementCount(found.candidateShape) || elementCount(shape) < 2) return []
  const runs = reference.recording.runs.map((_, run) => run)
  for (const layout of layoutsBetween(shape, found.candidateShape)) {
    const expected = runs.map((run) => reference.numbers(found.referenceTensor, run))
    const actual = runs.map((run) => reorder(candidate.numbers(other, run), layout))
    // the same numbers in the same order: only the shape is another
    if (agrees(expected, actual)) continue
    const causes = [
      ...softmaxAxis(reference, found, actual),
      ...halfPrecision(expected, actual),
      ...oneFactor(expected, actual, found, reference, pairs),
      ...reordered(expected, actual, shape, found),
      ...constantAdded(expected, actual, shape, found, reference),
      ...perChannel(expected, actual, shape, found, reference),
    ]
    if (causes.length > 0) return causes
  }
  return rearranged(
    runs.map((run) => reference.numbers(found.referenceTensor, run)),
    runs.map((run) => candidate.numbers(other, run)),
    found,
    reference,
  )
}

/** A value that is only moved, and holds the same numbers as the candidate's in another order. */
function rearranged(
  expected: readonly Numbers[],
  actual: readonly Numbers[],
  { referenceNode, referenceShape, candidateShape }: Divergence,
  reference: Side,
): ValueCause[] {
  if (!/^(Reshape|Flatten|Transpose|DepthToSpace|SpaceToDepth|Gather|Slice)$/.test(referenceNode?.op ?? '')) return []
  const sorted = (values: Numbers) => Float64Array.from(values).sort()
  if (!agrees(expected.map(sorted), actual.map(sorted))) return []
  const detail = `the same numbers in another order: [${referenceShape.join(', ')}] in the reference, [${candidateShape?.join(', ')}] in the candidate`
  const told = (label: CauseLabel, confidence: number): ValueCause => ({ label, confidence, proved: false, detail })
  const users = reference.consumers.get(referenceNode?.outputs[0] ?? '') ?? []
  if (users.some(({ op }) => op === 'InstanceNormalization')) return [told('groups', 0.8)]
  const channels = Math.max(referenceShape.length, candidateShape?.length ?? 0) >= 4
  return channels
    ? [told('channel-order', 0.8), told('flatten-order', 0.5)]
    : [told('flatten-order', 0.8), told('channel-order', 0.5)]
}

/**
 * Both add a constant, and not the same one. A table with an entry for each token and feature, (1, N, D), is a position
 * embedding.
 */
function constantAdded(
  expected: readonly Numbers[],
  actual: readonly Numbers[],
  shape: readonly number[],
  { referenceNode }: Divergence,
  reference: Side,
): ValueCause[] {
  if (referenceNode?.op !== 'Add' || expected.length < 2 || shape.length !== 3) return []
  const source = referenceNode.inputs.find((input) => reference.shape(input)?.join() === shape.join())
  if (source === undefined || referenceNode.inputs.every((input) => reference.shape(input) !== undefined)) return []
  const terms = actual.map((values, run) => {
    const base = reference.numbers(source, run)
    return Float64Array.from(values, (value, at) => value - base[at]!)
  })
  if (!(distance(terms[0]!, terms[1]!).relL2 <= 1e-4)) return []
  const perToken = variesAlong(terms[0]!, shape, 1) && variesAlong(terms[0]!, shape, 2)
  const detail = `the candidate adds another constant to "${source}"`
  return perToken ? [cause('position-embedding', 0.9, detail)] : []
}

/** Whether slices along an axis differ by more than the rounding of a subtraction. */
function variesAlong(values: Float64Array, shape: readonly number[], axis: number): boolean {
  const inner = elementCount(shape.slice(axis + 1))
  const largest = values.reduce((top, value) => Math.max(top, Math.abs(value)), 0)
  return values.some((value, at) => {
    const first = at - (Math.floor(at / inner) % shape[axis]!) * inner
    return Math.abs(value - values[first]!) > 1e-3 * largest
  })
}

const agrees = (expected: readonly ArrayLike<number>[], actual: readonly Numbers[]) =>
  expected.every((values, run) => distance(values, actual[run]!).relL2 <= HOLDS)

function halfPrecision(expected: readonly Numbers[], actual: readonly Numbers[]): ValueCause[] {
  const rounded = expected.map((values) => Float64Array.from(values, (value) => decodeFloat16(encodeFloat16(value))))
  const exact = rounded.every((values, run) => distance(values, actual[run]!).relL2 <= 1e-7)
  return exact
    ? [
        {
          label: 'dtype-cast',
          confidence: 0.97,
          proved: true,
          detail: 'the values are those of the reference rounded to float16',
        },
      ]
    : []
}

function oneFactor(
  expected: readonly Numbers[],
  actual: readonly Numbers[],
  { referenceNode }: Divergence,
  reference: Side,
  pairs: ReadonlyMap<string, ValuePair>,
): ValueCause[] {
  const [first, other] = [expected[0]!, actual[0]!]
  let cross = 0
  let square = 0
  for (let i = 0; i < first.length; i++) {
    cross += first[i]! * other[i]!
    square += first[i]! * first[i]!
  }
  const factor = cross / square
  // a factor of one is no difference: the shapes differ, or nothing does
  if (!Number.isFinite(factor) || factor === 0 || Math.abs(factor - 1) < 1e-6) return []
  if (
    !agrees(
      expected.map((values) => Float64Array.from(values, (value) => value * factor)),
      actual,
    )
  )
    return []
  const detail = `every value is ${Number(factor.toPrecision(6))} times the reference's`
  const op = referenceNode?.op ?? ''
  const scoring = (reference.consumers.get(referenceNode?.outputs[0] ?? '') ?? []).some(
    (node) => node.op === 'Softmax' || node.op === 'Add',
  )
  if ((op === 'MatMul' || op === 'Mul' || op === 'Div') && scoring)
    return [cause('attention-scale', 0.8, detail), cause('constant-value', 0.6, detail)]
  if (touchesInput(referenceNode?.inputs ?? [], reference, pairs))
    return [cause('input-normalisation', 0.85, detail), cause('constant-value', 0.6, detail)]
  const keep = 1 / factor
  const dropout = keep < 1 && [0.9, 0.8, 0.75, 0.7, 0.6, 0.5].some((share) => Math.abs(share - keep) < 1e-4)
  if (dropout)
    return [
      cause('constant-value', 0.7, detail),
      cause('dropout-active', 0.7, `${detail}: what dropout of ${Number((1 - keep).toPrecision(3))} leaves`),
    ]
  return [cause('constant-value', 0.9, detail)]
}

const cause = (label: CauseLabel, confidence: number, detail: string): ValueCause => ({
  label,
  confidence,
  proved: true,
  detail,
})

const touchesInput = (inputs: readonly string[], reference: Side, pairs: ReadonlyMap<string, ValuePair>) =>
  inputs.some((input) => pairs.has(input) && reference.recording.graph.inputs.some(({ name }) => name === input))

/** Slices along one axis stand in another order. */
function reordered(
  expected: readonly Numbers[],
  actual: readonly Numbers[],
  shape: readonly number[],
  { referenceNode, candidateNode }: Divergence,
): ValueCause[] {
  for (let axis = 1; axis < shape.length; axis++) {
    const order = sliceOrder(expected, actual, shape, axis)
    if (order === undefined) continue
    const moved = expected.map((values) => takeSlices(values, shape, axis, order))
    if (!agrees(moved, actual)) continue
    const op = referenceNode?.op ?? ''
    const reversed = order.every((from, to) => from === order.length - 1 - to)
    const what = reversed
      ? 'in reverse'
      : `in another order (${order.slice(0, 6).join(', ')}${order.length > 6 ? ', ...' : ''})`
    const detail = `the same slices along axis ${axis}, ${what}`
    const concat = op === 'Concat' || candidateNode?.op === 'Concat' || op === 'Split'
    const label: CauseLabel = concat
      ? 'concat-order'
      : reversed && shape.length === 3 && axis === 1 && order.length > 3
        ? 'sequence-order'
        : /Conv|Gemm|MatMul/.test(op)
          ? 'weight-permuted'
          : /Flatten|Reshape/.test(op)
            ? 'flatten-order'
            : 'channel-order'
    return [cause(label, 0.97, detail)]
  }
  return []
}

/** For every slice of the candidate the slice of the reference that equals it; undefined unless one to one and moved. */
function sliceOrder(
  expected: readonly Numbers[],
  actual: readonly Numbers[],
  shape: readonly number[],
  axis: number,
): number[] | undefined {
  const count = shape[axis]!
  if (count < 2 || count > 65_536) return undefined
  // over all inputs: a channel that is silent on one of them is not on another
  const mine = expected.map((values) => sliceMoments(values, shape, axis))
  const theirs = actual.map((values) => sliceMoments(values, shape, axis))
  const scales = mine.map((moments) => Math.max(...moments.map(Math.abs), 1e-30))
  const gap = (from: number, to: number) =>
    Math.max(...mine.map((moments, run) => Math.abs(moments[from]! - theirs[run]![to]!) / scales[run]!))
  const free = new Set(Array.from({ length: count }, (_, index) => index))
  const order: number[] = []
  for (let to = 0; to < count; to++) {
    let best = -1
    // slices that look alike stay where they are
    if (free.has(to) && gap(to, to) <= 1e-6) best = to
    else for (const index of free) if (best < 0 || gap(index, to) < gap(best, to)) best = index
    if (best < 0 || gap(best, to) > 1e-4) return undefined
    free.delete(best)
    order.push(best)
  }
  return order.some((from, to) => from !== to) ? order : undefined
}

/** A weighted sum per slice: different for different content with near certainty, the same wherever the slice stands. */
function sliceMoments(values: Numbers, shape: readonly number[], axis: number): number[] {
  const inner = elementCount(shape.slice(axis + 1))
  const count = shape[axis]!
  const sums = new Array<number>(count).fill(0)
  for (let i = 0; i < values.length; i++) {
    const place = i % inner
    const outer = Math.floor(i / (inner * count))
    sums[Math.floor(i / inner) % count]! += values[i]! * (1 + ((place * 7 + outer * 13) % 11) / 11)
  }
  return sums
}

function takeSlices(values: Numbers, shape: readonly number[], axis: number, order: readonly number[]): Float64Array {
  const inner = elementCount(shape.slice(axis + 1))
  const count = shape[axis]!
  const out = new Float64Array(values.length)
  for (let i = 0; i < out.length; i++) {
    const slice = Math.floor(i / inner) % count
    out[i] = values[i + (order[slice]! - slice) * inner]!
  }
  return out
}

/** The difference is one number per channel, or one factor and one offset per channel. */
function perChannel(
  expected: readonly Numbers[],
  actual: readonly Numbers[],
  shape: readonly number[],
  { referenceNode }: Divergence,
  reference: Side,
): ValueCause[] {
  if (shape.length < 2) return []
  const axis = shape.length >= 3 ? 1 : shape.length - 1
  const channels = shape[axis]!
  const inner = elementCount(shape.slice(axis + 1))
  const fits = Array.from({ length: channels }, () => ({ n: 0, x: 0, y: 0, xx: 0, xy: 0 }))
  const [first, other] = [expected[0]!, actual[0]!]
  for (let i = 0; i < first.length; i++) {
    const fit = fits[Math.floor(i / inner) % channels]!
    fit.n++
    fit.x += first[i]!
    fit.y += other[i]!
    fit.xx += first[i]! * first[i]!
    fit.xy += first[i]! * other[i]!
  }
  const op = referenceNode?.op ?? ''
  const atInput =
    (referenceNode?.inputs ?? []).some((input) =>
      reference.recording.graph.inputs.some(({ name }) => name === input),
    ) && !/Conv|Gemm|MatMul|BatchNormalization/.test(op)
  if (fits[0]!.n < 4 && expected.length < 2) return []
  const offsets = fits.map(({ n, x, y }) => (y - x) / n)
  if (
    agrees(
      expected.map((values) =>
        Float64Array.from(values, (value, i) => value + offsets[Math.floor(i / inner) % channels]!),
      ),
      actual,
    )
  ) {
    const detail = 'the difference is one constant per channel'
    if (atInput) return [cause('input-normalisation', 0.85, detail)]
    return op === 'BatchNormalization'
      ? [cause('bn-affine', 0.7, detail), cause('bn-statistics', 0.6, detail)]
      : [cause('bias-missing', 0.7, detail), cause('constant-value', 0.5, detail)]
  }
  const lines = fits.map(({ n, x, y, xx, xy }) => {
    const spread = xx - (x * x) / n
    const slope = spread > 0 ? (xy - (x * y) / n) / spread : 1
    return { slope, offset: (y - slope * x) / n }
  })
  const fitted = expected.map((values) =>
    Float64Array.from(values, (value, i) => {
      const { slope, offset } = lines[Math.floor(i / inner) % channels]!
      return slope * value + offset
    }),
  )
  if (fits[0]!.n < 4 || !agrees(fitted, actual)) return []
  const detail = 'the difference is one factor and one offset per channel'
  if (atInput) return [cause('input-normalisation', 0.85, detail)]
  if (op !== 'BatchNormalization') return []
  return [
    { label: 'bn-epsilon', confidence: 0.5, proved: false, detail },
    { label: 'bn-statistics', confidence: 0.45, proved: false, detail },
    { label: 'bn-affine', confidence: 0.4, proved: false, detail },
  ]
}

function softmaxAxis(
  reference: Side,
  { referenceNode, referenceShape }: Divergence,
  actual: readonly Numbers[],
): ValueCause[] {
  const source = referenceNode?.op === 'Softmax' ? referenceNode.inputs[0] : undefined
  if (source === undefined) return []
  for (let axis = 0; axis < referenceShape.length; axis++) {
    const tried = actual.map((_, run) => softmax(reference.numbers(source, run), referenceShape, axis))
    if (agrees(tried, actual))
      return [
        cause('softmax-axis', 0.98, `softmax over axis ${axis} of the reference's input gives the candidate's values`),
      ]
  }
  return []
}

function softmax(values: Numbers, shape: readonly number[], axis: number): Float64Array {
  const inner = elementCount(shape.slice(axis + 1))
  const count = shape[axis]!
  const out = new Float64Array(values.length)
  for (let block = 0; block < values.length; block += inner * count) {
    for (let place = 0; place < inner; place++) {
      let top = Number.NEGATIVE_INFINITY
      for (let k = 0; k < count; k++) top = Math.max(top, values[block + k * inner + place]!)
      let sum = 0
      for (let k = 0; k < count; k++) sum += Math.exp(values[block + k * inner + place]! - top)
      for (let k = 0; k < count; k++)
        out[block + k * inner + place] = Math.exp(values[block + k * inner + place]! - top) / sum
    }
  }
  return out
}
