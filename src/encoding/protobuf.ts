import { type ByteRange, type ByteSource, checkRange } from '../bytes/byte-source.ts'
import type { Limits } from '../bytes/limits.ts'
import { FormatError } from '../errors.ts'

/**
 * Protocol-buffer messages over a ranged source.
 *
 * Decodes by table, keeps bulk bytes where they are (a `ranges` field yields offsets, not data), so a 3 GB model costs
 * its structure only, and every error carries the byte offset. A general library decodes whole buffers in memory and
 * gives no offsets: that is why this is our own. Unknown fields are skipped, as the specification demands.
 *
 * @source https://protobuf.dev/programming-guides/encoding/
 */
export interface MessageType<T> {
  /** for error messages, e.g. `onnx.TensorProto` */
  readonly name: string
  readonly fields: { readonly [K in keyof T]-?: FieldSpec }
}

export interface FieldSpec {
  readonly id: number
  /**
   * - `int`: varint as number, sign-extended from 64 bits; INVALID_FIELD beyond +-2^53
   * - `int64`: varint as bigint, signed; `uint64`: unsigned
   * - `bool`, `float` (fixed32), `double` (fixed64), `fixed32`, `fixed64` (bigint), `string` (UTF-8)
   * - `ranges`: where the payload lies, one range per occurrence, whatever the wire type; never loaded
   * - a message type, as a thunk so that types can refer to themselves
   */
  readonly type:
    | 'int'
    | 'int64'
    | 'uint64'
    | 'bool'
    | 'float'
    | 'double'
    | 'fixed32'
    | 'fixed64'
    | 'string'
    | 'ranges'
    | (() => MessageType<never> | MessageType<object>)
  /** repeated fields always yield an array, packed or not */
  readonly repeated?: true
}

/** Identity with types: `const TensorProto = defineMessage<TensorProto>('onnx.TensorProto', {...})`. */
export function defineMessage<T>(name: string, fields: MessageType<T>['fields']): MessageType<T> {
  return { name, fields }
}

/** Below this size a message is loaded at once and decoded in memory. */
const EAGER_BYTES = 1 << 20

/**
 * Decodes the message in `range` of `source`. Singular fields that are absent stay undefined, so T's fields should be
 * optional; repeated ones are `[]`. A message field that occurs twice is merged, as the specification demands.
 */
export async function decodeMessage<T>(
  type: MessageType<T>,
  source: ByteSource,
  limits: Limits,
  range: ByteRange = { offset: 0, length: source.size },
): Promise<T> {
  const budget: Budget = { items: limits.maxItems, bytes: limits.maxHeaderBytes, limits }
  checkRange(source, range.offset, range.length, type.name)
  return (await decodeRange(table(type), source, range, budget, 0, {})) as T
}

interface Budget {
  items: number
  bytes: number
  readonly limits: Limits
}

interface Field {
  readonly key: string
  readonly spec: FieldSpec
}

interface Table {
  readonly name: string
  readonly byId: ReadonlyMap<number, Field>
  readonly repeated: readonly string[]
}

const tables = new WeakMap<object, Table>()

function table(type: MessageType<unknown> | MessageType<never> | MessageType<object>): Table {
  const known = tables.get(type)
  if (known) return known
  const entries = Object.entries(type.fields as Record<string, FieldSpec>)
  const made: Table = {
    name: type.name,
    byId: new Map(entries.map(([key, spec]) => [spec.id, { key, spec }])),
    repeated: entries.filter(([, spec]) => spec.repeated).map(([key]) => key),
  }
  tables.set(type, made)
  return made
}

type Target = Record<string, unknown>

function begin(type: Table, into: Target): Target {
  for (const key of type.repeated) into[key] ??= []
  return into
}

async function decodeRange(
  type: Table,
  source: ByteSource,
  range: ByteRange,
  budget: Budget,
  depth: number,
  into: Target,
): Promise<Target> {
  if (range.length <= EAGER_BYTES) {
    const bytes = await source.read(range.offset, range.length)
    return new Decoder(bytes, range.offset, source, budget).message(type, 0, bytes.length, depth, into)
  }
  begin(type, into)
  const end = range.offset + range.length
  let position = range.offset
  let window: Uint8Array<ArrayBufferLike> = new Uint8Array(0)
  let windowStart = position
  while (position < end) {
    // A tag and a length take at most 20 bytes; keep a window around so that runs of small fields cost one read.
    if (position + 20 > windowStart + window.length && windowStart + window.length < end) {
      windowStart = position
      window = await source.read(position, Math.min(65_536, end - position))
    }
    const decoder = new Decoder(window, windowStart, source, budget)
    const head = decoder.head(position - windowStart, type, end)
    const field = type.byId.get(head.id)
    const inWindow = head.end <= windowStart + window.length
    if (field === undefined) {
      // skipped: an unknown field
    } else if (
      head.wireType === 2 &&
      !inWindow &&
      (typeof field.spec.type === 'function' || field.spec.type === 'string')
    ) {
      const payload = { offset: head.start, length: head.end - head.start }
      if (typeof field.spec.type === 'function') {
        spend(budget, 1, source.name, payload.offset)
        const child = table(field.spec.type())
        const target = (field.spec.repeated ? undefined : into[field.key]) as Target | undefined
        const value = await decodeRange(
          child,
          source,
          payload,
          budget,
          deeper(depth, budget, source, payload.offset),
          target ?? {},
        )
        store(into, field, value)
      } else {
        checkText(payload, budget, source, field.key)
        store(into, field, utf8.decode(await source.read(payload.offset, payload.length)))
      }
    } else if (inWindow || field.spec.type === 'ranges') {
      decoder.value(field, head, into, depth)
    } else {
      const payload = { offset: head.start, length: head.end - head.start }
      chargeBytes(budget, payload.length, source, payload.offset)
      const bytes = await source.read(payload.offset, payload.length)
      new Decoder(bytes, payload.offset, source, budget).value(field, head, into, depth)
    }
    position = head.end
  }
  return into
}

interface Head {
  readonly id: number
  readonly wireType: number
  /** absolute begin of the payload */
  readonly start: number
  /** absolute end of the payload */
  readonly end: number
}

const utf8 = new TextDecoder('utf-8')

class Decoder {
  readonly #bytes: Uint8Array
  readonly #base: number
  readonly #source: ByteSource
  readonly #budget: Budget
  #position = 0

  constructor(bytes: Uint8Array, base: number, source: ByteSource, budget: Budget) {
    this.#bytes = bytes
    this.#base = base
    this.#source = source
    this.#budget = budget
  }

  message(type: Table, start: number, end: number, depth: number, into: Target): Target {
    begin(type, into)
    let position = start
    while (position < end) {
      const head = this.head(position, type, this.#base + end)
      const field = type.byId.get(head.id)
      if (field) this.value(field, head, into, depth)
      position = head.end - this.#base
    }
    return into
  }

  /** Tag and extent of the field at `position` (relative); `limit` is the absolute end of the enclosing message. */
  head(position: number, type: Table, limit: number): Head {
    this.#position = position
    const at = this.#base + position
    const tag = this.#varint(limit, `${type.name} field tag`)
    const id = Number(tag >> 3n)
    const wireType = Number(tag & 7n)
    if (id === 0 || id > 0x1fffffff)
      throw this.#invalid(`${type.name} field tag`, at, 'a field number from 1 to 536870911', String(id))
    const start = this.#base + this.#position
    switch (wireType) {
      case 0:
        this.#varint(limit, `${type.name} field ${id}`)
        return { id, wireType, start, end: this.#base + this.#position }
      case 1:
      case 5: {
        const end = start + (wireType === 1 ? 8 : 4)
        if (end > limit) throw this.#cut(`${type.name} field ${id}`, start, end - start, limit)
        return { id, wireType, start, end }
      }
      case 2: {
        const length = this.#varint(limit, `${type.name} field ${id} length`)
        const payload = this.#base + this.#position
        if (length > BigInt(limit - payload))
          throw this.#cut(`${type.name} field ${id}`, payload, Number(length), limit)
        return { id, wireType, start: payload, end: payload + Number(length) }
      }
      case 3:
        return { id, wireType, start, end: this.#skipGroup(id, type, limit, 0) }
      default:
        throw this.#invalid(`${type.name} field ${id} wire type`, at, '0, 1, 2, 3 or 5', String(wireType))
    }
  }

  value({ key, spec }: Field, head: Head, into: Target, depth: number): void {
    const { start, end, wireType } = head
    const budget = this.#budget
    if (spec.type === 'ranges') {
      spend(budget, 1, this.#source.name, start)
      listAt(into, key).push({ offset: start, length: end - start })
      return
    }
    if (typeof spec.type === 'function') {
      if (wireType !== 2) throw this.#wrongType(key, head, 'a message')
      spend(budget, 1, this.#source.name, start)
      const target = (spec.repeated ? undefined : into[key]) as Target | undefined
      const from = start - this.#base
      const inner = deeper(depth, budget, this.#source, start)
      const value = this.message(table(spec.type()), from, end - this.#base, inner, target ?? {})
      store(into, { key, spec }, value)
      return
    }
    if (spec.type === 'string') {
      if (wireType !== 2) throw this.#wrongType(key, head, 'text')
      checkText({ offset: start, length: end - start }, budget, this.#source, key)
      spend(budget, 1, this.#source.name, start)
      store(into, { key, spec }, utf8.decode(this.#bytes.subarray(start - this.#base, end - this.#base)))
      return
    }
    const wanted =
      spec.type === 'float' || spec.type === 'fixed32' ? 5 : spec.type === 'double' || spec.type === 'fixed64' ? 1 : 0
    if (wireType === wanted) {
      spend(budget, 1, this.#source.name, start)
      this.#position = start - this.#base
      store(into, { key, spec }, this.#scalar(spec.type, end))
    } else if (wireType === 2 && spec.repeated) {
      const list = listAt(into, key)
      this.#position = start - this.#base
      while (this.#base + this.#position < end) {
        spend(budget, 1, this.#source.name, start)
        list.push(this.#scalar(spec.type, end))
      }
    } else {
      throw this.#wrongType(key, head, spec.type)
    }
  }

  #scalar(type: Exclude<FieldSpec['type'], 'string' | 'ranges' | (() => unknown)>, limit: number): unknown {
    const at = this.#base + this.#position
    if (type === 'float' || type === 'fixed32' || type === 'double' || type === 'fixed64') {
      const width = type === 'float' || type === 'fixed32' ? 4 : 8
      if (at + width > limit) throw this.#cut(type, at, width, limit)
      const view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset + this.#position, width)
      this.#position += width
      if (type === 'float') return view.getFloat32(0, true)
      if (type === 'fixed32') return view.getUint32(0, true)
      return type === 'double' ? view.getFloat64(0, true) : view.getBigUint64(0, true)
    }
    const value = this.#varint(limit, type)
    if (type === 'bool') return value !== 0n
    if (type === 'uint64') return value
    const signedValue = BigInt.asIntN(64, value)
    if (type === 'int64') return signedValue
    const number = Number(signedValue)
    if (!Number.isSafeInteger(number)) throw this.#invalid('number', at, 'at most 2^53 - 1', String(signedValue))
    return number
  }

  #varint(limit: number, what: string): bigint {
    const start = this.#position
    let low = 0
    for (let index = 0; index < 10; index++) {
      const position = start + index
      if (this.#base + position >= limit || position >= this.#bytes.length) {
        throw this.#cut(what, this.#base + start, index + 1, Math.min(limit, this.#base + this.#bytes.length))
      }
      const byte = this.#bytes[position]!
      if (index < 4) low |= (byte & 0x7f) << (7 * index)
      if (byte < 0x80) {
        this.#position = position + 1
        if (index < 4) return BigInt(low)
        let value = 0n
        for (let back = position; back >= start; back--) value = (value << 7n) | BigInt(this.#bytes[back]! & 0x7f)
        return BigInt.asUintN(64, value)
      }
    }
    throw this.#invalid(what, this.#base + start, 'a number of at most 10 bytes', 'more')
  }

  #skipGroup(id: number, type: Table, limit: number, depth: number): number {
    deeper(depth, this.#budget, this.#source, this.#base + this.#position)
    for (;;) {
      const tag = this.#varint(limit, `${type.name} group ${id}`)
      const inner = Number(tag >> 3n)
      const wireType = Number(tag & 7n)
      const at = this.#base + this.#position
      if (wireType === 4) {
        if (inner !== id)
          throw this.#invalid(`${type.name} group ${id}`, at, `its own end`, `the end of group ${inner}`)
        return at
      }
      if (wireType === 0) this.#varint(limit, `${type.name} group ${id}`)
      else if (wireType === 3) this.#skipGroup(inner, type, limit, depth + 1)
      else {
        const length =
          wireType === 1 ? 8 : wireType === 5 ? 4 : wireType === 2 ? Number(this.#varint(limit, 'length')) : -1
        if (length < 0) throw this.#invalid(`${type.name} group ${id}`, at, 'a known wire type', String(wireType))
        const next = this.#base + this.#position + length
        if (next > limit || this.#position + length > this.#bytes.length)
          throw this.#cut(`${type.name} group ${id}`, at, length, limit)
        this.#position += length
      }
    }
  }

  #wrongType(key: string, head: Head, expected: string): FormatError {
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

function store(into: Target, { key, spec }: Field, value: unknown): void {
  if (spec.repeated) listAt(into, key).push(value)
  else into[key] = value
}

function listAt(into: Target, key: string): unknown[] {
  into[key] ??= []
  return into[key] as unknown[]
}

function deeper(depth: number, budget: Budget, source: ByteSource, byteOffset: number): number {
  if (depth < budget.limits.maxDepth) return depth + 1
  throw tooMuch(source.name, 'nesting', byteOffset, `at most ${budget.limits.maxDepth} levels`, 'more')
}

function spend(budget: Budget, items: number, file: string, byteOffset: number): void {
  budget.items -= items
  if (budget.items < 0)
    throw tooMuch(file, 'number of records', byteOffset, `at most ${budget.limits.maxItems}`, 'more')
}

function chargeBytes(budget: Budget, bytes: number, source: ByteSource, byteOffset: number): void {
  budget.bytes -= bytes
  if (budget.bytes < 0)
    throw tooMuch(source.name, 'structure', byteOffset, `at most ${budget.limits.maxHeaderBytes} bytes`, 'more')
}

function checkText(range: ByteRange, budget: Budget, source: ByteSource, key: string): void {
  const { maxStringBytes } = budget.limits
  if (range.length > maxStringBytes)
    throw tooMuch(source.name, `text "${key}"`, range.offset, `at most ${maxStringBytes} bytes`, String(range.length))
  chargeBytes(budget, range.length, source, range.offset)
}

function tooMuch(file: string, what: string, byteOffset: number, expected: string, found: string): FormatError {
  return new FormatError({ code: 'LIMIT_EXCEEDED', file, what, byteOffset, expected, found })
}
