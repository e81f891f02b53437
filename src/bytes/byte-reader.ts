import { FormatError } from '../errors.ts'
import { checkRange } from './byte-source.ts'

/**
 * A checked cursor over bytes in memory. Every read first checks what remains, so a short file ends in one clear
 * error with the absolute offset, never in a DataView RangeError or in silently shortened data.
 */
export class ByteReader {
  readonly bytes: Uint8Array
  readonly name: string
  readonly littleEndian: boolean
  /** offset of `bytes[0]` in the file: what error messages add */
  readonly base: number
  /** position in `bytes` */
  position = 0
  readonly #view: DataView

  constructor(bytes: Uint8Array, options: { name: string; base?: number; littleEndian?: boolean }) {
    this.bytes = bytes
    this.name = options.name
    this.base = options.base ?? 0
    this.littleEndian = options.littleEndian ?? true
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get remaining(): number {
    return this.bytes.length - this.position
  }

  /** absolute offset in the file */
  get offset(): number {
    return this.base + this.position
  }

  seek(position: number, what = 'position'): void {
    this.#check(position, 0, what)
    this.position = position
  }

  skip(length: number, what = 'skipped bytes'): void {
    this.#take(length, what)
  }

  u8(what = 'byte'): number {
    return this.#view.getUint8(this.#take(1, what))
  }
  i8(what = 'byte'): number {
    return this.#view.getInt8(this.#take(1, what))
  }
  u16(what = '16-bit number'): number {
    return this.#view.getUint16(this.#take(2, what), this.littleEndian)
  }
  i16(what = '16-bit number'): number {
    return this.#view.getInt16(this.#take(2, what), this.littleEndian)
  }
  u32(what = '32-bit number'): number {
    return this.#view.getUint32(this.#take(4, what), this.littleEndian)
  }
  i32(what = '32-bit number'): number {
    return this.#view.getInt32(this.#take(4, what), this.littleEndian)
  }
  f32(what = '32-bit float'): number {
    return this.#view.getFloat32(this.#take(4, what), this.littleEndian)
  }
  f64(what = '64-bit float'): number {
    return this.#view.getFloat64(this.#take(8, what), this.littleEndian)
  }
  bigU64(what = '64-bit number'): bigint {
    return this.#view.getBigUint64(this.#take(8, what), this.littleEndian)
  }
  bigI64(what = '64-bit number'): bigint {
    return this.#view.getBigInt64(this.#take(8, what), this.littleEndian)
  }

  /**
   * An unsigned 64-bit size or offset as a number.
   * @throws {FormatError} INVALID_FIELD above 2^53 - 1, where numbers stop being exact
   */
  u64(what = '64-bit size'): number {
    const at = this.offset
    const value = this.bigU64(what)
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw this.invalid(what, 'at most 9007199254740991', String(value), at)
    }
    return Number(value)
  }

  /** `length` bytes, shared with the underlying memory. */
  take(length: number, what = 'bytes'): Uint8Array {
    const start = this.#take(length, what)
    return this.bytes.subarray(start, start + length)
  }

  utf8(length: number, what = 'text'): string {
    return utf8Decoder.decode(this.take(length, what))
  }

  latin1(length: number, what = 'text'): string {
    return latin1Decoder.decode(this.take(length, what))
  }

  /** An error about the field that begins at `at` (absolute; default: the cursor). */
  invalid(what: string, expected: string, found: string, at = this.offset): FormatError {
    return new FormatError({ code: 'INVALID_FIELD', file: this.name, what, byteOffset: at, expected, found })
  }

  #take(length: number, what: string): number {
    this.#check(this.position, length, what)
    const start = this.position
    this.position += length
    return start
  }

  #check(position: number, length: number, what: string): void {
    const size = this.bytes.length
    if (position >= 0 && length >= 0 && position + length <= size) return
    checkRange({ name: this.name, size: this.base + size }, this.base + position, length, what)
    throw new FormatError({
      code: 'INVALID_FIELD',
      file: this.name,
      what,
      byteOffset: this.base + position,
      expected: `a range inside bytes ${this.base} to ${this.base + size}`,
      found: `${length} bytes at ${this.base + position}`,
    })
  }
}

const utf8Decoder = new TextDecoder('utf-8')
const latin1Decoder = new TextDecoder('latin1')

/** The first bytes of a file as `47 47 55 46 ("GGUF")`, for messages about unknown content. */
export function describeBytes(bytes: Uint8Array, count = 16): string {
  const head = bytes.subarray(0, count)
  const hex = Array.from(head, (byte) => byte.toString(16).padStart(2, '0')).join(' ')
  const text = Array.from(head, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('')
  return head.length === 0 ? 'nothing: the file is empty' : `${hex} ("${text}")`
}

/** Whether `bytes` begins (at `offset`) with an ASCII string or with the given byte values. */
export function startsWith(bytes: Uint8Array, magic: string | readonly number[], offset = 0): boolean {
  const wanted = typeof magic === 'string' ? Array.from(magic, (character) => character.charCodeAt(0)) : magic
  return wanted.every((value, index) => bytes[offset + index] === value)
}
