import type { Node } from '../../model/graph.ts'
import { defined, findFlag, findNumber, findNumbers, findRecord, spread } from '../attributes.ts'
import { type Dialect, type DraftParts, draftOf } from '../draft.ts'
import type { LayerAttributes, LayerKind, LayerWeight } from '../layer.ts'

/**
 * Caffe layers: channels first, kernels [O, I, H, W], dense [O, I], pools that round up, BatchNorm without gamma and
 * beta (a Scale layer follows) and with a scale factor by which its statistics must be divided. Types are those of
 * LayerParameter; the upper-case names of V1 mean the same.
 * @source caffe/src/caffe/proto/caffe.proto
 */
export const caffeDialect: Dialect = {
  formats: ['caffe'],
  draft: (context) =>
    context.nodes.map((node) => {
      const op = V1_NAMES[node.op] ?? node.op
      const reader = Object.hasOwn(READERS, op) ? READERS[op]! : undefined
      const parts = reader?.(node) ?? { kind: 'other' as const, weights: blobs(node, []) }
      return draftOf(node, { ...parts, weights: parts.weights ?? blobs(node, []) })
    }),
}

type Reader = (node: Node) => DraftParts

/** V1LayerParameter.LayerType where the name is more than another case. */
const V1_NAMES: Readonly<Record<string, string>> = {
  CONVOLUTION: 'Convolution',
  DECONVOLUTION: 'Deconvolution',
  INNER_PRODUCT: 'InnerProduct',
  POOLING: 'Pooling',
  RELU: 'ReLU',
  PRELU: 'PReLU',
  SIGMOID: 'Sigmoid',
  TANH: 'TanH',
  SOFTMAX: 'Softmax',
  SOFTMAX_LOSS: 'SoftmaxWithLoss',
  LRN: 'LRN',
  CONCAT: 'Concat',
  ELTWISE: 'Eltwise',
  FLATTEN: 'Flatten',
  DROPOUT: 'Dropout',
  DATA: 'Data',
  SPLIT: 'Split',
}

/** Options of a layer: its `*_param` message where the reader keeps it whole, and the layer's own fields. */
function options(node: Node, name: string): Node['attributes'] {
  return { ...node.attributes, ...findRecord(node.attributes, name) }
}

/** Blobs in order, with the given roles; further ones are `other`. */
function blobs(node: Node, roles: readonly LayerWeight['role'][], layout?: string): LayerWeight[] {
  return (node.parameters ?? []).map(({ tensor }, i) => {
    const role = roles[i] ?? 'other'
    return { role, tensor, ...(role === 'kernel' && layout !== undefined ? { layout } : {}) }
  })
}

/** `kernel_size` repeated, or `kernel_h` and `kernel_w`. */
function pair(values: Node['attributes'], list: string, height: string, width: string): number[] | undefined {
  const [h, w] = [findNumber(values, height), findNumber(values, width)]
  if (h !== undefined && w !== undefined && (h > 0 || w > 0)) return [h, w]
  return spread(findNumbers(values, list), 2)
}

function windowAttributes(values: Node['attributes']): LayerAttributes {
  const pad = pair(values, 'pad', 'pad_h', 'pad_w') ?? [0, 0]
  return {
    ...defined({
      kernelSize: pair(values, 'kernel_size', 'kernel_h', 'kernel_w'),
      dilations: spread(findNumbers(values, 'dilation'), 2),
    }),
    strides: pair(values, 'stride', 'stride_h', 'stride_w') ?? [1, 1],
    padding: { begin: pad, end: pad },
    dataFormat: 'channels-first',
  }
}

/** Old files keep kernels with leading axes of one, [1, 1, O, I] for dense layers; the reader gives shapes as stored. */
const convolution =
  (kind: 'conv' | 'conv-transpose', layout: string): Reader =>
  (node) => {
    const values = options(node, 'convolution_param')
    const weights = blobs(node, ['kernel', 'bias'], layout)
    return {
      kind,
      weights,
      ...(weights[0] ? { kernel: { value: weights[0].tensor, layout } } : {}),
      attributes: {
        ...windowAttributes(values),
        groups: findNumber(values, 'group') ?? 1,
        ...defined({ outputSize: findNumber(values, 'num_output') }),
      },
    }
  }

const dense: Reader = (node) => {
  const values = options(node, 'inner_product_param')
  const layout = findFlag(values, 'transpose') ? 'IO' : 'OI'
  const weights = blobs(node, ['kernel', 'bias'], layout)
  return {
    kind: 'dense',
    weights,
    ...(weights[0] ? { kernel: { value: weights[0].tensor, layout } } : {}),
    attributes: {
      axis: findNumber(values, 'axis') ?? 1,
      ...defined({ outputSize: findNumber(values, 'num_output') }),
    },
  }
}

const pool: Reader = (node) => {
  const values = options(node, 'pooling_param')
  const method = values.pool
  const name =
    method === 'AVE' || method === 1 ? 'average' : method === 'STOCHASTIC' || method === 2 ? 'stochastic' : 'max'
  if (findFlag(values, 'global_pooling')) {
    return { kind: 'global-pool', attributes: { function: name, dataFormat: 'channels-first' } }
  }
  const mode = values.round_mode
  return {
    kind: 'pool',
    attributes: {
      ...windowAttributes(values),
      function: name,
      ceilMode: mode !== 'FLOOR' && mode !== 1,
      ...(name === 'average' ? { countIncludePad: true } : {}),
    },
  }
}

const batchNorm: Reader = (node) => ({
  kind: 'batch-norm',
  weights: blobs(node, ['mean', 'variance', 'scale-factor']),
  attributes: {
    epsilon: findNumber(options(node, 'batch_norm_param'), 'eps') ?? 1e-5,
    momentum: findNumber(options(node, 'batch_norm_param'), 'moving_average_fraction') ?? 0.999,
    dataFormat: 'channels-first',
  },
})

const plain =
  (kind: LayerKind, name?: string): Reader =>
  () => ({ kind, attributes: name === undefined ? {} : { function: name } })

const eltwise: Reader = (node) => {
  const operation = options(node, 'eltwise_param').operation
  const isProduct = operation === 'PROD' || operation === 0
  const isMax = operation === 'MAX' || operation === 2
  return { kind: isProduct ? 'multiply' : isMax ? 'other' : 'add' }
}

const relu: Reader = (node) => {
  const slope = findNumber(options(node, 'relu_param'), 'negative_slope') ?? 0
  return slope === 0
    ? { kind: 'activation', attributes: { function: 'relu' } }
    : { kind: 'activation', attributes: { function: 'leaky-relu', alpha: slope } }
}

const reshape: Reader = (node) => {
  const record = findRecord(options(node, 'reshape_param'), 'shape')
  const shape = findNumbers(record, 'dim') ?? findNumbers(options(node, 'reshape_param'), 'shape', 'dim')
  return { kind: 'reshape', attributes: defined({ shape }) }
}

const READERS: Readonly<Record<string, Reader>> = {
  Convolution: convolution('conv', 'OIHW'),
  ConvolutionDepthwise: convolution('conv', 'OIHW'),
  DepthwiseConvolution: convolution('conv', 'OIHW'),
  Deconvolution: convolution('conv-transpose', 'IOHW'),
  InnerProduct: dense,
  Pooling: pool,
  BatchNorm: batchNorm,
  // NVIDIA's fused form: scale, shift, mean, variance
  BN: (node) => ({
    kind: 'batch-norm',
    weights: blobs(node, ['gamma', 'beta', 'mean', 'variance']),
    attributes: { dataFormat: 'channels-first' },
  }),
  Scale: (node) => ({ kind: 'multiply', weights: blobs(node, ['gamma', 'beta']) }),
  Bias: (node) => ({ kind: 'add', weights: blobs(node, ['bias']) }),
  ReLU: relu,
  ReLU6: plain('activation', 'relu6'),
  PReLU: (node) => ({ kind: 'activation', weights: blobs(node, ['slope']), attributes: { function: 'prelu' } }),
  ELU: plain('activation', 'elu'),
  Sigmoid: plain('activation', 'sigmoid'),
  TanH: plain('activation', 'tanh'),
  Softmax: (node) => ({
    kind: 'softmax',
    attributes: { axis: findNumber(options(node, 'softmax_param'), 'axis') ?? 1 },
  }),
  SoftmaxWithLoss: plain('softmax'),
  LRN: plain('norm', 'lrn'),
  MVN: plain('norm', 'mvn'),
  Normalize: (node) => ({ kind: 'norm', weights: blobs(node, ['scale-factor']), attributes: { function: 'l2' } }),
  Concat: (node) => ({
    kind: 'concat',
    attributes: { axis: findNumber(options(node, 'concat_param'), 'axis', 'concat_dim') ?? 1 },
  }),
  Eltwise: eltwise,
  Flatten: (node) => ({
    kind: 'flatten',
    attributes: { axis: findNumber(options(node, 'flatten_param'), 'axis') ?? 1 },
  }),
  Reshape: reshape,
  Permute: (node) => ({
    kind: 'transpose',
    attributes: defined({ permutation: findNumbers(options(node, 'permute_param'), 'order') }),
  }),
  Dropout: plain('dropout'),
  Input: plain('input'),
  Data: plain('input'),
  Upsample: (node) => {
    const scale = findNumber(options(node, 'upsample_param'), 'scale') ?? 2
    return {
      kind: 'resize',
      attributes: { scales: [scale, scale], resizeMode: 'nearest', dataFormat: 'channels-first' },
    }
  },
  Embed: (node) => ({ kind: 'embedding', weights: blobs(node, ['table', 'bias']) }),
}
