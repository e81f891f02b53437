import type { Dtype } from '../../tensor/dtype.ts'

/** Element type of a storage class or `torch.dtype`. */
export interface TorchType {
  /** numpy's name of the stored codes; a quantised type is its integers */
  readonly dtype: Dtype
  /** elements that torch counts as one: two 4-bit codes per byte count as bytes in a storage, as elements in a shape */
  readonly quantized?: true
}

/** Storage classes by name, in whatever module they stand (`torch`, `torch.cuda`, `torch.storage`). */
const STORAGES: Readonly<Record<string, TorchType>> = {
  DoubleStorage: { dtype: 'float64' },
  FloatStorage: { dtype: 'float32' },
  HalfStorage: { dtype: 'float16' },
  BFloat16Storage: { dtype: 'bfloat16' },
  LongStorage: { dtype: 'int64' },
  IntStorage: { dtype: 'int32' },
  ShortStorage: { dtype: 'int16' },
  CharStorage: { dtype: 'int8' },
  ByteStorage: { dtype: 'uint8' },
  BoolStorage: { dtype: 'bool' },
  ComplexDoubleStorage: { dtype: 'complex128' },
  ComplexFloatStorage: { dtype: 'complex64' },
  QUInt8Storage: { dtype: 'uint8', quantized: true },
  QInt8Storage: { dtype: 'int8', quantized: true },
  QInt32Storage: { dtype: 'int32', quantized: true },
  QUInt4x2Storage: { dtype: 'uint4', quantized: true },
  QUInt2x4Storage: { dtype: 'uint2', quantized: true },
  UntypedStorage: { dtype: 'uint8' },
  _UntypedStorage: { dtype: 'uint8' },
}

/** `torch.dtype` objects by name. */
const DTYPES_BY_NAME: Readonly<Record<string, TorchType>> = {
  float64: { dtype: 'float64' },
  double: { dtype: 'float64' },
  float32: { dtype: 'float32' },
  float: { dtype: 'float32' },
  float16: { dtype: 'float16' },
  half: { dtype: 'float16' },
  bfloat16: { dtype: 'bfloat16' },
  float8_e4m3fn: { dtype: 'float8_e4m3fn' },
  float8_e4m3fnuz: { dtype: 'float8_e4m3fnuz' },
  float8_e5m2: { dtype: 'float8_e5m2' },
  float8_e5m2fnuz: { dtype: 'float8_e5m2fnuz' },
  float8_e8m0fnu: { dtype: 'float8_e8m0fnu' },
  complex64: { dtype: 'complex64' },
  cfloat: { dtype: 'complex64' },
  complex128: { dtype: 'complex128' },
  cdouble: { dtype: 'complex128' },
  int64: { dtype: 'int64' },
  long: { dtype: 'int64' },
  int32: { dtype: 'int32' },
  int: { dtype: 'int32' },
  int16: { dtype: 'int16' },
  short: { dtype: 'int16' },
  int8: { dtype: 'int8' },
  uint64: { dtype: 'uint64' },
  uint32: { dtype: 'uint32' },
  uint16: { dtype: 'uint16' },
  uint8: { dtype: 'uint8' },
  bool: { dtype: 'bool' },
  quint8: { dtype: 'uint8', quantized: true },
  qint8: { dtype: 'int8', quantized: true },
  qint32: { dtype: 'int32', quantized: true },
  bits8: { dtype: 'uint8' },
  bits16: { dtype: 'uint16' },
}

/** The type of a storage class, `torch.FloatStorage`; undefined for anything else. */
export function storageType(name: string): TorchType | undefined {
  const last = name.startsWith('torch.') ? name.slice(name.lastIndexOf('.') + 1) : ''
  return Object.hasOwn(STORAGES, last) ? STORAGES[last] : undefined
}

/** The type of a `torch.dtype`, `torch.float32`; undefined for anything else. */
export function torchDtype(name: string): TorchType | undefined {
  const last = name.startsWith('torch.') ? name.slice(6) : ''
  return Object.hasOwn(DTYPES_BY_NAME, last) ? DTYPES_BY_NAME[last] : undefined
}
