import type { Limits } from '../bytes/limits.ts'
import { FormatError } from '../errors.ts'

/**
 * Protocol buffers in text form (`.prototxt`, `.pbtxt`): text to a neutral tree, without a schema.
 *
 * Names, order, repetition and number spelling are kept; which field may occur is for the caller to know. A list
 * `dim: [1, 3]` becomes two fields, as the specification says. Every field carries its byte offset.
 *
 * @source https://protobuf.dev/reference/protobuf/textformat-spec/
 */
export interface TextMessage {
  /** in file order; a name may occur many times */
  readonly fields: readonly TextField[]
  /** of the opening bracket; 0 for the document */
  readonly byteOffset: number
}

export interface TextField {
  /** field name; an extension or Any keeps its brackets: `[type.googleapis.com/a.B]` */
  readonly name: string
  readonly value: TextValue
  /** of the name */
  readonly byteOffset: number
}

/**
 * - `string`: the bytes after escapes; text is UTF-8 by convention, `bytes` fields hold anything
 * - `number`: as spelled, sign included: `-1`, `0x1F`, `017`, `1.5e3f`
 * - `identifier`: enum values, `true`, `inf`, `-nan` ...
 */
export type TextValue =
  | { readonly kind: 'message'; readonly message: TextMessage }
  | { readonly kind: 'string'; readonly bytes: Uint8Array }
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'identifier'; readonly text: string }

/**
 * @param file name for error messages
 * @throws {FormatError} INVALID_FIELD with byte offset and line; TRUNCATED when the text ends inside a field;
 *   LIMIT_EXCEEDED for depth, number of fields, or length of one string
 */
export function parseTextProto(file: string, text: string | Uint8Array, limits: Limits): TextMessage {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text
  return new Parser(file, bytes, limits).document()
}

/** The last value of a field; undefined when it does not occur. */
export function findText(message: TextMessage, name: string): TextValue | undefined {
  return message.fields.findLast((field) => field.name === name)?.value
}

/** All values of a repeated field, in file order. */
export function allText(message: TextMessage, name: string): TextValue[] {
  return message.fields.filter((field) => field.name === name).map(({ value }) => value)
}

/** All messages of a repeated field, in file order; values of another kind are left out. */
export function textMessages(message: TextMessage, name: string): TextMessage[] {
  return allText(message, name).flatMap((value) => (value.kind === 'message' ? [value.message] : []))
}

/** A message field, or undefined. */
export function findMessage(message: TextMessage, name: string): TextMessage | undefined {
  const value = findText(message, name)
  return value?.kind === 'message' ? value.message : undefined
}

/** A string as UTF-8, an identifier or number as spelled; undefined for a message or nothing. */
export function textOf(value: TextValue | undefined): string | undefined {
  if (value === undefined || value.kind === 'message') return undefined
  return value.kind === 'string' ? utf8.decode(value.bytes) : value.text
}

/** A number (float suffix, hexadecimal, octal, `inf` and `nan` understood), or undefined. */
export function numberOf(value: TextValue | undefined): number | undefined {
  if (value?.kind === 'number') {
    const whole = integerOf(value)
    return whole === undefined ? Number(value.text.replace(/[fF]$/, '')) : Number(whole)
  }
  if (value?.kind !== 'identifier') return undefined
  return SPECIAL_NUMBERS.get(value.text.toLowerCase())
}

/** A whole number, exact at any size; undefined for anything that is not spelled as one. */
export function integerOf(value: TextValue | undefined): bigint | undefined {
  if (value?.kind !== 'number') return undefined
  const negative = value.text.startsWith('-')
  const digits = negative ? value.text.slice(1) : value.text
  const whole = /^0[0-7]+$/.test(digits)
    ? BigInt(`0o${digits.slice(1)}`)
    : /^(?:0[xX][0-9a-fA-F]+|[0-9]+)$/.test(digits)
      ? BigInt(digits)
      : undefined
  return whole === undefined ? undefined : negative ? -whole : whole
}

/** `true`, `false`, `t`, `f`, 1 and 0, as the specification has them; undefined for anything else. */
export function booleanOf(value: TextValue | undefined): boolean | undefined {
  const text = value?.kind === 'identifier' || value?.kind === 'number' ? value.text : undefined
  if (text === undefined) return undefined
  return TRUE.has(text) ? true : FALSE.has(text) ? false : undefined
}

const utf8 = new TextDecoder('utf-8')
const TRUE = new Set(['true', 'True', 't', '1'])
const FALSE = new Set(['false', 'False', 'f', '0'])
const SPECIAL_NUMBERS: ReadonlyMap<string, number> = new Map([
  ['inf', Number.POSITIVE_INFINITY],
  ['infinity', Number.POSITIVE_INFINITY],
  ['-inf', Number.NEGATIVE_INFINITY],
  ['-infinity', Number.NEGATIVE_INFINITY],
  ['nan', Number.NaN],
  ['-nan', Number.NaN],
])

const NUMBER = /^(?:0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fF]?)$/
/** longest number that anybody writes; a run beyond it is damage */
const MAX_NUMBER_LENGTH = 400
/** identifiers are field names, enum values and type URLs */
const MAX_NAME_LENGTH = 4096

const code = (character: string) => character.charCodeAt(0)
const [QUOTE, APOSTROPHE, BACKSLASH, HASH, NEWLINE] = ['"', "'", '\\', '#', '\n'].map(code) as [
  number,
  number,
  number,
  number,
  number,
]
const isDigit = (byte: number) => byte >= 0x30 && byte <= 0x39
const isLetter = (byte: number) => (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a) || byte === 0x5f
const isSpace = (byte: number) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)
const ESCAPES: ReadonlyMap<number, number> = new Map(
  Object.entries({ n: 10, r: 13, t: 9, a: 7, b: 8, f: 12, v: 11, '\\': 92, "'": 39, '"': 34, '?': 63 }).map(
    ([letter, byte]) => [code(letter), byte],
  ),
)

class Parser {
  readonly #file: string
  readonly #bytes: Uint8Array
  readonly #limits: Limits
  #position: number
  #items: number

  constructor(file: string, bytes: Uint8Array, limits: Limits) {
    this.#file = file
    this.#bytes = bytes
    this.#limits = limits
    this.#position = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0
    this.#items = limits.maxItems
  }

  document(): TextMessage {
    const fields: TextField[] = []
    this.#space()
    while (this.#position < this.#bytes.length) this.#field(fields, 0)
    return { fields, byteOffset: 0 }
  }

  #field(into: TextField[], depth: number): void {
    const byteOffset = this.#position
    const name = this.#fieldName()
    this.#space()
    const colon = this.#accept(':')
    const next = this.#peek(`value of "${name}"`)
    if (!colon && next !== '{' && next !== '<') throw this.#unexpected(`field "${name}"`, '":", "{" or "<"')
    const add = (value: TextValue, at: number) => {
      this.#items--
      if (this.#items < 0) throw this.#tooMuch('number of fields', `at most ${this.#limits.maxItems}`, 'more')
      into.push({ name, value, byteOffset: at })
    }
    if (next === '[') {
      this.#accept('[')
      while (!this.#accept(']')) {
        const at = this.#position
        add(this.#value(name, depth), at)
        if (!this.#accept(',') && this.#peek(`list "${name}"`) !== ']')
          throw this.#unexpected(`list "${name}"`, '"," or "]"')
      }
    } else {
      add(this.#value(name, depth), byteOffset)
    }
    if (!this.#accept(',')) this.#accept(';')
  }

  #fieldName(): string {
    const start = this.#position
    const first = this.#bytes[start]!
    if (first === code('[')) {
      while (this.#bytes[this.#position] !== code(']')) {
        this.#peek('extension name')
        this.#position++
        if (this.#position - start > MAX_NAME_LENGTH)
          throw this.#invalid('extension name', start, `at most ${MAX_NAME_LENGTH} characters`, 'more')
      }
      this.#position++
      return this.#slice(start).replaceAll(/\s/g, '')
    }
    if (!isLetter(first)) throw this.#unexpected('text', 'a field name')
    return this.#word('field name')
  }

  #value(name: string, depth: number): TextValue {
    const open = this.#peek(`value of "${name}"`)
    if (open === '{' || open === '<') return { kind: 'message', message: this.#message(name, depth) }
    if (open === '"' || open === "'") return { kind: 'string', bytes: this.#strings(name) }
    const negative = this.#accept('-')
    this.#peek(`value of "${name}"`)
    const start = this.#position
    const byte = this.#bytes[start]!
    if (isLetter(byte)) {
      const text = this.#word(`value of "${name}"`)
      if (negative && !SPECIAL_NUMBERS.has(`-${text.toLowerCase()}`))
        throw this.#invalid(`value of "${name}"`, start, 'a number after "-"', `"${text}"`)
      this.#space()
      return { kind: 'identifier', text: negative ? `-${text}` : text }
    }
    if (!isDigit(byte) && byte !== code('.')) throw this.#unexpected(`value of "${name}"`, 'a value')
    const text = this.#number(start)
    if (!NUMBER.test(text)) throw this.#invalid(`value of "${name}"`, start, 'a number', `"${text}"`)
    this.#space()
    return { kind: 'number', text: negative ? `-${text}` : text }
  }

  #message(name: string, depth: number): TextMessage {
    const byteOffset = this.#position
    if (depth >= this.#limits.maxDepth)
      throw this.#tooMuch('nesting', `at most ${this.#limits.maxDepth} levels`, 'more')
    const close = this.#accept('{') ? '}' : '>'
    if (close === '>') this.#accept('<')
    const fields: TextField[] = []
    for (;;) {
      if (this.#peek(`message "${name}" that begins at byte ${byteOffset}`) === close) break
      this.#field(fields, depth + 1)
    }
    this.#accept(close)
    return { fields, byteOffset }
  }

  /** One or more adjacent string literals, joined. */
  #strings(name: string): Uint8Array {
    const start = this.#position
    const parts: Uint8Array[] = []
    let length = 0
    while (this.#bytes[this.#position] === QUOTE || this.#bytes[this.#position] === APOSTROPHE) {
      const part = this.#string(name)
      parts.push(part)
      length += part.length
      if (length > this.#limits.maxStringBytes)
        throw this.#tooMuch(`text "${name}"`, `at most ${this.#limits.maxStringBytes} bytes`, 'more', start)
      this.#space()
    }
    if (parts.length === 1) return parts[0]!
    const all = new Uint8Array(length)
    let at = 0
    for (const part of parts) {
      all.set(part, at)
      at += part.length
    }
    return all
  }

  #string(name: string): Uint8Array {
    const start = this.#position
    const quote = this.#bytes[start]!
    let end = start + 1
    let escaped = false
    for (; this.#bytes[end] !== quote; end++) {
      const byte = this.#bytes[end]
      if (byte === undefined) throw this.#cut(`text "${name}" that begins at byte ${start}`)
      if (byte === NEWLINE) throw this.#invalid(`text "${name}"`, end, 'a closing quote', 'the end of the line')
      if (byte === BACKSLASH) {
        escaped = true
        end++
      }
    }
    this.#position = end + 1
    const inside = this.#bytes.subarray(start + 1, end)
    return escaped ? this.#unescape(inside, start + 1, name) : inside
  }

  #unescape(from: Uint8Array, base: number, name: string): Uint8Array {
    const out = new Uint8Array(from.length)
    let length = 0
    for (let at = 0; at < from.length; ) {
      const byte = from[at++]!
      if (byte !== BACKSLASH) {
        out[length++] = byte
        continue
      }
      const bad = () => this.#invalid(`escape in text "${name}"`, base + at - 1, 'a known escape', 'another')
      const letter = from[at++]
      if (letter === undefined) throw bad()
      const simple = ESCAPES.get(letter)
      const digits = (pattern: RegExp) =>
        pattern.exec(String.fromCharCode(...from.subarray(at, at + 8)))?.[0] ?? undefined
      if (simple !== undefined) out[length++] = simple
      else if (letter >= 0x30 && letter <= 0x37) {
        at--
        const octal = digits(/^[0-7]{1,3}/)!
        out[length++] = Number.parseInt(octal, 8) & 0xff
        at += octal.length
      } else {
        const kind = String.fromCharCode(letter)
        const wanted = kind === 'u' ? /^[0-9a-fA-F]{4}/ : kind === 'U' ? /^[0-9a-fA-F]{8}/ : /^[0-9a-fA-F]{1,2}/
        const hex = kind === 'x' || kind === 'X' || kind === 'u' || kind === 'U' ? digits(wanted) : undefined
        if (hex === undefined) throw bad()
        const number = Number.parseInt(hex, 16)
        if (number > 0x10ffff) throw bad()
        at += hex.length
        if (hex.length <= 2) out[length++] = number
        else {
          const encoded = new TextEncoder().encode(String.fromCodePoint(number))
          out.set(encoded, length) // the escape itself took at least as many bytes
          length += encoded.length
        }
      }
    }
    return out.subarray(0, length)
  }

  #word(what: string): string {
    const start = this.#position
    while (isLetter(this.#bytes[this.#position] ?? 0) || isDigit(this.#bytes[this.#position] ?? 0)) this.#position++
    if (this.#position - start > MAX_NAME_LENGTH)
      throw this.#invalid(what, start, `at most ${MAX_NAME_LENGTH} characters`, 'more')
    return this.#slice(start)
  }

  #number(start: number): string {
    for (;;) {
      const byte = this.#bytes[this.#position] ?? 0
      const exponentSign =
        (byte === 0x2b || byte === 0x2d) &&
        /[eE]/.test(String.fromCharCode(this.#bytes[this.#position - 1]!)) &&
        !/^0[xX]/.test(this.#slice(start))
      if (!isDigit(byte) && !isLetter(byte) && byte !== 0x2e && !exponentSign) break
      this.#position++
      if (this.#position - start > MAX_NUMBER_LENGTH)
        throw this.#invalid('number', start, `at most ${MAX_NUMBER_LENGTH} characters`, 'more')
    }
    return this.#slice(start)
  }

  /** Takes one punctuation character and the space after it. */
  #accept(character: string): boolean {
    if (this.#bytes[this.#position] !== code(character)) return false
    this.#position++
    this.#space()
    return true
  }

  #peek(what: string): string {
    const byte = this.#bytes[this.#position]
    if (byte === undefined) throw this.#cut(what)
    return String.fromCharCode(byte)
  }

  #space(): void {
    for (;;) {
      const byte = this.#bytes[this.#position]
      if (byte === undefined) return
      if (byte === HASH) {
        const end = this.#bytes.indexOf(NEWLINE, this.#position)
        this.#position = end < 0 ? this.#bytes.length : end
      } else if (!isSpace(byte)) return
      else this.#position++
    }
  }

  #slice(start: number): string {
    return utf8.decode(this.#bytes.subarray(start, this.#position))
  }

  #unexpected(what: string, expected: string): FormatError {
    const byte = this.#bytes[this.#position]
    if (byte === undefined) return this.#cut(what)
    const shown = byte > 0x20 && byte < 0x7f ? `"${String.fromCharCode(byte)}"` : `byte 0x${byte.toString(16)}`
    return this.#invalid(what, this.#position, expected, shown)
  }

  #invalid(what: string, byteOffset: number, expected: string, found: string): FormatError {
    const full = `${what} on line ${this.#line(byteOffset)}`
    return new FormatError({ code: 'INVALID_FIELD', file: this.#file, what: full, byteOffset, expected, found })
  }

  #cut(what: string): FormatError {
    return new FormatError({
      code: 'TRUNCATED',
      file: this.#file,
      what,
      byteOffset: this.#bytes.length,
      expected: 'more text',
      found: 'the end of the file',
      hint: 'The file is cut short, or a bracket or quote is never closed.',
    })
  }

  #tooMuch(what: string, expected: string, found: string, byteOffset = this.#position): FormatError {
    return new FormatError({ code: 'LIMIT_EXCEEDED', file: this.#file, what, byteOffset, expected, found })
  }

  /** Counted only when something is thrown. */
  #line(byteOffset: number): number {
    let line = 1
    for (let at = 0; at < byteOffset && at < this.#bytes.length; at++) if (this.#bytes[at] === NEWLINE) line++
    return line
  }
}
