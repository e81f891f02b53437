import { DTYPES, type Dtype } from '../tensor/dtype.ts'
import { type Call, input, int, type OperatorTable } from './call.ts'
import { convolve } from './conv.ts'
import { multiplyArrays } from './matmul.ts'
import { alike, around, axisOf, demand, floats, type Numbers, scalarOf } from './numbers.ts'
import { roundTo } from './round-to.ts'
import { dtypeOf } from './shape.ts'
import { roundHalfEven } from './special-functions.ts'

/** For each element of an array of `shape` the entry of `scale` or zero point that belongs to it. */
type Entry = (at: number) => number

/** One for all, one per slice of an axis, or one per block of `blockSize` along it. */
function entryOf(call: Call, shape: readonly number[], list: Numbers): Entry {
  if (list.values.length === 1) return () => 0
  const axis = axisOf(int(call, 'axis', 1), shape.length)
  const [, size, after] = around(shape, axis)
  const blockSize = int(call, 'block_size', 0)
  if (blockSize === 0) {
    demand(list.values.length === size, 'scales for another axis')
    return (at) => Math.floor(at / after) % size
  }
  const blocks = list.shape[axis]
  demand(list.shape.length === shape.length && blocks === Math.ceil(size / blockSize), 'scales for other blocks')
  return (at) => {
    const outer = Math.floor(at / (after * size))
    const block = Math.floor((Math.floor(at / after) % size) / blockSize)
    return (outer * blocks + block) * after + (at % after)
  }
}

/** The nearest value that the type holds; integers saturate. */
export function quantised(dtype: Dtype, values: Float64Array, zeroPoint: Entry, saturate: boolean): Float64Array {
  const { kind, bits } = DTYPES[dtype]
  if (kind === 'float') return roundTo(dtype, values, saturate)
  demand(kind === 'int' || kind === 'uint', `quantised to ${dtype}`)
  const highest = 2 ** (kind === 'uint' ? bits : bits - 1) - 1
  const lowest = kind === 'uint' ? 0 : -highest - 1
  return values.map((value, at) => Math.max(lowest, Math.min(highest, roundHalfEven(value) + zeroPoint(at))) + 0)
}

/** The division is float32's: at halves its rounding decides which integer comes out. */
function quantizeLinear(call: Call) {
  const [x, scale, zero] = [input(call, 0), input(call, 1), call.inputs[2]]
  const dtype = zero?.dtype ?? dtypeOf(call, 'output_dtype') ?? 'uint8'
  const entry = entryOf(call, x.shape, scale)
  const narrow = x.dtype === 'float16' || x.dtype === 'bfloat16'
  const scaled = x.values.map((value, at) => Math.fround(value / scale.values[entry(at)]!))
  demand(!narrow || int(call, 'precision', 0) === 0, 'precision of the division')
  const values = quantised(dtype, scaled, (at) => zero?.values[entry(at)] ?? 0, int(call, 'saturate', 1) !== 0)
  return [{ shape: x.shape, values, kind: DTYPES[dtype].kind === 'float' ? 'float' : 'int', dtype } as const]
}

function dequantised(call: Call, x: Numbers, scale: Numbers, zero: Numbers | undefined): Numbers {
  const entry = entryOf(call, x.shape, scale)
  const values = x.values.map((value, at) => (value - (zero?.values[entry(at)] ?? 0)) * scale.values[entry(at)]!)
  return { ...floats(x.shape, values), dtype: dtypeOf(call, 'output_dtype') ?? scale.dtype ?? 'float32' }
}

function dynamicQuantizeLinear(call: Call) {
  const x = input(call, 0)
  const high = x.values.reduce((a, b) => Math.max(a, b), 0)
  const low = x.values.reduce((a, b) => Math.min(a, b), 0)
  const scale = Math.fround(Math.fround(high - low) / 255)
  const zero = Math.max(0, Math.min(255, roundHalfEven(Math.fround((0 - low) / scale))))
  const scaled = x.values.map((value) => Math.fround(value / scale))
  const y = quantised('uint8', scaled, () => zero, true)
  return [
    { shape: x.shape, values: y, kind: 'int', dtype: 'uint8' },
    { ...floats([], Float64Array.of(scale)), dtype: 'float32' },
    { shape: [], values: Float64Array.of(zero), kind: 'int', dtype: 'uint8' },
  ] as const
}

/** Values less their zero point: one for all, or one per slice of `axis`. */
function centred(x: Numbers, zero: Numbers | undefined, axis: number): Numbers {
  const [, size, after] = around(x.shape, axis)
  const list = zero?.values ?? Float64Array.of(0)
  demand(list.length === 1 || list.length === size, 'zero points for another axis')
  const values = x.values.map((value, at) => value - list[list.length === 1 ? 0 : Math.floor(at / after) % size]!)
  return { shape: x.shape, values, kind: 'int', dtype: 'int32' }
}

const int32 = (array: Numbers): Numbers => ({ ...array, kind: 'int', dtype: 'int32' })

function convInteger(call: Call) {
  const [x, w] = [centred(input(call, 0), call.inputs[2], 0), centred(input(call, 1), call.inputs[3], 0)]
  demand((call.inputs[2]?.values.length ?? 1) === 1, 'several zero points of x')
  return [int32(convolve(call, x, w, undefined))]
}

function matMulInteger(call: Call) {
  const [a, b] = [input(call, 0), input(call, 1)]
  const left = centred(a, call.inputs[2], Math.max(0, a.shape.length - 2))
  const right = centred(b, call.inputs[3], b.shape.length - 1)
  return [int32(multiplyArrays(call, left, right))]
}

/** Integer sums to the output's scale: `multipliers` one for all or one per slice of `axis`. */
function requantised(sums: Numbers, multipliers: Float64Array, axis: number, zero: Numbers): Numbers {
  const [, size, after] = around(sums.shape, axis)
  demand(multipliers.length === 1 || multipliers.length === size, 'scales for another axis')
  const factor = (at: number) => multipliers[multipliers.length === 1 ? 0 : Math.floor(at / after) % size]!
  const scaled = sums.values.map((value, at) => Math.fround(value * factor(at)))
  const values = quantised(zero.dtype ?? 'uint8', scaled, () => scalarOf(zero), true)
  return { shape: sums.shape, values, kind: 'int', dtype: zero.dtype ?? 'uint8' }
}

function qLinearConv(call: Call) {
  const [x, w, bias] = [
    centred(input(call, 0), input(call, 2), 0),
    centred(input(call, 3), input(call, 5), 0),
    call.inputs[8],
  ]
  const sums = convolve(call, x, w, bias)
  const [scaleX, scaleY] = [scalarOf(input(call, 1)), scalarOf(input(call, 6))]
  const multipliers = input(call, 4).values.map((scale) => Math.fround(Math.fround(scaleX * scale) / scaleY))
  return [requantised(sums, multipliers, 1, input(call, 7))]
}

function qLinearMatMul(call: Call) {
  const [a, b] = [input(call, 0), input(call, 3)]
  const left = centred(a, input(call, 2), Math.max(0, a.shape.length - 2))
  const right = centred(b, input(call, 5), b.shape.length - 1)
  const sums = multiplyArrays(call, left, right)
  const [scaleA, scaleY] = [scalarOf(input(call, 1)), scalarOf(input(call, 6))]
  const multipliers = input(call, 4).values.map((scale) => Math.fround(Math.fround(scaleA * scale) / scaleY))
  return [requantised(alike(sums, sums.shape, sums.values), multipliers, sums.shape.length - 1, input(call, 7))]
}

/** @source https://onnx.ai/onnx/operators/ */
export const QUANTISE_OPERATORS: OperatorTable = {
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: (call) => [dequantised(call, input(call, 0), input(call, 1), call.inputs[2])],
  DynamicQuantizeLinear: dynamicQuantizeLinear,
  ConvInteger: convInteger,
  MatMulInteger: matMulInteger,
  QLinearConv: qLinearConv,
  QLinearMatMul: qLinearMatMul,
}
