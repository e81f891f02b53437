import { ToolError } from '../errors.ts'
import { DTYPES, type Dtype } from './dtype.ts'

/**
 * Stored bytes to numbers.
 *
 * @param dtype any but `string`; complex values give two numbers per element (real, imaginary)
 * @param bytes little-endian, C order, packed below 8 bits (first element in the low bits)
 * @param count elements to decode; `bytes` must hold them
 * @returns float64 values; int64 and uint64 beyond 2^53 are rounded to the nearest double
 * @throws {ToolError} NOT_NUMERIC for `string`
 * @source IEEE 754 (f16), https://github.com/jax-ml/ml_dtypes (bfloat16, float8, float4)
 */
export function decodeValues(dtype: Dtype, bytes: Uint8Array, count: number): Float64Array {
  const parts = DTYPES[dtype].kind === 'complex' ? 2 : 1
  const out = new Float64Array(count * parts)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  switch (dtype) {
    case 'float64':
    case 'complex128':
      for (let i = 0; i < out.length; i++) out[i] = view.getFloat64(i * 8, true)
      break
    case 'float32':
    case 'complex64':
      if (bytes.byteOffset % 4 === 0) out.set(new Float32Array(bytes.buffer, bytes.byteOffset, out.length))
      else for (let i = 0; i < out.length; i++) out[i] = view.getFloat32(i * 4, true)
      break
    case 'float16':
      for (let i = 0; i < count; i++) out[i] = decodeFloat16(view.getUint16(i * 2, true))
      break
    case 'bfloat16':
      for (let i = 0; i < count; i++) out[i] = decodeBfloat16(view.getUint16(i * 2, true))
      break
    case 'int64':
      for (let i = 0; i < count; i++) out[i] = Number(view.getBigInt64(i * 8, true))
      break
    case 'uint64':
      for (let i = 0; i < count; i++) out[i] = Number(view.getBigUint64(i * 8, true))
      break
    case 'int32':
      for (let i = 0; i < count; i++) out[i] = view.getInt32(i * 4, true)
      break
    case 'uint32':
      for (let i = 0; i < count; i++) out[i] = view.getUint32(i * 4, true)
      break
    case 'int16':
      for (let i = 0; i < count; i++) out[i] = view.getInt16(i * 2, true)
      break
    case 'uint16':
      for (let i = 0; i < count; i++) out[i] = view.getUint16(i * 2, true)
      break
    case 'int8':
      for (let i = 0; i < count; i++) out[i] = view.getInt8(i)
      break
    case 'uint8':
      for (let i = 0; i < count; i++) out[i] = bytes[i]!
      break
    case 'bool':
      for (let i = 0; i < count; i++) out[i] = bytes[i] === 0 ? 0 : 1
      break
    case 'int4':
      for (let i = 0; i < count; i++) out[i] = signed(packed(bytes, i, 4), 4)
      break
    case 'uint4':
      for (let i = 0; i < count; i++) out[i] = packed(bytes, i, 4)
      break
    case 'int2':
      for (let i = 0; i < count; i++) out[i] = signed(packed(bytes, i, 2), 2)
      break
    case 'uint2':
      for (let i = 0; i < count; i++) out[i] = packed(bytes, i, 2)
      break
    case 'float6_e2m3fn':
    case 'float6_e3m2fn': {
      const table = FLOAT6[dtype]
      for (let i = 0; i < count; i++) out[i] = table[packed6(bytes, i)]!
      break
    }
    case 'float4_e2m1fn':
      for (let i = 0; i < count; i++) out[i] = FLOAT4[packed(bytes, i, 4)]!
      break
    case 'float8_e4m3fn':
    case 'float8_e4m3fnuz':
    case 'float8_e5m2':
    case 'float8_e5m2fnuz':
    case 'float8_e8m0fnu': {
      const table = FLOAT8[dtype]
      for (let i = 0; i < count; i++) out[i] = table[bytes[i]!]!
      break
    }
    case 'string':
      throw new ToolError('NOT_NUMERIC', 'text has no numeric values')
    default:
      dtype satisfies never
  }
  return out
}

/** Element `index` of values packed `bits` wide, first element in the low bits of each byte. */
function packed(bytes: Uint8Array, index: number, bits: 2 | 4): number {
  const perByte = 8 / bits
  return (bytes[Math.floor(index / perByte)]! >> ((index % perByte) * bits)) & ((1 << bits) - 1)
}

/** Element `index` of 6-bit values: four in three bytes, first element in the low bits. */
function packed6(bytes: Uint8Array, index: number): number {
  const bit = index * 6
  const byte = Math.floor(bit / 8)
  return ((bytes[byte]! | ((bytes[byte + 1] ?? 0) << 8)) >> (bit % 8)) & 0x3f
}

function signed(value: number, bits: number): number {
  return value >= 1 << (bits - 1) ? value - (1 << bits) : value
}

/** IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
export function decodeFloat16(half: number): number {
  return decodeSmallFloat(half, { exponentBits: 5, fractionBits: 10, bias: 15, specials: 'ieee' })
}

const scratch = new DataView(new ArrayBuffer(4))

/** The upper half of a binary32. */
export function decodeBfloat16(value: number): number {
  scratch.setUint32(0, (value << 16) >>> 0)
  return scratch.getFloat32(0)
}

interface SmallFloat {
  exponentBits: number
  fractionBits: number
  bias: number
  /** `ieee`: all-ones exponent is Inf/NaN; `fn`: only all ones is NaN; `fnuz`: only negative zero is NaN; `none` */
  specials: 'ieee' | 'fn' | 'fnuz' | 'none'
}

function decodeSmallFloat(code: number, { exponentBits, fractionBits, bias, specials }: SmallFloat): number {
  const sign = (code >> (exponentBits + fractionBits)) & 1 ? -1 : 1
  const exponent = (code >> fractionBits) & ((1 << exponentBits) - 1)
  const fraction = code & ((1 << fractionBits) - 1)
  const top = (1 << exponentBits) - 1
  if (specials === 'ieee' && exponent === top) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  if (specials === 'fn' && exponent === top && fraction === (1 << fractionBits) - 1) return Number.NaN
  if (specials === 'fnuz' && sign < 0 && exponent === 0 && fraction === 0) return Number.NaN
  const unit = 2 ** -fractionBits
  return exponent === 0
    ? sign * fraction * unit * 2 ** (1 - bias)
    : sign * (1 + fraction * unit) * 2 ** (exponent - bias)
}

const table = (format: SmallFloat) => Float64Array.from({ length: 256 }, (_, code) => decodeSmallFloat(code, format))

const FLOAT8 = {
  float8_e4m3fn: table({ exponentBits: 4, fractionBits: 3, bias: 7, specials: 'fn' }),
  float8_e4m3fnuz: table({ exponentBits: 4, fractionBits: 3, bias: 8, specials: 'fnuz' }),
  float8_e5m2: table({ exponentBits: 5, fractionBits: 2, bias: 15, specials: 'ieee' }),
  float8_e5m2fnuz: table({ exponentBits: 5, fractionBits: 2, bias: 16, specials: 'fnuz' }),
  float8_e8m0fnu: Float64Array.from({ length: 256 }, (_, code) => (code === 255 ? Number.NaN : 2 ** (code - 127))),
}

const FLOAT6 = {
  float6_e2m3fn: table({ exponentBits: 2, fractionBits: 3, bias: 1, specials: 'none' }),
  float6_e3m2fn: table({ exponentBits: 3, fractionBits: 2, bias: 3, specials: 'none' }),
}

const FLOAT4 = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6]
