import type { ByteRange, ByteSource } from '../bytes/byte-source.ts'
import type { Limits } from '../bytes/limits.ts'
import { FormatError } from '../errors.ts'

/**
 * The part of the protobuf decoder that works on bytes in memory; `protobuf.ts` says what for. All positions are
 * absolute offsets in the file, so that every error can name them.
 *
 * Tag: varint of `field number << 3 | wire type`. Wire types: 0 varint, 1 eight bytes, 2 length and payload, 3 and 4
 * begin and end of a group (obsolete, skipped), 5 four bytes.
 */
export interface Budget {
  items: number
  bytes: number
  readonly limits: Limits
}

type ScalarKind = 'int' | 'int64' | 'uint64' | 'bool' | 'float' | 'double' | 'fixed32' | 'fixed64'

interface FieldParts {
  readonly key: string
  readonly repeated: boolean
  /** see `FieldSpec.keep` */
  readonly keep: number
}

export type Field =
  | (FieldParts & { readonly kind: ScalarKind | 'string' | 'ranges' })
  | (FieldParts & { readonly kind: 'message'; readonly child: () => Table })

/** A message type, ready for decoding. */
export interface Table {
  readonly name: string
  readonly byId: ReadonlyMap<number, Field>
  /** keys that must hold an array even when the field is absent */
  readonly repeated: readonly string[]
}

export type Target = Record<string, unknown>

interface Head {
  readonly id: number
  readonly wireType: number
  /** absolute begin of the payload */
  readonly start: number
  /** absolute end of the payload */
  readonly end: number
}

/** Invalid sequences become U+FFFD; a BOM is kept, since names must not change. */
export const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

const WIRE_TYPES: Readonly<Record<ScalarKind, number>> = {
  int: 0,
  int64: 0,
  uint64: 0,
  bool: 0,
  float: 5,
  fixed32: 5,
  double: 1,
  fixed64: 1,
}

/** Decodes from a window of a source: `bytes` lie at `base`. */
export class Decoder {
  /** absolute offset of the window */
  readonly base: number
  /** absolute end of the window */
  readonly end: number
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #source: ByteSource
  readonly #budget: Budget
  /** absolute */
  #position = 0

  constructor(bytes: Uint8Array, base: number, source: ByteSource, budget: Budget) {
    this.base = base
    this.end = base + bytes.length
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#source = source
    this.#budget = budget
  }

  /** Whether `length` bytes from `offset` lie in the window. */
  holds(offset: number, length: number): boolean {
    return offset >= this.base && offset + length <= this.end
  }

  /** The message in `[start, end)`, which the window must hold. */
  message(type: Table, start: number, end: number, depth: number, into: Target): Target {
    begin(type, into)
    let position = start
    while (position < end) {
      const head = this.head(position, type, end)
      const field = type.byId.get(head.id)
      if (field) this.value(field, head, into, depth)
      position = head.end
    }
    return into
  }

  /** Tag and extent of the field at `position`; `limit` is the end of the enclosing message. */
  head(position: number, type: Table, limit: number): Head {
    this.#position = position
    const tag = this.#varint(limit, type.name)
    const id = Math.floor(tag / 8)
    const wireType = tag % 8
    if (id === 0 || id > 0x1fffffff)
      throw this.#invalid(`${type.name} field tag`, position, 'a field number from 1 to 536870911', String(id))
    const start = this.#position
    switch (wireType) {
      case 0:
        this.#varint(limit, type.name)
        return { id, wireType, start, end: this.#position }
      case 1:
      case 5: {
        const end = start + (wireType === 1 ? 8 : 4)
        if (end > limit) throw this.#cut(`${type.name} field ${id}`, start, end - start, limit)
        return { id, wireType, start, end }
      }
      case 2: {
        const length = this.#varint(limit, type.name)
        const payload = this.#position
        if (length > limit - payload) throw this.#cut(`${type.name} field ${id}`, payload, length, limit)
        return { id, wireType, start: payload, end: payload + length }
      }
      case 3:
        return { id, wireType, start, end: this.#skipGroup(id, type, limit, 0) }
      default:
        throw this.#invalid(`${type.name} field ${id} wire type`, position, '0, 1, 2, 3 or 5', String(wireType))
    }
  }

  /** Stores the value of the field whose payload `head` gives. */
  value(field: Field, head: Omit<Head, 'id'>, into: Target, depth: number): void {
    const { start, end, wireType } = head
    const budget = this.#budget
    if (field.kind === 'ranges') {
      spend(budget, 1, this.#source.name, start)
      const length = end - start
      if (length > field.keep) {
        listAt(into, field.key).push({ offset: start, length })
        return
      }
      chargeBytes(budget, length, this.#source, start)
      // copied: a view would keep the whole window alive
      listAt(into, field.key).push({ offset: start, length, bytes: this.#slice(start, end).slice() })
      return
    }
    if (field.kind === 'message') {
      if (wireType !== 2) throw this.#wrongType(field.key, head, 'a message')
      spend(budget, 1, this.#source.name, start)
      const known = field.repeated ? undefined : (into[field.key] as Target | undefined)
      const inner = deeper(depth, budget, this.#source, start)
      store(into, field, this.message(field.child(), start, end, inner, known ?? {}))
      return
    }
    spend(budget, 1, this.#source.name, start)
    if (field.kind === 'string') {
      if (wireType !== 2) throw this.#wrongType(field.key, head, 'text')
      checkText({ offset: start, length: end - start }, budget, this.#source, field.key)
      store(into, field, utf8.decode(this.#slice(start, end)))
      return
    }
    this.#position = start
    if (wireType === WIRE_TYPES[field.kind]) {
      store(into, field, this.#scalar(field.kind, end))
    } else if (wireType === 2 && field.repeated) {
      const list = listAt(into, field.key)
      while (this.#position < end) {
        spend(budget, 1, this.#source.name, start)
        list.push(this.#scalar(field.kind, end))
      }
    } else {
      throw this.#wrongType(field.key, head, field.kind)
    }
  }

  #slice(start: number, end: number): Uint8Array {
    return this.#bytes.subarray(start - this.base, end - this.base)
  }

  #scalar(kind: ScalarKind, limit: number): unknown {
    const at = this.#position
    const wireType = WIRE_TYPES[kind]
    if (wireType !== 0) {
      const width = wireType === 5 ? 4 : 8
      if (at + width > limit) throw this.#cut(kind, at, width, limit)
      this.#position += width
      const index = at - this.base
      if (kind === 'float') return this.#view.getFloat32(index, true)
      if (kind === 'fixed32') return this.#view.getUint32(index, true)
      return kind === 'double' ? this.#view.getFloat64(index, true) : this.#view.getBigUint64(index, true)
    }
    const number = this.#varint(limit, kind)
    // Up to seven bytes hold 49 bits: exact, and never negative.
    const exact = this.#position - at <= 7
    if (kind === 'bool') return number !== 0
    if (exact) return kind === 'int' ? number : BigInt(number)
    const big = this.#bigAt(at)
    if (kind === 'uint64') return big
    const signed = BigInt.asIntN(64, big)
    if (kind === 'int64') return signed
    const value = Number(signed)
    if (!Number.isSafeInteger(value)) throw this.#invalid('number', at, 'at most 2^53 - 1', String(signed))
    return value
  }

  /** An unsigned varint as number: exact up to 2^53, which every valid tag and length is; larger ones are rounded. */
  #varint(limit: number, what: string): number {
    const start = this.#position - this.base
    const stop = Math.min(limit, this.end) - this.base
    let value = 0
    for (let index = 0; index < 10; index++) {
      const position = start + index
      if (position >= stop) throw this.#cut(what, this.#position, index + 1, Math.min(limit, this.end))
      const byte = this.#bytes[position]!
      value = index < 4 ? value | ((byte & 0x7f) << (7 * index)) : value + (byte & 0x7f) * 2 ** (7 * index)
      if (byte < 0x80) {
        this.#position = this.base + position + 1
        return value
      }
    }
    throw this.#invalid(what, this.#position, 'a number of at most 10 bytes', 'more')
  }

  /** The varint at `start` and before the cursor, all 64 bits of it. */
  #bigAt(start: number): bigint {
    let value = 0n
    for (let position = this.#position - 1; position >= start; position--)
      value = (value << 7n) | BigInt(this.#bytes[position - this.base]! & 0x7f)
    return BigInt.asUintN(64, value)
  }

  #skipGroup(id: number, type: Table, limit: number, depth: number): number {
    const what = `${type.name} group ${id}`
    deeper(depth, this.#budget, this.#source, this.#position)
    for (;;) {
      const tag = this.#varint(limit, what)
      const inner = Math.floor(tag / 8)
      const wireType = tag % 8
      const at = this.#position
      if (wireType === 4) {
        if (inner !== id) throw this.#invalid(what, at, `its own end`, `the end of group ${inner}`)
        return at
      }
      if (wireType === 0) this.#varint(limit, what)
      else if (wireType === 3) this.#skipGroup(inner, type, limit, depth + 1)
      else {
        const length = wireType === 1 ? 8 : wireType === 5 ? 4 : wireType === 2 ? this.#varint(limit, what) : -1
        if (length < 0) throw this.#invalid(what, at, 'a known wire type', String(wireType))
        if (this.#position + length > Math.min(limit, this.end)) throw this.#cut(what, at, length, limit)
        this.#position += length
      }
    }
  }

  #wrongType(key: string, head: Omit<Head, 'id'>, expected: string): FormatError {
    return this.#invalid(`field "${key}"`, head.start, expected, `wire type ${head.wireType}`)
  }

  #invalid(what: string, byteOffset: number, expected: string, found: string): FormatError {
    return new FormatError({ code: 'INVALID_FIELD', file: this.#source.name, what, byteOffset, expected, found })
  }

  #cut(what: string, byteOffset: number, wanted: number, limit: number): FormatError {
    const found = `${Math.max(0, limit - byteOffset)} before the end of ${limit >= this.#source.size ? 'the file' : 'the message'}`
    return new FormatError({
      code: 'TRUNCATED',
      file: this.#source.name,
      what,
      byteOffset,
      expected: `${wanted} bytes`,
      found,
      hint: 'The file is cut short or damaged; compare its size or sha256 with the source.',
    })
  }
}

/** One empty list for all: most repeated fields of most messages are empty, and an array each is half the memory. */
const NONE: readonly unknown[] = Object.freeze([])

/** Gives every repeated field its (empty, frozen) list. */
export function begin(type: Table, into: Target): Target {
  for (const key of type.repeated) into[key] ??= NONE
  return into
}

/** Appends to a repeated field, sets a singular one. */
export function store(into: Target, { key, repeated }: Field, value: unknown): void {
  if (repeated) listAt(into, key).push(value)
  else into[key] = value
}

function listAt(into: Target, key: string): unknown[] {
  let list = into[key] as unknown[] | undefined
  if (list === undefined || list === NONE) {
    list = []
    into[key] = list
  }
  return list
}

/** One level down. @throws {FormatError} LIMIT_EXCEEDED below `maxDepth` levels */
export function deeper(depth: number, budget: Budget, source: ByteSource, byteOffset: number): number {
  if (depth < budget.limits.maxDepth) return depth + 1
  throw tooMuch(source.name, 'nesting', byteOffset, `at most ${budget.limits.maxDepth} levels`, 'more')
}

/** Counts records. @throws {FormatError} LIMIT_EXCEEDED beyond `maxItems` in one file */
export function spend(budget: Budget, items: number, file: string, byteOffset: number): void {
  budget.items -= items
  if (budget.items < 0)
    throw tooMuch(file, 'number of records', byteOffset, `at most ${budget.limits.maxItems}`, 'more')
}

/** Counts bytes that stay in memory. @throws {FormatError} LIMIT_EXCEEDED beyond `maxHeaderBytes` in one file */
export function chargeBytes(budget: Budget, bytes: number, source: ByteSource, byteOffset: number): void {
  budget.bytes -= bytes
  if (budget.bytes < 0)
    throw tooMuch(source.name, 'structure', byteOffset, `at most ${budget.limits.maxHeaderBytes} bytes`, 'more')
}

/** @throws {FormatError} LIMIT_EXCEEDED for a text longer than `maxStringBytes` */
export function checkText(range: ByteRange, budget: Budget, source: ByteSource, key: string): void {
  const { maxStringBytes } = budget.limits
  if (range.length > maxStringBytes)
    throw tooMuch(source.name, `text "${key}"`, range.offset, `at most ${maxStringBytes} bytes`, String(range.length))
  chargeBytes(budget, range.length, source, range.offset)
}

function tooMuch(file: string, what: string, byteOffset: number, expected: string, found: string): FormatError {
  return new FormatError({ code: 'LIMIT_EXCEEDED', file, what, byteOffset, expected, found })
}
