/**
 * The element types of stored tensors, under the names that numpy and ml_dtypes use. This is the only spelling in
 * Modelwright; each reader maps its format's codes to it.
 *
 * `bits` is the width of one stored element; types below 8 bits are packed, first element in the low bits.
 * A new dtype also needs: `decode.ts`, the table of each format that has it, `docs/formats.md`.
 */
export const DTYPES = {
  float64: { bits: 64, kind: 'float' },
  float32: { bits: 32, kind: 'float' },
  float16: { bits: 16, kind: 'float' },
  bfloat16: { bits: 16, kind: 'float' },
  float8_e4m3fn: { bits: 8, kind: 'float' },
  float8_e4m3fnuz: { bits: 8, kind: 'float' },
  float8_e5m2: { bits: 8, kind: 'float' },
  float8_e5m2fnuz: { bits: 8, kind: 'float' },
  float8_e8m0fnu: { bits: 8, kind: 'float' },
  float6_e2m3fn: { bits: 6, kind: 'float' },
  float6_e3m2fn: { bits: 6, kind: 'float' },
  float4_e2m1fn: { bits: 4, kind: 'float' },
  complex64: { bits: 64, kind: 'complex' },
  complex128: { bits: 128, kind: 'complex' },
  int64: { bits: 64, kind: 'int' },
  int32: { bits: 32, kind: 'int' },
  int16: { bits: 16, kind: 'int' },
  int8: { bits: 8, kind: 'int' },
  int4: { bits: 4, kind: 'int' },
  int2: { bits: 2, kind: 'int' },
  uint64: { bits: 64, kind: 'uint' },
  uint32: { bits: 32, kind: 'uint' },
  uint16: { bits: 16, kind: 'uint' },
  uint8: { bits: 8, kind: 'uint' },
  uint4: { bits: 4, kind: 'uint' },
  uint2: { bits: 2, kind: 'uint' },
  bool: { bits: 8, kind: 'bool' },
  /** variable-length text or bytes; the stored bytes are each element's UTF-8 (or raw) bytes, u32 length first */
  string: { bits: 0, kind: 'string' },
} as const satisfies Record<string, { bits: number; kind: 'float' | 'complex' | 'int' | 'uint' | 'bool' | 'string' }>

/** Name of an element type, e.g. `float32`. */
export type Dtype = keyof typeof DTYPES

/** Whether values of this type are floating point (complex not included). */
export function isFloat(dtype: Dtype): boolean {
  return DTYPES[dtype].kind === 'float'
}

/** Bytes that `count` packed elements of `dtype` take (`string` has no fixed width and gives 0). */
export function byteLength(dtype: Dtype, count: number): number {
  return Math.ceil((count * DTYPES[dtype].bits) / 8)
}

/** Product of the dimensions; 1 for a scalar. Exact below 2^53; callers check the result with `Number.isSafeInteger`. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1)
}
