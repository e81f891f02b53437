import { FormatError } from '../../errors.ts'
import type { PickleCursor } from './cursor.ts'
import type { ArgumentKind, Opcode } from './opcodes.ts'
import type { PickleBytes, PickleValue } from './values.ts'

/** What stands behind an opcode in the file. */
export type Argument = PickleValue | readonly [string, string] | undefined

/** Up to here bytes are kept in memory; longer ones stay in the file. A scalar or a small array fits. */
const MAX_INLINE_BYTES = 4096
/** Text longer than this is an array that protocol 2 wrote as text, not a name or a setting: it stays in the file. */
const MAX_INLINE_TEXT = 1 << 20
/** Protocol 0 writes numbers and names as lines of text; the longest real one is a few dozen characters. */
const MAX_LINE = 1 << 20
/** A number of more bytes is an attack on the converter; torch's magic number has 10. */
const MAX_LONG_BYTES = 4096
/** The longest fixed-width part of an argument. */
const FIXED_BYTES: Readonly<Record<ArgumentKind, number>> = {
  none: 0,
  u1: 1,
  u2: 2,
  u4: 4,
  u8: 8,
  i4: 4,
  f8: 8,
  line: 0,
  lines: 0,
  text1: 1,
  text4: 4,
  text8: 8,
  bytes1: 1,
  bytes4: 4,
  bytes8: 8,
  str1: 1,
  str4: 4,
  long1: 1,
  long4: 4,
}

/**
 * Reads the argument of `opcode`. Never waits for fixed-width arguments that are at hand, so that the loop over a
 * million opcodes does not become a million promises.
 * @throws {FormatError} TRUNCATED, INVALID_FIELD, LIMIT_EXCEEDED
 */
export function readArgument(cursor: PickleCursor, opcode: Opcode): Argument | Promise<Argument> {
  const { argument } = opcode
  if (argument === 'none') return undefined
  if (!cursor.has(FIXED_BYTES[argument])) {
    return cursor.fill(FIXED_BYTES[argument], `argument of ${opcode.name}`).then(() => readArgument(cursor, opcode))
  }
  switch (argument) {
    case 'u1':
      return cursor.u1()
    case 'u2':
      return cursor.u2()
    case 'u4':
      return cursor.u4()
    case 'i4':
      return cursor.i4()
    case 'u8':
      return Number(cursor.u8())
    case 'f8':
      return cursor.f8()
    case 'line':
      return readLine(cursor, opcode.name)
    case 'lines':
      return readLine(cursor, opcode.name).then(async (first) => [first, await readLine(cursor, opcode.name)] as const)
    case 'text1':
    case 'bytes1':
    case 'str1':
    case 'long1':
      return readSized(cursor, opcode, cursor.u1())
    case 'str4':
    case 'long4':
      return readSized(cursor, opcode, cursor.i4())
    case 'text4':
    case 'bytes4':
      return readSized(cursor, opcode, cursor.u4())
    case 'text8':
    case 'bytes8':
      return readSized(cursor, opcode, Number(cursor.u8()))
    default:
      return argument satisfies never
  }
}

function readSized(cursor: PickleCursor, opcode: Opcode, length: number): Argument | Promise<Argument> {
  const { name, argument } = opcode
  const at = cursor.offset
  if (length < 0) throw invalid(cursor, `length of ${name}`, at, 'zero or more', String(length))
  if (length > cursor.left) {
    throw new FormatError({
      code: 'TRUNCATED',
      file: cursor.name,
      what: `pickle: argument of ${name}`,
      byteOffset: at,
      expected: `${length} bytes`,
      found: `${cursor.left} before the end of the file`,
      hint: 'The copy is incomplete or damaged; compare its size or sha256 with the source.',
    })
  }
  const isText = argument.startsWith('text')
  const isLong = argument.startsWith('long')
  if (isLong && length > MAX_LONG_BYTES) {
    throw new FormatError({
      code: 'LIMIT_EXCEEDED',
      file: cursor.name,
      what: `pickle: number in ${name}`,
      byteOffset: at,
      expected: `at most ${MAX_LONG_BYTES} bytes`,
      found: String(length),
    })
  }
  if (!isLong && length > (isText ? MAX_INLINE_TEXT : MAX_INLINE_BYTES)) {
    cursor.skip(length)
    return { kind: 'bytes', content: { offset: at, length, encoding: isText ? 'utf8' : 'raw' } }
  }
  if (!cursor.has(length))
    return cursor.fill(length, `argument of ${name}`).then(() => decodeSized(cursor, argument, length))
  return decodeSized(cursor, argument, length)
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

function decodeSized(cursor: PickleCursor, argument: ArgumentKind, length: number): Argument {
  const bytes = cursor.bytes(length)
  if (argument.startsWith('text')) return utf8.decode(bytes)
  if (argument.startsWith('long')) return decodeLong(bytes)
  return argument.startsWith('str') ? pythonTwoString(bytes) : keepBytes(bytes)
}

/** Bytes as a value of their own, independent of the cursor's window. */
export function keepBytes(bytes: Uint8Array): PickleBytes {
  return { kind: 'bytes', content: { inline: bytes.slice() } }
}

/** A Python 2 `str` is text or bytes: ASCII is taken as text, which loses nothing; anything else stays bytes. */
export function pythonTwoString(bytes: Uint8Array): PickleValue {
  return bytes.every((byte) => byte < 0x80) ? utf8.decode(bytes) : keepBytes(bytes)
}

/** Little-endian two's complement of any length; a number where JavaScript holds it exactly. */
function decodeLong(bytes: Uint8Array): number | bigint {
  if (bytes.length === 0) return 0
  let hex = '0x'
  for (let index = bytes.length - 1; index >= 0; index--) hex += bytes[index]!.toString(16).padStart(2, '0')
  const magnitude = BigInt(hex)
  const value = bytes.at(-1)! & 0x80 ? magnitude - (1n << BigInt(8 * bytes.length)) : magnitude
  return narrow(value)
}

/** A bigint as a number where that is exact. */
export function narrow(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

async function readLine(cursor: PickleCursor, name: string): Promise<string> {
  let searched = 0
  for (;;) {
    const at = cursor.findNewline(searched)
    if (at >= 0) {
      const line = latin1(cursor.bytes(at))
      cursor.skip(1)
      return line
    }
    searched = cursor.available
    if (searched > MAX_LINE) {
      throw new FormatError({
        code: 'LIMIT_EXCEEDED',
        file: cursor.name,
        what: `pickle: line of ${name}`,
        byteOffset: cursor.offset,
        expected: `at most ${MAX_LINE} characters`,
        found: 'more',
      })
    }
    await cursor.fill(searched + 1, `line of ${name}`)
  }
}

function latin1(bytes: Uint8Array): string {
  let text = ''
  for (let start = 0; start < bytes.length; start += 8192) {
    text += String.fromCharCode(...bytes.subarray(start, start + 8192))
  }
  return text
}

/** An error about a pickle; `at` is absolute. */
export function invalid(
  cursor: { name: string },
  what: string,
  at: number,
  expected: string,
  found: string,
): FormatError {
  return new FormatError({
    code: 'INVALID_FIELD',
    file: cursor.name,
    what: `pickle: ${what}`,
    byteOffset: at,
    expected,
    found,
  })
}
