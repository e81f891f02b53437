import { elementCount } from '../tensor/dtype.ts'
import { type Call, charge, findInts, hasOutput, input, int, type Operator, type OperatorTable } from './call.ts'
import { alike, demand, int64s, type Numbers, zeros } from './numbers.ts'
import { three, type Window, windowOf } from './window.ts'

/**
 * What a window of values becomes.
 * @param values those of the window that lie within the input; only the first `count` count
 * @param padded how many places of the kernel lie within the input and its padding
 */
type Reduce = (values: Float64Array, count: number, padded: number) => number

/** The input's values under each window, in order, for every plane of x. */
function slide(
  x: Numbers,
  window: Window,
  visit: (at: number, plane: number, values: Float64Array, places: Int32Array, count: number, padded: number) => void,
): void {
  const [depth, height, width] = three(x.shape.slice(2), 1)
  const [kernelD, kernelH, kernelW] = three(window.kernel, 1)
  const [outD, outH, outW] = three(window.output, 1)
  const [strideD, strideH, strideW] = three(window.strides, 1)
  const [dilationD, dilationH, dilationW] = three(window.dilations, 1)
  const [beginD, beginH, beginW] = three(window.begins, 0)
  const [endD, endH, endW] = three(window.ends, 0)
  const planes = x.shape[0]! * x.shape[1]!
  const values = new Float64Array(kernelD * kernelH * kernelW)
  const places = new Int32Array(values.length)
  let at = 0
  for (let plane = 0; plane < planes; plane++) {
    const base = plane * depth * height * width
    for (let od = 0; od < outD; od++) {
      const startD = od * strideD - beginD
      const paddedD = countWithin(startD, kernelD, dilationD, depth + endD)
      for (let oh = 0; oh < outH; oh++) {
        const startH = oh * strideH - beginH
        const paddedDH = paddedD * countWithin(startH, kernelH, dilationH, height + endH)
        for (let ow = 0; ow < outW; ow++, at++) {
          const startW = ow * strideW - beginW
          let count = 0
          for (let kd = 0, d = startD; kd < kernelD; kd++, d += dilationD) {
            if (d < 0 || d >= depth) continue
            for (let kh = 0, h = startH; kh < kernelH; kh++, h += dilationH) {
              if (h < 0 || h >= height) continue
              for (let kw = 0, w = startW; kw < kernelW; kw++, w += dilationW) {
                if (w < 0 || w >= width) continue
                const place = (d * height + h) * width + w
                values[count] = x.values[base + place]!
                places[count++] = place
              }
            }
          }
          visit(at, plane, values, places, count, paddedDH * countWithin(startW, kernelW, dilationW, width + endW))
        }
      }
    }
  }
}

/** Places of a kernel along one axis that do not reach beyond the padding behind the input. */
function countWithin(start: number, kernel: number, dilation: number, end: number): number {
  return Math.min(kernel, Math.ceil((end - start) / dilation))
}

function prepare(call: Call, kernel: (spatial: readonly number[]) => readonly number[], free = false) {
  const x = input(call, 0)
  demand(x.shape.length > 2, 'a pool of rank below 3')
  const spatial = x.shape.slice(2)
  const settings = free ? { ...call, node: { ...call.node, attributes: {} } } : call
  const window = windowOf(settings, spatial, kernel(spatial))
  const shape = [...x.shape.slice(0, 2), ...window.output]
  charge(call, elementCount(shape) * elementCount(window.kernel))
  return { x, window, shape, out: zeros(shape) }
}

const kernelShape = (call: Call) => () => {
  const kernel = findInts(call, 'kernel_shape')
  demand(kernel !== undefined, 'no kernel_shape')
  return kernel
}

function pool(reduceOf: (call: Call) => Reduce, over: 'window' | 'all' = 'window'): Operator {
  return (call) => {
    const all = over === 'all'
    const { x, window, shape, out } = prepare(call, all ? (spatial) => spatial : kernelShape(call), all)
    const reduce = reduceOf(call)
    slide(x, window, (at, _plane, values, _places, count, padded) => {
      demand(count > 0, 'a window without values')
      out[at] = reduce(values, count, padded)
    })
    return [alike(x, shape, out)]
  }
}

function average(call: Call): Reduce {
  const includePad = int(call, 'count_include_pad', 0) !== 0
  return (values, count, padded) => {
    return sumOf(values, count) / (includePad ? padded : count)
  }
}

function sumOf(values: Float64Array, count: number): number {
  let sum = 0
  for (let index = 0; index < count; index++) sum += values[index]!
  return sum
}

function power(call: Call): Reduce {
  const p = int(call, 'p', 2)
  demand(p > 0, `p ${p}`)
  return (values, count) => {
    let sum = 0
    for (let index = 0; index < count; index++) sum += Math.abs(values[index]!) ** p
    return sum ** (1 / p)
  }
}

const largest: Reduce = (values, count) => values[indexOfLargest(values, count)]!

function indexOfLargest(values: Float64Array, count: number): number {
  let best = 0
  for (let index = 1; index < count; index++) if (values[index]! > values[best]!) best = index
  return best
}

/** Indices count through the whole input, in C order, or with the spatial axes reversed for `storage_order` 1. */
function maxPool(call: Call) {
  const { x, window, shape, out } = prepare(call, kernelShape(call))
  const columnMajor = int(call, 'storage_order', 0) !== 0
  demand(!columnMajor || x.shape.length === 4 || !hasOutput(call, 1), 'storage_order of other than two axes')
  const [height, width] = [x.shape.at(-2)!, x.shape.at(-1)!]
  const plane = elementCount(x.shape.slice(2))
  const indices = new Float64Array(out.length)
  slide(x, window, (at, index, values, places, count) => {
    demand(count > 0, 'a window without values')
    const best = indexOfLargest(values, count)
    const place = places[best]!
    out[at] = values[best]!
    indices[at] = index * plane + (columnMajor ? (place % width) * height + Math.floor(place / width) : place)
  })
  return [alike(x, shape, out), int64s(shape, indices)]
}

/** Values go back to where MaxPool found them; everything else is 0. */
function maxUnpool(call: Call) {
  const [x, indices] = [input(call, 0), input(call, 1)]
  const kernel = kernelShape(call)()
  const rank = kernel.length
  const strides = findInts(call, 'strides') ?? kernel.map(() => 1)
  const pads = findInts(call, 'pads') ?? new Array<number>(2 * rank).fill(0)
  demand(x.shape.length === rank + 2 && strides.length === rank && pads.length === 2 * rank, 'unlike ranks')
  const spatial = kernel.map(
    (size, axis) => (x.shape[axis + 2]! - 1) * strides[axis]! + size - pads[axis]! - pads[axis + rank]!,
  )
  const shape = [...x.shape.slice(0, 2), ...spatial]
  const wanted = call.inputs[2]
  demand(wanted === undefined || wanted.values.join() === shape.join(), 'output_shape other than the inferred one')
  const out = zeros(shape)
  for (const [at, index] of indices.values.entries()) {
    demand(index >= 0 && index < out.length, `index ${index}`)
    out[index] = x.values[at]!
  }
  return [alike(x, shape, out)]
}

/** @source https://onnx.ai/onnx/operators/ */
export const POOL_OPERATORS: OperatorTable = {
  MaxPool: maxPool,
  MaxUnpool: maxUnpool,
  AveragePool: pool(average),
  LpPool: pool(power),
  GlobalAveragePool: pool(() => (values, count) => sumOf(values, count) / count, 'all'),
  GlobalMaxPool: pool(() => largest, 'all'),
  GlobalLpPool: pool(power, 'all'),
}
