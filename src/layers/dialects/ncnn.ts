import type { Node } from '../../model/graph.ts'
import { defined, findFlag, findNumber, findNumbers } from '../attributes.ts'
import { type Dialect, type DraftParts, draftOf } from '../draft.ts'
import type { LayerAttributes, LayerKind, LayerWeight, Padding } from '../layer.ts'

/**
 * ncnn layers: channels first and no batch axis (a batch of 1 is put in front of every shape), kernels [O, I, H, W],
 * dense [O, I].
 * @source https://github.com/Tencent/ncnn/blob/master/docs/developer-guide/operators.md
 */
export const ncnnDialect: Dialect = {
  formats: ['ncnn'],
  hasNoBatch: true,
  draft: (context) =>
    context.nodes.map((node) => {
      const reader = Object.hasOwn(READERS, node.op) ? READERS[node.op]! : undefined
      const parts = reader?.(node) ?? { kind: 'other' as const }
      const weights = parts.weights ?? weightsOf(node, parts.kernel?.layout)
      return draftOf(node, { ...parts, weights, ...fusedActivation(node) })
    }),
}

type Reader = (node: Node) => DraftParts

const ROLES: Readonly<Record<string, LayerWeight['role']>> = {
  weight: 'kernel',
  bias: 'bias',
  gamma: 'gamma',
  beta: 'beta',
  mean: 'mean',
  var: 'variance',
  weight_xc: 'kernel',
  weight_hc: 'recurrent-kernel',
  bias_c: 'bias',
}

function weightsOf(
  node: Node,
  layout: string | undefined,
  roles: Readonly<Record<string, LayerWeight['role']>> = ROLES,
): LayerWeight[] {
  return (node.parameters ?? []).map(({ role, tensor }) => {
    const ours = roles[role] ?? 'other'
    return { role: ours, tensor, ...(ours === 'kernel' && layout !== undefined ? { layout } : {}) }
  })
}

const ACTIVATIONS = ['none', 'relu', 'leaky-relu', 'clip', 'sigmoid', 'mish', 'hard-swish']

function fusedActivation(node: Node): { fusedActivation?: string } {
  const name = ACTIVATIONS[findNumber(node.attributes, 'activation_type') ?? 0]
  return name === undefined || name === 'none' ? {} : { fusedActivation: name }
}

function pair(node: Node, height: string, width: string, fallback: number): number[] {
  const w = findNumber(node.attributes, width) ?? fallback
  return [findNumber(node.attributes, height) ?? w, w]
}

/** `pad_left` stands for all sides that are not given; -233 and -234 ask for SAME at run time. */
function paddingOf(node: Node): Padding {
  const left = findNumber(node.attributes, 'pad_left') ?? 0
  if (left === -233) return 'same-upper'
  if (left === -234) return 'same-lower'
  const top = findNumber(node.attributes, 'pad_top') ?? left
  return {
    begin: [top, left],
    end: [findNumber(node.attributes, 'pad_bottom') ?? top, findNumber(node.attributes, 'pad_right') ?? left],
  }
}

function windowAttributes(node: Node): LayerAttributes {
  return {
    kernelSize: pair(node, 'kernel_h', 'kernel_w', 1),
    strides: pair(node, 'stride_h', 'stride_w', 1),
    dilations: pair(node, 'dilation_h', 'dilation_w', 1),
    padding: paddingOf(node),
    dataFormat: 'channels-first',
  }
}

const kernelOf = (node: Node, layout: string) => {
  const tensor = node.parameters?.find(({ role }) => role === 'weight')?.tensor
  return tensor === undefined ? {} : { kernel: { value: tensor, layout } }
}

/** ncnn keeps the kernel of a transposed convolution as [O, I, H, W] too. */
const convolution =
  (kind: 'conv' | 'conv-transpose'): Reader =>
  (node) => ({
    kind,
    ...kernelOf(node, 'OIHW'),
    attributes: {
      ...windowAttributes(node),
      groups: findNumber(node.attributes, 'group') ?? 1,
      ...defined({ outputSize: findNumber(node.attributes, 'num_output') }),
    },
  })

/** pad_mode 0 rounds up (Caffe), 1 is explicit and rounds down, 2 and 3 are SAME. */
const pool: Reader = (node) => {
  const name = findNumber(node.attributes, 'pooling_type') === 1 ? 'average' : 'max'
  if (findFlag(node.attributes, 'global_pooling')) {
    return { kind: 'global-pool', attributes: { function: name, dataFormat: 'channels-first' } }
  }
  const mode = findNumber(node.attributes, 'pad_mode') ?? 0
  const padding: Padding = mode === 2 ? 'same-upper' : mode === 3 ? 'same-lower' : paddingOf(node)
  return {
    kind: 'pool',
    attributes: {
      ...windowAttributes(node),
      padding,
      function: name,
      ceilMode: mode === 0,
      ...(name === 'average'
        ? { countIncludePad: findFlag(node.attributes, 'avgpool_count_include_pad') ?? false }
        : {}),
    },
  }
}

const plain =
  (kind: LayerKind, name?: string): Reader =>
  () => ({ kind, attributes: name === undefined ? {} : { function: name } })

/** op_type 0 is a product, 1 a sum, 2 a maximum. */
const eltwise: Reader = (node) => {
  const type = findNumber(node.attributes, 'op_type') ?? 0
  return { kind: type === 0 ? 'multiply' : type === 1 ? 'add' : 'other' }
}

/** op_type 0 adds, 2 multiplies. */
const binary: Reader = (node) => {
  const type = findNumber(node.attributes, 'op_type') ?? 0
  return { kind: type === 0 ? 'add' : type === 2 ? 'multiply' : 'other' }
}

/** Sizes are w, h, c; 0 keeps, -1 takes the rest; -233 stands for absent. */
const reshape: Reader = (node) => {
  const sizes = ['c', 'h', 'w'].map((name) => findNumber(node.attributes, name) ?? -233).filter((size) => size !== -233)
  return { kind: 'reshape', attributes: sizes.length === 0 ? {} : { shape: [1, ...sizes] } }
}

/** Orders of three axes, of which ncnn counts w first: [w h c], [h w c], [w c h], [c w h], [h c w], [c h w]. */
const ORDERS: readonly (readonly number[])[] = [
  [0, 1, 2, 3],
  [0, 1, 3, 2],
  [0, 2, 1, 3],
  [0, 2, 3, 1],
  [0, 3, 1, 2],
  [0, 3, 2, 1],
]

const permute: Reader = (node) => {
  const order = ORDERS[findNumber(node.attributes, 'order_type') ?? 0]
  return { kind: 'transpose', attributes: order === undefined ? {} : { permutation: order } }
}

/** Its axis leaves out the batch. */
const concat: Reader = (node) => {
  const axis = findNumber(node.attributes, 'axis') ?? 0
  return { kind: 'concat', attributes: { axis: axis < 0 ? axis : axis + 1 } }
}

const interp: Reader = (node) => {
  const { attributes } = node
  const [height, width] = [findNumber(attributes, 'output_height') ?? 0, findNumber(attributes, 'output_width') ?? 0]
  const scales = [findNumber(attributes, 'height_scale') ?? 1, findNumber(attributes, 'width_scale') ?? 1]
  return {
    kind: 'resize',
    attributes: {
      ...(height > 0 && width > 0 ? { shape: [height, width] } : { scales }),
      resizeMode: findNumber(attributes, 'resize_type') === 1 ? 'nearest' : 'bilinear',
      coordinateMode: findFlag(attributes, 'align_corner') ? 'align_corners' : 'half_pixel',
      dataFormat: 'channels-first',
    },
  }
}

const READERS: Readonly<Record<string, Reader>> = {
  Convolution: convolution('conv'),
  ConvolutionDepthWise: convolution('conv'),
  Deconvolution: convolution('conv-transpose'),
  DeconvolutionDepthWise: convolution('conv-transpose'),
  InnerProduct: (node) => ({
    kind: 'dense',
    ...kernelOf(node, 'OI'),
    attributes: { axis: 1, ...defined({ outputSize: findNumber(node.attributes, 'num_output') }) },
  }),
  BatchNorm: (node) => ({
    kind: 'batch-norm',
    weights: weightsOf(node, undefined, { slope: 'gamma', bias: 'beta', mean: 'mean', var: 'variance' }),
    attributes: { epsilon: findNumber(node.attributes, 'eps') ?? 0, dataFormat: 'channels-first' },
  }),
  Scale: (node) => ({ kind: 'multiply', weights: weightsOf(node, undefined, { scale: 'gamma', bias: 'beta' }) }),
  Pooling: pool,
  ReLU: (node) => {
    const slope = findNumber(node.attributes, 'slope') ?? 0
    return slope === 0
      ? { kind: 'activation', attributes: { function: 'relu' } }
      : { kind: 'activation', attributes: { function: 'leaky-relu', alpha: slope } }
  },
  PReLU: (node) => ({
    kind: 'activation',
    weights: weightsOf(node, undefined, { slope: 'slope' }),
    attributes: { function: 'prelu' },
  }),
  Clip: (node) => {
    const [low, high] = [findNumber(node.attributes, 'min') ?? 0, findNumber(node.attributes, 'max') ?? 0]
    return {
      kind: 'activation',
      attributes: { function: low === 0 && high === 6 ? 'relu6' : 'clip', clipRange: [low, high] },
    }
  },
  Sigmoid: plain('activation', 'sigmoid'),
  TanH: plain('activation', 'tanh'),
  ELU: plain('activation', 'elu'),
  SELU: plain('activation', 'selu'),
  Mish: plain('activation', 'mish'),
  Swish: plain('activation', 'swish'),
  GELU: plain('activation', 'gelu'),
  HardSwish: plain('activation', 'hard-swish'),
  HardSigmoid: plain('activation', 'hard-sigmoid'),
  Softmax: (node) => {
    const axis = findNumber(node.attributes, 'axis') ?? 0
    return { kind: 'softmax', attributes: { axis: axis < 0 ? axis : axis + 1 } }
  },
  Eltwise: eltwise,
  BinaryOp: binary,
  Concat: concat,
  Flatten: () => ({ kind: 'flatten', attributes: { axis: 1 } }),
  Reshape: reshape,
  Permute: permute,
  Interp: interp,
  Dropout: plain('dropout'),
  LRN: plain('norm', 'lrn'),
  InstanceNorm: (node) => ({
    kind: 'norm',
    attributes: { function: 'instance', epsilon: findNumber(node.attributes, 'eps') ?? 1e-3 },
  }),
  GroupNorm: (node) => ({
    kind: 'norm',
    attributes: { function: 'group', epsilon: findNumber(node.attributes, 'eps') ?? 1e-3 },
  }),
  LayerNorm: (node) => ({
    kind: 'norm',
    attributes: { function: 'layer', epsilon: findNumber(node.attributes, 'eps') ?? 1e-3 },
  }),
  Input: plain('input'),
  MemoryData: plain('constant'),
  LSTM: plain('recurrent', 'lstm'),
  GRU: plain('recurrent', 'gru'),
  RNN: plain('recurrent', 'rnn'),
  MultiHeadAttention: plain('attention'),
  Padding: (node) => {
    const [top = 0, bottom = 0, left = 0, right = 0] = ['top', 'bottom', 'left', 'right'].map((name) =>
      findNumber(node.attributes, name),
    )
    return {
      kind: 'pad',
      attributes: { padding: { begin: [top, left], end: [bottom, right] }, dataFormat: 'channels-first' },
    }
  },
  Embed: (node) => ({ kind: 'embedding', weights: weightsOf(node, undefined, { weight: 'table' }) }),
  Split: (node) => ({ kind: 'other', attributes: defined({ shape: findNumbers(node.attributes, 'shape') }) }),
}
