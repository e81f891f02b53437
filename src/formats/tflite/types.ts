import type { Dtype } from '../../tensor/dtype.ts'

/** `TensorType` by number; undefined for what holds no numbers or text: resources (13) and variants (14). */
const TYPES: readonly (Dtype | undefined)[] = [
  'float32',
  'float16',
  'int32',
  'uint8',
  'int64',
  'string',
  'bool',
  'int16',
  'complex64',
  'int8',
  'float64',
  'complex128',
  'uint64',
  undefined,
  undefined,
  'uint32',
  'uint16',
  'int4',
  'bfloat16',
  'int2',
  'uint4',
]

/** Element type of a `TensorType` number of the schema. */
export function dtypeFromTflite(type: number): Dtype | undefined {
  return TYPES[type]
}

/** What a tensor is that has no element type. */
export function containerFromTflite(type: number): string | undefined {
  return type === 13 ? 'resource' : type === 14 ? 'variant' : undefined
}
