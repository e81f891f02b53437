import type { Node } from '../../model/graph.ts'
import { defined, findFlag, findNumber, findNumbers, findText } from '../attributes.ts'
import { type Dialect, type DialectContext, type Draft, type DraftParts, draftOf } from '../draft.ts'
import type { LayerAttributes, LayerKind, LayerWeight, Padding } from '../layer.ts'

/**
 * ONNX operators. Defaults are those of the operator set; weights are found through DequantizeLinear, Identity, Cast
 * and Transpose nodes (quantised exports keep a kernel behind one).
 * @source https://onnx.ai/onnx/operators/
 */
export const onnxDialect: Dialect = {
  formats: ['onnx'],
  draft(context) {
    const producers = new Map(context.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)))
    const at = { ...context, producers }
    return context.nodes.map((node) => draftNode(node, at))
  },
}

type Context = DialectContext & { readonly producers: ReadonlyMap<string, Node> }

function draftNode(node: Node, context: Context): Draft {
  const reader = Object.hasOwn(READERS, node.op) ? READERS[node.op]! : undefined
  const isStandard = node.domain === '' || node.domain === 'ai.onnx' || node.domain === 'com.microsoft'
  const known = isStandard ? reader?.(node, context) : undefined
  const draft = draftOf({ ...node, domain: node.domain || 'ai.onnx' }, known ?? { kind: 'other' })
  // stored operands that no reader gave a role are still weights, unless they are mere shapes and axes
  const named = new Set(draft.weights.map(({ tensor }) => tensor))
  const others = node.inputs
    .map((name) => context.tensors.get(name))
    .filter((tensor) => tensor !== undefined && !named.has(tensor.name))
    .map((tensor): LayerWeight => ({ role: 'other', tensor: tensor!.name }))
  const inputs = draft.inputs.filter((name) => !context.tensors.has(name))
  return {
    ...draft,
    inputs,
    weights: [...draft.weights, ...others.filter(({ tensor }) => !context.constants.has(tensor))],
  }
}

type Reader = (node: Node, context: Context) => DraftParts

const plain =
  (kind: LayerKind, name?: string): Reader =>
  () => ({ kind, attributes: name === undefined ? {} : { function: name } })

/** The stored tensor behind a value, if the way to it only converts. */
function storedBehind(
  value: string | undefined,
  context: Context,
): { tensor: string; isTransposed: boolean } | undefined {
  let name = value ?? ''
  let isTransposed = false
  for (let step = 0; step < 8; step++) {
    const tensor = context.tensors.get(name)
    if (tensor) return { tensor: tensor.name, isTransposed }
    const node = context.producers.get(name)
    if (!node || !['DequantizeLinear', 'Identity', 'Cast', 'Transpose', 'QuantizeLinear'].includes(node.op))
      return undefined
    if (node.op === 'Transpose') isTransposed = !isTransposed
    name = node.inputs[0] ?? ''
  }
  return undefined
}

function weightsAt(node: Node, context: Context, roles: Readonly<Record<number, LayerWeight['role']>>): LayerWeight[] {
  return Object.entries(roles).flatMap(([index, role]) => {
    const stored = storedBehind(node.inputs[Number(index)], context)
    return stored ? [{ role, tensor: stored.tensor }] : []
  })
}

/** `pads` is all begins, then all ends. */
function paddingOf(node: Node): Padding {
  const auto = findText(node.attributes, 'auto_pad')
  if (auto === 'SAME_UPPER') return 'same-upper'
  if (auto === 'SAME_LOWER') return 'same-lower'
  const pads = findNumbers(node.attributes, 'pads')
  if (auto === 'VALID' || pads === undefined) return 'valid'
  return splitPads(pads)
}

function splitPads(pads: readonly number[]): { begin: number[]; end: number[] } {
  return { begin: pads.slice(0, pads.length / 2), end: pads.slice(pads.length / 2) }
}

function windowAttributes(node: Node): LayerAttributes {
  return {
    ...defined({
      kernelSize: findNumbers(node.attributes, 'kernel_shape'),
      strides: findNumbers(node.attributes, 'strides'),
      dilations: findNumbers(node.attributes, 'dilations'),
      padding: paddingOf(node),
    }),
    dataFormat: 'channels-first',
  }
}

/** Layout of a kernel whose spatial axes come last, by the rank of the kernel: `OIHW`, `OIW`, `OIDHW`. */
function spatialLast(rank: number, front: string): string {
  return front + ({ 3: 'W', 4: 'HW', 5: 'DHW' }[rank] ?? 'HW')
}

/** ONNX Runtime's `FusedConv` names the activation that follows: `Relu`, `LeakyRelu`. */
function fusedActivation(node: Node): Pick<DraftParts, 'fusedActivation'> {
  const name = node.op.startsWith('Fused') ? findText(node.attributes, 'activation') : undefined
  const bounds = findNumbers(node.attributes, 'activation_params')
  if (name === 'Clip' && bounds?.[0] === 0 && bounds[1] === 6) return { fusedActivation: 'relu6' }
  return name === undefined ? {} : { fusedActivation: name.replaceAll(/([a-z])([A-Z])/g, '$1-$2').toLowerCase() }
}

function convolution(kind: 'conv' | 'conv-transpose', kernelIndex: number, biasIndex: number): Reader {
  return (node, context) => {
    const value = node.inputs[kernelIndex] ?? ''
    const stored = storedBehind(value, context)
    const rank =
      context.tensors.get(stored?.tensor ?? '')?.shape.length ??
      (findNumbers(node.attributes, 'kernel_shape')?.length ?? 2) + 2
    const layout = spatialLast(rank, kind === 'conv' ? 'OI' : 'IO')
    const weights = weightsAt(node, context, { [kernelIndex]: 'kernel', [biasIndex]: 'bias' })
    return {
      kind,
      ...fusedActivation(node),
      weights: weights.map((weight) => (weight.role === 'kernel' ? { ...weight, layout } : weight)),
      kernel: { value: stored?.tensor ?? value, layout },
      attributes: {
        ...windowAttributes(node),
        groups: findNumber(node.attributes, 'group') ?? 1,
        ...defined({
          outputPadding: findNumbers(node.attributes, 'output_padding'),
        }),
      },
    }
  }
}

function pool(name: string): Reader {
  return (node) => ({
    kind: 'pool',
    attributes: {
      ...windowAttributes(node),
      function: name,
      ceilMode: findFlag(node.attributes, 'ceil_mode') ?? false,
      ...(name === 'average' ? { countIncludePad: findFlag(node.attributes, 'count_include_pad') ?? false } : {}),
    },
  })
}

function globalPool(name: string): Reader {
  return () => ({ kind: 'global-pool', attributes: { function: name, dataFormat: 'channels-first' } })
}

/** A matrix product with a stored side is a dense layer; two activations are not. */
const matMul: Reader = (node, context) => {
  const value = node.inputs[1] ?? ''
  const stored = storedBehind(value, context)
  const tensor = stored && context.tensors.get(stored.tensor)
  if (stored === undefined || tensor?.shape.length !== 2) return { kind: 'other' }
  const layout = stored.isTransposed ? 'OI' : 'IO'
  return {
    kind: 'dense',
    weights: [{ role: 'kernel', tensor: stored.tensor, layout }],
    kernel: { value: stored.tensor, layout },
    attributes: {},
  }
}

const gemm: Reader = (node, context) => {
  const value = node.inputs[1] ?? ''
  const stored = storedBehind(value, context)
  const isTransposed = (findFlag(node.attributes, 'transB') ?? false) !== (stored?.isTransposed ?? false)
  const layout = isTransposed ? 'OI' : 'IO'
  return {
    kind: 'dense',
    weights: weightsAt(node, context, { 1: 'kernel', 2: 'bias' }).map((weight) =>
      weight.role === 'kernel' ? { ...weight, layout } : weight,
    ),
    kernel: { value: stored?.tensor ?? value, layout },
    attributes: {},
  }
}

const batchNorm: Reader = (node, context) => ({
  kind: 'batch-norm',
  weights: weightsAt(node, context, { 1: 'gamma', 2: 'beta', 3: 'mean', 4: 'variance' }),
  attributes: {
    epsilon: findNumber(node.attributes, 'epsilon') ?? 1e-5,
    momentum: findNumber(node.attributes, 'momentum') ?? 0.9,
    dataFormat: 'channels-first',
  },
})

const affineNorm =
  (name: string, epsilon: number): Reader =>
  (node, context) => ({
    kind: 'norm',
    weights: weightsAt(node, context, { 1: 'gamma', 2: 'beta' }),
    attributes: {
      function: name,
      epsilon: findNumber(node.attributes, 'epsilon') ?? epsilon,
      ...defined({ axis: findNumber(node.attributes, 'axis'), groups: findNumber(node.attributes, 'num_groups') }),
    },
  })

const withAlpha =
  (name: string, alpha: number | undefined): Reader =>
  (node) => ({
    kind: 'activation',
    attributes: { function: name, ...defined({ alpha: findNumber(node.attributes, 'alpha') ?? alpha }) },
  })

const clip: Reader = (node, { constants }) => {
  const low = findNumber(node.attributes, 'min') ?? constants.get(node.inputs[1] ?? '')?.[0]
  const high = findNumber(node.attributes, 'max') ?? constants.get(node.inputs[2] ?? '')?.[0]
  const name = low === 0 && high === 6 ? 'relu6' : 'clip'
  return {
    kind: 'activation',
    attributes: {
      function: name,
      // Infinity stands for an open side
      clipRange: [low ?? Number.NEGATIVE_INFINITY, high ?? Number.POSITIVE_INFINITY],
    },
  }
}

/** A bias that follows a MatMul is an Add with a stored vector. */
const add: Reader = (node, context) => {
  const stored = node.inputs.map((name) => storedBehind(name, context)?.tensor).find((name) => name !== undefined)
  const shape = stored === undefined ? undefined : context.tensors.get(stored)?.shape
  const isVector = shape !== undefined && shape.filter((size) => size !== 1).length <= 1
  return { kind: 'add', weights: stored !== undefined && isVector ? [{ role: 'bias', tensor: stored }] : [] }
}

const multiply: Reader = (node, context) => {
  const stored = node.inputs.map((name) => storedBehind(name, context)?.tensor).find((name) => name !== undefined)
  return { kind: 'multiply', weights: stored === undefined ? [] : [{ role: 'scale-factor', tensor: stored }] }
}

const resize: Reader = (node, { constants }) => {
  const isResize = node.op === 'Resize'
  const given = (index: number) => {
    const list = constants.get(node.inputs[index] ?? '')
    return list !== undefined && list.length > 0 ? list : undefined
  }
  // Resize before version 11 and Upsample have the scales second
  const scales = findNumbers(node.attributes, 'scales') ?? (isResize && node.inputs.length > 2 ? given(2) : given(1))
  return {
    kind: 'resize',
    attributes: {
      ...defined({ scales, shape: isResize ? given(3) : undefined }),
      resizeMode: findText(node.attributes, 'mode') ?? 'nearest',
      ...(isResize
        ? { coordinateMode: findText(node.attributes, 'coordinate_transformation_mode') ?? 'half_pixel' }
        : {}),
      dataFormat: 'channels-first',
    },
  }
}

const pad: Reader = (node, { constants }) => {
  const pads = findNumbers(node.attributes, 'pads', 'paddings') ?? constants.get(node.inputs[1] ?? '')
  return {
    kind: 'pad',
    attributes: {
      ...(pads ? { padding: splitPads(pads) } : {}),
      function: findText(node.attributes, 'mode') ?? 'constant',
    },
  }
}

const reshape: Reader = (node, { constants }) => ({
  kind: 'reshape',
  attributes: defined({ shape: findNumbers(node.attributes, 'shape') ?? constants.get(node.inputs[1] ?? '') }),
})

const recurrent: Reader = (node, context) => ({
  kind: 'recurrent',
  weights: weightsAt(node, context, { 1: 'kernel', 2: 'recurrent-kernel', 3: 'bias' }),
  attributes: {
    function: node.op.toLowerCase(),
    ...defined({ outputSize: findNumber(node.attributes, 'hidden_size') }),
  },
})

const READERS: Readonly<Record<string, Reader>> = {
  Conv: convolution('conv', 1, 2),
  ConvInteger: convolution('conv', 1, 99),
  QLinearConv: convolution('conv', 3, 8),
  FusedConv: convolution('conv', 1, 2),
  ConvTranspose: convolution('conv-transpose', 1, 2),
  MatMul: matMul,
  MatMulInteger: matMul,
  Gemm: gemm,
  BatchNormalization: batchNorm,
  InstanceNormalization: affineNorm('instance', 1e-5),
  LayerNormalization: affineNorm('layer', 1e-5),
  GroupNormalization: affineNorm('group', 1e-5),
  LRN: plain('norm', 'lrn'),
  LpNormalization: plain('norm', 'lp'),
  MeanVarianceNormalization: plain('norm', 'mvn'),
  MaxPool: pool('max'),
  AveragePool: pool('average'),
  LpPool: pool('lp'),
  GlobalAveragePool: globalPool('average'),
  GlobalMaxPool: globalPool('max'),
  Relu: plain('activation', 'relu'),
  Sigmoid: plain('activation', 'sigmoid'),
  Tanh: plain('activation', 'tanh'),
  Softplus: plain('activation', 'softplus'),
  Softsign: plain('activation', 'softsign'),
  Mish: plain('activation', 'mish'),
  Gelu: plain('activation', 'gelu'),
  HardSwish: plain('activation', 'hard-swish'),
  LeakyRelu: withAlpha('leaky-relu', 0.01),
  Elu: withAlpha('elu', 1),
  Celu: withAlpha('celu', 1),
  Selu: withAlpha('selu', 1.6732631921768188),
  ThresholdedRelu: withAlpha('thresholded-relu', 1),
  HardSigmoid: withAlpha('hard-sigmoid', 0.2),
  PRelu: (node, context) => ({
    kind: 'activation',
    weights: weightsAt(node, context, { 1: 'slope' }),
    attributes: { function: 'prelu' },
  }),
  Clip: clip,
  Softmax: (node) => ({ kind: 'softmax', attributes: defined({ axis: findNumber(node.attributes, 'axis') }) }),
  LogSoftmax: (node) => ({
    kind: 'softmax',
    attributes: { function: 'log-softmax', ...defined({ axis: findNumber(node.attributes, 'axis') }) },
  }),
  Add: add,
  Mul: multiply,
  Concat: (node) => ({ kind: 'concat', attributes: { axis: findNumber(node.attributes, 'axis') ?? 1 } }),
  Flatten: (node) => ({ kind: 'flatten', attributes: { axis: findNumber(node.attributes, 'axis') ?? 1 } }),
  Reshape: reshape,
  Transpose: (node) => ({
    kind: 'transpose',
    attributes: defined({ permutation: findNumbers(node.attributes, 'perm') }),
  }),
  Pad: pad,
  Resize: resize,
  Upsample: resize,
  Dropout: plain('dropout'),
  Constant: plain('constant'),
  LSTM: recurrent,
  GRU: recurrent,
  RNN: recurrent,
  Attention: plain('attention'),
  MultiHeadAttention: plain('attention'),
}
