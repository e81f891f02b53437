import { ToolError } from '../errors.ts'
import { byteLength, type Dtype } from './dtype.ts'

/**
 * Numbers to stored bytes, little-endian: the inverse of `decodeValues` for types of whole bytes.
 * Floats are rounded to nearest even; integers must be in range.
 * @throws {ToolError} NOT_ENCODABLE for packed, 8-bit float, complex and text types
 */
export function encodeValues(dtype: Dtype, values: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(byteLength(dtype, values.length))
  const view = new DataView(bytes.buffer)
  const write = WRITERS[dtype]
  if (write === undefined) throw new ToolError('NOT_ENCODABLE', `values cannot be written as ${dtype}`)
  for (let index = 0; index < values.length; index++) write(view, index, values[index]!)
  return bytes
}

type Writer = (view: DataView, index: number, value: number) => void

const WRITERS: Readonly<Partial<Record<Dtype, Writer>>> = {
  float64: (view, index, value) => view.setFloat64(index * 8, value, true),
  float32: (view, index, value) => view.setFloat32(index * 4, value, true),
  float16: (view, index, value) => view.setUint16(index * 2, encodeFloat16(value), true),
  bfloat16: (view, index, value) => view.setUint16(index * 2, encodeBfloat16(value), true),
  int64: (view, index, value) => view.setBigInt64(index * 8, BigInt(value), true),
  uint64: (view, index, value) => view.setBigUint64(index * 8, BigInt(value), true),
  int32: (view, index, value) => view.setInt32(index * 4, value, true),
  uint32: (view, index, value) => view.setUint32(index * 4, value, true),
  int16: (view, index, value) => view.setInt16(index * 2, value, true),
  uint16: (view, index, value) => view.setUint16(index * 2, value, true),
  int8: (view, index, value) => view.setInt8(index, value),
  uint8: (view, index, value) => view.setUint8(index, value),
  bool: (view, index, value) => view.setUint8(index, value === 0 ? 0 : 1),
}

const scratch = new DataView(new ArrayBuffer(4))

/** IEEE 754 binary16 code of `value`, rounded to nearest even; overflow gives infinity. */
export function encodeFloat16(value: number): number {
  scratch.setFloat32(0, value)
  const bits = scratch.getUint32(0)
  const sign = (bits >>> 16) & 0x8000
  if (Number.isNaN(value)) return sign | 0x7e00
  const size = Math.abs(value)
  if (size >= 65520) return sign | 0x7c00
  // Below 2^-14 halves are multiples of 2^-24; above, of 2^(exponent - 10).
  const exponent = size < 2 ** -14 ? -14 : Math.floor(Math.log2(size))
  const unit = 2 ** (exponent - 10)
  const steps = roundHalfEven(size / unit)
  return exponent === -14 && steps < 1024 ? sign | steps : sign | (((exponent + 15) << 10) + steps - 1024)
}

/** bfloat16 code of `value`, rounded to nearest even. */
export function encodeBfloat16(value: number): number {
  scratch.setFloat32(0, value)
  const bits = scratch.getUint32(0)
  if (Number.isNaN(value)) return (bits >>> 16) | 0x40
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  if (rest !== 0.5) return Math.round(value)
  return floor % 2 === 0 ? floor : floor + 1
}
