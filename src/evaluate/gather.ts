import { contiguousStrides } from '../tensor/array-value.ts'
import { elementCount } from '../tensor/dtype.ts'
import { type Call, findInts, findTensor, input, int, kindOf, type OperatorTable, real, text } from './call.ts'
import { wrapped } from './elementwise.ts'
import { alike, around, axesOf, axisOf, demand, floats, type Numbers, scalarOf, zeros } from './numbers.ts'
import { dtypeOf, listOf } from './shape.ts'

/**
 * The array whose element (i, j, ...) is x at (axes[0][i], axes[1][j], ...): what slicing, padding, tiling and picking
 * have in common. A negative position gives `fill`.
 */
export function pick(x: Numbers, axes: readonly (Int32Array | undefined)[], fill = 0): Numbers {
  const shape = x.shape.map((size, axis) => axes[axis]?.length ?? size)
  const out = zeros(shape)
  const strides = contiguousStrides(x.shape)
  const rank = shape.length
  const last = axes[rank - 1]
  let to = 0
  const walk = (axis: number, from: number): void => {
    const size = shape[axis]!
    if (axis === rank - 1) {
      if (from < 0) out.fill(fill, to, to + size)
      else if (last === undefined) for (let index = 0; index < size; index++) out[to + index] = x.values[from + index]!
      else {
        for (let index = 0; index < size; index++) {
          out[to + index] = last[index]! < 0 ? fill : x.values[from + last[index]!]!
        }
      }
      to += size
      return
    }
    const positions = axes[axis]
    for (let index = 0; index < size; index++) {
      const position = positions === undefined ? index : positions[index]!
      walk(axis + 1, from < 0 || position < 0 ? -1 : from + position * strides[axis]!)
    }
  }
  if (rank === 0) out[0] = x.values[0]!
  else if (out.length > 0) walk(0, 0)
  return alike(x, shape, out)
}

/** Positions along one axis; their number may come from the file. */
function positionsOf(count: number, at: (index: number) => number): Int32Array {
  return Int32Array.from(zeros([count]), (_, index) => at(index))
}

/** Bounds are clamped, so that 2^63 - 1 means "to the end"; negative ones count from the end. */
function slice(call: Call) {
  const x = input(call, 0)
  const rank = x.shape.length
  const starts = listOf(call, 'starts', 1, 10)
  const ends = listOf(call, 'ends', 2, 10)
  demand(starts !== undefined && ends !== undefined && starts.length === ends.length, 'Slice without bounds')
  const axes = axesOf(listOf(call, 'axes', 3, 10) ?? [...starts.keys()], rank)
  const steps = call.opset < 10 ? undefined : call.inputs[4]?.values
  const positions: (Int32Array | undefined)[] = x.shape.map(() => undefined)
  for (const [index, axis] of axes.entries()) {
    const size = x.shape[axis]!
    const step = steps?.[index] ?? 1
    demand(step !== 0, 'a step of 0')
    const bound = (value: number, low: number, high: number) =>
      Math.max(low, Math.min(high, value < 0 ? value + size : value))
    const start = step > 0 ? bound(starts[index]!, 0, size) : bound(starts[index]!, 0, size - 1)
    const end = step > 0 ? bound(ends[index]!, 0, size) : bound(ends[index]!, -1, size - 1)
    const count = Math.max(0, Math.ceil((end - start) / step))
    positions[axis] = positionsOf(count, (at) => start + at * step)
  }
  return [pick(x, positions)]
}

/** Which place of an axis of `size` a padded place repeats; -1 for the constant. */
const PAD_MODES: Readonly<Record<string, (place: number, size: number) => number>> = {
  constant: (place, size) => (place < 0 || place >= size ? -1 : place),
  edge: (place, size) => Math.max(0, Math.min(size - 1, place)),
  wrap: (place, size) => ((place % size) + size) % size,
  reflect: (place, size) => {
    if (size === 1) return 0
    const period = 2 * (size - 1)
    const phase = ((place % period) + period) % period
    return phase < size ? phase : period - phase
  },
}

function pad(call: Call) {
  const x = input(call, 0)
  const rank = x.shape.length
  const pads = listOf(call, call.opset < 2 ? 'paddings' : 'pads', 1, 11)
  const axes = call.inputs[3] === undefined ? [...x.shape.keys()] : axesOf(call.inputs[3].values, rank)
  demand(pads?.length === 2 * axes.length, 'pads for another rank')
  const given = call.opset < 11 ? undefined : call.inputs[2]
  const fill = call.opset < 11 ? real(call, 'value', 0) : given && given.values.length > 0 ? scalarOf(given) : 0
  const mode = text(call, 'mode', 'constant')
  const repeat = PAD_MODES[mode]
  demand(repeat !== undefined, `mode ${mode}`)
  const positions: (Int32Array | undefined)[] = x.shape.map(() => undefined)
  for (const [index, axis] of axes.entries()) {
    const [before, after] = [pads[index]!, pads[index + axes.length]!]
    // negative pads cut off first; what is left is repeated
    const cut = Math.max(0, -before)
    const size = x.shape[axis]! - cut - Math.max(0, -after)
    const grown = size + Math.max(0, before) + Math.max(0, after)
    demand(size >= 0 && (size > 0 || mode === 'constant'), 'pads that cut off everything')
    positions[axis] = positionsOf(grown, (at) => {
      const place = repeat(at - Math.max(0, before), size)
      return place < 0 ? -1 : place + cut
    })
  }
  return [pick(x, positions, fill)]
}

function tile(call: Call) {
  demand(call.opset >= 6, 'Tile of version 1')
  const [x, repeats] = [input(call, 0), input(call, 1)]
  demand(repeats.values.length === x.shape.length, 'repeats for another rank')
  const positions = x.shape.map((size, axis) => positionsOf(size * repeats.values[axis]!, (at) => at % size))
  return [pick(x, positions)]
}

/** A position from the end when negative. */
function place(index: number, size: number): number {
  const at = index < 0 ? index + size : index
  demand(at >= 0 && at < size, `position ${index} of ${size}`)
  return at
}

function gather(call: Call) {
  const [x, indices] = [input(call, 0), input(call, 1)]
  const axis = axisOf(int(call, 'axis', 0), x.shape.length)
  const size = x.shape[axis]!
  const positions = x.shape.map((_, at) =>
    at === axis ? Int32Array.from(indices.values, (index) => place(index, size)) : undefined,
  )
  const picked = pick(x, positions)
  return [alike(x, x.shape.toSpliced(axis, 1, ...indices.shape), picked.values)]
}

/** For each element of `indices`: where in an array of `shape` it points, along `axis`, other coordinates its own. */
function alongAxis(shape: readonly number[], indices: Numbers, axis: number): Float64Array {
  demand(indices.shape.length === shape.length, 'indices of another rank')
  demand(
    indices.shape.every((size, other) => other === axis || size <= shape[other]!),
    'indices beyond the array',
  )
  const strides = contiguousStrides(shape)
  const own = contiguousStrides(indices.shape)
  return indices.values.map((index, at) => {
    let offset = place(index, shape[axis]!) * strides[axis]!
    for (let other = 0; other < shape.length; other++) {
      if (other !== axis) offset += (Math.floor(at / own[other]!) % indices.shape[other]!) * strides[other]!
    }
    return offset
  })
}

function gatherElements(call: Call) {
  const [x, indices] = [input(call, 0), input(call, 1)]
  const from = alongAxis(x.shape, indices, axisOf(int(call, 'axis', 0), x.shape.length))
  return [
    alike(
      x,
      indices.shape,
      from.map((offset) => x.values[offset]!),
    ),
  ]
}

/** Offsets of the slices that rows of `indices` point at, and their length. */
function sliceOffsets(shape: readonly number[], indices: Numbers, batchAxes: number) {
  const depth = indices.shape.at(-1)!
  demand(indices.shape.length > batchAxes && depth + batchAxes <= shape.length, 'indices of another rank')
  const strides = contiguousStrides(shape)
  const rows = elementCount(indices.shape.slice(0, -1))
  const batches = elementCount(shape.slice(0, batchAxes))
  const perBatch = rows / Math.max(batches, 1)
  const batchSize = elementCount(shape.slice(batchAxes))
  const offsets = new Float64Array(rows)
  for (let row = 0; row < rows; row++) {
    let offset = Math.floor(row / perBatch) * batchSize
    for (let axis = 0; axis < depth; axis++) {
      offset += place(indices.values[row * depth + axis]!, shape[batchAxes + axis]!) * strides[batchAxes + axis]!
    }
    offsets[row] = offset
  }
  return { offsets, length: elementCount(shape.slice(batchAxes + depth)), rest: shape.slice(batchAxes + depth) }
}

function gatherNd(call: Call) {
  const [x, indices] = [input(call, 0), input(call, 1)]
  const { offsets, length, rest } = sliceOffsets(x.shape, indices, int(call, 'batch_dims', 0))
  const shape = [...indices.shape.slice(0, -1), ...rest]
  const out = zeros(shape)
  for (const [row, offset] of offsets.entries()) out.set(x.values.subarray(offset, offset + length), row * length)
  return [alike(x, shape, out)]
}

const REDUCTIONS: Readonly<Record<string, (old: number, update: number) => number>> = {
  none: (_, update) => update,
  add: (old, update) => old + update,
  mul: (old, update) => old * update,
  max: Math.max,
  min: Math.min,
}

function reductionOf(call: Call) {
  const name = text(call, 'reduction', 'none')
  const reduce = REDUCTIONS[name]
  demand(reduce !== undefined, `reduction ${name}`)
  return reduce
}

function scatterElements(call: Call) {
  const [x, indices, updates] = [input(call, 0), input(call, 1), input(call, 2)]
  const to = alongAxis(x.shape, indices, axisOf(int(call, 'axis', 0), x.shape.length))
  demand(updates.values.length === to.length, 'updates of another shape')
  const reduce = reductionOf(call)
  const out = x.values.slice()
  for (const [index, offset] of to.entries()) out[offset] = reduce(out[offset]!, updates.values[index]!)
  return [wrapped(alike(x, x.shape, out))]
}

function scatterNd(call: Call) {
  const [x, indices, updates] = [input(call, 0), input(call, 1), input(call, 2)]
  const { offsets, length } = sliceOffsets(x.shape, indices, 0)
  demand(updates.values.length === offsets.length * length, 'updates of another shape')
  const reduce = reductionOf(call)
  const out = x.values.slice()
  for (const [row, offset] of offsets.entries()) {
    for (let at = 0; at < length; at++) {
      out[offset + at] = reduce(out[offset + at]!, updates.values[row * length + at]!)
    }
  }
  return [wrapped(alike(x, x.shape, out))]
}

/** Places of an axis (of the flat array without `axis`) whose condition holds. */
function compress(call: Call) {
  const [x, condition] = [input(call, 0), input(call, 1)]
  const kept = [...condition.values.entries()].filter(([, value]) => value !== 0).map(([index]) => index)
  if (call.node.attributes.axis === undefined) {
    const flat = alike(x, [x.values.length], x.values)
    return [pick(flat, [Int32Array.from(kept)])]
  }
  const axis = axisOf(int(call, 'axis', 0), x.shape.length)
  return [
    pick(
      x,
      x.shape.map((_, at) => (at === axis ? Int32Array.from(kept) : undefined)),
    ),
  ]
}

function oneHot(call: Call) {
  const [indices, depth, values] = [input(call, 0), input(call, 1), input(call, 2)]
  const count = scalarOf(depth)
  const axis = axisOf(int(call, 'axis', -1), indices.shape.length + 1)
  const shape = indices.shape.toSpliced(axis, 0, count)
  const [before, , after] = around(shape, axis)
  const out = zeros(shape).fill(values.values[0]!)
  for (let outer = 0; outer < before; outer++) {
    for (let inner = 0; inner < after; inner++) {
      const index = Math.trunc(indices.values[outer * after + inner]!)
      const at = index < 0 ? index + count : index
      if (at >= 0 && at < count) out[(outer * count + at) * after + inner] = values.values[1]!
    }
  }
  return [alike(values, shape, out)]
}

function constantOfShape(call: Call) {
  const shape = [...input(call, 0).values]
  const value = findTensor(call, 'value') ?? { ...floats([1], new Float64Array(1)), dtype: 'float32' as const }
  return [alike(value, shape, zeros(shape).fill(value.values[0]!))]
}

function range(call: Call) {
  const [start, limit, delta] = [0, 1, 2].map((index) => scalarOf(input(call, index)))
  demand(delta !== 0, 'a step of 0')
  const count = Math.max(0, Math.ceil((limit! - start!) / delta!))
  return [
    alike(
      input(call, 0),
      [count],
      zeros([count]).map((_, index) => start! + index * delta!),
    ),
  ]
}

function eyeLike(call: Call) {
  const x = input(call, 0)
  const [rows, columns] = x.shape
  demand(x.shape.length === 2, 'EyeLike of another rank than 2')
  const dtype = dtypeOf(call, 'dtype') ?? x.dtype
  demand(dtype !== undefined, 'a type that is not known')
  const diagonal = int(call, 'k', 0)
  const out = zeros(x.shape)
  for (let row = 0; row < rows!; row++) {
    const column = row + diagonal
    if (column >= 0 && column < columns!) out[row * columns! + column] = 1
  }
  return [{ shape: x.shape, values: out, kind: kindOf(dtype), dtype }]
}

function trilu(call: Call) {
  const x = input(call, 0)
  const diagonal = call.inputs[1] === undefined ? 0 : scalarOf(call.inputs[1])
  const upper = int(call, 'upper', 1) !== 0
  demand(x.shape.length >= 2, 'Trilu of rank below 2')
  const [rows, columns] = [x.shape.at(-2)!, x.shape.at(-1)!]
  const out = x.values.map((value, at) => {
    const distance = (at % columns) - (Math.floor(at / columns) % rows)
    return (upper ? distance >= diagonal : distance <= diagonal) ? value : 0
  })
  return [alike(x, x.shape, out)]
}

/** The first `sequence_lens[b]` steps of each sequence in reverse order. */
function reverseSequence(call: Call) {
  const [x, lengths] = [input(call, 0), input(call, 1)]
  const [time, batch] = [int(call, 'time_axis', 0), int(call, 'batch_axis', 1)]
  demand(time + batch === 1 && x.shape.length >= 2, 'time and batch on other axes than 0 and 1')
  const [steps, count] = [x.shape[time]!, x.shape[batch]!]
  const rest = elementCount(x.shape.slice(2))
  const out = new Float64Array(x.values.length)
  const at = (step: number, item: number) => (time === 0 ? step * count + item : item * steps + step) * rest
  for (let item = 0; item < count; item++) {
    const length = lengths.values[item]!
    for (let step = 0; step < steps; step++) {
      const from = at(step < length ? length - 1 - step : step, item)
      out.set(x.values.subarray(from, from + rest), at(step, item))
    }
  }
  return [alike(x, x.shape, out)]
}

/** The middle of each axis, cut or padded with 0 to the sizes wanted. */
function centerCropPad(call: Call) {
  const [x, sizes] = [input(call, 0), input(call, 1)]
  const axes = axesOf(findInts(call, 'axes') ?? [...x.shape.keys()], x.shape.length)
  demand(axes.length === sizes.values.length, 'sizes for other axes')
  const positions: (Int32Array | undefined)[] = x.shape.map(() => undefined)
  for (const [index, axis] of axes.entries()) {
    const [size, wanted] = [x.shape[axis]!, sizes.values[index]!]
    const shift = size > wanted ? Math.floor((size - wanted) / 2) : -Math.floor((wanted - size) / 2)
    positions[axis] = positionsOf(wanted, (at) => (at + shift < size ? Math.max(-1, at + shift) : -1))
  }
  return [pick(x, positions)]
}

/** @source https://onnx.ai/onnx/operators/ */
export const GATHER_OPERATORS: OperatorTable = {
  Slice: slice,
  Pad: pad,
  Tile: tile,
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherNd,
  Scatter: scatterElements,
  ScatterElements: scatterElements,
  ScatterND: scatterNd,
  Compress: compress,
  OneHot: oneHot,
  ConstantOfShape: constantOfShape,
  Range: range,
  EyeLike: eyeLike,
  Trilu: trilu,
  ReverseSequence: reverseSequence,
  CenterCropPad: centerCropPad,
}
