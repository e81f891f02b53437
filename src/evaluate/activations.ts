import { type Call, input, type Operator, type OperatorTable, real, text } from './call.ts'
import { mapValues } from './elementwise.ts'
import { alike, demand, NotCovered, scalarOf } from './numbers.ts'
import { gelu, geluTanh, sigmoid, softplus } from './special-functions.ts'

/** A function of one number. */
export type Scalar = (x: number) => number

/** Activations by name, made from their two usual parameters; each default is that of the operator of this name. */
interface ActivationRow {
  readonly alpha?: number
  readonly beta?: number
  readonly make: (alpha: number, beta: number) => Scalar
}

const fixed = (make: Scalar): ActivationRow => ({ make: () => make })
const celu = (alpha: number): Scalar => {
  return (x) => Math.max(0, x) + Math.min(0, alpha * Math.expm1(x / alpha))
}

/** Operators with attributes `alpha` and `beta`, or none. NaN goes through each of them. */
const ACTIVATIONS: Readonly<Record<string, ActivationRow>> = {
  Relu: fixed((x) => (x < 0 ? 0 : x)),
  Sigmoid: fixed(sigmoid),
  Tanh: fixed(Math.tanh),
  LeakyRelu: { alpha: 0.01, make: (alpha) => (x) => (x < 0 ? alpha * x : x) },
  Elu: { alpha: 1, make: (alpha) => (x) => (x < 0 ? alpha * Math.expm1(x) : x) },
  Celu: { alpha: 1, make: celu },
  ThresholdedRelu: { alpha: 1, make: (alpha) => (x) => (x > alpha ? x : x <= alpha ? 0 : x) },
  HardSigmoid: { alpha: 0.2, beta: 0.5, make: (alpha, beta) => (x) => Math.max(0, Math.min(1, alpha * x + beta)) },
  HardSwish: fixed((x) => x * Math.max(0, Math.min(1, x / 6 + 0.5))),
  Swish: { alpha: 1, make: (alpha) => (x) => x * sigmoid(alpha * x) },
  Mish: fixed((x) => x * Math.tanh(softplus(x))),
  Softplus: fixed(softplus),
  Softsign: fixed((x) => x / (1 + Math.abs(x))),
}

/** Only recurrent layers call these. */
const RECURRENT_ONLY: Readonly<Record<string, ActivationRow>> = {
  Affine: { alpha: 1, beta: 0, make: (alpha, beta) => (x) => alpha * x + beta },
  ScaledTanh: { alpha: 1, beta: 1, make: (alpha, beta) => (x) => alpha * Math.tanh(beta * x) },
}

/**
 * An activation by name with its parameters.
 * @param alpha the operator's own default where undefined
 * @throws {NotCovered} for a name that is no activation
 */
export function activation(name: string, alpha?: number, beta?: number): Scalar {
  const wanted = name.toLowerCase()
  for (const [key, row] of Object.entries({ ...ACTIVATIONS, ...RECURRENT_ONLY })) {
    if (key.toLowerCase() !== wanted) continue
    return row.make(Math.fround(alpha ?? row.alpha ?? 0), Math.fround(beta ?? row.beta ?? 0))
  }
  throw new NotCovered(`activation ${name}`)
}

function fromRow(row: ActivationRow): Operator {
  return (call) => [
    mapValues(input(call, 0), row.make(real(call, 'alpha', row.alpha ?? 0), real(call, 'beta', row.beta ?? 0))),
  ]
}

function selu(call: Call) {
  const alpha = real(call, 'alpha', call.opset < 6 ? 1.6732 : 1.6732632423543772)
  const gamma = real(call, 'gamma', call.opset < 6 ? 1.0507 : 1.0507009873554805)
  return [mapValues(input(call, 0), (x) => gamma * (x <= 0 ? alpha * Math.expm1(x) : x))]
}

/** Bounds are attributes before version 11, inputs since. */
function clip(call: Call) {
  const bound = (index: number, name: string, none: number): number => {
    if (call.opset < 11) return name in call.node.attributes ? real(call, name, none) : none
    const given = call.inputs[index]
    return given === undefined ? none : scalarOf(given)
  }
  const low = bound(1, 'min', Number.NEGATIVE_INFINITY)
  const high = bound(2, 'max', Number.POSITIVE_INFINITY)
  return [mapValues(input(call, 0), (x) => (x < low ? Math.min(low, high) : x > high ? high : x))]
}

function geluOperator(call: Call) {
  const approximate = text(call, 'approximate', 'none')
  demand(approximate === 'none' || approximate === 'tanh', `approximate ${approximate}`)
  return [mapValues(input(call, 0), approximate === 'tanh' ? geluTanh : gelu)]
}

function shrink(call: Call) {
  const bias = real(call, 'bias', 0)
  const lambda = real(call, 'lambd', 0.5)
  const x = input(call, 0)
  return [mapValues(x, (value) => (value < -lambda ? value + bias : value > lambda ? value - bias : 0))]
}

/** Along one axis since version 13; before, over all axes from `axis` on, as one. */
function overAxis(normalise: (row: Float64Array) => void): Operator {
  return (call) => {
    const x = input(call, 0)
    const rank = x.shape.length
    const stated = call.node.attributes.axis
    demand(stated === undefined || typeof stated === 'number', 'attribute axis')
    let axis = stated ?? (call.opset < 13 ? 1 : -1)
    if (axis < 0) axis += rank
    demand(axis >= 0 && axis <= rank, `axis ${axis} of rank ${rank}`)
    const last = call.opset < 13 ? rank : axis + 1
    const size = x.shape.slice(axis, last).reduce((product, extent) => product * extent, 1)
    const after = x.shape.slice(last).reduce((product, extent) => product * extent, 1)
    const out = new Float64Array(x.values)
    const row = new Float64Array(size)
    const blocks = size * after === 0 ? 0 : out.length / (size * after)
    for (let block = 0; block < blocks; block++) {
      for (let lane = 0; lane < after; lane++) {
        const start = block * size * after + lane
        for (let index = 0; index < size; index++) row[index] = out[start + index * after]!
        normalise(row)
        for (let index = 0; index < size; index++) out[start + index * after] = row[index]!
      }
    }
    return [alike(x, x.shape, out)]
  }
}

/** Softmax of `row`, in place. */
export function softmax(row: Float64Array): void {
  let largest = Number.NEGATIVE_INFINITY
  for (const value of row) if (value > largest || Number.isNaN(value)) largest = value
  let sum = 0
  for (let index = 0; index < row.length; index++) {
    row[index] = Math.exp(row[index]! - largest)
    sum += row[index]!
  }
  for (let index = 0; index < row.length; index++) row[index] = row[index]! / sum
}

function logSoftmax(row: Float64Array): void {
  let largest = Number.NEGATIVE_INFINITY
  for (const value of row) if (value > largest || Number.isNaN(value)) largest = value
  let sum = 0
  for (const value of row) sum += Math.exp(value - largest)
  const shift = largest + Math.log(sum)
  for (let index = 0; index < row.length; index++) row[index] = row[index]! - shift
}

function hardmax(row: Float64Array): void {
  let best = 0
  for (let index = 1; index < row.length; index++) if (row[index]! > row[best]!) best = index
  row.fill(0)
  row[best] = 1
}

/** @source https://onnx.ai/onnx/operators/ */
export const ACTIVATION_OPERATORS: OperatorTable = {
  ...Object.fromEntries(Object.entries(ACTIVATIONS).map(([name, row]) => [name, fromRow(row)])),
  Selu: selu,
  Clip: clip,
  Gelu: geluOperator,
  Shrink: shrink,
  Softmax: overAxis(softmax),
  LogSoftmax: overAxis(logSoftmax),
  Hardmax: overAxis(hardmax),
}
