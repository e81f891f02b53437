import type { Node } from '../../model/graph.ts'
import { defined, findFlag, findNumber, findNumbers, findText } from '../attributes.ts'
import { type Dialect, type DialectContext, type Draft, type DraftParts, draftOf } from '../draft.ts'
import type { LayerAttributes, LayerKind, LayerWeight, Padding } from '../layer.ts'

/**
 * TensorFlow Lite operators: channels last, kernels [O, H, W, I] ([1, H, W, C] depthwise), shapes as operands,
 * activations fused into the operator.
 * @source tensorflow/compiler/mlir/lite/schema/schema.fbs
 */
export const tfliteDialect: Dialect = {
  formats: ['tflite'],
  draft: (context) => {
    const stored = storedBehind(context)
    return context.nodes.map((node) => draftNode(throughDequantize(node, stored), context))
  },
}

/** Half-precision weights pass a DEQUANTIZE on their way to the operator that they belong to. */
function storedBehind({ nodes, tensors }: DialectContext): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const { op, inputs, outputs } of nodes)
    if (op === 'DEQUANTIZE' && tensors.has(inputs[0] ?? '')) found.set(outputs[0] ?? '', inputs[0]!)
  return found
}

const throughDequantize = (node: Node, stored: ReadonlyMap<string, string>): Node =>
  node.inputs.some((name) => stored.has(name))
    ? { ...node, inputs: node.inputs.map((name) => stored.get(name) ?? name) }
    : node

type Reader = (node: Node, context: DialectContext) => DraftParts

function draftNode(node: Node, context: DialectContext): Draft {
  const reader = Object.hasOwn(READERS, node.op) ? READERS[node.op]! : undefined
  const parts = reader?.(node, context) ?? { kind: 'other' as const }
  const fused = fusedActivation(node)
  const named = new Set(parts.weights?.map(({ tensor }) => tensor))
  const rest = node.inputs.filter((name) => isData(name, context) && !named.has(name))
  const weights = [...(parts.weights ?? []), ...rest.map((tensor): LayerWeight => ({ role: 'other', tensor }))]
  const draft = draftOf(node, { ...parts, weights, ...(fused === undefined ? {} : { fusedActivation: fused }) })
  return { ...draft, inputs: draft.inputs.filter((name) => !context.tensors.has(name)) }
}

/** A stored operand that is no shape, axis or list of pads. */
const isData = (name: string, { tensors, constants }: DialectContext) => tensors.has(name) && !constants.has(name)

/** `ActivationFunctionType` by number. */
const ACTIVATIONS = ['none', 'relu', 'relu-n1-to-1', 'relu6', 'tanh', 'sign-bit'] as const

function fusedActivation({ attributes }: Node): string | undefined {
  const number = findNumber(attributes, 'fused_activation_function')
  const text = findText(attributes, 'fused_activation_function')?.toLowerCase().replaceAll('_', '-')
  const name = text ?? (number === undefined ? undefined : ACTIVATIONS[number])
  return name === 'none' ? undefined : name
}

function paddingOf({ attributes }: Node): Padding {
  const isSame = findText(attributes, 'padding') === 'SAME' || findNumber(attributes, 'padding') === 0
  return isSame ? 'same-upper' : 'valid'
}

function windowAttributes(node: Node): LayerAttributes {
  const pair = (height: string, width: string) => {
    const [h, w] = [findNumber(node.attributes, height), findNumber(node.attributes, width)]
    return h === undefined || w === undefined ? undefined : [h, w]
  }
  return {
    ...defined({
      kernelSize: pair('filter_height', 'filter_width'),
      strides: pair('stride_h', 'stride_w'),
      dilations: pair('dilation_h_factor', 'dilation_w_factor'),
    }),
    padding: paddingOf(node),
    dataFormat: 'channels-last',
  }
}

/** Kernel and bias at their operand places, where they are stored. */
function kernelAndBias(
  node: Node,
  { tensors }: DialectContext,
  layout: string,
  kernelIndex: number,
  biasIndex: number,
) {
  const value = node.inputs[kernelIndex] ?? ''
  const bias = node.inputs[biasIndex] ?? ''
  const weights: LayerWeight[] = []
  if (tensors.has(value)) weights.push({ role: 'kernel', tensor: value, layout })
  if (tensors.has(bias)) weights.push({ role: 'bias', tensor: bias })
  return { weights, kernel: { value, layout } }
}

const convolution: Reader = (node, context) => {
  const { weights, kernel } = kernelAndBias(node, context, 'OHWI', 1, 2)
  return { kind: 'conv', weights, kernel, attributes: windowAttributes(node) }
}

const depthwise: Reader = (node, context) => {
  const { weights, kernel } = kernelAndBias(node, context, '1HWC', 1, 2)
  const channels = context.tensors.get(kernel.value)?.shape[3]
  const multiplier = findNumber(node.attributes, 'depth_multiplier') ?? 1
  const groups = channels === undefined || multiplier < 1 ? undefined : channels / multiplier
  return { kind: 'conv', weights, kernel, attributes: { ...windowAttributes(node), ...defined({ groups }) } }
}

/** Operands: output shape, kernel, input, bias. */
const transposed: Reader = (node, context) => {
  const { weights, kernel } = kernelAndBias(node, context, 'OHWI', 1, 3)
  const shape = context.constants.get(node.inputs[0] ?? '')
  return {
    kind: 'conv-transpose',
    weights,
    kernel,
    inputs: [node.inputs[2] ?? ''],
    attributes: { ...windowAttributes(node), ...defined({ shape }) },
  }
}

const fullyConnected: Reader = (node, context) => {
  const { weights, kernel } = kernelAndBias(node, context, 'OI', 1, 2)
  return { kind: 'dense', weights, kernel, attributes: findFlag(node.attributes, 'keep_num_dims') ? {} : { axis: 1 } }
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

/** An element-wise operation with a stored vector is a bias or a folded scale. */
const elementwise =
  (kind: 'add' | 'multiply', role: 'bias' | 'scale-factor'): Reader =>
  (node, { tensors }) => {
    const stored = node.inputs.filter((name) => tensors.has(name))
    return { kind, weights: stored.map((tensor) => ({ role, tensor })) }
  }

const reshape: Reader = (node, { constants }) => ({
  kind: 'reshape',
  attributes: defined({ shape: constants.get(node.inputs[1] ?? '') ?? findNumbers(node.attributes, 'new_shape') }),
})

const resize =
  (mode: string): Reader =>
  (node, { constants }) => {
    const size = constants.get(node.inputs[1] ?? '')
    const coordinateMode = findFlag(node.attributes, 'align_corners')
      ? 'align_corners'
      : findFlag(node.attributes, 'half_pixel_centers')
        ? 'half_pixel'
        : 'asymmetric'
    return {
      kind: 'resize',
      attributes: { ...(size ? { shape: size } : {}), resizeMode: mode, coordinateMode, dataFormat: 'channels-last' },
    }
  }

/** The table is [rank, 2]: begin and end of each axis. */
const pad: Reader = (node, { constants }) => {
  const table = constants.get(node.inputs[1] ?? '')
  const padding = table && {
    begin: table.filter((_, i) => i % 2 === 0),
    end: table.filter((_, i) => i % 2 === 1),
  }
  return {
    kind: 'pad',
    attributes: { ...(padding ? { padding } : {}), function: node.op === 'MIRROR_PAD' ? 'reflect' : 'constant' },
  }
}

/** MEAN over the two spatial axes is a global pool. */
const mean: Reader = (node, { constants }) => {
  const axes = constants.get(node.inputs[1] ?? '')
  const isGlobal = axes?.length === 2 && axes.includes(1) && axes.includes(2)
  if (!isGlobal || findFlag(node.attributes, 'keep_dims') !== true)
    return { kind: 'other', attributes: isGlobal ? { function: 'average' } : {} }
  return { kind: 'global-pool', attributes: { function: 'average', dataFormat: 'channels-last' } }
}

const recurrent: Reader = (node, { tensors }) => ({
  kind: 'recurrent',
  weights: node.inputs
    .filter((name) => tensors.get(name)?.shape.length === 2)
    .map((tensor) => ({ role: 'kernel', tensor })),
  attributes: { function: node.op.toLowerCase().replaceAll('_', '-') },
})

const READERS: Readonly<Record<string, Reader>> = {
  CONV_2D: convolution,
  DEPTHWISE_CONV_2D: depthwise,
  TRANSPOSE_CONV: transposed,
  FULLY_CONNECTED: fullyConnected,
  MAX_POOL_2D: pool('max'),
  AVERAGE_POOL_2D: pool('average'),
  L2_POOL_2D: pool('lp'),
  MEAN: mean,
  ADD: elementwise('add', 'bias'),
  MUL: elementwise('multiply', 'scale-factor'),
  CONCATENATION: (node) => ({ kind: 'concat', attributes: { axis: findNumber(node.attributes, 'axis') ?? -1 } }),
  RESHAPE: reshape,
  TRANSPOSE: (node, { constants }) => ({
    kind: 'transpose',
    attributes: defined({ permutation: constants.get(node.inputs[1] ?? '') }),
  }),
  PAD: pad,
  PADV2: pad,
  MIRROR_PAD: pad,
  RESIZE_BILINEAR: resize('bilinear'),
  RESIZE_NEAREST_NEIGHBOR: resize('nearest'),
  SOFTMAX: () => ({ kind: 'softmax', attributes: { axis: -1 } }),
  LOG_SOFTMAX: () => ({ kind: 'softmax', attributes: { axis: -1, function: 'log-softmax' } }),
  RELU: plain('activation', 'relu'),
  RELU6: plain('activation', 'relu6'),
  RELU_N1_TO_1: plain('activation', 'relu-n1-to-1'),
  LOGISTIC: plain('activation', 'sigmoid'),
  TANH: plain('activation', 'tanh'),
  ELU: plain('activation', 'elu'),
  GELU: plain('activation', 'gelu'),
  HARD_SWISH: plain('activation', 'hard-swish'),
  LEAKY_RELU: (node) => ({
    kind: 'activation',
    attributes: { function: 'leaky-relu', ...defined({ alpha: findNumber(node.attributes, 'alpha') }) },
  }),
  PRELU: (node, { tensors }) => ({
    kind: 'activation',
    weights: node.inputs
      .slice(1)
      .filter((name) => tensors.has(name))
      .map((tensor) => ({ role: 'slope', tensor })),
    attributes: { function: 'prelu' },
  }),
  L2_NORMALIZATION: plain('norm', 'l2'),
  LOCAL_RESPONSE_NORMALIZATION: plain('norm', 'lrn'),
  UNIDIRECTIONAL_SEQUENCE_LSTM: recurrent,
  UNIDIRECTIONAL_SEQUENCE_RNN: recurrent,
  BIDIRECTIONAL_SEQUENCE_LSTM: recurrent,
  EMBEDDING_LOOKUP: (node, { tensors }) => ({
    kind: 'embedding',
    weights: node.inputs.filter((name) => tensors.has(name)).map((tensor) => ({ role: 'table', tensor })),
  }),
}
