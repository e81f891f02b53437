import { FormatError } from '../errors.ts'
import type { JsonValue } from './json-value.ts'
import type { FieldSpec, MessageType } from './protobuf.ts'
import { booleanOf, integerOf, numberOf, type TextMessage, type TextValue } from './text-proto.ts'

/**
 * Text and JSON forms of protocol buffers, rewritten in binary form by the table of the message. A format that comes
 * in several forms (GraphDef as `.pb`, `.pbtxt` and TensorFlow.js JSON) so has one reader: the binary one.
 *
 * Fields that the table does not know are left out, as the decoder does. Names are matched in snake_case; JSON may
 * also use lowerCamelCase.
 *
 * @source https://protobuf.dev/programming-guides/json/ https://protobuf.dev/reference/protobuf/textformat-spec/
 */
export function encodeText(type: MessageType<never>, message: TextMessage, file: string): Uint8Array {
  return new TextEncoderOf(file).message(type, message)
}

/**
 * @param maxDepth nesting beyond this is refused
 * @throws {FormatError} INVALID_FIELD naming the path of the field; LIMIT_EXCEEDED for depth
 */
export function encodeJson(type: MessageType<never>, value: JsonValue, file: string, maxDepth: number): Uint8Array {
  return encodeJsonMessage({ file, maxDepth }, type, value, '$', 0)
}

type WireKind = Exclude<FieldSpec['type'], 'ranges' | (() => unknown)> | 'bytes'

/** What one element of the field is on the wire. */
function wireKind(spec: FieldSpec): WireKind {
  if (spec.type === 'ranges') return spec.of ?? 'bytes'
  return spec.type as WireKind
}

const schemas = new WeakMap<object, ReadonlyMap<string, FieldSpec>>()

function fieldsByName(type: MessageType<never>): ReadonlyMap<string, FieldSpec> {
  const known = schemas.get(type)
  if (known) return known
  const made = new Map(
    Object.entries(type.fields as Record<string, FieldSpec>).map(([key, spec]) => [snakeCase(key), spec]),
  )
  schemas.set(type, made)
  return made
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

function childType(spec: FieldSpec): MessageType<never> | undefined {
  return typeof spec.type === 'function' ? (spec.type() as MessageType<never>) : undefined
}

class TextEncoderOf {
  readonly #file: string
  constructor(file: string) {
    this.#file = file
  }

  message(type: MessageType<never>, message: TextMessage): Uint8Array {
    const names = fieldsByName(type)
    const out = new WireWriter()
    for (const { name, value, byteOffset } of message.fields) {
      const spec = names.get(name)
      if (spec === undefined) continue
      const child = childType(spec)
      if (child) {
        if (value.kind !== 'message') throw this.#wrong(name, byteOffset, 'a message')
        out.payload(spec.id, this.message(child, value.message))
        continue
      }
      const scalar = textScalar(wireKind(spec), spec, value)
      if (scalar === undefined) throw this.#wrong(name, byteOffset, `a value of type ${wireKind(spec)}`)
      out.scalar(spec.id, wireKind(spec), scalar)
    }
    return out.bytes()
  }

  #wrong(name: string, byteOffset: number, expected: string): FormatError {
    const found = 'another value'
    return new FormatError({
      code: 'INVALID_FIELD',
      file: this.#file,
      what: `field "${name}"`,
      byteOffset,
      expected,
      found,
    })
  }
}

type Scalar = number | bigint | boolean | Uint8Array

function textScalar(kind: WireKind, spec: FieldSpec, value: TextValue): Scalar | undefined {
  if (kind === 'string' || kind === 'bytes') return value.kind === 'string' ? value.bytes : undefined
  if (kind === 'float' || kind === 'double') return numberOf(value)
  if (kind === 'bool') return booleanOf(value)
  if (value.kind === 'identifier') {
    const truth = booleanOf(value)
    return spec.names?.[value.text] ?? (truth === undefined ? undefined : BigInt(truth))
  }
  return integerOf(value)
}

interface JsonContext {
  readonly file: string
  readonly maxDepth: number
}

function encodeJsonMessage(
  context: JsonContext,
  type: MessageType<never>,
  value: JsonValue,
  path: string,
  depth: number,
): Uint8Array {
  const { file, maxDepth } = context
  if (depth > maxDepth) {
    const limit = { expected: `at most ${maxDepth} levels`, found: 'more' }
    throw new FormatError({ code: 'LIMIT_EXCEEDED', file, what: 'nesting', ...limit })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrongJson(file, path, 'an object')
  const names = fieldsByName(type)
  const out = new WireWriter()
  for (const [key, entry] of Object.entries(value)) {
    const spec = names.get(snakeCase(key))
    if (spec === undefined || entry === null) continue
    const child = childType(spec)
    const place = `${path}.${key}`
    const isObject = typeof entry === 'object' && !Array.isArray(entry)
    const items: readonly JsonValue[] =
      child && spec.map && isObject
        ? Object.entries(entry).map(([name, item]) => ({ key: name, value: item }))
        : Array.isArray(entry) && isList(spec, entry)
          ? entry
          : [entry]
    for (const item of items) {
      if (child) out.payload(spec.id, encodeJsonMessage(context, child, item, place, depth + 1))
      else {
        const scalar = jsonScalar(wireKind(spec), spec, item)
        if (scalar === undefined) throw wrongJson(file, place, `a value of type ${wireKind(spec)}`)
        out.scalar(spec.id, wireKind(spec), scalar)
      }
    }
  }
  return out.bytes()
}

/** A list of elements; a list of numbers for a single `bytes` field is one element. */
function isList(spec: FieldSpec, entry: readonly JsonValue[]): boolean {
  if (spec.repeated) return true
  return spec.type === 'ranges' && (spec.of !== 'bytes' || typeof entry[0] === 'string')
}

function wrongJson(file: string, path: string, expected: string): FormatError {
  return new FormatError({ code: 'INVALID_FIELD', file, what: `JSON at ${path}`, expected, found: 'another value' })
}

function jsonScalar(kind: WireKind, spec: FieldSpec, value: JsonValue): Scalar | undefined {
  if (kind === 'string') return typeof value === 'string' ? new TextEncoder().encode(value) : undefined
  if (kind === 'bytes') return jsonBytes(value)
  if (kind === 'bool') return typeof value === 'boolean' ? value : undefined
  if (typeof value === 'boolean') return spec.type === 'ranges' ? BigInt(value) : undefined
  if (typeof value === 'number' && (kind === 'float' || kind === 'double')) return value
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined
  if (typeof value !== 'string') return undefined
  if (spec.names && Object.hasOwn(spec.names, value)) return BigInt(spec.names[value]!)
  if (kind === 'float' || kind === 'double') {
    const number = Number(value)
    return Number.isNaN(number) && value !== 'NaN' ? undefined : number
  }
  return /^-?[0-9]{1,20}$/.test(value) ? BigInt(value) : undefined
}

/** Base64, ordinary or URL-safe; TensorFlow.js also writes lists of byte values. */
function jsonBytes(value: JsonValue): Uint8Array | undefined {
  if (Array.isArray(value)) {
    const numbers = value as readonly JsonValue[]
    return numbers.every((item) => Number.isInteger(item) && Number(item) >= 0 && Number(item) < 256)
      ? Uint8Array.from(numbers as number[])
      : undefined
  }
  if (typeof value !== 'string') return undefined
  const standard = value.replaceAll('-', '+').replaceAll('_', '/')
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(standard)) return undefined
  const unpadded = standard.replace(/=+$/, '')
  return unpadded.length % 4 === 1 ? undefined : Uint8Array.from(atob(unpadded), (letter) => letter.charCodeAt(0))
}

/** A growing buffer with the handful of wire forms. */
class WireWriter {
  #buffer = new Uint8Array(64)
  #length = 0

  scalar(id: number, kind: WireKind, value: Scalar): void {
    if (value instanceof Uint8Array) this.payload(id, value)
    else if (kind === 'float' || kind === 'fixed32') this.#fixed(id, 4, kind, value)
    else if (kind === 'double' || kind === 'fixed64') this.#fixed(id, 8, kind, value)
    else {
      this.#varint(BigInt(id) << 3n)
      this.#varint(BigInt.asUintN(64, BigInt(value)))
    }
  }

  payload(id: number, bytes: Uint8Array): void {
    this.#varint((BigInt(id) << 3n) | 2n)
    this.#varint(BigInt(bytes.length))
    this.#reserve(bytes.length)
    this.#buffer.set(bytes, this.#length)
    this.#length += bytes.length
  }

  bytes(): Uint8Array {
    return this.#buffer.slice(0, this.#length)
  }

  #fixed(id: number, width: 4 | 8, kind: WireKind, value: Exclude<Scalar, Uint8Array>): void {
    this.#varint((BigInt(id) << 3n) | (width === 4 ? 5n : 1n))
    this.#reserve(width)
    const view = new DataView(this.#buffer.buffer, this.#length, width)
    if (kind === 'float') view.setFloat32(0, Number(value), true)
    else if (kind === 'double') view.setFloat64(0, Number(value), true)
    else if (kind === 'fixed32') view.setUint32(0, Number(value), true)
    else view.setBigUint64(0, BigInt.asUintN(64, BigInt(value)), true)
    this.#length += width
  }

  #varint(value: bigint): void {
    this.#reserve(10)
    let rest = value
    while (rest > 0x7fn) {
      this.#buffer[this.#length++] = Number(rest & 0x7fn) | 0x80
      rest >>= 7n
    }
    this.#buffer[this.#length++] = Number(rest)
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return
    const larger = new Uint8Array(Math.max(this.#buffer.length * 2, this.#length + bytes))
    larger.set(this.#buffer.subarray(0, this.#length))
    this.#buffer = larger
  }
}
