import { contiguousStrides } from '../tensor/array-value.ts'
import { type Call, findInts, input, int, type Operator, type OperatorTable } from './call.ts'
import { wrapped } from './elementwise.ts'
import { alike, around, axesOf, axisOf, demand, int64s, NotCovered, type Numbers, scalarOf } from './numbers.ts'

/** One lane of values that becomes one. */
type Reduce = (lane: Float64Array) => number

/** Since which version the axes are an input; ReduceSum moved first. */
const AXES_INPUT = 18
const SUM_AXES_INPUT = 13

function reduction(
  reduce: Reduce,
  { since = AXES_INPUT, empty }: { since?: number; empty?: (x: Numbers) => number } = {},
): Operator {
  return (call) => {
    const x = input(call, 0)
    const rank = x.shape.length
    const stated = call.opset >= since ? call.inputs[1]?.values : findInts(call, 'axes')
    if ((stated === undefined || stated.length === 0) && int(call, 'noop_with_empty_axes', 0) !== 0) {
      // elementwise parts stay: a sum of squares without axes still squares
      const out = x.values.map((value) => reduce(Float64Array.of(value)))
      return [wrapped(alike(x, x.shape, out))]
    }
    const axes = new Set(stated === undefined || stated.length === 0 ? x.shape.keys() : axesOf(stated, rank))
    const kept = x.shape.map((_, axis) => axis).filter((axis) => !axes.has(axis))
    const lost = [...axes].toSorted((a, b) => a - b)
    const strides = contiguousStrides(x.shape)
    const starts = offsets(kept, x.shape, strides)
    const steps = offsets(lost, x.shape, strides)
    const lane = new Float64Array(steps.length)
    const out = new Float64Array(starts.length)
    for (let at = 0; at < starts.length; at++) {
      const start = starts[at]!
      for (let index = 0; index < steps.length; index++) lane[index] = x.values[start + steps[index]!]!
      out[at] = steps.length === 0 && empty ? empty(x) : reduce(lane)
      if (x.kind !== 'float') out[at] = Math.trunc(out[at]!)
    }
    const keep = int(call, 'keepdims', 1) !== 0
    const shape = x.shape.flatMap((size, axis) => (axes.has(axis) ? (keep ? [1] : []) : [size]))
    return [wrapped(alike(x, shape, out))]
  }
}

/** Offsets of all elements along `axes`, in order. */
function offsets(axes: readonly number[], shape: readonly number[], strides: readonly number[]): Float64Array {
  let all = new Float64Array(1)
  for (const axis of axes) {
    const size = shape[axis]!
    const next = new Float64Array(all.length * size)
    for (let outer = 0; outer < all.length; outer++) {
      for (let index = 0; index < size; index++) next[outer * size + index] = all[outer]! + index * strides[axis]!
    }
    all = next
  }
  return all
}

const sum = (
  term: (value: number) => number,
  end: (total: number, count: number) => number = (total) => total,
): Reduce => {
  return (lane) => {
    let total = 0
    for (let index = 0; index < lane.length; index++) total += term(lane[index]!)
    return end(total, lane.length)
  }
}

const extreme = (choose: (a: number, b: number) => number): Reduce => {
  return (lane) => {
    let best = lane[0]!
    for (let index = 1; index < lane.length; index++) best = choose(best, lane[index]!)
    return best
  }
}

/** Stable: the largest value is taken out first. */
const logSumExp: Reduce = (lane) => {
  const largest = extreme(Math.max)(lane)
  if (!Number.isFinite(largest)) return largest
  return largest + Math.log(sum((value) => Math.exp(value - largest))(lane))
}

const product: Reduce = (lane) => {
  let total = 1
  for (let index = 0; index < lane.length; index++) total *= lane[index]!
  return total
}

const infinite = (sign: 1 | -1) => (x: Numbers) => {
  if (x.kind === 'bool') return sign > 0 ? 1 : 0
  if (x.kind === 'int') throw new NotCovered('the extreme of no integers')
  return sign * Number.POSITIVE_INFINITY
}

/** Position of the largest or smallest value along an axis. */
function argument(sign: 1 | -1): Operator {
  return (call) => {
    const x = input(call, 0)
    const axis = axisOf(int(call, 'axis', 0), x.shape.length)
    const last = int(call, 'select_last_index', 0) !== 0
    const [before, size, after] = around(x.shape, axis)
    demand(size > 0, 'ArgMax over no values')
    const out = new Float64Array(before * after)
    for (let lane = 0; lane < out.length; lane++) {
      const start = Math.floor(lane / after) * size * after + (lane % after)
      let best = 0
      for (let index = 1; index < size; index++) {
        const gain = sign * (x.values[start + index * after]! - x.values[start + best * after]!)
        if (gain > 0 || (last && gain === 0)) best = index
      }
      out[lane] = best
    }
    const keep = int(call, 'keepdims', 1) !== 0
    const shape = x.shape.flatMap((extent, index) => (index === axis ? (keep ? [1] : []) : [extent]))
    return [int64s(shape, out)]
  }
}

/** The k largest (or smallest) along an axis, in order; of equal ones the first comes first. */
function topK(call: Call) {
  const x = input(call, 0)
  const k = call.opset < 10 ? int(call, 'k', 0) : scalarOf(input(call, 1))
  const axis = axisOf(int(call, 'axis', -1), x.shape.length)
  const sign = int(call, 'largest', 1) !== 0 ? -1 : 1
  // unsorted results may come in any order: nothing to compare with
  demand(int(call, 'sorted', 1) !== 0, 'TopK in any order')
  const [before, size, after] = around(x.shape, axis)
  demand(k >= 0 && k <= size, `${k} largest of ${size}`)
  const shape = x.shape.map((extent, index) => (index === axis ? k : extent))
  const values = new Float64Array(before * k * after)
  const indices = new Float64Array(values.length)
  for (let lane = 0; lane < before * after; lane++) {
    const start = Math.floor(lane / after) * size * after + (lane % after)
    const value = (index: number) => x.values[start + index * after]!
    const order = Array.from({ length: size }, (_, index) => index)
    order.sort((a, b) => sign * (value(a) - value(b)) || a - b)
    const to = Math.floor(lane / after) * k * after + (lane % after)
    for (let rank = 0; rank < k; rank++) {
      values[to + rank * after] = value(order[rank]!)
      indices[to + rank * after] = order[rank]!
    }
  }
  return [alike(x, shape, values), int64s(shape, indices)]
}

function cumulative(combine: (a: number, b: number) => number, neutral: number): Operator {
  return (call) => {
    const x = input(call, 0)
    const axis = axisOf(scalarOf(input(call, 1)), x.shape.length)
    const exclusive = int(call, 'exclusive', 0) !== 0
    const reverse = int(call, 'reverse', 0) !== 0
    const [before, size, after] = around(x.shape, axis)
    const out = new Float64Array(x.values.length)
    for (let lane = 0; lane < before * after; lane++) {
      const start = Math.floor(lane / after) * size * after + (lane % after)
      let total = neutral
      for (let step = 0; step < size; step++) {
        const at = start + (reverse ? size - 1 - step : step) * after
        const next = combine(total, x.values[at]!)
        out[at] = exclusive ? total : next
        total = next
      }
    }
    return [wrapped(alike(x, x.shape, out))]
  }
}

/** Coordinates of all values that are not 0, one column each. */
function nonZero(call: Call) {
  const { shape, values } = input(call, 0)
  const found: number[] = []
  for (let at = 0; at < values.length; at++) if (values[at] !== 0) found.push(at)
  const strides = contiguousStrides(shape)
  const out = new Float64Array(shape.length * found.length)
  for (const [axis, stride] of strides.entries()) {
    for (let index = 0; index < found.length; index++) {
      out[axis * found.length + index] = Math.floor(found[index]! / stride) % shape[axis]!
    }
  }
  return [int64s([shape.length, found.length], out)]
}

/** @source https://onnx.ai/onnx/operators/ */
export const REDUCE_OPERATORS: OperatorTable = {
  ReduceSum: reduction(
    sum((value) => value),
    { since: SUM_AXES_INPUT },
  ),
  ReduceMean: reduction(
    sum(
      (value) => value,
      (total, count) => total / count,
    ),
  ),
  ReduceProd: reduction(product),
  ReduceMax: reduction(extreme(Math.max), { empty: infinite(-1) }),
  ReduceMin: reduction(extreme(Math.min), { empty: infinite(1) }),
  ReduceL1: reduction(sum(Math.abs)),
  ReduceL2: reduction(sum((value) => value * value, Math.sqrt)),
  ReduceSumSquare: reduction(sum((value) => value * value)),
  ReduceLogSum: reduction(sum((value) => value, Math.log)),
  ReduceLogSumExp: reduction(logSumExp, { empty: () => Number.NEGATIVE_INFINITY }),
  ArgMax: argument(1),
  ArgMin: argument(-1),
  TopK: topK,
  CumSum: cumulative((a, b) => a + b, 0),
  CumProd: cumulative((a, b) => a * b, 1),
  NonZero: nonZero,
}
