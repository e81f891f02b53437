import type { Dtype } from '../../tensor/dtype.ts'
import type { TensorProto } from './schema.ts'

/** The repeated field in which values lie that are not in `raw_data`. */
type TypedField = 'floatData' | 'int32Data' | 'int64Data' | 'doubleData' | 'uint64Data' | 'stringData'

/** TensorProto.DataType by code: our name, and the typed field for it. Code 0 is UNDEFINED. */
const DATA_TYPES: readonly (readonly [Dtype, TypedField & keyof TensorProto] | undefined)[] = [
  undefined,
  ['float32', 'floatData'],
  ['uint8', 'int32Data'],
  ['int8', 'int32Data'],
  ['uint16', 'int32Data'],
  ['int16', 'int32Data'],
  ['int32', 'int32Data'],
  ['int64', 'int64Data'],
  ['string', 'stringData'],
  ['bool', 'int32Data'],
  ['float16', 'int32Data'],
  ['float64', 'doubleData'],
  ['uint32', 'uint64Data'],
  ['uint64', 'uint64Data'],
  ['complex64', 'floatData'],
  ['complex128', 'doubleData'],
  ['bfloat16', 'int32Data'],
  ['float8_e4m3fn', 'int32Data'],
  ['float8_e4m3fnuz', 'int32Data'],
  ['float8_e5m2', 'int32Data'],
  ['float8_e5m2fnuz', 'int32Data'],
  ['uint4', 'int32Data'],
  ['int4', 'int32Data'],
  ['float4_e2m1fn', 'int32Data'],
  ['float8_e8m0fnu', 'int32Data'],
  ['uint2', 'int32Data'],
  ['int2', 'int32Data'],
  ['float6_e2m3fn', 'int32Data'],
  ['float6_e3m2fn', 'int32Data'],
]

/** Element type of a `TensorProto.DataType` code; undefined for 0 and for codes of the future. */
export function dtypeFromOnnx(code: number | undefined): Dtype | undefined {
  return DATA_TYPES[code ?? 0]?.[0]
}

/** The typed field that holds values of this `TensorProto.DataType` code. */
export function typedField(code: number | undefined): TypedField | undefined {
  return DATA_TYPES[code ?? 0]?.[1]
}
