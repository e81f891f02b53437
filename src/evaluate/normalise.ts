import { elementCount } from '../tensor/dtype.ts'
import { type Call, findInts, hasOutput, input, int, type OperatorTable, real } from './call.ts'
import { alike, around, axesOf, axisOf, broadcastTo, demand, floats, type Numbers } from './numbers.ts'

/** gamma (x - mean) / sqrt(variance + epsilon) + beta with stored statistics. */
function batchNormalization(call: Call) {
  const x = input(call, 0)
  demand(int(call, 'training_mode', 0) === 0, 'training mode')
  demand(call.opset >= 7 || int(call, 'is_test', 0) !== 0, 'training mode')
  demand(![1, 2, 3, 4].some((index) => hasOutput(call, index)), 'training mode')
  const epsilon = real(call, 'epsilon', 1e-5)
  const [scale, bias, mean, variance] = [1, 2, 3, 4].map((index) => input(call, index).values)
  // before version 9, `spatial` 0 meant statistics per position
  const perPosition = call.opset < 9 && int(call, 'spatial', 1) === 0
  demand(x.shape.length > 1, 'BatchNormalization of rank below 2')
  const [batch, count, inner] = perPosition
    ? [x.shape[0]!, elementCount(x.shape.slice(1)), 1]
    : [x.shape[0]!, x.shape[1]!, elementCount(x.shape.slice(2))]
  demand(
    [scale, bias, mean, variance].every((list) => list!.length === count),
    'statistics of another length',
  )
  const out = new Float64Array(x.values.length)
  for (let plane = 0; plane < batch * count; plane++) {
    const channel = plane % count
    const factor = scale![channel]! / Math.sqrt(variance![channel]! + epsilon)
    const [centre, shift] = [mean![channel]!, bias![channel]!]
    for (let at = plane * inner; at < (plane + 1) * inner; at++) out[at] = (x.values[at]! - centre) * factor + shift
  }
  return [alike(x, x.shape, out)]
}

/** What normalising rows leaves: the rows, and the mean and 1 / deviation of each. */
export interface Normalised {
  readonly rows: Float64Array
  readonly means: Float64Array
  readonly inverses: Float64Array
}

/**
 * Rows of `length` values to (x - mean) / sqrt(variance + epsilon), two passes.
 * @param centre false leaves the mean in (root mean square normalisation)
 */
export function normaliseRows(values: Float64Array, length: number, epsilon: number, centre = true): Normalised {
  const count = length === 0 ? 0 : values.length / length
  const rows = new Float64Array(values.length)
  const means = new Float64Array(count)
  const inverses = new Float64Array(count)
  for (let row = 0; row < count; row++) {
    const [from, to] = [row * length, (row + 1) * length]
    let sum = 0
    if (centre) for (let at = from; at < to; at++) sum += values[at]!
    const mean = sum / length
    let squares = 0
    for (let at = from; at < to; at++) squares += (values[at]! - mean) ** 2
    const inverse = 1 / Math.sqrt(squares / length + epsilon)
    for (let at = from; at < to; at++) rows[at] = (values[at]! - mean) * inverse
    means[row] = mean
    inverses[row] = inverse
  }
  return { rows, means, inverses }
}

/** The last axes from `axis` on; scale and bias broadcast to x. Also ONNX Runtime's older operator of the same name. */
export function layerNormalization(call: Call, { centre, epsilon }: { centre: boolean; epsilon: number }) {
  const [x, scale, bias] = [input(call, 0), input(call, 1), call.inputs[2]]
  const axis = axisOf(int(call, 'axis', -1), x.shape.length)
  const length = elementCount(x.shape.slice(axis))
  const { rows, means, inverses } = normaliseRows(x.values, length, real(call, 'epsilon', epsilon), centre)
  const reduced = x.shape.map((size, index) => (index < axis ? size : 1))
  const y = alike(x, x.shape, scaleAndShift(rows, x.shape, scale, bias))
  return centre ? [y, floats(reduced, means), floats(reduced, inverses)] : [y, floats(reduced, inverses)]
}

function scaleAndShift(
  rows: Float64Array,
  shape: readonly number[],
  scale: Numbers | undefined,
  bias: Numbers | undefined,
): Float64Array {
  const factors = scale === undefined ? undefined : broadcastTo(scale, shape)
  const shifts = bias === undefined ? undefined : broadcastTo(bias, shape)
  for (let at = 0; at < rows.length; at++) rows[at] = rows[at]! * (factors?.[at] ?? 1) + (shifts?.[at] ?? 0)
  return rows
}

/** A list with one entry per channel, as an array that broadcasts to [N, C, ...]. */
function perChannel(list: Numbers, { shape }: Numbers): Numbers {
  demand(list.values.length === shape[1], 'one value per channel')
  return { ...list, shape: [shape[1]!, ...shape.slice(2).map(() => 1)] }
}

function instanceNormalization(call: Call) {
  const [x, scale, bias] = [input(call, 0), input(call, 1), input(call, 2)]
  demand(x.shape.length > 2, 'InstanceNormalization of rank below 3')
  const { rows } = normaliseRows(x.values, elementCount(x.shape.slice(2)), real(call, 'epsilon', 1e-5))
  return [alike(x, x.shape, scaleAndShift(rows, x.shape, perChannel(scale, x), perChannel(bias, x)))]
}

/** Scale and bias belong to groups in version 18, to channels since 21. */
function groupNormalization(call: Call) {
  const [x, scale, bias] = [input(call, 0), input(call, 1), input(call, 2)]
  const [, channels] = x.shape
  const groups = int(call, 'num_groups', 0)
  demand(channels !== undefined && groups > 0 && channels % groups === 0, 'groups unlike the channels')
  const length = elementCount(x.shape.slice(1)) / groups
  const { rows } = normaliseRows(x.values, length, real(call, 'epsilon', 1e-5))
  const spread = (list: Numbers): Numbers => {
    if (call.opset >= 21) return perChannel(list, x)
    demand(list.values.length === groups, 'one value per group')
    const values = Float64Array.from(
      { length: channels },
      (_, channel) => list.values[Math.floor((channel * groups) / channels)]!,
    )
    return perChannel(floats([channels], values), x)
  }
  return [alike(x, x.shape, scaleAndShift(rows, x.shape, spread(scale), spread(bias)))]
}

function lpNormalization(call: Call) {
  const x = input(call, 0)
  const p = int(call, 'p', 2)
  demand(p === 1 || p === 2, `p ${p}`)
  const [before, size, after] = around(x.shape, axisOf(int(call, 'axis', -1), x.shape.length))
  const out = new Float64Array(x.values.length)
  for (let lane = 0; lane < before * after; lane++) {
    const start = Math.floor(lane / after) * size * after + (lane % after)
    let sum = 0
    for (let index = 0; index < size; index++) sum += Math.abs(x.values[start + index * after]!) ** p
    const norm = p === 1 ? sum : Math.sqrt(sum)
    for (let index = 0; index < size; index++) {
      const at = start + index * after
      out[at] = norm === 0 ? 0 : x.values[at]! / norm
    }
  }
  return [alike(x, x.shape, out)]
}

/** x / (bias + alpha / size * sum of squares of `size` neighbouring channels) ^ beta. */
function localResponse(call: Call) {
  const x = input(call, 0)
  const size = int(call, 'size', 0)
  demand(size > 0 && x.shape.length > 1, 'LRN without size')
  const [alpha, beta, bias] = [real(call, 'alpha', 1e-4), real(call, 'beta', 0.75), real(call, 'bias', 1)]
  const [before, channels, after] = around(x.shape, 1)
  const out = new Float64Array(x.values.length)
  for (let image = 0; image < before; image++) {
    for (let channel = 0; channel < channels; channel++) {
      const first = Math.max(0, channel - Math.floor((size - 1) / 2))
      const last = Math.min(channels - 1, channel + Math.ceil((size - 1) / 2))
      for (let lane = 0; lane < after; lane++) {
        let sum = 0
        for (let near = first; near <= last; near++) sum += x.values[(image * channels + near) * after + lane]! ** 2
        const at = (image * channels + channel) * after + lane
        out[at] = x.values[at]! / (bias + (alpha / size) * sum) ** beta
      }
    }
  }
  return [alike(x, x.shape, out)]
}

/** (x - mean) / (deviation + 1e-9) over `axes`. */
function meanVariance(call: Call) {
  const x = input(call, 0)
  const axes = axesOf(findInts(call, 'axes') ?? [0, 2, 3], x.shape.length)
  const groups = new Float64Array(x.values.length)
  const sizes = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size))
  broadcastGroups(groups, x.shape, sizes)
  const count = elementCount(sizes)
  const [means, squares] = [new Float64Array(count), new Float64Array(count)]
  const length = x.values.length / count
  for (let at = 0; at < groups.length; at++) means[groups[at]!]! += x.values[at]! / length
  for (let at = 0; at < groups.length; at++)
    squares[groups[at]!]! += (x.values[at]! - means[groups[at]!]!) ** 2 / length
  const out = x.values.map((value, at) => (value - means[groups[at]!]!) / (Math.sqrt(squares[groups[at]!]!) + 1e-9))
  return [alike(x, x.shape, out)]
}

/** For each element the number of the group that it is normalised in. */
function broadcastGroups(groups: Float64Array, shape: readonly number[], sizes: readonly number[]): void {
  const numbers = Float64Array.from({ length: elementCount(sizes) }, (_, index) => index)
  groups.set(broadcastTo(floats(sizes, numbers), shape))
}

/** @source https://onnx.ai/onnx/operators/ */
export const NORMALISE_OPERATORS: OperatorTable = {
  BatchNormalization: batchNormalization,
  LayerNormalization: (call) => layerNormalization(call, { centre: true, epsilon: 1e-5 }),
  RMSNormalization: (call) => layerNormalization(call, { centre: false, epsilon: 1e-5 }),
  // ONNX Runtime registers its own in the default domain
  SimplifiedLayerNormalization: (call) => layerNormalization(call, { centre: false, epsilon: 1e-5 }),
  InstanceNormalization: instanceNormalization,
  GroupNormalization: groupNormalization,
  LpNormalization: lpNormalization,
  LRN: localResponse,
  MeanVarianceNormalization: meanVariance,
}
