import { type Call, input, int, type Operator, type OperatorTable, real } from './call.ts'
import { combineValues, mapValues } from './elementwise.ts'
import { gemm } from './matmul.ts'
import { alike, axisOf, demand, floats, NotCovered, type Numbers, scalarOf } from './numbers.ts'
import { POOL_OPERATORS } from './pool.ts'
import { quantised } from './quantise.ts'
import { transposed } from './shape.ts'
import { sigmoid } from './special-functions.ts'

/** Integers as the real numbers that they stand for: input `index`, its scale and its zero point behind it. */
function realAt(call: Call, index: number): Numbers {
  const [x, scale, zero] = [input(call, index), scalarOf(input(call, index + 1)), call.inputs[index + 2]]
  const centre = zero === undefined ? 0 : scalarOf(zero)
  return floats(
    x.shape,
    x.values.map((value) => (value - centre) * scale),
  )
}

/** Real numbers as integers by the scale at input `index` and the zero point behind it. */
function quantisedBy(call: Call, x: Numbers, index: number, dtype = input(call, 0).dtype): Numbers {
  const [scale, zero] = [scalarOf(input(call, index)), call.inputs[index + 1]]
  const target = zero?.dtype ?? dtype ?? 'uint8'
  const scaled = x.values.map((value) => Math.fround(value / scale))
  const values = quantised(target, scaled, () => (zero === undefined ? 0 : scalarOf(zero)), true)
  return { shape: x.shape, values, kind: 'int', dtype: target }
}

/** Two quantised operands through a function of real numbers. */
function binary(combine: (a: number, b: number) => number): Operator {
  return (call) => [quantisedBy(call, combineValues(realAt(call, 0), realAt(call, 3), combine), 6)]
}

/** One quantised operand. */
function unary(make: (call: Call) => (x: number) => number): Operator {
  return (call) => [quantisedBy(call, mapValues(realAt(call, 0), make(call)), 3)]
}

/** A pool over real numbers, with the channels last where the node says so. */
function pool(name: 'AveragePool' | 'GlobalAveragePool'): Operator {
  return (call) => {
    const x = realAt(call, 0)
    const last = int(call, 'channels_last', 0) !== 0
    const rank = x.shape.length
    const first = last ? transposed(x, [0, rank - 1, ...Array.from({ length: rank - 2 }, (_, axis) => axis + 1)]) : x
    const [y] = POOL_OPERATORS[name]!({ ...call, inputs: [first], opset: 19 })
    demand(y !== undefined, 'a pool without result')
    const back = last ? transposed(y, [0, ...Array.from({ length: rank - 2 }, (_, axis) => axis + 2), 1]) : y
    return [quantisedBy(call, back, 3)]
  }
}

/** Scale and zero point of the result come first, then three inputs per operand. */
function concat(call: Call) {
  const parts: Numbers[] = []
  for (let index = 2; index < call.inputs.length; index += 3) parts.push(realAt(call, index))
  const first = parts[0]
  if (first === undefined) throw new NotCovered('nothing to join')
  const axis = axisOf(int(call, 'axis', 1), first.shape.length)
  const blocks = first.shape.slice(0, axis).reduce((product, size) => product * size, 1)
  const rest = (shape: readonly number[]) => shape.toSpliced(axis, 1).join()
  demand(
    parts.every(({ shape }) => rest(shape) === rest(first.shape)),
    'arrays that do not fit',
  )
  const total = parts.reduce((sum, { shape }) => sum + shape[axis]!, 0)
  const out = new Float64Array(parts.reduce((sum, { values }) => sum + values.length, 0))
  let to = 0
  for (let block = 0; block < blocks; block++) {
    for (const { values } of parts) {
      const length = values.length / blocks
      out.set(values.subarray(block * length, (block + 1) * length), to)
      to += length
    }
  }
  return [quantisedBy(call, floats(first.shape.with(axis, total), out), 0, call.inputs[2]?.dtype)]
}

/** Gemm of integers with an int32 bias in units of both scales; without an output scale the result stays real. */
function qGemm(call: Call) {
  const [scaleA, scaleB] = [scalarOf(input(call, 1)), input(call, 4)]
  const [a, b, bias] = [realAt(call, 0), realAt(call, 3), call.inputs[6]]
  const unit = scaleA * scalarOf(scaleB)
  const addend =
    bias &&
    floats(
      bias.shape,
      bias.values.map((value) => value * unit * real(call, 'alpha', 1)),
    )
  const product = gemm({ ...call, inputs: [a, b, addend] })
  return [call.inputs[7] === undefined ? alike(a, product.shape, product.values) : quantisedBy(call, product, 7)]
}

function leakyRelu(call: Call) {
  const alpha = real(call, 'alpha', 0.01)
  return (x: number) => (x < 0 ? alpha * x : x)
}

/** @source microsoft/onnxruntime, docs/ContribOperators.md */
export const QUANTISED_FUSED_OPERATORS: OperatorTable = {
  QLinearAdd: binary((a, b) => a + b),
  QLinearMul: binary((a, b) => a * b),
  QLinearSigmoid: unary(() => sigmoid),
  QLinearLeakyRelu: unary(leakyRelu),
  QLinearAveragePool: pool('AveragePool'),
  QLinearGlobalAveragePool: pool('GlobalAveragePool'),
  QLinearConcat: concat,
  QGemm: qGemm,
}
