import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { FormatError } from '../../errors.ts'

const WINDOW_BYTES = 256 * 1024

/**
 * A forward cursor over a pickle whose length nobody states: the bytes come in windows, and long strings can be
 * passed over without being read. What is read, as opposed to passed over, is held to `limits.maxHeaderBytes`.
 */
export class PickleCursor {
  readonly #source: ByteSource
  readonly #limits: Limits
  #window: Uint8Array = new Uint8Array(0)
  #view: DataView = new DataView(new ArrayBuffer(0))
  /** of `#window[0]` in the source */
  #base: number
  #position = 0
  #read = 0

  constructor(source: ByteSource, offset: number, limits: Limits) {
    this.#source = source
    this.#base = offset
    this.#limits = limits
  }

  /** absolute position in the source */
  get offset(): number {
    return this.#base + this.#position
  }

  get name(): string {
    return this.#source.name
  }

  /** Whether the next `length` bytes are at hand; if not, `fill` comes first. */
  has(length: number): boolean {
    return this.#position + length <= this.#window.length
  }

  /**
   * Makes the next `length` bytes available.
   * @throws {FormatError} TRUNCATED when the source ends before; LIMIT_EXCEEDED past `limits.maxHeaderBytes`
   */
  async fill(length: number, what: string): Promise<void> {
    if (this.has(length)) return
    const at = this.offset
    const left = this.#source.size - at
    if (length > left) {
      throw new FormatError({
        code: 'TRUNCATED',
        file: this.name,
        what: `pickle: ${what}`,
        byteOffset: at,
        expected: `${length} more bytes`,
        found: `${Math.max(0, left)} before the end of the file (${this.#source.size} bytes)`,
        hint: 'The copy is incomplete or damaged; compare its size or sha256 with the source.',
      })
    }
    const kept = this.#window.subarray(this.#position)
    // a whole window of new bytes each time: growing a line byte by byte would copy it as often
    const wanted = Math.min(left, Math.max(length, kept.length + WINDOW_BYTES)) - kept.length
    this.#read += wanted
    if (this.#read - WINDOW_BYTES > this.#limits.maxHeaderBytes) {
      throw new FormatError({
        code: 'LIMIT_EXCEEDED',
        file: this.name,
        what: 'pickle without its arrays',
        byteOffset: at,
        expected: `at most ${this.#limits.maxHeaderBytes} bytes`,
        found: 'more',
      })
    }
    const fresh = await this.#source.read(at + kept.length, wanted)
    const window = new Uint8Array(kept.length + fresh.length)
    window.set(kept)
    window.set(fresh, kept.length)
    this.#window = window
    this.#view = new DataView(window.buffer)
    this.#base = at
    this.#position = 0
  }

  /** Moves on by `length` bytes without reading those that are not at hand; the caller has checked that they exist. */
  skip(length: number): void {
    if (this.has(length)) {
      this.#position += length
      return
    }
    this.#base = this.offset + length
    this.#window = new Uint8Array(0)
    this.#view = new DataView(this.#window.buffer)
    this.#position = 0
  }

  /** bytes of the source from the cursor on */
  get left(): number {
    return this.#source.size - this.offset
  }

  u1(): number {
    return this.#view.getUint8(this.#take(1))
  }
  u2(): number {
    return this.#view.getUint16(this.#take(2), true)
  }
  u4(): number {
    return this.#view.getUint32(this.#take(4), true)
  }
  i4(): number {
    return this.#view.getInt32(this.#take(4), true)
  }
  f8(): number {
    return this.#view.getFloat64(this.#take(8), false)
  }
  u8(): bigint {
    return this.#view.getBigUint64(this.#take(8), true)
  }
  /** shared with the window: copy what is kept */
  bytes(length: number): Uint8Array {
    const start = this.#take(length)
    return this.#window.subarray(start, start + length)
  }

  /** Distance to the next newline among the bytes at hand, or -1. */
  findNewline(from: number): number {
    const found = this.#window.indexOf(0x0a, this.#position + from)
    return found < 0 ? -1 : found - this.#position
  }

  /** bytes at hand */
  get available(): number {
    return this.#window.length - this.#position
  }

  #take(length: number): number {
    const start = this.#position
    this.#position += length
    return start
  }
}
