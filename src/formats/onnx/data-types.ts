import { ONNX_DATA_TYPES } from '../../onnx/data-types.ts'
import type { Dtype } from '../../tensor/dtype.ts'
import type { TensorProto } from './schema.ts'

/** The repeated field in which values lie that are not in `raw_data`. */
type TypedField = 'floatData' | 'int32Data' | 'int64Data' | 'doubleData' | 'uint64Data' | 'stringData'

/** Types whose typed field is another than `int32_data`, which all narrower ones share. */
const TYPED_FIELDS: Partial<Record<Dtype, TypedField & keyof TensorProto>> = {
  float32: 'floatData',
  int64: 'int64Data',
  string: 'stringData',
  float64: 'doubleData',
  uint32: 'uint64Data',
  uint64: 'uint64Data',
  complex64: 'floatData',
  complex128: 'doubleData',
}

/** Element type of a `TensorProto.DataType` code; undefined for 0 and for codes of the future. */
export function dtypeFromOnnx(code: number | undefined): Dtype | undefined {
  return ONNX_DATA_TYPES[code ?? 0]
}

/** The typed field that holds values of this `TensorProto.DataType` code. */
export function typedField(code: number | undefined): TypedField | undefined {
  const dtype = dtypeFromOnnx(code)
  return dtype === undefined ? undefined : (TYPED_FIELDS[dtype] ?? 'int32Data')
}
