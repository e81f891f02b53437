import type { Node } from '../../model/graph.ts'
import { defined, findFlag, findNumber, findNumbers, findText } from '../attributes.ts'
import { type Dialect, type DialectContext, type Draft, type DraftParts, draftOf } from '../draft.ts'
import type { LayerAttributes, LayerKind, LayerWeight, Padding } from '../layer.ts'

/**
 * TensorFlow graphs (GraphDef, SavedModel, TensorFlow.js graph models): kernels [H, W, I, O], lists over all four axes
 * for strides and dilations. A weight is found through Identity, ReadVariableOp and Const nodes; `node:0` is the
 * value `node`, and `^node` orders without passing anything.
 * @source tensorflow/core/ops/nn_ops.cc
 */
export const tensorflowDialect: Dialect = {
  formats: ['tf-checkpoint', 'tf-graphdef', 'tf-saved-model', 'tfjs'],
  draft(context) {
    const producers = new Map<string, Node>()
    for (const node of context.nodes) {
      producers.set(node.name, node)
      for (const output of node.outputs) producers.set(output, node)
    }
    const at = { ...context, producers }
    return context.nodes.map((node) => draftNode(node, at))
  },
}

type Context = DialectContext & { readonly producers: ReadonlyMap<string, Node> }
type Reader = (node: Node, context: Context) => DraftParts

function draftNode(node: Node, context: Context): Draft {
  const reader = Object.hasOwn(READERS, node.op) ? READERS[node.op]! : undefined
  const data = { ...node, inputs: node.inputs.filter((name) => !name.startsWith('^')) }
  const parts = reader?.(data, context) ?? { kind: 'other' as const }
  const draft = draftOf(data, parts)
  const ofWeights = new Set(data.inputs.filter((name) => storedBehind(name, context) !== undefined))
  return { ...draft, inputs: (parts.inputs ?? data.inputs).filter((name) => !ofWeights.has(name)) }
}

const PASSING = new Set([
  'Identity',
  'ReadVariableOp',
  'Cast',
  'Dequantize',
  'StopGradient',
  'Reshape',
  'Squeeze',
  'Const',
  'VarHandleOp',
  'VariableV2',
  'Variable',
])

/** Name of the stored tensor behind a value. */
function storedBehind(value: string | undefined, { tensors, producers }: Context): string | undefined {
  let name = value ?? ''
  for (let step = 0; step < 12; step++) {
    const plainName = name.replace(/:\d+$/, '')
    const found = tensors.get(name) ?? tensors.get(plainName)
    if (found) return found.name
    const node = producers.get(name) ?? producers.get(plainName)
    if (!node || !PASSING.has(node.op)) return undefined
    const [variable] = node.parameters ?? []
    if (variable) return variable.tensor
    const shared = node.op === 'VarHandleOp' ? findText(node.attributes, 'shared_name') : undefined
    if (shared !== undefined && tensors.has(shared)) return shared
    if (node.inputs.length === 0) return undefined
    name = node.inputs[0]!
  }
  return undefined
}

function constantBehind(value: string | undefined, context: Context): readonly number[] | undefined {
  const name = storedBehind(value, context)
  return name === undefined ? undefined : context.constants.get(name)
}

const dataFormatOf = (node: Node) =>
  findText(node.attributes, 'data_format')?.startsWith('NC') ? ('channels-first' as const) : ('channels-last' as const)

/** The spatial part of a list over all axes. */
function spatialPart(node: Node, name: string): number[] | undefined {
  const list = findNumbers(node.attributes, name)
  if (list === undefined || list.length < 3) return undefined
  return dataFormatOf(node) === 'channels-first' ? list.slice(2) : list.slice(1, -1)
}

function windowAttributes(node: Node): LayerAttributes {
  const text = findText(node.attributes, 'padding')
  const explicit = findNumbers(node.attributes, 'explicit_paddings')
  let padding: Padding = text === 'SAME' ? 'same-upper' : 'valid'
  if (text === 'EXPLICIT' && explicit !== undefined) {
    const pairs = dataFormatOf(node) === 'channels-first' ? explicit.slice(4) : explicit.slice(2, -2)
    padding = { begin: pairs.filter((_, i) => i % 2 === 0), end: pairs.filter((_, i) => i % 2 === 1) }
  }
  return {
    ...defined({
      kernelSize: spatialPart(node, 'ksize'),
      strides: spatialPart(node, 'strides'),
      dilations: spatialPart(node, 'dilations'),
    }),
    padding,
    dataFormat: dataFormatOf(node),
  }
}

function kernelAt(node: Node, index: number, layout: string, context: Context) {
  const stored = storedBehind(node.inputs[index], context)
  const weights: LayerWeight[] = stored === undefined ? [] : [{ role: 'kernel', tensor: stored, layout }]
  return { weights, kernel: { value: stored ?? node.inputs[index] ?? '', layout } }
}

/** A fused operator (`_FusedConv2D`) names what follows: BiasAdd, Relu; the bias is the third operand. */
function fusedParts(node: Node, context: Context): Pick<DraftParts, 'fusedActivation'> & { bias: LayerWeight[] } {
  const list: unknown = node.attributes.fused_ops
  const names = Array.isArray(list) ? list.filter((name): name is string => typeof name === 'string') : []
  const activation = names.find((name) => name !== 'BiasAdd' && name !== 'FusedBatchNorm')
  const bias = names.includes('BiasAdd') ? storedBehind(node.inputs[2], context) : undefined
  return {
    bias: bias === undefined ? [] : [{ role: 'bias', tensor: bias }],
    ...(activation === undefined ? {} : { fusedActivation: activation.toLowerCase() }),
  }
}

const convolution: Reader = (node, context) => {
  const { weights, kernel } = kernelAt(node, 1, node.op.includes('3D') ? 'DHWIO' : 'HWIO', context)
  const { bias, ...fused } = fusedParts(node, context)
  return { kind: 'conv', weights: [...weights, ...bias], kernel, attributes: windowAttributes(node), ...fused }
}

const depthwise: Reader = (node, context) => {
  const { weights, kernel } = kernelAt(node, 1, 'HWCM', context)
  const { bias, ...fused } = fusedParts(node, context)
  const groups = context.tensors.get(kernel.value)?.shape[2]
  return {
    kind: 'conv',
    weights: [...weights, ...bias],
    kernel,
    attributes: { ...windowAttributes(node), ...defined({ groups }) },
    ...fused,
  }
}

const transposed: Reader = (node, context) => {
  const { weights, kernel } = kernelAt(node, 1, 'HWOI', context)
  const shape = constantBehind(node.inputs[0], context)
  return {
    kind: 'conv-transpose',
    weights,
    kernel,
    inputs: [node.inputs[2] ?? ''],
    attributes: { ...windowAttributes(node), ...defined({ shape }) },
  }
}

const matMul: Reader = (node, context) => {
  const layout = findFlag(node.attributes, 'transpose_b', 'adj_y') ? 'OI' : 'IO'
  const { weights, kernel } = kernelAt(node, 1, layout, context)
  const { bias, ...fused } = fusedParts(node, context)
  return weights.length === 0 ? { kind: 'other' } : { kind: 'dense', weights: [...weights, ...bias], kernel, ...fused }
}

const batchNorm: Reader = (node, context) => {
  const roles = ['gamma', 'beta', 'mean', 'variance'] as const
  const weights = roles.flatMap((role, i): LayerWeight[] => {
    const tensor = storedBehind(node.inputs[i + 1], context)
    return tensor === undefined ? [] : [{ role, tensor }]
  })
  // the operator's own default; Keras writes 1e-3
  return {
    kind: 'batch-norm',
    weights,
    attributes: { epsilon: findNumber(node.attributes, 'epsilon') ?? 1e-4, dataFormat: dataFormatOf(node) },
  }
}

const pool =
  (name: string): Reader =>
  (node) => ({
    kind: 'pool',
    attributes: {
      ...windowAttributes(node),
      function: name,
      ceilMode: false,
      ...(name === 'average' ? { countIncludePad: false } : {}),
    },
  })

const plain =
  (kind: LayerKind, name?: string): Reader =>
  () => ({ kind, attributes: name === undefined ? {} : { function: name } })

const withStored =
  (kind: 'add' | 'multiply', role: 'bias' | 'scale-factor'): Reader =>
  (node, context) => ({
    kind,
    weights: node.inputs.flatMap((name) => {
      const tensor = storedBehind(name, context)
      return tensor === undefined ? [] : [{ role, tensor }]
    }),
  })

const pad: Reader = (node, context) => {
  const table = constantBehind(node.inputs[1], context)
  const padding = table && { begin: table.filter((_, i) => i % 2 === 0), end: table.filter((_, i) => i % 2 === 1) }
  return {
    kind: 'pad',
    attributes: { ...(padding ? { padding } : {}), function: node.op === 'MirrorPad' ? 'reflect' : 'constant' },
  }
}

const resize =
  (mode: string): Reader =>
  (node, context) => {
    const shape = constantBehind(node.inputs[1], context)
    const coordinateMode = findFlag(node.attributes, 'align_corners')
      ? 'align_corners'
      : findFlag(node.attributes, 'half_pixel_centers')
        ? 'half_pixel'
        : 'asymmetric'
    return {
      kind: 'resize',
      attributes: { ...(shape ? { shape } : {}), resizeMode: mode, coordinateMode, dataFormat: 'channels-last' },
    }
  }

/** The axis is the last operand. */
const concat: Reader = (node, context) => {
  const axis = constantBehind(node.inputs.at(-1), context)?.[0] ?? -1
  return { kind: 'concat', operands: node.inputs.slice(0, -1), inputs: node.inputs.slice(0, -1), attributes: { axis } }
}

const READERS: Readonly<Record<string, Reader>> = {
  Conv2D: convolution,
  Conv3D: convolution,
  _FusedConv2D: convolution,
  FusedConv2D: convolution,
  DepthwiseConv2dNative: depthwise,
  _FusedDepthwiseConv2dNative: depthwise,
  FusedDepthwiseConv2dNative: depthwise,
  Conv2DBackpropInput: transposed,
  MatMul: matMul,
  _FusedMatMul: matMul,
  FusedBatchNorm: batchNorm,
  FusedBatchNormV2: batchNorm,
  FusedBatchNormV3: batchNorm,
  MaxPool: pool('max'),
  MaxPoolV2: pool('max'),
  AvgPool: pool('average'),
  BiasAdd: withStored('add', 'bias'),
  Add: withStored('add', 'bias'),
  AddV2: withStored('add', 'bias'),
  AddN: plain('add'),
  // no bias is subtracted in practice; the shift of a BatchNorm taken apart is
  Sub: (node, context) => ({ ...withStored('add', 'bias')(node, context), kind: 'other' }),
  Mul: withStored('multiply', 'scale-factor'),
  ConcatV2: concat,
  Reshape: (node, context) => ({
    kind: 'reshape',
    attributes: defined({ shape: constantBehind(node.inputs[1], context) }),
  }),
  Transpose: (node, context) => ({
    kind: 'transpose',
    attributes: defined({ permutation: constantBehind(node.inputs[1], context) }),
  }),
  Pad: pad,
  PadV2: pad,
  MirrorPad: pad,
  ResizeBilinear: resize('bilinear'),
  ResizeNearestNeighbor: resize('nearest'),
  Softmax: () => ({ kind: 'softmax', attributes: { axis: -1 } }),
  Relu: plain('activation', 'relu'),
  Relu6: plain('activation', 'relu6'),
  Sigmoid: plain('activation', 'sigmoid'),
  Tanh: plain('activation', 'tanh'),
  Elu: plain('activation', 'elu'),
  Selu: plain('activation', 'selu'),
  Softplus: plain('activation', 'softplus'),
  LeakyRelu: (node) => ({
    kind: 'activation',
    attributes: { function: 'leaky-relu', alpha: findNumber(node.attributes, 'alpha') ?? 0.2 },
  }),
  Prelu: (node, context) => {
    const tensor = storedBehind(node.inputs[1], context)
    return {
      kind: 'activation',
      weights: tensor === undefined ? [] : [{ role: 'slope', tensor }],
      attributes: { function: 'prelu' },
    }
  },
  LRN: plain('norm', 'lrn'),
  Const: plain('constant'),
  Placeholder: plain('input'),
  Dropout: plain('dropout'),
}
