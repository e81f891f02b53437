import { type Call, findInts, findReals, input, int, type OperatorTable, real, text } from './call.ts'
import { alike, around, axesOf, demand, NotCovered, type Numbers, zeros } from './numbers.ts'

/** What every result along one axis is made of: `width` places of the input and their weights, one row per result. */
interface AxisWeights {
  readonly size: number
  readonly width: number
  readonly places: Int32Array
  readonly weights: Float64Array
  /** results that lie outside the region and get the extrapolation value */
  readonly outside: ReadonlySet<number>
}

interface Axis {
  readonly input: number
  readonly output: number
  readonly scale: number
  /** part of the input that is resized, from 0 to 1; for `tf_crop_and_resize` */
  readonly roi: readonly [start: number, end: number]
}

/** Where result `x` lies in the input. `f` rounds every step: nothing, or to float32. */
type Transform = (x: number, axis: Axis, f: (value: number) => number) => number

const halfPixel: Transform = (x, { scale }, f) => f(f(f(x + 0.5) / scale) - 0.5)

/** `length` in the formulas is that of the axis as scaled, which need not be whole. */
const length = ({ scale, input }: Axis) => scale * input

/** @source https://onnx.ai/onnx/operators/onnx__Resize.html (coordinate_transformation_mode) */
const TRANSFORMS: Readonly<Record<string, Transform>> = {
  half_pixel: halfPixel,
  half_pixel_symmetric: (x, axis, f) => {
    const adjustment = f(axis.output / f(length(axis)))
    const offset = f((axis.input / 2) * f(1 - adjustment))
    return f(f(offset + f(f(x + 0.5) / axis.scale)) - 0.5)
  },
  pytorch_half_pixel: (x, axis, f) => (axis.output > 1 ? halfPixel(x, axis, f) : 0),
  align_corners: (x, axis, f) => (length(axis) === 1 ? 0 : f(f(x * (axis.input - 1)) / f(length(axis) - 1))),
  asymmetric: (x, { scale }, f) => f(x / scale),
  tf_half_pixel_for_nn: (x, { scale }, f) => f(f(x + 0.5) / scale),
  tf_crop_and_resize: (x, axis, f) => {
    const [start, end] = axis.roi
    const last = axis.input - 1
    if (length(axis) <= 1) return f(((start + end) * last) / 2)
    return f(f(start * last) + f(f(x * f(end - start) * last) / f(length(axis) - 1)))
  },
}

/** Halves go as the name says; `simple` is what version 10 and Upsample meant. */
const NEAREST: Readonly<Record<string, (x: number, scale: number) => number>> = {
  round_prefer_floor: (x) => Math.ceil(x - 0.5),
  round_prefer_ceil: (x) => Math.floor(x + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
  simple: (x, scale) => (scale < 1 ? Math.ceil(x) : Math.trunc(x)),
}

/** Weight of a place at a distance, in units of the filter. */
type Kernel = (distance: number) => number

const linear: Kernel = (distance) => Math.max(0, 1 - Math.abs(distance))

/** Keys' cubic convolution with coefficient `a`. */
function cubic(a: number): Kernel {
  return (distance) => {
    const x = Math.abs(distance)
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0
  }
}

interface Filter {
  readonly kernel: Kernel
  /** places on each side that count, before widening */
  readonly reach: number
  readonly antialias: boolean
  readonly excludeOutside: boolean
}

function filtered(axis: Axis, transform: Transform, filter: Filter, extrapolates: boolean): AxisWeights {
  const shrink = filter.antialias ? Math.min(axis.scale, 1) : 1
  const before = Math.floor(-filter.reach / shrink) + 1
  const width = 2 - 2 * before
  const weights = zeros([axis.output, width])
  const places = new Int32Array(weights.length)
  const outside = new Set<number>()
  for (let x = 0; x < axis.output; x++) {
    const centre = transform(x, axis, (value) => value)
    if (extrapolates && (centre < 0 || centre > axis.input - 1)) outside.add(x)
    const first = Math.floor(centre) + before
    let sum = 0
    for (let index = 0; index < width; index++) {
      const place = first + index
      const within = place >= 0 && place < axis.input
      const weight = filter.excludeOutside && !within ? 0 : filter.kernel((place - centre) * shrink)
      places[x * width + index] = Math.max(0, Math.min(axis.input - 1, place))
      weights[x * width + index] = weight
      sum += weight
    }
    if (!filter.antialias && !filter.excludeOutside) continue
    for (let index = 0; index < width; index++) weights[x * width + index]! /= sum
  }
  return { size: axis.output, width, places, weights, outside }
}

/**
 * Which place is nearest is decided in float32, as runtimes do: at halves one rounding decides, and another place is
 * another value.
 */
function nearest(
  axis: Axis,
  transform: Transform,
  choose: (x: number, scale: number) => number,
  extrapolates: boolean,
) {
  const weights = zeros([axis.output]).fill(1)
  const places = new Int32Array(axis.output)
  const outside = new Set<number>()
  const single = { ...axis, scale: Math.fround(axis.scale) }
  for (let x = 0; x < axis.output; x++) {
    const centre = transform(x, single, Math.fround)
    if (extrapolates && (centre < 0 || centre > axis.input - 1)) outside.add(x)
    places[x] = Math.max(0, Math.min(axis.input - 1, choose(centre, axis.scale)))
  }
  return { size: axis.output, width: 1, places, weights, outside }
}

function applyAlong(x: Numbers, axis: number, { size, width, places, weights }: AxisWeights): Numbers {
  const [before, extent, after] = around(x.shape, axis)
  const shape = x.shape.with(axis, size)
  const out = zeros(shape)
  for (let block = 0; block < before; block++) {
    for (let at = 0; at < size; at++) {
      const to = (block * size + at) * after
      for (let index = 0; index < width; index++) {
        const weight = weights[at * width + index]!
        if (weight === 0) continue
        const from = (block * extent + places[at * width + index]!) * after
        for (let lane = 0; lane < after; lane++) out[to + lane] = out[to + lane]! + weight * x.values[from + lane]!
      }
    }
  }
  return alike(x, shape, out)
}

interface Sizes {
  readonly scales: readonly number[]
  readonly output: readonly number[]
  /** axes that the node names; all others stay */
  readonly axes: readonly number[]
}

/** Sizes and scales of all axes, from whichever of the two is given. */
function sizesOf(call: Call, shape: readonly number[]): Sizes {
  const rank = shape.length
  const stated = call.opset < 18 ? undefined : findInts(call, 'axes')
  const axes = axesOf(stated ?? [...shape.keys()], rank)
  const place = call.opset < 11 ? 1 : 2
  const given = call.opset < 9 && call.node.op === 'Upsample' ? findReals(call, 'scales') : call.inputs[place]?.values
  const scales = new Array<number>(rank).fill(1)
  const output = [...shape]
  if (given !== undefined && given.length > 0) {
    demand(given.length === axes.length, 'scales for other axes')
    for (const [index, axis] of axes.entries()) {
      scales[axis] = given[index]!
      output[axis] = Math.floor(Math.fround(shape[axis]! * given[index]!))
    }
    return { scales, output, axes }
  }
  const sizes = call.opset < 11 ? undefined : call.inputs[3]?.values
  demand(sizes?.length === axes.length, 'sizes for other axes')
  const ratios = axes.map((axis, index) => sizes[index]! / shape[axis]!)
  const policy = text(call, 'keep_aspect_ratio_policy', 'stretch')
  demand(/^(stretch|not_larger|not_smaller)$/.test(policy), `policy ${policy}`)
  const common = policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios)
  for (const [index, axis] of axes.entries()) {
    scales[axis] = policy === 'stretch' ? ratios[index]! : common
    output[axis] = policy === 'stretch' ? sizes[index]! : Math.floor(common * shape[axis]! + 0.5)
  }
  return { scales, output, axes }
}

/** Part of each axis that is resized: starts of all axes, then ends. */
function roiOf(call: Call, mode: string, axes: readonly number[], rank: number): [number, number][] {
  const rois = Array.from({ length: rank }, (): [number, number] => [0, 1])
  if (mode !== 'tf_crop_and_resize') return rois
  const values = call.inputs[1]?.values
  demand(values?.length === 2 * axes.length, 'roi for other axes')
  for (const [index, axis] of axes.entries()) rois[axis] = [values[index]!, values[index + axes.length]!]
  return rois
}

/** Resize of all versions, and Upsample. @source https://onnx.ai/onnx/operators/onnx__Resize.html */
function resize(call: Call) {
  const x = input(call, 0)
  const old = call.opset < 11 || call.node.op === 'Upsample'
  const transformName = old ? 'asymmetric' : text(call, 'coordinate_transformation_mode', 'half_pixel')
  const transform = TRANSFORMS[transformName]
  demand(transform !== undefined, `coordinate_transformation_mode ${transformName}`)
  const mode = text(call, 'mode', 'nearest')
  demand(mode === 'nearest' || x.kind === 'float', 'interpolated integers')
  const { scales, output, axes } = sizesOf(call, x.shape)
  const rois = roiOf(call, transformName, axes, x.shape.length)
  const extrapolates = transformName === 'tf_crop_and_resize'
  const weigh = weigher(call, mode, old)
  let result = x
  const outside: (ReadonlySet<number> | undefined)[] = x.shape.map(() => undefined)
  for (const axis of axes) {
    const facts: Axis = { input: x.shape[axis]!, output: output[axis]!, scale: scales[axis]!, roi: rois[axis]! }
    const [start, end] = facts.roi
    if (facts.input === facts.output && facts.scale === 1 && start === 0 && end === 1) continue
    demand(facts.input > 0 && facts.scale > 0, 'nothing to resize')
    const weights = weigh(facts, transform, extrapolates)
    outside[axis] = weights.outside
    result = applyAlong(result, axis, weights)
  }
  return [extrapolates ? extrapolated(result, outside, real(call, 'extrapolation_value', 0)) : result]
}

function weigher(call: Call, mode: string, old: boolean) {
  const antialias = int(call, 'antialias', 0) !== 0
  const excludeOutside = int(call, 'exclude_outside', 0) !== 0
  if (mode === 'nearest') {
    const name = old ? 'simple' : text(call, 'nearest_mode', 'round_prefer_floor')
    const choose = NEAREST[name]
    demand(choose !== undefined, `nearest_mode ${name}`)
    return (axis: Axis, transform: Transform, extrapolates: boolean): AxisWeights =>
      nearest(axis, transform, choose, extrapolates)
  }
  const shared = { antialias, excludeOutside }
  const filters: Readonly<Record<string, Filter>> = {
    linear: { kernel: linear, reach: 1, ...shared },
    bilinear: { kernel: linear, reach: 1, ...shared },
    cubic: { kernel: cubic(real(call, 'cubic_coeff_a', -0.75)), reach: 2, ...shared },
  }
  const filter = filters[mode]
  if (filter === undefined) throw new NotCovered(`mode ${mode}`)
  return (axis: Axis, transform: Transform, extrapolates: boolean): AxisWeights =>
    filtered(axis, transform, filter, extrapolates)
}

function extrapolated(x: Numbers, outside: readonly (ReadonlySet<number> | undefined)[], value: number): Numbers {
  for (const [axis, places] of outside.entries()) {
    const [before, size, after] = around(x.shape, axis)
    for (const place of places ?? []) {
      for (let block = 0; block < before; block++) {
        const start = (block * size + place) * after
        x.values.fill(value, start, start + after)
      }
    }
  }
  return x
}

/** @source https://onnx.ai/onnx/operators/ */
export const RESIZE_OPERATORS: OperatorTable = { Resize: resize, Upsample: resize }
