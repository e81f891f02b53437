import { contiguousStrides } from '../tensor/array-value.ts'
import { DTYPES, type Dtype, elementCount } from '../tensor/dtype.ts'
import { type Call, findInts, findTensor, hasOutput, input, int, kindOf, type OperatorTable } from './call.ts'
import {
  alike,
  around,
  axesOf,
  axisOf,
  bools,
  broadcastShape,
  broadcastTo,
  demand,
  int64s,
  type Numbers,
  scalarOf,
  zeros,
} from './numbers.ts'
import { roundTo } from './round-to.ts'

/** Result axis i is axis `order[i]` of x (numpy.transpose). */
export function transposed(x: Numbers, order: readonly number[]): Numbers {
  const rank = x.shape.length
  demand(order.length === rank && new Set(order).size === rank, `perm [${order}] of rank ${rank}`)
  const strides = contiguousStrides(x.shape)
  const shape = order.map((axis) => x.shape[axisOf(axis, rank)]!)
  const steps = order.map((axis) => strides[axis]!)
  const out = new Float64Array(x.values.length)
  if (out.length === 0) return alike(x, shape, out)
  const index = new Array<number>(rank).fill(0)
  const [size, step] = [shape.at(-1) ?? 1, steps.at(-1) ?? 0]
  let from = 0
  for (let to = 0; to < out.length; ) {
    for (let inside = 0, at = from; inside < size; inside++, at += step) out[to++] = x.values[at]!
    for (let axis = rank - 2; axis >= 0; axis--) {
      from += steps[axis]!
      if (++index[axis]! < shape[axis]!) break
      from -= steps[axis]! * shape[axis]!
      index[axis] = 0
    }
  }
  return alike(x, shape, out)
}

function transpose(call: Call) {
  const x = input(call, 0)
  return [transposed(x, findInts(call, 'perm') ?? [...x.shape.keys()].reverse())]
}

/** A list of whole numbers: an attribute before version `since`, an input from then on. */
export function listOf(call: Call, name: string, index: number, since: number): number[] | undefined {
  if (call.opset < since) return findInts(call, name)
  const given = call.inputs[index]
  return given === undefined ? undefined : [...given.values]
}

function reshape(call: Call) {
  const x = input(call, 0)
  const wanted = listOf(call, 'shape', 1, 5)
  demand(wanted !== undefined, 'no shape')
  const zeroIsZero = int(call, 'allowzero', 0) !== 0
  const sizes = wanted.map((size, axis) => (size === 0 && !zeroIsZero ? x.shape[axis] : size))
  demand(
    sizes.every((size) => size !== undefined),
    'a size copied from an axis that is not there',
  )
  const known = elementCount((sizes as number[]).filter((size) => size !== -1))
  const shape = (sizes as number[]).map((size) => (size === -1 ? x.values.length / known : size))
  return [reshaped(x, shape)]
}

function reshaped(x: Numbers, shape: readonly number[]): Numbers {
  demand(elementCount(shape) === x.values.length, `[${x.shape}] to [${shape}]`)
  return alike(x, shape, x.values)
}

function flatten(call: Call) {
  const x = input(call, 0)
  const stated = int(call, 'axis', 1)
  const axis = stated < 0 ? stated + x.shape.length : stated
  demand(axis >= 0 && axis <= x.shape.length, `axis ${stated}`)
  return [reshaped(x, [elementCount(x.shape.slice(0, axis)), elementCount(x.shape.slice(axis))])]
}

function squeeze(call: Call) {
  const x = input(call, 0)
  const stated = listOf(call, 'axes', 1, 13)
  const axes = stated === undefined ? undefined : axesOf(stated, x.shape.length)
  const shape = x.shape.filter((size, axis) => (axes === undefined ? size !== 1 : !axes.includes(axis)))
  return [reshaped(x, shape)]
}

function unsqueeze(call: Call) {
  const x = input(call, 0)
  const stated = listOf(call, 'axes', 1, 13)
  demand(stated !== undefined, 'no axes')
  const rank = x.shape.length + stated.length
  const axes = axesOf(stated, rank)
  demand(new Set(axes).size === axes.length, 'an axis twice')
  const sizes = x.shape.values()
  const shape = Array.from({ length: rank }, (_, axis) => (axes.includes(axis) ? 1 : sizes.next().value!))
  return [reshaped(x, shape)]
}

function concat(call: Call) {
  const arrays = call.inputs.map((_, index) => input(call, index))
  const first = input(call, 0)
  const axis = axisOf(int(call, 'axis', 1), first.shape.length)
  const same = (shape: readonly number[]) => shape.toSpliced(axis, 1).join() === first.shape.toSpliced(axis, 1).join()
  demand(
    arrays.every(({ shape }) => shape.length === first.shape.length && same(shape)),
    'arrays that do not fit',
  )
  const total = arrays.reduce((sum, { shape }) => sum + shape[axis]!, 0)
  const shape = first.shape.with(axis, total)
  const out = zeros(shape)
  const [before, , after] = around(shape, axis)
  let start = 0
  for (const { values, shape: own } of arrays) {
    const length = own[axis]! * after
    for (let block = 0; block < before; block++) {
      out.set(values.subarray(block * length, (block + 1) * length), block * total * after + start)
    }
    start += length
  }
  return [alike(first, shape, out)]
}

function split(call: Call) {
  const x = input(call, 0)
  const axis = axisOf(int(call, 'axis', 0), x.shape.length)
  const [before, size, after] = around(x.shape, axis)
  const asInput = call.opset === 1 || call.opset >= 13
  const stated = asInput && call.inputs[1] ? [...call.inputs[1].values] : findInts(call, 'split')
  const count = stated?.length ?? int(call, 'num_outputs', call.node.outputs.length)
  // since version 18 the last part may be smaller
  const even = Math.ceil(size / count)
  const parts = stated ?? Array.from({ length: count }, (_, index) => Math.min(even, Math.max(0, size - index * even)))
  demand(parts.reduce((sum, part) => sum + part, 0) === size, `parts [${parts}] of ${size}`)
  let start = 0
  return parts.map((part) => {
    const shape = x.shape.with(axis, part)
    const out = zeros(shape)
    for (let block = 0; block < before; block++) {
      const from = (block * size + start) * after
      out.set(x.values.subarray(from, from + part * after), block * part * after)
    }
    start += part
    return alike(x, shape, out)
  })
}

function expand(call: Call) {
  const [x, sizes] = [input(call, 0), input(call, 1)]
  const shape = broadcastShape(x.shape, [...sizes.values])
  return [alike(x, shape, broadcastTo(x, shape))]
}

/** [N, C, H, W] to [N, C / b^2, H b, W b]; `DCR` takes the block's rows from the outermost part of the channels. */
function depthToSpace(call: Call) {
  const x = input(call, 0)
  const block = int(call, 'blocksize', 0)
  const [n, c, h, w] = x.shape
  demand(x.shape.length === 4 && block > 0 && c! % (block * block) === 0, 'DepthToSpace with another block')
  const depth = c! / (block * block)
  const columnRow = call.node.attributes.mode === 'CRD'
  const parts = columnRow ? [n!, depth, block, block, h!, w!] : [n!, block, block, depth, h!, w!]
  const moved = transposed(reshaped(x, parts), columnRow ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2])
  return [reshaped(moved, [n!, depth, h! * block, w! * block])]
}

function spaceToDepth(call: Call) {
  const x = input(call, 0)
  const block = int(call, 'blocksize', 0)
  const [n, c, h, w] = x.shape
  demand(x.shape.length === 4 && block > 0 && h! % block === 0 && w! % block === 0, 'SpaceToDepth with another block')
  const columnRow = call.node.attributes.mode === 'CRD'
  const moved = transposed(
    reshaped(x, [n!, c!, h! / block, block, w! / block, block]),
    columnRow ? [0, 1, 3, 5, 2, 4] : [0, 3, 5, 1, 2, 4],
  )
  return [reshaped(moved, [n!, c! * block * block, h! / block, w! / block])]
}

function shapeOf(call: Call) {
  const { shape } = input(call, 0)
  const clamp = (value: number) => Math.max(0, Math.min(shape.length, value < 0 ? value + shape.length : value))
  const part = shape.slice(clamp(int(call, 'start', 0)), clamp(int(call, 'end', shape.length)))
  return [int64s([part.length], Float64Array.from(part))]
}

/** As in inference: nothing is dropped; the mask keeps everything. */
function dropout(call: Call) {
  const x = input(call, 0)
  const training = call.inputs[2]
  demand(training === undefined || scalarOf(training) === 0, 'training mode')
  demand(call.opset >= 7 || int(call, 'is_test', 0) !== 0, 'training mode')
  const mask = hasOutput(call, 1) ? new Float64Array(x.values.length).fill(1) : undefined
  return mask === undefined ? [x] : [x, call.opset < 12 ? alike(x, x.shape, mask) : bools(x.shape, mask)]
}

/** TensorProto.DataType of those that hold numbers. */
const DATA_TYPES: Readonly<Record<number, Dtype>> = {
  1: 'float32',
  2: 'uint8',
  3: 'int8',
  4: 'uint16',
  5: 'int16',
  6: 'int32',
  7: 'int64',
  9: 'bool',
  10: 'float16',
  11: 'float64',
  12: 'uint32',
  13: 'uint64',
  16: 'bfloat16',
  17: 'float8_e4m3fn',
  18: 'float8_e4m3fnuz',
  19: 'float8_e5m2',
  20: 'float8_e5m2fnuz',
  21: 'uint4',
  22: 'int4',
  23: 'float4_e2m1fn',
  24: 'float8_e8m0fnu',
  25: 'uint2',
  26: 'int2',
}

/** The type that an attribute names by its number. */
export function dtypeOf(call: Call, name: string): Dtype | undefined {
  const code = call.node.attributes[name]
  if (code === undefined || code === 0) return undefined
  const dtype = typeof code === 'number' ? DATA_TYPES[code] : undefined
  demand(dtype !== undefined, `type ${String(code)}`)
  return dtype
}

/** Floats of 16 and 8 bits are rounded, to integers values are cut off; wider floats stay as they are. */
export function castTo(x: Numbers, dtype: Dtype, saturate = true): Numbers {
  const kind = kindOf(dtype)
  const to = (values: Float64Array): Numbers => ({ shape: x.shape, values, kind, dtype })
  if (kind === 'bool') return to(x.values.map((value) => (value !== 0 ? 1 : 0)))
  if (kind === 'float') return to(roundTo(dtype, x.values, saturate))
  const { bits, kind: sort } = DTYPES[dtype]
  const out = x.values.map(Math.trunc)
  const highest = 2 ** (sort === 'uint' ? bits : bits - 1) - 1
  const lowest = sort === 'uint' ? 0 : -highest - 1
  for (const [index, value] of out.entries()) {
    const inside = value >= lowest && value <= highest
    // what a float beyond the range becomes is up to the machine, except below 8 bits, which are cut from 8
    const isCut = Number.isSafeInteger(value) && (bits < 8 || (x.kind === 'int' && bits < 64))
    demand(inside || isCut, `${value} as ${dtype}`)
    if (inside) continue
    const modulus = 2 ** bits
    out[index] = ((((value - lowest) % modulus) + modulus) % modulus) + lowest
  }
  return to(out.map((value) => value + 0))
}

function cast(call: Call) {
  const dtype = dtypeOf(call, 'to')
  demand(dtype !== undefined, 'no type to cast to')
  return [castTo(input(call, 0), dtype, int(call, 'saturate', 1) !== 0)]
}

function castLike(call: Call) {
  const { dtype } = input(call, 1)
  demand(dtype !== undefined, 'a type that is not known')
  return [castTo(input(call, 0), dtype, int(call, 'saturate', 1) !== 0)]
}

/** The value may be stored in any of seven attributes; a reader may have made a tensor of it. */
function constant(call: Call) {
  const { attributes } = call.node
  const name = Object.keys(attributes).find((key) => key.startsWith('value'))
  demand(name !== undefined, 'a constant without value')
  const stated = attributes[name]
  if (typeof stated === 'object' && !Array.isArray(stated)) {
    const stored = findTensor(call, name)
    demand(stored !== undefined, 'a constant without value')
    return [stored]
  }
  const dtype = /float/.test(name) ? 'float32' : 'int64'
  const list = Array.isArray(stated) ? findInts(call, name)! : [stated]
  const values = list.map((value) => {
    demand(typeof value === 'number', 'a constant of another kind')
    return dtype === 'float32' ? Math.fround(value) : value
  })
  const shape = Array.isArray(stated) ? [values.length] : []
  return [{ shape, values: Float64Array.from(values), kind: kindOf(dtype), dtype } as const]
}

/** @source https://onnx.ai/onnx/operators/ */
export const SHAPE_OPERATORS: OperatorTable = {
  Transpose: transpose,
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Concat: concat,
  Split: split,
  Expand: expand,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  Shape: shapeOf,
  Size: (call) => [int64s([], Float64Array.of(input(call, 0).values.length))],
  Identity: (call) => [input(call, 0)],
  Dropout: dropout,
  Cast: cast,
  CastLike: castLike,
  Constant: constant,
}
