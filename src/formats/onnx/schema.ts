import { defineMessage, type MessageType, type Payload } from '../../encoding/protobuf.ts'

/**
 * The messages of an ONNX file as far as we use them. Values are `ranges`: they stay in the file, but those of at most
 * a kilobyte, which the decoder has in hand anyway, are kept for attributes and quantisation parameters.
 *
 * @source https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (IR version 14)
 */
export interface ModelProto {
  irVersion?: number
  opsetImport: OperatorSetIdProto[]
  producerName?: string
  producerVersion?: string
  domain?: string
  modelVersion?: bigint
  docString?: string
  graph?: GraphProto
  metadataProps: StringStringEntryProto[]
  trainingInfo: Payload[]
  functions: FunctionProto[]
  configuration: DeviceConfigurationProto[]
}

export interface OperatorSetIdProto {
  domain?: string
  version?: number
}

export interface StringStringEntryProto {
  key?: string
  value?: string
}

interface DeviceConfigurationProto {
  name?: string
  numDevices?: number
}

export interface GraphProto {
  node: NodeProto[]
  name?: string
  initializer: TensorProto[]
  sparseInitializer: SparseTensorProto[]
  docString?: string
  input: ValueInfoProto[]
  output: ValueInfoProto[]
  valueInfo: ValueInfoProto[]
  quantizationAnnotation: TensorAnnotation[]
  metadataProps: StringStringEntryProto[]
}

export interface TensorAnnotation {
  tensorName?: string
  quantParameterTensorNames: StringStringEntryProto[]
}

export interface NodeProto {
  input: string[]
  output: string[]
  name?: string
  opType?: string
  domain?: string
  overload?: string
  attribute: AttributeProto[]
  metadataProps: StringStringEntryProto[]
}

export interface AttributeProto {
  name?: string
  refAttrName?: string
  type?: number
  f?: number
  i?: bigint
  s: Payload[]
  t?: TensorProto
  g?: GraphProto
  sparseTensor?: SparseTensorProto
  tp?: TypeProto
  floats: number[]
  ints: bigint[]
  strings: Payload[]
  tensors: TensorProto[]
  graphs: GraphProto[]
  sparseTensors: SparseTensorProto[]
  typeProtos: TypeProto[]
}

export interface TensorProto {
  dims: number[]
  dataType?: number
  segment: Payload[]
  floatData: Payload[]
  int32Data: Payload[]
  stringData: Payload[]
  int64Data: Payload[]
  name?: string
  rawData: Payload[]
  doubleData: Payload[]
  uint64Data: Payload[]
  externalData: StringStringEntryProto[]
  dataLocation?: number
}

export interface SparseTensorProto {
  values?: TensorProto
  indices?: TensorProto
  dims: number[]
}

export interface ValueInfoProto {
  name?: string
  type?: TypeProto
}

export interface TypeProto {
  tensorType?: TensorTypeProto
  sequenceType?: ElementTypeProto
  mapType?: MapTypeProto
  optionalType?: ElementTypeProto
  sparseTensorType?: TensorTypeProto
  opaqueType?: OpaqueTypeProto
}

interface TensorTypeProto {
  elemType?: number
  shape?: TensorShapeProto
}

interface ElementTypeProto {
  elemType?: TypeProto
}

interface MapTypeProto {
  keyType?: number
  valueType?: TypeProto
}

interface OpaqueTypeProto {
  domain?: string
  name?: string
}

export interface TensorShapeProto {
  dim: DimensionProto[]
}

interface DimensionProto {
  dimValue?: bigint
  dimParam?: string
}

export interface FunctionProto {
  name?: string
  input: string[]
  output: string[]
  attribute: string[]
  attributeProto: AttributeProto[]
  node: NodeProto[]
  docString?: string
  opsetImport: OperatorSetIdProto[]
  domain?: string
  overload?: string
  valueInfo: ValueInfoProto[]
}

const KEEP_VALUES = 1024
const KEEP_TEXT = 65_536

const OperatorSetIdProto = defineMessage<OperatorSetIdProto>('onnx.OperatorSetIdProto', {
  domain: { id: 1, type: 'string' },
  version: { id: 2, type: 'int' },
})

const StringStringEntryProto = defineMessage<StringStringEntryProto>('onnx.StringStringEntryProto', {
  key: { id: 1, type: 'string' },
  value: { id: 2, type: 'string' },
})

const DeviceConfigurationProto = defineMessage<DeviceConfigurationProto>('onnx.DeviceConfigurationProto', {
  name: { id: 1, type: 'string' },
  numDevices: { id: 2, type: 'int' },
})

export const TensorProto = defineMessage<TensorProto>('onnx.TensorProto', {
  dims: { id: 1, type: 'int', repeated: true },
  dataType: { id: 2, type: 'int' },
  segment: { id: 3, type: 'ranges' },
  floatData: { id: 4, type: 'ranges', keep: KEEP_VALUES },
  int32Data: { id: 5, type: 'ranges', keep: KEEP_VALUES },
  stringData: { id: 6, type: 'ranges', keep: KEEP_VALUES },
  int64Data: { id: 7, type: 'ranges', keep: KEEP_VALUES },
  name: { id: 8, type: 'string' },
  rawData: { id: 9, type: 'ranges', keep: KEEP_VALUES },
  doubleData: { id: 10, type: 'ranges', keep: KEEP_VALUES },
  uint64Data: { id: 11, type: 'ranges', keep: KEEP_VALUES },
  externalData: { id: 13, type: () => StringStringEntryProto, repeated: true },
  dataLocation: { id: 14, type: 'int' },
})

const SparseTensorProto = defineMessage<SparseTensorProto>('onnx.SparseTensorProto', {
  values: { id: 1, type: () => TensorProto },
  indices: { id: 2, type: () => TensorProto },
  dims: { id: 3, type: 'int', repeated: true },
})

const DimensionProto = defineMessage<DimensionProto>('onnx.TensorShapeProto.Dimension', {
  dimValue: { id: 1, type: 'int64' },
  dimParam: { id: 2, type: 'string' },
})

const TensorShapeProto = defineMessage<TensorShapeProto>('onnx.TensorShapeProto', {
  dim: { id: 1, type: () => DimensionProto, repeated: true },
})

const TensorTypeProto = defineMessage<TensorTypeProto>('onnx.TypeProto.Tensor', {
  elemType: { id: 1, type: 'int' },
  shape: { id: 2, type: () => TensorShapeProto },
})

const ElementTypeProto = defineMessage<ElementTypeProto>('onnx.TypeProto.Sequence', {
  elemType: { id: 1, type: () => TypeProto },
})

const MapTypeProto = defineMessage<MapTypeProto>('onnx.TypeProto.Map', {
  keyType: { id: 1, type: 'int' },
  valueType: { id: 2, type: () => TypeProto },
})

const OpaqueTypeProto = defineMessage<OpaqueTypeProto>('onnx.TypeProto.Opaque', {
  domain: { id: 1, type: 'string' },
  name: { id: 2, type: 'string' },
})

const TypeProto: MessageType<TypeProto> = defineMessage<TypeProto>('onnx.TypeProto', {
  tensorType: { id: 1, type: () => TensorTypeProto },
  sequenceType: { id: 4, type: () => ElementTypeProto },
  mapType: { id: 5, type: () => MapTypeProto },
  opaqueType: { id: 7, type: () => OpaqueTypeProto },
  sparseTensorType: { id: 8, type: () => TensorTypeProto },
  optionalType: { id: 9, type: () => ElementTypeProto },
})

const ValueInfoProto = defineMessage<ValueInfoProto>('onnx.ValueInfoProto', {
  name: { id: 1, type: 'string' },
  type: { id: 2, type: () => TypeProto },
})

const AttributeProto: MessageType<AttributeProto> = defineMessage<AttributeProto>('onnx.AttributeProto', {
  name: { id: 1, type: 'string' },
  f: { id: 2, type: 'float' },
  i: { id: 3, type: 'int64' },
  s: { id: 4, type: 'ranges', keep: KEEP_TEXT },
  t: { id: 5, type: () => TensorProto },
  g: { id: 6, type: () => GraphProto },
  floats: { id: 7, type: 'float', repeated: true },
  ints: { id: 8, type: 'int64', repeated: true },
  strings: { id: 9, type: 'ranges', keep: KEEP_TEXT },
  tensors: { id: 10, type: () => TensorProto, repeated: true },
  graphs: { id: 11, type: () => GraphProto, repeated: true },
  tp: { id: 14, type: () => TypeProto },
  typeProtos: { id: 15, type: () => TypeProto, repeated: true },
  type: { id: 20, type: 'int' },
  refAttrName: { id: 21, type: 'string' },
  sparseTensor: { id: 22, type: () => SparseTensorProto },
  sparseTensors: { id: 23, type: () => SparseTensorProto, repeated: true },
})

const NodeProto: MessageType<NodeProto> = defineMessage<NodeProto>('onnx.NodeProto', {
  input: { id: 1, type: 'string', repeated: true },
  output: { id: 2, type: 'string', repeated: true },
  name: { id: 3, type: 'string' },
  opType: { id: 4, type: 'string' },
  attribute: { id: 5, type: () => AttributeProto, repeated: true },
  domain: { id: 7, type: 'string' },
  overload: { id: 8, type: 'string' },
  metadataProps: { id: 9, type: () => StringStringEntryProto, repeated: true },
})

const TensorAnnotation = defineMessage<TensorAnnotation>('onnx.TensorAnnotation', {
  tensorName: { id: 1, type: 'string' },
  quantParameterTensorNames: { id: 2, type: () => StringStringEntryProto, repeated: true },
})

const GraphProto: MessageType<GraphProto> = defineMessage<GraphProto>('onnx.GraphProto', {
  node: { id: 1, type: () => NodeProto, repeated: true },
  name: { id: 2, type: 'string' },
  initializer: { id: 5, type: () => TensorProto, repeated: true },
  docString: { id: 10, type: 'string' },
  input: { id: 11, type: () => ValueInfoProto, repeated: true },
  output: { id: 12, type: () => ValueInfoProto, repeated: true },
  valueInfo: { id: 13, type: () => ValueInfoProto, repeated: true },
  quantizationAnnotation: { id: 14, type: () => TensorAnnotation, repeated: true },
  sparseInitializer: { id: 15, type: () => SparseTensorProto, repeated: true },
  metadataProps: { id: 16, type: () => StringStringEntryProto, repeated: true },
})

const FunctionProto = defineMessage<FunctionProto>('onnx.FunctionProto', {
  name: { id: 1, type: 'string' },
  input: { id: 4, type: 'string', repeated: true },
  output: { id: 5, type: 'string', repeated: true },
  attribute: { id: 6, type: 'string', repeated: true },
  node: { id: 7, type: () => NodeProto, repeated: true },
  docString: { id: 8, type: 'string' },
  opsetImport: { id: 9, type: () => OperatorSetIdProto, repeated: true },
  domain: { id: 10, type: 'string' },
  attributeProto: { id: 11, type: () => AttributeProto, repeated: true },
  valueInfo: { id: 12, type: () => ValueInfoProto, repeated: true },
  overload: { id: 13, type: 'string' },
})

export const ModelProto = defineMessage<ModelProto>('onnx.ModelProto', {
  irVersion: { id: 1, type: 'int' },
  producerName: { id: 2, type: 'string' },
  producerVersion: { id: 3, type: 'string' },
  domain: { id: 4, type: 'string' },
  modelVersion: { id: 5, type: 'int64' },
  docString: { id: 6, type: 'string' },
  graph: { id: 7, type: () => GraphProto },
  opsetImport: { id: 8, type: () => OperatorSetIdProto, repeated: true },
  metadataProps: { id: 14, type: () => StringStringEntryProto, repeated: true },
  trainingInfo: { id: 20, type: 'ranges' },
  functions: { id: 25, type: () => FunctionProto, repeated: true },
  configuration: { id: 26, type: () => DeviceConfigurationProto, repeated: true },
})
