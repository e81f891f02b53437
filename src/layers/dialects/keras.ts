import type { Node } from '../../model/graph.ts'
import { defined, findNumber, findNumbers, findRecord, findText, spread } from '../attributes.ts'
import { type Dialect, type DialectContext, type Draft, type DraftParts, draftOf } from '../draft.ts'
import type { LayerAttributes, LayerKind, LayerWeight, Padding } from '../layer.ts'

/**
 * Keras layers: `op` is the class, attributes are its configuration, weights are the layer's parameters by Keras' own
 * role names. Defaults are Keras' (BatchNormalization: epsilon 1e-3, momentum 0.99). Keras 1 spells some of them
 * otherwise: `nb_filter`, `nb_row`, `border_mode`, `subsample`, `dim_ordering`, `Convolution2D`.
 * @source https://keras.io/api/layers/
 */
export const kerasDialect: Dialect = {
  formats: ['keras-h5', 'keras-v3', 'tfjs'],
  draft: (context) => context.nodes.map((node) => draftKeras(node, context)),
}

/** One node; also used for the Keras topologies inside TensorFlow.js manifests. */
function draftKeras(outer: Node, context: DialectContext): Draft {
  const node = unwrapped(outer)
  const reader = Object.hasOwn(READERS, node.op) ? READERS[node.op]! : undefined
  const parts = reader?.(node, context) ?? { kind: 'other' as const }
  const named = new Set(parts.weights?.map(({ tensor }) => tensor))
  const rest = (node.parameters ?? []).filter(({ tensor }) => !named.has(tensor))
  const weights = [...(parts.weights ?? []), ...rest.map(({ tensor }): LayerWeight => ({ role: 'other', tensor }))]
  const activation = activationName(node)
  const draft = draftOf(node, {
    ...parts,
    weights,
    ...(activation !== undefined && parts.kind !== 'activation' && parts.kind !== 'recurrent'
      ? { fusedActivation: activation }
      : {}),
  })
  return { ...draft, op: outer.op }
}

/** Layers whose work does not depend on how many axes stand before the last one. */
const LAST_AXIS = new Set(['Dense', 'BatchNormalization', 'LayerNormalization', 'Activation', 'ReLU', 'Dropout'])

/**
 * What a container layer stands for: `Bidirectional(LSTM)` an LSTM of twice the units (its kernels are listed for both
 * directions), `TimeDistributed(Dense)` a Dense. Others stay as they are.
 */
function unwrapped(node: Node): Node {
  if (node.op !== 'Bidirectional' && node.op !== 'TimeDistributed') return node
  const layer = findRecord(node.attributes, 'layer')
  const op = findText(layer, 'class_name')
  const config = findRecord(layer, 'config')
  if (op === undefined || config === undefined) return node
  // h5 files name the inner layer, `.keras` files of Bidirectional the direction: forward_lstm/kernel
  const parameters = node.parameters?.map(({ role, tensor }) => ({ role: role.replace(/^.*\//, ''), tensor }))
  const inner = { ...node, op, ...(parameters ? { parameters } : {}) }
  if (node.op === 'TimeDistributed') return LAST_AXIS.has(op) ? { ...inner, attributes: config } : node
  const units = findNumber(config, 'units')
  if (READERS[op] !== recurrent || units === undefined) return node
  const isJoined = (findText(node.attributes, 'merge_mode') ?? 'concat') === 'concat'
  return { ...inner, attributes: { ...config, units: isJoined ? 2 * units : units } }
}

type Reader = (node: Node, context: DialectContext) => DraftParts

/** The `activation` entry: a name, or a serialised object; `linear` is none. */
function activationName(node: Node): string | undefined {
  const record = findRecord(node.attributes, 'activation')
  const name =
    findText(node.attributes, 'activation') ??
    findText(findRecord(record, 'config'), 'name', 'activation') ??
    findText(record, 'class_name')
  return name === undefined || name === 'linear' ? undefined : normalName(name)
}

const normalName = (name: string) =>
  name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1-$2')
    .replaceAll('_', '-')
    .toLowerCase()

function dataFormatOf(node: Node): 'channels-first' | 'channels-last' {
  const text = findText(node.attributes, 'data_format', 'dim_ordering')
  return text === 'channels_first' || text === 'th' ? 'channels-first' : 'channels-last'
}

/** Number of spatial axes, from the class: `Conv1D`, `MaxPooling3D`; 2 where it says nothing. */
const rankOf = (node: Node) => Number(/([123])D/i.exec(node.op)?.[1] ?? 2)

function paddingOf(node: Node): Padding {
  const text = findText(node.attributes, 'padding', 'border_mode')
  if (text === 'causal') {
    const kernel = findNumber(node.attributes, 'kernel_size') ?? findNumbers(node.attributes, 'kernel_size')?.[0] ?? 1
    const dilation = findNumbers(node.attributes, 'dilation_rate')?.[0] ?? 1
    return { begin: [(kernel - 1) * dilation], end: [0] }
  }
  return text === 'same' ? 'same-upper' : 'valid'
}

function windowAttributes(node: Node): LayerAttributes {
  const rank = rankOf(node)
  const { attributes } = node
  const rows = findNumber(attributes, 'nb_row')
  const columns = findNumber(attributes, 'nb_col')
  const oldKernel = rows === undefined || columns === undefined ? undefined : [rows, columns]
  return {
    ...defined({
      kernelSize: spread(findNumbers(attributes, 'kernel_size', 'filter_length') ?? oldKernel, rank),
      strides:
        spread(findNumbers(attributes, 'strides', 'subsample', 'subsample_length'), rank) ??
        new Array<number>(rank).fill(1),
      dilations: spread(findNumbers(attributes, 'dilation_rate', 'atrous_rate'), rank),
    }),
    padding: paddingOf(node),
    dataFormat: dataFormatOf(node),
  }
}

const SPATIAL: Readonly<Record<number, string>> = { 1: 'W', 2: 'HW', 3: 'DHW' }

/** Weights by Keras' role words; absent roles are left out. */
function weightsOf(
  node: Node,
  roles: Readonly<Record<string, LayerWeight['role']>>,
  layouts: Readonly<Record<string, string>> = {},
): LayerWeight[] {
  return (node.parameters ?? []).flatMap(({ role, tensor }) => {
    const ours = roles[role]
    const layout = layouts[role]
    return ours === undefined ? [] : [{ role: ours, tensor, ...(layout === undefined ? {} : { layout }) }]
  })
}

function kernelOf(weights: readonly LayerWeight[], index = 0): { value: string; layout: string } | undefined {
  const kernel = weights.filter(({ role }) => role === 'kernel')[index]
  return kernel?.layout === undefined ? undefined : { value: kernel.tensor, layout: kernel.layout }
}

const convolution: Reader = (node) => {
  const layout = `${SPATIAL[rankOf(node)]}IO`
  const weights = weightsOf(
    node,
    { kernel: 'kernel', W: 'kernel', bias: 'bias', b: 'bias' },
    { kernel: layout, W: layout },
  )
  return {
    kind: 'conv',
    weights,
    ...defined({ kernel: kernelOf(weights) }),
    attributes: {
      ...windowAttributes(node),
      groups: findNumber(node.attributes, 'groups') ?? 1,
      ...defined({ outputSize: findNumber(node.attributes, 'filters', 'nb_filter') }),
    },
  }
}

const transposedConvolution: Reader = (node) => {
  const layout = `${SPATIAL[rankOf(node)]}OI`
  const weights = weightsOf(node, { kernel: 'kernel', bias: 'bias' }, { kernel: layout })
  return {
    kind: 'conv-transpose',
    weights,
    ...defined({ kernel: kernelOf(weights) }),
    attributes: {
      ...windowAttributes(node),
      ...defined({
        outputSize: findNumber(node.attributes, 'filters', 'nb_filter'),
        outputPadding: spread(findNumbers(node.attributes, 'output_padding'), rankOf(node)),
      }),
    },
  }
}

const depthwise: Reader = (node, { tensors }) => {
  const layout = `${SPATIAL[rankOf(node)]}CM`
  const weights = weightsOf(
    node,
    { depthwise_kernel: 'kernel', kernel: 'kernel', bias: 'bias' },
    { depthwise_kernel: layout, kernel: layout },
  )
  const channels = tensors.get(kernelOf(weights)?.value ?? '')?.shape.at(-2)
  return {
    kind: 'conv',
    weights,
    ...defined({ kernel: kernelOf(weights) }),
    attributes: { ...windowAttributes(node), ...defined({ groups: channels }) },
  }
}

const separable: Reader = (node) => {
  const space = SPATIAL[rankOf(node)]
  const weights = weightsOf(
    node,
    { depthwise_kernel: 'kernel', pointwise_kernel: 'kernel', bias: 'bias' },
    { depthwise_kernel: `${space}CM`, pointwise_kernel: `${space}IO` },
  )
  return {
    kind: 'conv',
    weights,
    ...defined({ kernel: kernelOf(weights, 0), pointwise: kernelOf(weights, 1) }),
    attributes: { ...windowAttributes(node), ...defined({ outputSize: findNumber(node.attributes, 'filters') }) },
  }
}

const dense: Reader = (node) => {
  const weights = weightsOf(node, { kernel: 'kernel', W: 'kernel', bias: 'bias', b: 'bias' }, { kernel: 'IO', W: 'IO' })
  return {
    kind: 'dense',
    weights,
    ...defined({ kernel: kernelOf(weights) }),
    attributes: defined({ outputSize: findNumber(node.attributes, 'units', 'output_dim') }),
  }
}

const STATISTICS = {
  gamma: 'gamma',
  beta: 'beta',
  moving_mean: 'mean',
  moving_variance: 'variance',
  running_mean: 'mean',
  running_std: 'variance',
} as const

/** Keras stores the axis as a number or, since TensorFlow 1.13, as a list of one. */
const axisOf = (node: Node) => findNumbers(node.attributes, 'axis')?.[0]

const batchNorm: Reader = (node) => ({
  kind: 'batch-norm',
  weights: weightsOf(node, STATISTICS),
  attributes: {
    epsilon: findNumber(node.attributes, 'epsilon') ?? 1e-3,
    momentum: findNumber(node.attributes, 'momentum') ?? 0.99,
    axis: axisOf(node) ?? -1,
  },
})

const norm =
  (name: string): Reader =>
  (node) => ({
    kind: 'norm',
    weights: weightsOf(node, STATISTICS),
    attributes: {
      function: name,
      epsilon: findNumber(node.attributes, 'epsilon') ?? 1e-3,
      axis: axisOf(node) ?? -1,
      ...defined({ groups: findNumber(node.attributes, 'groups') }),
    },
  })

const pool =
  (name: string): Reader =>
  (node) => {
    const attributes = windowAttributes(node)
    const kernelSize = spread(findNumbers(node.attributes, 'pool_size', 'pool_length') ?? [2], rankOf(node))!
    const given = findNumbers(node.attributes, 'strides', 'stride')
    return {
      kind: 'pool',
      attributes: {
        ...attributes,
        function: name,
        kernelSize,
        // a pool without strides steps by its own size
        strides: given === undefined ? kernelSize : spread(given, rankOf(node))!,
        ceilMode: false,
        ...(name === 'average' ? { countIncludePad: false } : {}),
      },
    }
  }

const globalPool =
  (name: string): Reader =>
  (node) => ({ kind: 'global-pool', attributes: { function: name, dataFormat: dataFormatOf(node) } })

const plain =
  (kind: LayerKind, name?: string): Reader =>
  () => ({ kind, attributes: name === undefined ? {} : { function: name } })

const relu: Reader = (node) => {
  const slope = findNumber(node.attributes, 'negative_slope') ?? 0
  const max = findNumber(node.attributes, 'max_value')
  const name = slope !== 0 ? 'leaky-relu' : max === 6 ? 'relu6' : 'relu'
  return {
    kind: 'activation',
    attributes: {
      function: name,
      ...(slope === 0 ? {} : { alpha: slope }),
      ...(max === undefined ? {} : { clipRange: [0, max] as const }),
    },
  }
}

/** `[2, 3]`, `2` or `[[1, 1], [2, 2]]` as begin and end per spatial axis. */
const zeroPadding: Reader = (node) => {
  const rank = rankOf(node)
  const value = node.attributes.padding
  const pairs = Array.isArray(value) ? value.map((item) => findNumbers({ item }, 'item')) : []
  const isPaired = pairs.length === rank && pairs.every((pair) => pair !== undefined)
  const flat = spread(findNumbers(node.attributes, 'padding'), rank) ?? new Array<number>(rank).fill(1)
  const begin = isPaired ? pairs.map((pair) => pair![0]!) : rank === 1 && flat.length === 2 ? [flat[0]!] : flat
  const end = isPaired ? pairs.map((pair) => pair!.at(-1)!) : rank === 1 && flat.length === 2 ? [flat[1]!] : flat
  return { kind: 'pad', attributes: { padding: { begin, end }, dataFormat: dataFormatOf(node), function: 'constant' } }
}

/** A crop is a pad of negative sizes. */
const cropping: Reader = (node, context) => {
  const as = { ...node, attributes: { ...node.attributes, padding: node.attributes.cropping ?? 0 } }
  const { attributes } = zeroPadding(as, context)
  const padding = attributes?.padding
  if (typeof padding !== 'object') return { kind: 'other' }
  const negative = (sizes: readonly number[]) => sizes.map((size) => 0 - size)
  return {
    kind: 'pad',
    attributes: { ...attributes, padding: { begin: negative(padding.begin), end: negative(padding.end) } },
  }
}

const resizing: Reader = (node) => {
  const size = [findNumber(node.attributes, 'height'), findNumber(node.attributes, 'width')]
  return {
    kind: 'resize',
    attributes: {
      ...(size.every((side) => side !== undefined) ? { shape: size } : {}),
      resizeMode: findText(node.attributes, 'interpolation') ?? 'bilinear',
      dataFormat: dataFormatOf(node),
    },
  }
}

const upSampling: Reader = (node) => ({
  kind: 'resize',
  attributes: {
    scales: spread(findNumbers(node.attributes, 'size') ?? [2], rankOf(node))!,
    resizeMode: findText(node.attributes, 'interpolation') ?? 'nearest',
    dataFormat: dataFormatOf(node),
  },
})

/** Targets leave out the batch. */
const reshape: Reader = (node) => {
  const target = findNumbers(node.attributes, 'target_shape')
  return { kind: 'reshape', attributes: target === undefined ? {} : { shape: [0, ...target] } }
}

const permute: Reader = (node) => {
  const dims = findNumbers(node.attributes, 'dims')
  return { kind: 'transpose', attributes: dims === undefined ? {} : { permutation: [0, ...dims] } }
}

const recurrent: Reader = (node) => ({
  kind: 'recurrent',
  weights: weightsOf(node, { kernel: 'kernel', recurrent_kernel: 'recurrent-kernel', bias: 'bias' }),
  attributes: { function: node.op.toLowerCase(), ...defined({ outputSize: findNumber(node.attributes, 'units') }) },
})

const withRank = (base: string, reader: Reader) => ['1D', '2D', '3D'].map((rank) => [base + rank, reader] as const)

const READERS: Readonly<Record<string, Reader>> = {
  ...Object.fromEntries([
    ...withRank('Conv', convolution),
    ...withRank('Convolution', convolution),
    ...withRank('AtrousConvolution', convolution),
    ...['Conv2DTranspose', 'Conv1DTranspose', 'Conv3DTranspose', 'Deconvolution2D'].map(
      (name) => [name, transposedConvolution] as const,
    ),
    ...withRank('DepthwiseConv', depthwise),
    ...withRank('SeparableConv', separable),
    ...withRank('MaxPooling', pool('max')),
    ...withRank('AveragePooling', pool('average')),
    ...withRank('GlobalAveragePooling', globalPool('average')),
    ...withRank('GlobalMaxPooling', globalPool('max')),
    ...withRank('ZeroPadding', zeroPadding),
    ...withRank('Cropping', cropping),
    ...withRank('UpSampling', upSampling),
    ...withRank('SpatialDropout', plain('dropout')),
    ...['LSTM', 'GRU', 'SimpleRNN', 'CuDNNLSTM', 'CuDNNGRU'].map((name) => [name, recurrent] as const),
    ...['Dropout', 'GaussianNoise', 'GaussianDropout', 'AlphaDropout', 'ActivityRegularization'].map(
      (name) => [name, plain('dropout')] as const,
    ),
    // augmentation: like dropout, nothing but the input when the model is used
    ...[
      'Flip',
      'Rotation',
      'Zoom',
      'Translation',
      'Shear',
      'Perspective',
      'Contrast',
      'Brightness',
      'Saturation',
      'Hue',
    ]
      .concat(['ColorJitter', 'ColorDegeneration', 'Grayscale', 'Invert', 'Posterization', 'Sharpness', 'GaussianBlur'])
      .concat(['Erasing', 'ElasticTransform'])
      .map((name) => [`Random${name}`, plain('dropout')] as const),
  ]),
  Dense: dense,
  BatchNormalization: batchNorm,
  BatchNormalizationV1: batchNorm,
  BatchNormalizationV2: batchNorm,
  SyncBatchNormalization: batchNorm,
  LayerNormalization: norm('layer'),
  GroupNormalization: norm('group'),
  UnitNormalization: norm('unit'),
  Activation: (node) => {
    const name = activationName(node) ?? 'linear'
    return name === 'softmax' ? { kind: 'softmax' } : { kind: 'activation', attributes: { function: name } }
  },
  ReLU: relu,
  LeakyReLU: (node) => ({
    kind: 'activation',
    attributes: { function: 'leaky-relu', alpha: findNumber(node.attributes, 'negative_slope', 'alpha') ?? 0.3 },
  }),
  PReLU: (node) => ({
    kind: 'activation',
    weights: weightsOf(node, { alpha: 'slope', alphas: 'slope' }),
    attributes: { function: 'prelu' },
  }),
  ELU: (node) => ({
    kind: 'activation',
    attributes: { function: 'elu', alpha: findNumber(node.attributes, 'alpha') ?? 1 },
  }),
  ThresholdedReLU: plain('activation', 'thresholded-relu'),
  Softmax: (node) => ({ kind: 'softmax', attributes: { axis: axisOf(node) ?? -1 } }),
  Add: plain('add'),
  Multiply: plain('multiply'),
  Concatenate: (node) => ({ kind: 'concat', attributes: { axis: axisOf(node) ?? -1 } }),
  Merge: (node) => {
    const mode = findText(node.attributes, 'mode')
    if (mode === 'concat')
      return { kind: 'concat', attributes: { axis: findNumber(node.attributes, 'concat_axis') ?? -1 } }
    return { kind: mode === 'sum' ? 'add' : mode === 'mul' ? 'multiply' : 'other' }
  },
  Flatten: () => ({ kind: 'flatten', attributes: { axis: 1 } }),
  Reshape: reshape,
  Permute: permute,
  InputLayer: plain('input'),
  Resizing: resizing,
  Embedding: (node) => ({ kind: 'embedding', weights: weightsOf(node, { embeddings: 'table', W: 'table' }) }),
  Rescaling: plain('activation', 'rescaling'),
  Normalization: plain('norm', 'normalization'),
  MultiHeadAttention: (node) => ({
    kind: 'attention',
    attributes: defined({ outputSize: findNumber(node.attributes, 'key_dim') }),
  }),
  Attention: plain('attention'),
}
