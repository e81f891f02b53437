import { TF_TYPES } from '../encoding/graph-def.ts'
import { DTYPES, type Dtype } from '../tensor/dtype.ts'

type TfType = keyof typeof TF_TYPES

/**
 * TensorFlow's element types under our names. Quantised types are the integers that they store; resources and variants
 * are no arrays.
 * @source tensorflow/core/framework/types.proto
 */
const DTYPE_OF: Partial<Record<TfType, Dtype>> = {
  DT_FLOAT: 'float32',
  DT_DOUBLE: 'float64',
  DT_INT32: 'int32',
  DT_UINT8: 'uint8',
  DT_INT16: 'int16',
  DT_INT8: 'int8',
  DT_STRING: 'string',
  DT_COMPLEX64: 'complex64',
  DT_INT64: 'int64',
  DT_BOOL: 'bool',
  DT_QINT8: 'int8',
  DT_QUINT8: 'uint8',
  DT_QINT32: 'int32',
  DT_BFLOAT16: 'bfloat16',
  DT_QINT16: 'int16',
  DT_QUINT16: 'uint16',
  DT_UINT16: 'uint16',
  DT_COMPLEX128: 'complex128',
  DT_HALF: 'float16',
  DT_UINT32: 'uint32',
  DT_UINT64: 'uint64',
  DT_FLOAT8_E5M2: 'float8_e5m2',
  DT_FLOAT8_E4M3FN: 'float8_e4m3fn',
  DT_FLOAT8_E4M3FNUZ: 'float8_e4m3fnuz',
  DT_FLOAT8_E5M2FNUZ: 'float8_e5m2fnuz',
  DT_INT4: 'int4',
  DT_UINT4: 'uint4',
  DT_INT2: 'int2',
  DT_UINT2: 'uint2',
  DT_FLOAT4_E2M1FN: 'float4_e2m1fn',
}

const NAMES = new Map<number, TfType>(Object.entries(TF_TYPES).map(([name, number]) => [number, name as TfType]))
/** `DT_FLOAT_REF` is `DT_FLOAT` plus this */
const REF = 100

/** Our dtype for a number of `DataType`; undefined for resources, variants and types that we do not know. */
export function findTfDtype(type: number | undefined): Dtype | undefined {
  const name = NAMES.get(plainType(type))
  return name === undefined ? undefined : DTYPE_OF[name]
}

/** TensorFlow's name, e.g. `DT_RESOURCE`; a number that has none stays a number. */
export function tfTypeName(type: number | undefined): string {
  return NAMES.get(plainType(type)) ?? `DT_${type ?? 0}`
}

function plainType(type: number | undefined): number {
  return type === undefined ? 0 : type > REF ? type - REF : type
}

/** Bytes of one element as TensorFlow stores it: types below eight bits are not packed there. */
export function tfElementBytes(dtype: Dtype): number {
  return Math.ceil(DTYPES[dtype].bits / 8)
}

/** Elements of one byte each, packed as we give them: first element in the low bits. */
export function packElements(bytes: Uint8Array, bits: number): Uint8Array {
  const perByte = 8 / bits
  const mask = (1 << bits) - 1
  const out = new Uint8Array(Math.ceil(bytes.length / perByte))
  for (let at = 0; at < bytes.length; at++)
    out[Math.floor(at / perByte)]! |= (bytes[at]! & mask) << ((at % perByte) * bits)
  return out
}
