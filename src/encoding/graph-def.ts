import { defineMessage, type MessageType, type Payload } from './protobuf.ts'

/**
 * TensorFlow's GraphDef, the part of its messages that says what is computed. SavedModels, frozen graphs and (as JSON)
 * TensorFlow.js graph models hold it; two formats need it, hence its place here.
 *
 * @source https://github.com/tensorflow/tensorflow/tree/master/tensorflow/core/framework (graph.proto, node_def.proto,
 *   attr_value.proto, tensor.proto, tensor_shape.proto, function.proto, op_def.proto, versions.proto, types.proto)
 */
export interface GraphDef {
  node: NodeDef[]
  library?: FunctionLibrary
  versions?: Versions
}

export interface Versions {
  producer?: number
  minConsumer?: number
}

export interface NodeDef {
  name?: string
  op?: string
  /** `node`, `node:1`, `^node` for a control dependency; inside functions `node:output:0` */
  input: string[]
  device?: string
  attr: Entry<AttrValue>[]
}

/** An entry of a protobuf map. */
export interface Entry<T> {
  key?: string
  value?: T
}

/** One of the fields is set. */
export interface AttrValue {
  list?: AttrList
  /** bytes, usually text */
  s: Payload[]
  i?: bigint
  f?: number
  b?: boolean
  type?: number
  shape?: TensorShape
  tensor?: TensorProto
  placeholder?: string
  func?: NameAttrList
}

export interface AttrList {
  s: Payload[]
  i: bigint[]
  f: number[]
  b: boolean[]
  type: number[]
  shape: TensorShape[]
  tensor: TensorProto[]
  func: NameAttrList[]
}

/** A function by name, with its attributes. */
export interface NameAttrList {
  name?: string
  attr: Entry<AttrValue>[]
}

export interface TensorShape {
  dim: { size?: number; name?: string }[]
  unknownRank?: boolean
}

/** Values lie in `tensorContent` (raw, little-endian) or in the list of their type; the last of a short list repeats. */
export interface TensorProto {
  dtype?: number
  tensorShape?: TensorShape
  tensorContent: Payload[]
  halfVal: Payload[]
  floatVal: Payload[]
  doubleVal: Payload[]
  intVal: Payload[]
  stringVal: Payload[]
  scomplexVal: Payload[]
  int64Val: Payload[]
  boolVal: Payload[]
  dcomplexVal: Payload[]
  uint32Val: Payload[]
  uint64Val: Payload[]
  float8Val: Payload[]
}

export interface FunctionLibrary {
  function: FunctionDef[]
}

export interface FunctionDef {
  signature?: OpDef
  nodeDef: NodeDef[]
  /** output argument to value inside the body */
  ret: Entry<string>[]
}

export interface OpDef {
  name?: string
  inputArg: ArgDef[]
  outputArg: ArgDef[]
}

export interface ArgDef {
  name?: string
  type?: number
  typeAttr?: string
}

/** `DataType` of types.proto: number of each name. `_REF` types are these plus 100. */
export const TF_TYPES = {
  DT_INVALID: 0,
  DT_FLOAT: 1,
  DT_DOUBLE: 2,
  DT_INT32: 3,
  DT_UINT8: 4,
  DT_INT16: 5,
  DT_INT8: 6,
  DT_STRING: 7,
  DT_COMPLEX64: 8,
  DT_INT64: 9,
  DT_BOOL: 10,
  DT_QINT8: 11,
  DT_QUINT8: 12,
  DT_QINT32: 13,
  DT_BFLOAT16: 14,
  DT_QINT16: 15,
  DT_QUINT16: 16,
  DT_UINT16: 17,
  DT_COMPLEX128: 18,
  DT_HALF: 19,
  DT_RESOURCE: 20,
  DT_VARIANT: 21,
  DT_UINT32: 22,
  DT_UINT64: 23,
  DT_FLOAT8_E5M2: 24,
  DT_FLOAT8_E4M3FN: 25,
  DT_FLOAT8_E4M3FNUZ: 26,
  DT_FLOAT8_E4M3B11FNUZ: 27,
  DT_FLOAT8_E5M2FNUZ: 28,
  DT_INT4: 29,
  DT_UINT4: 30,
  DT_INT2: 31,
  DT_UINT2: 32,
  DT_FLOAT4_E2M1FN: 33,
} as const

const dataType = { type: 'int', names: TF_TYPES } as const

/** Small constants come with the structure; large ones stay in the file. */
const KEPT_VALUE_BYTES = 1024
/** Text attributes come with the structure up to this length; the longest real ones are XLA programs. */
const KEPT_TEXT_BYTES = 1 << 20

const values = (id: number, of: 'float' | 'double' | 'int64' | 'uint64' | 'bytes') =>
  ({ id, type: 'ranges', of, keep: KEPT_VALUE_BYTES }) as const

export const TensorShapeType: MessageType<TensorShape> = defineMessage('tensorflow.TensorShapeProto', {
  dim: {
    id: 2,
    repeated: true,
    type: () => DimType,
  },
  unknownRank: { id: 3, type: 'bool' },
})

const DimType: MessageType<TensorShape['dim'][number]> = defineMessage('tensorflow.TensorShapeProto.Dim', {
  size: { id: 1, type: 'int' },
  name: { id: 2, type: 'string' },
})

export const TensorProtoType: MessageType<TensorProto> = defineMessage('tensorflow.TensorProto', {
  dtype: { id: 1, ...dataType },
  tensorShape: { id: 2, type: () => TensorShapeType },
  tensorContent: values(4, 'bytes'),
  halfVal: values(13, 'int64'),
  floatVal: values(5, 'float'),
  doubleVal: values(6, 'double'),
  intVal: values(7, 'int64'),
  stringVal: values(8, 'bytes'),
  scomplexVal: values(9, 'float'),
  int64Val: values(10, 'int64'),
  boolVal: values(11, 'int64'),
  dcomplexVal: values(12, 'double'),
  uint32Val: values(16, 'int64'),
  uint64Val: values(17, 'uint64'),
  float8Val: values(18, 'bytes'),
})

const AttrEntryType: MessageType<Entry<AttrValue>> = defineMessage('tensorflow.AttrEntry', {
  key: { id: 1, type: 'string' },
  value: { id: 2, type: () => AttrValueType },
})

const NameAttrListType: MessageType<NameAttrList> = defineMessage('tensorflow.NameAttrList', {
  name: { id: 1, type: 'string' },
  attr: { id: 2, type: () => AttrEntryType, repeated: true, map: true },
})

const AttrListType: MessageType<AttrList> = defineMessage('tensorflow.AttrValue.ListValue', {
  s: { id: 2, type: 'ranges', of: 'bytes', repeated: true, keep: KEPT_TEXT_BYTES },
  i: { id: 3, type: 'int64', repeated: true },
  f: { id: 4, type: 'float', repeated: true },
  b: { id: 5, type: 'bool', repeated: true },
  type: { id: 6, ...dataType, repeated: true },
  shape: { id: 7, type: () => TensorShapeType, repeated: true },
  tensor: { id: 8, type: () => TensorProtoType, repeated: true },
  func: { id: 9, type: () => NameAttrListType, repeated: true },
})

const AttrValueType: MessageType<AttrValue> = defineMessage('tensorflow.AttrValue', {
  list: { id: 1, type: () => AttrListType },
  s: { id: 2, type: 'ranges', of: 'bytes', keep: KEPT_TEXT_BYTES },
  i: { id: 3, type: 'int64' },
  f: { id: 4, type: 'float' },
  b: { id: 5, type: 'bool' },
  type: { id: 6, ...dataType },
  shape: { id: 7, type: () => TensorShapeType },
  tensor: { id: 8, type: () => TensorProtoType },
  placeholder: { id: 9, type: 'string' },
  func: { id: 10, type: () => NameAttrListType },
})

const NodeDefType: MessageType<NodeDef> = defineMessage('tensorflow.NodeDef', {
  name: { id: 1, type: 'string' },
  op: { id: 2, type: 'string' },
  input: { id: 3, type: 'string', repeated: true },
  device: { id: 4, type: 'string' },
  attr: { id: 5, type: () => AttrEntryType, repeated: true, map: true },
})

const ArgDefType: MessageType<ArgDef> = defineMessage('tensorflow.OpDef.ArgDef', {
  name: { id: 1, type: 'string' },
  type: { id: 3, ...dataType },
  typeAttr: { id: 4, type: 'string' },
})

const OpDefType: MessageType<OpDef> = defineMessage('tensorflow.OpDef', {
  name: { id: 1, type: 'string' },
  inputArg: { id: 2, type: () => ArgDefType, repeated: true },
  outputArg: { id: 3, type: () => ArgDefType, repeated: true },
})

const RetEntryType: MessageType<Entry<string>> = defineMessage('tensorflow.FunctionDef.RetEntry', {
  key: { id: 1, type: 'string' },
  value: { id: 2, type: 'string' },
})

const FunctionDefType: MessageType<FunctionDef> = defineMessage('tensorflow.FunctionDef', {
  signature: { id: 1, type: () => OpDefType },
  nodeDef: { id: 3, type: () => NodeDefType, repeated: true },
  ret: { id: 4, type: () => RetEntryType, repeated: true, map: true },
})

const FunctionLibraryType: MessageType<FunctionLibrary> = defineMessage('tensorflow.FunctionDefLibrary', {
  function: { id: 1, type: () => FunctionDefType, repeated: true },
})

export const VersionsType: MessageType<Versions> = defineMessage('tensorflow.VersionDef', {
  producer: { id: 1, type: 'int' },
  minConsumer: { id: 2, type: 'int' },
})

export const GraphDefType: MessageType<GraphDef> = defineMessage('tensorflow.GraphDef', {
  node: { id: 1, type: () => NodeDefType, repeated: true },
  library: { id: 2, type: () => FunctionLibraryType },
  versions: { id: 4, type: () => VersionsType },
})
