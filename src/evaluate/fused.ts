import { elementCount } from '../tensor/dtype.ts'
import { activation } from './activations.ts'
import { type Call, findReals, hasOutput, input, int, type OperatorTable, real, text } from './call.ts'
import { convolve } from './conv.ts'
import { combineValues, mapValues } from './elementwise.ts'
import { gemm, multiplyArrays } from './matmul.ts'
import { layerNormalization, normaliseRows } from './normalise.ts'
import { alike, broadcastTo, demand, floats, type Numbers, zeros } from './numbers.ts'
import { transposed } from './shape.ts'
import { gelu, geluTanh, sigmoid } from './special-functions.ts'

const add = (a: number, b: number) => a + b

/** The activation that an optimiser appended to an operator, by its name and parameters. */
function activated(x: Numbers, name: string, parameters: readonly number[]): Numbers {
  if (name === '') return x
  if (name === 'Clip') {
    const [low = Number.NEGATIVE_INFINITY, high = Number.POSITIVE_INFINITY] = parameters
    return mapValues(x, (value) => Math.max(low, Math.min(high, value)))
  }
  return mapValues(x, activation(name, parameters[0], parameters[1]))
}

/** Conv, then the addition of a fourth input, then an activation. */
function fusedConv(call: Call) {
  const sum = convolve(call, input(call, 0), input(call, 1), call.inputs[2])
  const addend = call.inputs[3]
  const whole = addend === undefined ? sum : combineValues(sum, addend, add)
  return [activated(whole, text(call, 'activation', ''), findReals(call, 'activation_params') ?? [])]
}

function fusedGemm(call: Call) {
  const { attributes } = call.node
  const parameters = ['activation_alpha', 'activation_beta', 'activation_gamma'].filter((name) => name in attributes)
  return [
    activated(
      gemm(call),
      text(call, 'activation', ''),
      parameters.map((name) => real(call, name, 0)),
    ),
  ]
}

/** `trans` swaps the last two axes; `transBatch` moves the first to before the last. */
function turned(x: Numbers, trans: boolean, transBatch: boolean): Numbers {
  let order = [...x.shape.keys()]
  if (x.shape.length < 2) return x
  if (transBatch) order = [...order.slice(1, -1), 0, order.at(-1)!]
  if (trans) order = [...order.slice(0, -2), order.at(-1)!, order.at(-2)!]
  return transposed(x, order)
}

function fusedMatMul(call: Call) {
  const flag = (name: string) => int(call, name, 0) !== 0
  const left = turned(input(call, 0), flag('transA'), flag('transBatchA'))
  const right = turned(input(call, 1), flag('transB'), flag('transBatchB'))
  const alpha = real(call, 'alpha', 1)
  const product = multiplyArrays(call, left, right)
  return [alpha === 1 ? product : mapValues(product, (value) => alpha * value)]
}

/** An activation of x plus a bias along the last axis. */
function biased(map: (x: number) => number) {
  return (call: Call) => {
    const [x, bias] = [input(call, 0), call.inputs[1]]
    return [mapValues(bias === undefined ? x : combineValues(x, bias, add), map)]
  }
}

function quickGelu(call: Call) {
  const alpha = real(call, 'alpha', 1.702)
  return [mapValues(input(call, 0), (x) => x * sigmoid(alpha * x))]
}

/** LayerNormalization of input + skip (+ bias); the fourth output is the sum. */
function skipNormalization(centre: boolean) {
  return (call: Call) => {
    const [x, skip, gamma] = [input(call, 0), input(call, 1), input(call, 2)]
    const [beta, bias] = centre ? [call.inputs[3], call.inputs[4]] : [undefined, call.inputs[3]]
    const skipped = combineValues(x, { ...skip, values: broadcastTo(skip, x.shape), shape: x.shape }, add)
    const sum = bias === undefined ? skipped : combineValues(skipped, bias, add)
    const inner: Call = { ...call, inputs: [sum, gamma, beta], node: { ...call.node, attributes: epsilonOf(call) } }
    const [y, ...statistics] = layerNormalization(inner, { centre, epsilon: 1e-12 })
    const [mean, inverse] = centre ? statistics : [undefined, ...statistics]
    return [y, mean, inverse, sum]
  }
}

function epsilonOf({ node: { attributes } }: Call): Call['node']['attributes'] {
  return attributes.epsilon === undefined ? {} : { epsilon: attributes.epsilon }
}

/** softmax(x + bias) along the last axes; `axis` and where the bias broadcasts are attributes. */
function biasSoftmax(call: Call) {
  const [x, bias] = [input(call, 0), input(call, 1)]
  const axis = int(call, 'axis', 1)
  const from = axis < 0 ? axis + x.shape.length : axis
  const sum = combineValues(x, bias, add)
  const size = elementCount(x.shape.slice(from))
  demand(size > 0, 'softmax over nothing')
  const out = zeros(x.shape)
  for (let start = 0; start < out.length; start += size) {
    const row = sum.values.subarray(start, start + size)
    const largest = row.reduce((a, b) => Math.max(a, b))
    const total = row.reduce((a, b) => a + Math.exp(b - largest), 0)
    for (let at = 0; at < size; at++) out[start + at] = Math.exp(row[at]! - largest) / total
  }
  return [alike(x, x.shape, out)]
}

/** GroupNormalization of [N, H, W, C] with an optional SiLU behind it. */
function groupNorm(call: Call) {
  const [x, gamma, beta] = [input(call, 0), input(call, 1), input(call, 2)]
  const last = int(call, 'channels_last', 1) !== 0
  demand(x.shape.length > 2 && !hasOutput(call, 1), 'GroupNorm of another form')
  const rank = x.shape.length
  const first = last ? transposed(x, [0, rank - 1, ...x.shape.slice(1, -1).map((_, axis) => axis + 1)]) : x
  const channels = first.shape[1]!
  const groups = int(call, 'groups', 0)
  demand(groups > 0 && channels % groups === 0, 'groups unlike the channels')
  demand(gamma.values.length === channels && beta.values.length === channels, 'one value per channel')
  const size = elementCount(first.shape.slice(1)) / groups
  const { rows } = normaliseRows(first.values, size, real(call, 'epsilon', 1e-5))
  const plane = elementCount(first.shape.slice(2))
  const silu = int(call, 'activation', 0) !== 0
  for (let at = 0; at < rows.length; at++) {
    const channel = Math.floor(at / plane) % channels
    const value = rows[at]! * gamma.values[channel]! + beta.values[channel]!
    rows[at] = silu ? value * sigmoid(value) : value
  }
  const y = floats(first.shape, rows)
  return [last ? transposed(y, [0, ...x.shape.slice(2).map((_, axis) => axis + 2), 1]) : y]
}

/**
 * What ONNX Runtime's optimiser writes in place of several nodes.
 * @source microsoft/onnxruntime, docs/ContribOperators.md
 */
export const FUSED_OPERATORS: OperatorTable = {
  FusedConv: fusedConv,
  FusedGemm: fusedGemm,
  FusedMatMul: fusedMatMul,
  TransposeMatMul: fusedMatMul,
  Gelu: biased(gelu),
  BiasGelu: biased(gelu),
  FastGelu: biased(geluTanh),
  QuickGelu: quickGelu,
  BiasSoftmax: biasSoftmax,
  GroupNorm: groupNorm,
  LayerNormalization: (call) => layerNormalization(call, { centre: true, epsilon: 1e-5 }),
  SimplifiedLayerNormalization: (call) => layerNormalization(call, { centre: false, epsilon: 1e-5 }),
  SkipLayerNormalization: skipNormalization(true),
  SkipSimplifiedLayerNormalization: skipNormalization(false),
}
