import type { AttributeValue, Node } from '../../model/graph.ts'
import type { AttributeEdit } from '../../onnx/program.ts'
import type { CauseLabel } from '../vocabulary.ts'
import { ACTIVATION_OPS } from './activation-ops.ts'
import { arrayOf } from './arrays.ts'

/** Attributes that hold real numbers: the neutral graph does not tell 1 from 1.0. */
const REAL: ReadonlySet<string> = new Set([
  'epsilon',
  'alpha',
  'beta',
  'gamma',
  'bias',
  'lambd',
  'max',
  'min',
  'ratio',
  'momentum',
  'scale',
  'cubic_coeff_a',
  'extrapolation_value',
  'spatial_scale',
  'value_float',
  'threshold',
  'clip',
  'scales',
  'activation_alpha',
  'activation_beta',
  'activation_params',
  'softcap',
  'mask_filter_value',
  'value_floats',
])

/** Attributes without influence on inference, or that only repeat shapes. */
const SILENT: ReadonlySet<string> = new Set([
  'momentum',
  'consumed_inputs',
  'is_test',
  'spatial',
  'hidden_size',
  'allowzero',
  'stash_type',
  'kernel_shape',
  'storage_order',
  'auto_pad',
  'saturate',
  'select_last_index',
  'extrapolation_value',
])

/** What an attribute is when a node does not state it. @source ONNX operator schemas */
const DEFAULTS: Readonly<Record<string, AttributeValue>> = {
  'BatchNormalization.epsilon': 1e-5,
  'InstanceNormalization.epsilon': 1e-5,
  'LayerNormalization.epsilon': 1e-5,
  'GroupNormalization.epsilon': 1e-5,
  'RMSNormalization.epsilon': 1e-5,
  'LayerNormalization.axis': -1,
  'BatchNormalization.training_mode': 0,
  'LeakyRelu.alpha': 0.01,
  'Elu.alpha': 1,
  'Celu.alpha': 1,
  'HardSigmoid.alpha': 0.2,
  'HardSigmoid.beta': 0.5,
  'Selu.alpha': 1.6732632,
  'Selu.gamma': 1.0507009,
  'ThresholdedRelu.alpha': 1,
  'Gelu.approximate': 'none',
  'Gemm.alpha': 1,
  'Gemm.beta': 1,
  'Gemm.transA': 0,
  'Gemm.transB': 0,
  'FusedMatMul.alpha': 1,
  'FusedMatMul.transA': 0,
  'FusedMatMul.transB': 0,
  'Resize.mode': 'nearest',
  'Resize.coordinate_transformation_mode': 'half_pixel',
  'Resize.nearest_mode': 'round_prefer_floor',
  'Resize.cubic_coeff_a': -0.75,
  'Resize.antialias': 0,
  'Resize.exclude_outside': 0,
  'Upsample.mode': 'nearest',
  'GridSample.align_corners': 0,
  'GridSample.padding_mode': 'zeros',
  'DepthToSpace.mode': 'DCR',
  'Flatten.axis': 1,
  'Pad.mode': 'constant',
  'GRU.linear_before_reset': 0,
  'LSTM.direction': 'forward',
  'GRU.direction': 'forward',
  'RNN.direction': 'forward',
  'MaxPool.ceil_mode': 0,
  'AveragePool.ceil_mode': 0,
  'AveragePool.count_include_pad': 0,
  'Gather.axis': 0,
  'Split.axis': 0,
  'ReduceMean.keepdims': 1,
  'CumSum.reverse': 0,
  'LRN.alpha': 1e-4,
  'LRN.beta': 0.75,
  'LRN.bias': 1,
  'Softmax.axis': -1,
  'LogSoftmax.axis': -1,
}

/** Attributes whose default is as many ones, or zeros, as there are axes. */
const REPEATED: Readonly<Record<string, number>> = { strides: 1, dilations: 1, pads: 0, group: 1, output_padding: 0 }

/** The value of an attribute with the operator's default in place of what is not stated; undefined where none is known. */
export function attributeOf(node: Node, name: string, axes?: number): AttributeValue | undefined {
  const stated = node.attributes[name]
  if (stated !== undefined) return stated
  if (name === 'group') return 1
  const repeated = REPEATED[name]
  if (repeated !== undefined && axes !== undefined)
    return new Array<number>(name === 'pads' ? 2 * axes : axes).fill(repeated)
  return DEFAULTS[`${node.op}.${name}`]
}

/** Names of attributes that two nodes of one operator give different values, defaults counted in. */
export function differingAttributes(reference: Node, candidate: Node): string[] {
  const names = new Set([...Object.keys(reference.attributes), ...Object.keys(candidate.attributes)])
  return [...names].filter((name) => {
    if (SILENT.has(name))
      return name === 'kernel_shape' && /Pool$/.test(reference.op) && differs(reference, candidate, name)
    return differs(reference, candidate, name)
  })
}

function differs(reference: Node, candidate: Node, name: string): boolean {
  const length = [reference.attributes[name], candidate.attributes[name]].find(Array.isArray)?.length
  const axes = length === undefined ? undefined : name === 'pads' ? length / 2 : length
  const [a, b] = [attributeOf(reference, name, axes), attributeOf(candidate, name, axes)]
  if (a === undefined && b === undefined) return false
  return plain(a) !== plain(b)
}

const plain = (value: AttributeValue | undefined): string =>
  JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? String(inner) : inner)) ?? ''

/** An attribute as it is written into a fragment; undefined for values that cannot be (references, types). */
export function editOf(name: string, value: AttributeValue | undefined): AttributeEdit | undefined {
  if (value === undefined) return null
  if (typeof value === 'string') return { string: value }
  if (typeof value === 'bigint') return { int: value }
  if (typeof value === 'number') return REAL.has(name) ? { float: value } : { int: value }
  if (Array.isArray(value)) {
    const numbers = value.filter((each) => typeof each === 'number' || typeof each === 'bigint')
    if (numbers.length !== value.length) return undefined
    return REAL.has(name) ? { floats: numbers.map(Number) } : { ints: numbers }
  }
  if (value !== null && typeof value === 'object' && 'values' in value && 'dtype' in value && 'shape' in value) {
    const { dtype, shape, values } = value as { dtype: 'float32'; shape: number[]; values: number[] }
    return { tensor: arrayOf(dtype, shape, values.map(Number)) }
  }
  return undefined
}

/** All attributes of a node, to write it into another program. */
export function editsOf(node: Node): Record<string, AttributeEdit> {
  return Object.fromEntries(
    Object.entries(node.attributes).flatMap(([name, value]) => {
      const edit = editOf(name, value)
      return edit === undefined || edit === null ? [] : [[name, edit]]
    }),
  )
}

/** What a difference of an attribute is called. */
export function labelOfAttribute(op: string, name: string): CauseLabel {
  const own = OWN_LABELS[`${op}.${name}`] ?? LABELS[name]
  if (own !== undefined) return own
  if (ACTIVATION_OPS.has(op)) return op === 'Clip' ? 'clip-range' : 'activation-parameter'
  return 'constant-value'
}

const OWN_LABELS: Readonly<Record<string, CauseLabel>> = {
  'BatchNormalization.epsilon': 'bn-epsilon',
  'BatchNormalization.training_mode': 'bn-statistics',
  'Gelu.approximate': 'activation-type',
  'Softmax.axis': 'softmax-axis',
  'LogSoftmax.axis': 'softmax-axis',
  'Concat.axis': 'concat-order',
  'Split.axis': 'concat-order',
  'Split.split': 'concat-order',
  'Flatten.axis': 'flatten-order',
  'Gather.axis': 'channel-order',
  'Transpose.perm': 'flatten-order',
  'DepthToSpace.mode': 'channel-order',
  'DepthToSpace.blocksize': 'channel-order',
  'SpaceToDepth.blocksize': 'channel-order',
  'GridSample.mode': 'resize-mode',
  'GridSample.align_corners': 'resize-coordinates',
  'GridSample.padding_mode': 'padding',
  'RoiAlign.coordinate_transformation_mode': 'resize-coordinates',
  'RoiAlign.mode': 'pooling-type',
  'RoiAlign.sampling_ratio': 'resize-coordinates',
  'Resize.mode': 'resize-mode',
  'Upsample.mode': 'resize-mode',
  'Upsample.scales': 'resize-mode',
  'Pad.mode': 'padding',
  'Pad.value': 'padding',
  'GroupNormalization.num_groups': 'groups',
  'GroupNorm.groups': 'groups',
  'CumSum.reverse': 'sequence-order',
  'Dropout.ratio': 'dropout-active',
  'Cast.to': 'dtype-cast',
  'Gemm.transA': 'weight-transposed',
  'Gemm.transB': 'weight-transposed',
  'FusedMatMul.transA': 'weight-transposed',
  'FusedMatMul.transB': 'weight-transposed',
  'FusedMatMul.alpha': 'attention-scale',
  'Attention.scale': 'attention-scale',
  'MultiHeadAttention.scale': 'attention-scale',
  'Attention.is_causal': 'attention-mask',
  'Attention.unidirectional': 'attention-mask',
  'FusedConv.activation': 'activation-type',
  'FusedConv.activation_params': 'activation-parameter',
  'FusedGemm.activation': 'activation-type',
  'FusedGemm.activation_alpha': 'activation-parameter',
  'LSTM.activations': 'activation-type',
  'GRU.activations': 'activation-type',
  'RNN.activations': 'activation-type',
}

const LABELS: Readonly<Record<string, CauseLabel>> = {
  epsilon: 'layernorm-epsilon',
  pads: 'padding',
  output_padding: 'padding',
  output_shape: 'padding',
  strides: 'stride',
  dilations: 'dilation',
  group: 'groups',
  ceil_mode: 'pooling-ceil-mode',
  count_include_pad: 'pooling-count-include-pad',
  kernel_shape: 'pooling-type',
  coordinate_transformation_mode: 'resize-coordinates',
  nearest_mode: 'resize-mode',
  cubic_coeff_a: 'resize-mode',
  antialias: 'resize-mode',
  exclude_outside: 'resize-mode',
  direction: 'sequence-order',
  linear_before_reset: 'lstm-gate-order',
}

/** A framework's habit that explains a value, or nothing. */
export function habit(label: CauseLabel, candidate: AttributeValue | undefined): string {
  const known = typeof candidate === 'number' ? HABITS[`${label} ${candidate}`] : undefined
  return known === undefined ? '' : `; ${known}`
}

const HABITS: Readonly<Record<string, string>> = {
  'bn-epsilon 0.001': "0.001 is Keras' default",
  'bn-epsilon 0.00001': "1e-05 is PyTorch's default",
  'layernorm-epsilon 0.001': "0.001 is Keras' default",
  'layernorm-epsilon 0.00001': "1e-05 is PyTorch's default",
  'layernorm-epsilon 0.000001': "1e-06 is Flax' default",
  'activation-parameter 0.01': "0.01 is PyTorch's default",
  'activation-parameter 0.3': "0.3 is Keras' default",
  'activation-parameter 0.2': "0.2 is ONNX' default for the slope of HardSigmoid and usual in GANs",
}

/** An attribute in words. */
export function showAttribute(value: AttributeValue | undefined): string {
  if (value === undefined) return 'none'
  if (Array.isArray(value)) return `[${value.map(showAttribute).join(', ')}]`
  return typeof value === 'object' ? plain(value) : String(value)
}
