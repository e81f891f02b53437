import type { TensorRole } from '../../tensor/tensor.ts'

/** One array of a layer, in the order in which the `.bin` holds them. */
export interface WeightSpec {
  /** last part of the tensor's name, and the parameter's role in the node */
  readonly name: string
  readonly shape: readonly number[]
  /** `tagged`: a 32-bit tag says how the values are stored; `raw`: bare float32 */
  readonly stored: 'tagged' | 'raw'
  readonly role: TensorRole
  /** this array holds the scales of an earlier one of the layer: stored = round(real * scale), per index of `axis` */
  readonly scalesOf?: { readonly name: string; readonly axis?: number }
}

/** Reads a whole-number parameter of the layer, with ncnn's default. */
export type ParamOf = (id: number, fallback: number) => number

/** A size that the parameters give but no layer can have; `describeWeights` turns it into an error. */
export class ImpossibleShape extends Error {}

/**
 * The arrays that a layer of `type` has, from its parameters alone: ncnn stores no shapes.
 *
 * Shapes are (out, in per group, [depth,] height, width) for convolutions and deconvolutions alike (the converters
 * turn a Caffe or PyTorch deconvolution into that order), (out, in) for InnerProduct and attention, (rows, columns)
 * as stored for Gemm, (directions, gates * hidden, in) for recurrent layers.
 *
 * @returns undefined for a type whose weights we do not know
 * @throws {ImpossibleShape} when the sizes do not divide
 * @source https://github.com/Tencent/ncnn/tree/master/src/layer (load_param and load_model of each layer)
 */
export function describeWeights(type: string, param: ParamOf): WeightSpec[] | undefined {
  return LAYERS[type]?.(param)
}

const tagged = (name: string, ...shape: number[]): WeightSpec => ({ name, shape, stored: 'tagged', role: 'parameter' })
const raw = (name: string, ...shape: number[]): WeightSpec => ({ name, shape, stored: 'raw', role: 'parameter' })
const buffer = (name: string, ...shape: number[]): WeightSpec => ({ name, shape, stored: 'raw', role: 'buffer' })
const scale = (of: string, axis: number | undefined, ...shape: number[]): WeightSpec => ({
  name: `${of}_scale`,
  shape,
  stored: 'raw',
  role: 'other',
  scalesOf: { name: of, ...(axis === undefined ? {} : { axis }) },
})
const activationScale = (name: string): WeightSpec => ({ name, shape: [1], stored: 'raw', role: 'other' })

/** `total / parts`, whole and positive. */
function divide(total: number, ...parts: number[]): number {
  const result = parts.reduce((left, part) => left / part, total)
  if (!Number.isInteger(result) || result < 0) throw new ImpossibleShape(`${total} divided by ${parts.join(' x ')}`)
  return result
}

function convolution(
  param: ParamOf,
  kernel: readonly number[],
  options: { dynamicId?: number; int8?: 'output' | 'group' },
): WeightSpec[] {
  if (options.dynamicId !== undefined && param(options.dynamicId, 0) !== 0) return []
  const [outputs, size] = [param(0, 0), param(6, 0)]
  const specs = [tagged('weight', outputs, divide(size, outputs, ...kernel), ...kernel)]
  if (param(5, 0) !== 0) specs.push(raw('bias', outputs))
  const term = options.int8 === undefined ? 0 : param(8, 0)
  if (term !== 0 && options.int8 === 'output') specs.push(scale('weight', 0, outputs), activationScale('input_scale'))
  if (options.int8 === 'group' && (term === 1 || term === 101))
    specs.push(...groupScales(outputs, param(7, 1)), activationScale('input_scale'))
  if (options.int8 === 'group' && (term === 2 || term === 102))
    specs.push(scale('weight', undefined, 1), activationScale('input_scale'))
  if (term > 100) specs.push(activationScale('output_scale'))
  return specs
}

/** One scale per group: per output channel only where each group has one. */
function groupScales(outputs: number, groups: number): WeightSpec[] {
  return groups === outputs
    ? [scale('weight', 0, groups)]
    : [{ name: 'weight_scale', shape: [groups], stored: 'raw', role: 'other' }]
}

const kernel1 = (param: ParamOf) => [param(1, 0)]
const kernel2 = (param: ParamOf) => [param(11, param(1, 0)), param(1, 0)]
const kernel3 = (param: ParamOf) => [param(21, param(1, 0)), param(11, param(1, 0)), param(1, 0)]

const affine = (affineId: number, channels: number, param: ParamOf): WeightSpec[] =>
  param(affineId, 1) === 0 ? [] : [raw('gamma', channels), raw('beta', channels)]

/** @param gates blocks in the input weights: 4 LSTM, 3 GRU, 1 RNN; @param biases rows of the bias */
function recurrent(param: ParamOf, gates: number, biases: number): WeightSpec[] {
  const outputs = param(0, 0)
  const directions = param(2, 0) === 2 ? 2 : 1
  const hidden = gates === 4 ? param(3, outputs) : outputs
  const inputs = divide(param(1, 0), directions, hidden, gates)
  const specs = [
    tagged('weight_xc', directions, hidden * gates, inputs),
    tagged('bias_c', directions, biases, hidden),
    tagged('weight_hc', directions, hidden * gates, outputs),
  ]
  if (hidden !== outputs) specs.push(tagged('weight_hr', directions, outputs, hidden))
  // Scales run over directions and rows together, which no single axis expresses: the arrays stand for themselves.
  if (param(8, 0) !== 0)
    for (const name of ['weight_xc_scale', 'weight_hc_scale'])
      specs.push({ name, shape: [directions, hidden * gates], stored: 'raw', role: 'other' })
  return specs
}

function attention(param: ParamOf): WeightSpec[] | undefined {
  const [embed, term] = [param(0, 0), param(18, 0)]
  if (term >= BLOCK_QUANTISED) return undefined
  const query = divide(param(2, 0), embed)
  const [key, value] = [param(3, embed), param(4, embed)]
  const specs = [
    ...[tagged('q_weight', embed, query), raw('q_bias', embed), tagged('k_weight', embed, key), raw('k_bias', embed)],
    ...[tagged('v_weight', embed, value), raw('v_bias', embed), tagged('out_weight', query, embed)],
    raw('out_bias', query),
  ]
  if (term !== 0) {
    for (const name of ['q_weight', 'k_weight', 'v_weight']) specs.push(scale(name, 0, embed))
    specs.push(scale('out_weight', undefined, 1))
  }
  return specs
}

/** From this quantize_term on, weights are packed in blocks of 4, 6 or 8 bits (2026): a layout of its own. */
const BLOCK_QUANTISED = 400

function gemm(param: ParamOf): WeightSpec[] | undefined {
  const [m, n, k, term] = [param(7, 0), param(8, 0), param(9, 0), param(18, 0)]
  if (term >= BLOCK_QUANTISED) return undefined
  const specs: WeightSpec[] = []
  const [hasA, hasB] = [param(4, 0) === 1, param(5, 0) === 1]
  if (hasA) specs.push(param(2, 0) === 0 ? tagged('A', m, k) : tagged('A', k, m))
  if (hasB) specs.push(param(3, 0) === 0 ? tagged('B', k, n) : tagged('B', n, k))
  const shapeOfC = [[1], [m], [m, 1], [m, n], [1, n]][param(10, 0)]
  if (param(6, 0) === 1 && shapeOfC !== undefined) specs.push(tagged('C', ...shapeOfC))
  if (term !== 0 && hasA) specs.push(scale('A', param(2, 0) === 0 ? 0 : 1, m))
  if (term !== 0 && hasB) specs.push(scale('B', undefined, 1))
  return specs
}

function memoryData(param: ParamOf): WeightSpec[] {
  const [w, h, c, d] = [param(0, 0), param(1, 0), param(2, 0), param(11, 0)]
  const shape = d !== 0 ? [c, d, h, w] : c !== 0 ? [c, h, w] : h !== 0 ? [h, w] : [w]
  // all zero: ncnn makes a scalar of its own and reads nothing
  if (w === 0 && shape.length === 1) return []
  return [{ name: 'data', shape, stored: param(21, 1) === 0 ? 'tagged' : 'raw', role: 'constant' }]
}

const LAYERS: Readonly<Record<string, (param: ParamOf) => WeightSpec[] | undefined>> = {
  Convolution: (param) => convolution(param, kernel2(param), { dynamicId: 19, int8: 'output' }),
  Convolution1D: (param) => convolution(param, kernel1(param), { dynamicId: 19 }),
  Convolution3D: (param) => convolution(param, kernel3(param), {}),
  ConvolutionDepthWise: (param) => convolution(param, kernel2(param), { dynamicId: 19, int8: 'group' }),
  ConvolutionDepthWise1D: (param) => convolution(param, kernel1(param), { dynamicId: 19 }),
  ConvolutionDepthWise3D: (param) => convolution(param, kernel3(param), {}),
  Deconvolution: (param) => convolution(param, kernel2(param), { dynamicId: 28 }),
  Deconvolution1D: (param) => convolution(param, kernel1(param), { dynamicId: 28 }),
  Deconvolution3D: (param) => convolution(param, kernel3(param), {}),
  DeconvolutionDepthWise: (param) => convolution(param, kernel2(param), { dynamicId: 28 }),
  DeconvolutionDepthWise1D: (param) => convolution(param, kernel1(param), { dynamicId: 28 }),
  DeconvolutionDepthWise3D: (param) => convolution(param, kernel3(param), {}),
  DeformableConv2D: (param) => convolution(param, kernel2(param), {}),
  InnerProduct: (param) => {
    const outputs = param(0, 0)
    const specs = [tagged('weight', outputs, divide(param(2, 0), outputs))]
    if (param(1, 0) !== 0) specs.push(raw('bias', outputs))
    if (param(8, 0) !== 0) specs.push(scale('weight', 0, outputs), activationScale('input_scale'))
    return specs
  },
  Embed: (param) => {
    const width = param(0, 0)
    const specs = [tagged('weight', divide(param(3, 0), width), width)]
    if (param(2, 0) !== 0) specs.push(raw('bias', width))
    if (param(18, 0) !== 0) specs.push(scale('weight', undefined, 1))
    return specs
  },
  BatchNorm: (param) => {
    const channels = param(0, 0)
    return [raw('slope', channels), buffer('mean', channels), buffer('var', channels), raw('bias', channels)]
  },
  Scale: (param) => {
    const size = param(0, 0)
    // -233: the factors arrive as a second input
    if (size === -233) return []
    return param(1, 0) === 0 ? [raw('scale', size)] : [raw('scale', size), raw('bias', size)]
  },
  Bias: (param) => [raw('bias', param(0, 0))],
  PReLU: (param) => [raw('slope', param(0, 0))],
  InstanceNorm: (param) => affine(2, param(0, 0), param),
  GroupNorm: (param) => affine(3, param(1, 0), param),
  LayerNorm: (param) => affine(2, param(0, 0), param),
  RMSNorm: (param) => (param(2, 1) === 0 ? [] : [raw('gamma', param(0, 0))]),
  Normalize: (param) => [raw('scale', param(3, 0))],
  Padding: (param) => (param(6, 0) === 0 ? [] : [raw('per_channel_pad', param(6, 0))]),
  Quantize: (param) => [{ ...raw('scale', param(0, 1)), role: 'other' }],
  Dequantize: (param) => [
    { ...raw('scale', param(0, 1)), role: 'other' as const },
    ...(param(1, 0) === 0 ? [] : [raw('bias', param(1, 0))]),
  ],
  Requantize: (param) => [
    { ...raw('scale_in', param(0, 1)), role: 'other' as const },
    { ...raw('scale_out', param(1, 1)), role: 'other' as const },
    ...(param(2, 0) === 0 ? [] : [raw('bias', param(2, 0))]),
  ],
  MemoryData: memoryData,
  LSTM: (param) => recurrent(param, 4, 4),
  GRU: (param) => recurrent(param, 3, 4),
  RNN: (param) => recurrent(param, 1, 1),
  MultiHeadAttention: attention,
  Gemm: gemm,
}
