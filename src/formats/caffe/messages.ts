import { defineMessage, type FieldSpec, type MessageType, type Payload } from '../../encoding/protobuf.ts'

/**
 * The part of caffe.proto that a stored network has. Parameter messages are plain tables: what they hold becomes
 * attributes, under the names that the text form uses.
 *
 * @source https://github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto
 */
export interface BlobProto {
  shape?: { dim: number[] }
  num?: number
  channels?: number
  height?: number
  width?: number
  data: Payload[]
  doubleData: Payload[]
  /** NVIDIA's fork: 0 double, 1 float, 2 half */
  rawType?: number
  rawData: Payload[]
}

export interface LayerProto {
  name?: string
  type?: string | number
  bottom: string[]
  top: string[]
  blobs: BlobProto[]
  include: NetStateRule[]
  exclude: NetStateRule[]
  /** everything else, by the name of the text form */
  [attribute: string]: unknown
}

export interface V1LayerProto extends LayerProto {
  /** V0: the layer proper is nested */
  layer?: LayerProto
}

export interface NetStateRule {
  phase?: number
  min_level?: number
  max_level?: number
  stage: string[]
  not_stage: string[]
}

export interface NetProto {
  name?: string
  input: string[]
  inputShape: { dim: number[] }[]
  inputDim: number[]
  layer: LayerProto[]
  layers: V1LayerProto[]
}

type Fields = Record<string, FieldSpec>

const int = (id: number): FieldSpec => ({ id, type: 'int' })
const ints = (id: number): FieldSpec => ({ id, type: 'int', repeated: true })
const bool = (id: number): FieldSpec => ({ id, type: 'bool' })
const float = (id: number): FieldSpec => ({ id, type: 'float' })
const floats = (id: number): FieldSpec => ({ id, type: 'float', repeated: true })
const string = (id: number): FieldSpec => ({ id, type: 'string' })
const strings = (id: number): FieldSpec => ({ id, type: 'string', repeated: true })
const choice = (id: number, ...names: string[]): FieldSpec => ({
  id,
  type: 'int',
  names: Object.fromEntries(names.map((name, value) => [name, value])),
})
const child = (id: number, fields: () => Fields): FieldSpec => ({ id, type: () => parameters(fields) })
const children = (id: number, fields: () => Fields): FieldSpec => ({ ...child(id, fields), repeated: true })

const made = new Map<() => Fields, MessageType<object>>()
/** One table per parameter message, made on first use. */
function parameters(fields: () => Fields): MessageType<object> {
  const known = made.get(fields) ?? defineMessage<object>('caffe parameter', fields() as never)
  made.set(fields, known)
  return known
}

const shape = () => ({ dim: ints(1) })
const engine = (id: number) => choice(id, 'DEFAULT', 'CAFFE', 'CUDNN')
const filler = () => ({
  type: string(1),
  value: float(2),
  min: float(3),
  max: float(4),
  mean: float(5),
  std: float(6),
  sparse: int(7),
  variance_norm: choice(8, 'FAN_IN', 'FAN_OUT', 'AVERAGE'),
})
const phase = (id: number) => choice(id, 'TRAIN', 'TEST')
const stateRule = () => ({
  phase: int(1),
  min_level: int(2),
  max_level: int(3),
  stage: strings(4),
  not_stage: strings(5),
})
const paramSpec = () => ({ name: string(1), share_mode: int(2), lr_mult: float(3), decay_mult: float(4) })

const convolution = () => ({
  num_output: int(1),
  bias_term: bool(2),
  pad: ints(3),
  kernel_size: ints(4),
  group: int(5),
  stride: ints(6),
  weight_filler: child(7, filler),
  bias_filler: child(8, filler),
  pad_h: int(9),
  pad_w: int(10),
  kernel_h: int(11),
  kernel_w: int(12),
  stride_h: int(13),
  stride_w: int(14),
  engine: engine(15),
  axis: int(16),
  force_nd_im2col: bool(17),
  dilation: ints(18),
})
const innerProduct = () => ({
  num_output: int(1),
  bias_term: bool(2),
  weight_filler: child(3, filler),
  bias_filler: child(4, filler),
  axis: int(5),
  transpose: bool(6),
})
const pooling = () => ({
  pool: choice(1, 'MAX', 'AVE', 'STOCHASTIC'),
  kernel_size: int(2),
  stride: int(3),
  pad: int(4),
  kernel_h: int(5),
  kernel_w: int(6),
  stride_h: int(7),
  stride_w: int(8),
  pad_h: int(9),
  pad_w: int(10),
  engine: engine(11),
  global_pooling: bool(12),
  round_mode: choice(13, 'CEIL', 'FLOOR'),
})
const transform = () => ({
  scale: float(1),
  mirror: bool(2),
  crop_size: int(3),
  mean_file: string(4),
  mean_value: floats(5),
  force_color: bool(6),
  force_gray: bool(7),
})
const affine = () => ({
  axis: int(1),
  num_axes: int(2),
  filler: child(3, filler),
  bias_term: bool(4),
  bias_filler: child(5, filler),
})
const baseScaleShift = () => ({ base: float(1), scale: float(2), shift: float(3) })

/** Parameter messages by text name: the table, its number in LayerParameter, and in V1LayerParameter where it has one. */
const PARAMETERS: Readonly<Record<string, { fields: () => Fields; id?: number; v1?: number }>> = {
  accuracy_param: { fields: () => ({ top_k: int(1), axis: int(2), ignore_label: int(3) }), id: 102, v1: 27 },
  argmax_param: { fields: () => ({ out_max_val: bool(1), top_k: int(2), axis: int(3) }), id: 103, v1: 23 },
  batch_norm_param: {
    fields: () => ({ use_global_stats: bool(1), moving_average_fraction: float(2), eps: float(3) }),
    id: 139,
  },
  bias_param: { fields: affine, id: 141 },
  clip_param: { fields: () => ({ min: float(1), max: float(2) }), id: 148 },
  concat_param: { fields: () => ({ concat_dim: int(1), axis: int(2) }), id: 104, v1: 9 },
  convolution_param: { fields: convolution, id: 106, v1: 10 },
  crop_param: { fields: () => ({ axis: int(1), offset: ints(2) }), id: 144 },
  data_param: {
    fields: () => ({ source: string(1), batch_size: int(4), backend: choice(8, 'LEVELDB', 'LMDB') }),
    id: 107,
    v1: 11,
  },
  dropout_param: { fields: () => ({ dropout_ratio: float(1) }), id: 108, v1: 12 },
  eltwise_param: {
    fields: () => ({ operation: choice(1, 'PROD', 'SUM', 'MAX'), coeff: floats(2), stable_prod_grad: bool(3) }),
    id: 110,
    v1: 24,
  },
  elu_param: { fields: () => ({ alpha: float(1) }), id: 140 },
  embed_param: { fields: () => ({ num_output: int(1), input_dim: int(2), bias_term: bool(3) }), id: 137 },
  exp_param: { fields: baseScaleShift, id: 111, v1: 41 },
  flatten_param: { fields: () => ({ axis: int(1), end_axis: int(2) }), id: 135 },
  hdf5_data_param: { fields: () => ({ source: string(1), batch_size: int(2) }), id: 112, v1: 13 },
  image_data_param: { fields: () => ({ source: string(1), batch_size: int(4) }), id: 115, v1: 15 },
  inner_product_param: { fields: innerProduct, id: 117, v1: 17 },
  input_param: { fields: () => ({ shape: children(1, shape) }), id: 143 },
  log_param: { fields: baseScaleShift, id: 134 },
  loss_param: { fields: () => ({ ignore_label: int(1), normalize: bool(2) }), id: 101, v1: 42 },
  lrn_param: {
    fields: () => ({
      local_size: int(1),
      alpha: float(2),
      beta: float(3),
      norm_region: choice(4, 'ACROSS_CHANNELS', 'WITHIN_CHANNEL'),
      k: float(5),
      engine: engine(6),
    }),
    id: 118,
    v1: 18,
  },
  memory_data_param: {
    fields: () => ({ batch_size: int(1), channels: int(2), height: int(3), width: int(4) }),
    id: 119,
    v1: 22,
  },
  mvn_param: {
    fields: () => ({ normalize_variance: bool(1), across_channels: bool(2), eps: float(3) }),
    id: 120,
    v1: 34,
  },
  norm_param: { fields: () => ({ across_spatial: bool(1), channel_shared: bool(3), eps: float(4) }), id: 206 },
  parameter_param: { fields: () => ({ shape: child(1, shape) }), id: 145 },
  permute_param: { fields: () => ({ order: ints(1) }), id: 202 },
  pooling_param: { fields: pooling, id: 121, v1: 19 },
  power_param: { fields: () => ({ power: float(1), scale: float(2), shift: float(3) }), id: 122, v1: 21 },
  prelu_param: { fields: () => ({ filler: child(1, filler), channel_shared: bool(2) }), id: 131 },
  python_param: { fields: () => ({ module: string(1), layer: string(2), param_str: string(3) }), id: 130 },
  recurrent_param: { fields: () => ({ num_output: int(1), expose_hidden: bool(5) }), id: 146 },
  reduction_param: {
    fields: () => ({ operation: choice(1, '', 'SUM', 'ASUM', 'SUMSQ', 'MEAN'), axis: int(2), coeff: float(3) }),
    id: 136,
  },
  relu_param: { fields: () => ({ negative_slope: float(1), engine: engine(2) }), id: 123, v1: 30 },
  reshape_param: { fields: () => ({ shape: child(1, shape), axis: int(2), num_axes: int(3) }), id: 133 },
  scale_param: { fields: affine, id: 142 },
  sigmoid_param: { fields: () => ({ engine: engine(1) }), id: 124, v1: 38 },
  slice_param: { fields: () => ({ slice_dim: int(1), slice_point: ints(2), axis: int(3) }), id: 126, v1: 31 },
  softmax_param: { fields: () => ({ engine: engine(1), axis: int(2) }), id: 125, v1: 39 },
  swish_param: { fields: () => ({ beta: float(1) }), id: 147 },
  tanh_param: { fields: () => ({ engine: engine(1) }), id: 127, v1: 37 },
  threshold_param: { fields: () => ({ threshold: float(1) }), id: 128, v1: 25 },
  tile_param: { fields: () => ({ axis: int(1), tiles: int(2) }), id: 138 },
  transform_param: { fields: transform, id: 100, v1: 36 },
}

const parametersOf = (version: 'id' | 'v1'): Fields =>
  Object.fromEntries(
    Object.entries(PARAMETERS).flatMap(([name, entry]) => {
      const id = entry[version]
      return id === undefined ? [] : [[name, child(id, entry.fields)]]
    }),
  )

const blobShape = defineMessage<{ dim: number[] }>('caffe.BlobShape', { dim: { id: 1, type: 'int', repeated: true } })

/** Stored array; gradients (`diff`) are not read. */
export const blobProto = defineMessage<BlobProto>('caffe.BlobProto', {
  num: { id: 1, type: 'int' },
  channels: { id: 2, type: 'int' },
  height: { id: 3, type: 'int' },
  width: { id: 4, type: 'int' },
  data: { id: 5, type: 'ranges' },
  shape: { id: 7, type: () => blobShape },
  doubleData: { id: 8, type: 'ranges' },
  rawType: { id: 10, type: 'int' },
  rawData: { id: 12, type: 'ranges' },
})

const layerFields = {
  name: string(1),
  type: string(2),
  bottom: strings(3),
  top: strings(4),
  loss_weight: floats(5),
  param: children(6, paramSpec),
  blobs: { id: 7, type: () => blobProto, repeated: true },
  include: children(8, stateRule),
  exclude: children(9, stateRule),
  phase: phase(10),
  propagate_down: { id: 11, type: 'bool', repeated: true },
  ...parametersOf('id'),
}

const v0Fields = {
  name: string(1),
  type: string(2),
  num_output: int(3),
  biasterm: bool(4),
  pad: int(7),
  kernelsize: int(8),
  group: int(9),
  stride: int(10),
  pool: choice(11, 'MAX', 'AVE', 'STOCHASTIC'),
  dropout_ratio: float(12),
  local_size: int(13),
  alpha: float(14),
  beta: float(15),
  k: float(22),
  source: string(16),
  batchsize: int(19),
  blobs: { id: 50, type: () => blobProto, repeated: true },
  concat_dim: int(65),
  bottom: strings(100_000),
  top: strings(100_001),
  include: children(100_002, stateRule),
  exclude: children(100_003, stateRule),
}

const v1Fields = {
  layer: { id: 1, type: () => v0Layer },
  bottom: strings(2),
  top: strings(3),
  name: string(4),
  type: int(5),
  blobs: { id: 6, type: () => blobProto, repeated: true },
  blobs_lr: floats(7),
  weight_decay: floats(8),
  include: children(32, stateRule),
  exclude: children(33, stateRule),
  loss_weight: floats(35),
  ...parametersOf('v1'),
}

export const layerProto = defineMessage<LayerProto>('caffe.LayerParameter', layerFields as never)
const v0Layer = defineMessage<LayerProto>('caffe.V0LayerParameter', v0Fields as never)
const v1Layer = defineMessage<V1LayerProto>('caffe.V1LayerParameter', v1Fields as never)

export const netProto = defineMessage<NetProto>('caffe.NetParameter', {
  name: { id: 1, type: 'string' },
  layers: { id: 2, type: () => v1Layer, repeated: true },
  input: { id: 3, type: 'string', repeated: true },
  inputDim: { id: 4, type: 'int', repeated: true },
  inputShape: { id: 8, type: () => blobShape, repeated: true },
  layer: { id: 100, type: () => layerProto, repeated: true },
})

/** Value names of an enum field of a parameter message, e.g. `pooling_param`, `pool`. */
export function enumName(parameter: string, field: string, value: number): string | undefined {
  const spec = PARAMETERS[parameter]?.fields()[field] ?? (layerFields as Fields)[field] ?? (v0Fields as Fields)[field]
  return Object.entries(spec?.names ?? {}).find(([, number]) => number === value)?.[0]
}
