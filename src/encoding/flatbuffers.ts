import { type ByteRange, type ByteSource, checkRange } from '../bytes/byte-source.ts'
import type { Limits } from '../bytes/limits.ts'
import { FormatError } from '../errors.ts'

/**
 * FlatBuffers over a ranged source: tables are followed one by one, bulk vectors stay where they are.
 *
 * A table begins with the distance (i32) back to its vtable; the vtable holds its own size, the size of the table's
 * inline part, and for each field the offset in that part or 0 for absent (u16 each). Strings, vectors and tables are
 * u32 distances forward from the field:
 *
 *     table:  | soffset | inline fields ...      vtable: | vsize | tsize | field 0 | field 1 | ...
 *     vector: | count u32 | elements ...         string: | length u32 | UTF-8 ... | 0
 *
 * The official runtime trusts offsets unless a separate verifier has walked everything in memory, and names no place.
 * Here every offset is checked as it is followed: that is why this is our own. Everything read is charged to a budget,
 * so that a file whose offsets all lead to one large vector costs no more than its limits.
 *
 * @source https://flatbuffers.dev/internals/
 */
export class FlatBuffer {
  readonly source: ByteSource
  readonly #limits: Limits
  #items: number
  #bytes: number
  readonly #pages = new Map<number, Uint8Array>()
  readonly #vtables = new Map<number, Uint16Array>()

  constructor(source: ByteSource, limits: Limits) {
    this.source = source
    this.#limits = limits
    this.#items = limits.maxItems
    this.#bytes = limits.maxHeaderBytes
  }

  /** The root table; `type` is for messages, e.g. `tflite.Model`. */
  async root(type: string): Promise<FlatTable> {
    const at = await this.bytes(0, 4, `${type} offset`)
    return this.table(u32(at, 0), type)
  }

  /** The table at `position`. */
  async table(position: number, type: string): Promise<FlatTable> {
    this.charge(1, position)
    const start = await this.bytes(position, 4, type)
    const vtableAt = position - (u32(start, 0) | 0)
    const vtable = await this.#vtable(vtableAt, type)
    this.charge(0, position, vtable[1]!)
    const inline = await this.bytes(position, vtable[1]!, type)
    return new FlatTable(this, type, position, vtable, inline)
  }

  /** `length` bytes at `offset`, out of small pages that are kept: tables of one file lie close together. */
  async bytes(offset: number, length: number, what: string): Promise<Uint8Array> {
    checkRange(this.source, offset, length, what)
    const first = Math.floor(offset / PAGE_BYTES)
    if (length === 0 || Math.floor((offset + length - 1) / PAGE_BYTES) !== first) {
      return this.source.read(offset, length)
    }
    const page = this.#pages.get(first) ?? (await this.#load(first))
    return page.subarray(offset - first * PAGE_BYTES, offset - first * PAGE_BYTES + length)
  }

  /** Counts what is made of the file. @throws {FormatError} LIMIT_EXCEEDED beyond `maxItems` or `maxHeaderBytes` */
  charge(items: number, byteOffset: number, bytes = 0): void {
    this.#items -= items
    this.#bytes -= bytes
    if (this.#items >= 0 && this.#bytes >= 0) return
    const { maxItems, maxHeaderBytes } = this.#limits
    throw new FormatError({
      code: 'LIMIT_EXCEEDED',
      file: this.source.name,
      what: 'structure',
      byteOffset,
      expected: this.#items < 0 ? `at most ${maxItems} records` : `at most ${maxHeaderBytes} bytes`,
      found: 'more',
    })
  }

  get maxStringBytes(): number {
    return this.#limits.maxStringBytes
  }

  async #load(page: number): Promise<Uint8Array> {
    if (this.#pages.size >= MAX_PAGES) this.#pages.delete(this.#pages.keys().next().value!)
    const offset = page * PAGE_BYTES
    this.charge(0, offset, PAGE_BYTES)
    const bytes = await this.source.read(offset, Math.min(PAGE_BYTES, this.source.size - offset))
    this.#pages.set(page, bytes)
    return bytes
  }

  async #vtable(position: number, type: string): Promise<Uint16Array> {
    const known = this.#vtables.get(position)
    if (known) return known
    const what = `vtable of ${type}`
    const size = u16(await this.bytes(position, 2, what), 0)
    if (size < 4 || size % 2 !== 0) {
      throw new FormatError({
        code: 'INVALID_FIELD',
        file: this.source.name,
        what,
        byteOffset: position,
        expected: 'an even size of at least 4 bytes',
        found: String(size),
      })
    }
    this.charge(1, position, size)
    const bytes = await this.bytes(position, size, what)
    const vtable = Uint16Array.from({ length: size / 2 }, (_, index) => u16(bytes, index * 2))
    if (vtable[1]! < 4) {
      throw new FormatError({
        code: 'INVALID_FIELD',
        file: this.source.name,
        what,
        byteOffset: position + 2,
        expected: 'a table of at least 4 bytes',
        found: String(vtable[1]),
      })
    }
    this.#vtables.set(position, vtable)
    return vtable
  }
}

/** Small: models keep a little table before each block of weights, and every page that is touched is read. */
const PAGE_BYTES = 4096

/** 16 MiB of pages are kept at most. */
const MAX_PAGES = 4096

const WIDTHS = { i8: 1, u8: 1, bool: 1, i16: 2, u16: 2, i32: 4, u32: 4, f32: 4, i64: 8, u64: 8, f64: 8 } as const

/** Type of a scalar; `i64` and `u64` are given as numbers, rounded beyond 2^53. */
export type FlatScalar = keyof typeof WIDTHS

/** One table: inline fields are at hand, what lies elsewhere is fetched. Fields are numbered as in the schema. */
export class FlatTable {
  readonly #buffer: FlatBuffer
  readonly #type: string
  readonly #position: number
  readonly #vtable: Uint16Array
  readonly #inline: Uint8Array

  constructor(buffer: FlatBuffer, type: string, position: number, vtable: Uint16Array, inline: Uint8Array) {
    this.#buffer = buffer
    this.#type = type
    this.#position = position
    this.#vtable = vtable
    this.#inline = inline
  }

  /** absolute offset of the table in the file */
  get position(): number {
    return this.#position
  }

  /** A scalar, or `missing` (the schema's default) where the field is absent. */
  scalar(field: number, type: FlatScalar, missing = 0): number {
    const at = this.#offset(field, WIDTHS[type])
    return at === 0 ? missing : readScalar(this.#inline, at, type)
  }

  flag(field: number, missing = false): boolean {
    return this.scalar(field, 'bool', missing ? 1 : 0) !== 0
  }

  async string(field: number): Promise<string | undefined> {
    const range = await this.#vector(field, 1)
    if (range === undefined) return undefined
    if (range.length > this.#buffer.maxStringBytes) {
      throw new FormatError({
        code: 'LIMIT_EXCEEDED',
        file: this.#buffer.source.name,
        what: this.#what(field),
        byteOffset: range.offset,
        expected: `text of at most ${this.#buffer.maxStringBytes} bytes`,
        found: String(range.length),
      })
    }
    this.#buffer.charge(1, range.offset, range.length)
    return utf8.decode(await this.#buffer.bytes(range.offset, range.length, this.#what(field)))
  }

  /** The table in `field`, which is called `type` in messages. */
  async table(field: number, type: string): Promise<FlatTable | undefined> {
    const target = this.#target(field)
    return target === undefined ? undefined : this.#buffer.table(target, type)
  }

  /** All tables of a vector; `[]` where the field is absent. */
  async tables(field: number, type: string): Promise<FlatTable[]> {
    const range = await this.#vector(field, 4)
    if (range === undefined) return []
    this.#buffer.charge(range.length / 4, range.offset)
    const offsets = await this.#buffer.bytes(range.offset, range.length, this.#what(field))
    const tables: FlatTable[] = []
    for (let at = 0; at < offsets.length; at += 4)
      tables.push(await this.#buffer.table(range.offset + at + u32(offsets, at), type))
    return tables
  }

  /** All numbers of a vector; undefined where the field is absent. */
  async numbers(field: number, type: FlatScalar): Promise<number[] | undefined> {
    const width = WIDTHS[type]
    const range = await this.#vector(field, width)
    if (range === undefined) return undefined
    // A hundred numbers of a vector weigh less than one table.
    this.#buffer.charge(1 + Math.floor(range.length / width / 16), range.offset, range.length)
    const bytes = await this.#buffer.bytes(range.offset, range.length, this.#what(field))
    return Array.from({ length: range.length / width }, (_, index) => readScalar(bytes, index * width, type))
  }

  /** Where the elements of a vector of bytes lie; undefined where the field is absent. */
  async range(field: number): Promise<ByteRange | undefined> {
    return this.#vector(field, 1)
  }

  /** Where the elements of a vector lie, `width` bytes each. */
  async #vector(field: number, width: number): Promise<ByteRange | undefined> {
    const target = this.#target(field)
    if (target === undefined) return undefined
    const count = u32(await this.#buffer.bytes(target, 4, this.#what(field)), 0)
    const range = { offset: target + 4, length: count * width }
    checkRange(this.#buffer.source, range.offset, range.length, this.#what(field))
    return range
  }

  #target(field: number): number | undefined {
    const at = this.#offset(field, 4)
    return at === 0 ? undefined : this.#position + at + u32(this.#inline, at)
  }

  /** Offset of a field in the inline part, 0 for absent. */
  #offset(field: number, width: number): number {
    const at = this.#vtable[field + 2] ?? 0
    if (at === 0 || (at >= 4 && at + width <= this.#inline.length)) return at
    throw new FormatError({
      code: 'INVALID_FIELD',
      file: this.#buffer.source.name,
      what: this.#what(field),
      byteOffset: this.#position,
      expected: `${width} bytes inside a table of ${this.#inline.length}`,
      found: `offset ${at}`,
    })
  }

  #what(field: number): string {
    return `${this.#type} field ${field}`
  }
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

function u16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8)
}

function u32(bytes: Uint8Array, at: number): number {
  return (u16(bytes, at) | (u16(bytes, at + 2) << 16)) >>> 0
}

function readScalar(bytes: Uint8Array, at: number, type: FlatScalar): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, WIDTHS[type])
  switch (type) {
    case 'i8':
      return view.getInt8(0)
    case 'u8':
    case 'bool':
      return view.getUint8(0)
    case 'i16':
      return view.getInt16(0, true)
    case 'u16':
      return view.getUint16(0, true)
    case 'i32':
      return view.getInt32(0, true)
    case 'u32':
      return view.getUint32(0, true)
    case 'f32':
      return view.getFloat32(0, true)
    case 'f64':
      return view.getFloat64(0, true)
    case 'i64':
      return Number(view.getBigInt64(0, true))
    case 'u64':
      return Number(view.getBigUint64(0, true))
  }
}
