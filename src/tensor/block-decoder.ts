import { decodeBfloat16, decodeFloat16, decodeValues } from './decode.ts'
import { DTYPES, type Dtype } from './dtype.ts'

/** Elements that are decoded at a time: 128 KiB of float64, which stays in a core's second-level cache. */
export const BLOCK_ELEMENTS = 16_384

/**
 * Writes `count` values of `bytes`, beginning with element `first`, to the front of `out`.
 *
 * @param out at least `count` long; complex numbers are written as their magnitude
 */
export type BlockDecoder = (bytes: Uint8Array, first: number, count: number, out: Float64Array) => void

type PlainDtype = 'float64' | 'float32' | 'int32' | 'uint32' | 'int16' | 'uint16' | 'int8' | 'uint8'

const ARRAYS = {
  float64: Float64Array,
  float32: Float32Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
} satisfies Record<PlainDtype, unknown>

/**
 * The way from stored bytes to float64 without an allocation per element, for streaming statistics over tensors of any
 * size. All platforms that Node runs on are little-endian, as the bytes are.
 *
 * @param dtype any but `string`
 */
export function blockDecoder(dtype: Exclude<Dtype, 'string'>): BlockDecoder {
  switch (dtype) {
    case 'float64':
    case 'float32':
    case 'int32':
    case 'uint32':
    case 'int16':
    case 'uint16':
    case 'int8':
    case 'uint8': {
      const view = ARRAYS[dtype]
      return (bytes, first, count, out) => {
        const part = aligned(bytes, first * view.BYTES_PER_ELEMENT, count * view.BYTES_PER_ELEMENT)
        out.set(new view(part.buffer as ArrayBuffer, part.byteOffset, count))
      }
    }
    case 'float16':
      return viaTable(halfTable(dtype, decodeFloat16))
    case 'bfloat16':
      return viaTable(halfTable(dtype, decodeBfloat16))
    case 'int64':
    case 'uint64': {
      const isSigned = dtype === 'int64'
      return (bytes, first, count, out) => {
        const part = aligned(bytes, first * 8, count * 8)
        const low = new Uint32Array(part.buffer, part.byteOffset, count * 2)
        const high = isSigned ? new Int32Array(part.buffer, part.byteOffset, count * 2) : low
        for (let i = 0; i < count; i++) out[i] = high[2 * i + 1]! * 4294967296 + low[2 * i]!
      }
    }
    case 'complex64':
    case 'complex128':
      return (bytes, first, count, out) => {
        const width = DTYPES[dtype].bits / 8
        const parts = decodeValues(dtype, bytes.subarray(first * width), count)
        for (let i = 0; i < count; i++) out[i] = Math.hypot(parts[2 * i]!, parts[2 * i + 1]!)
      }
    default: {
      const { bits } = DTYPES[dtype]
      return (bytes, first, count, out) => out.set(decodeValues(dtype, bytes.subarray((first * bits) / 8), count))
    }
  }
}

/** `length` bytes from `offset`, copied only where their address is not a multiple of 8. */
function aligned(bytes: Uint8Array, offset: number, length: number): Uint8Array {
  const part = bytes.subarray(offset, offset + length)
  // not `slice`: that of a Node Buffer is a view
  return part.byteOffset % 8 === 0 ? part : new Uint8Array(part)
}

function viaTable(table: Float64Array): BlockDecoder {
  return (bytes, first, count, out) => {
    const part = aligned(bytes, first * 2, count * 2)
    const codes = new Uint16Array(part.buffer, part.byteOffset, count)
    for (let i = 0; i < count; i++) out[i] = table[codes[i]!]!
  }
}

const halfTables = new Map<Dtype, Float64Array>()

/** All 65,536 values of a 16-bit type: 512 KiB, made on first use. */
function halfTable(dtype: Dtype, decode: (code: number) => number): Float64Array {
  let table = halfTables.get(dtype)
  if (table === undefined) {
    table = Float64Array.from({ length: 65_536 }, (_, code) => decode(code))
    halfTables.set(dtype, table)
  }
  return table
}
