import { ByteReader, startsWith } from '../../bytes/byte-reader.ts'
import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { type NumpyType, parseShape, parseTypeDescription } from '../../encoding/numpy/numpy-type.ts'
import { type PythonLiteral, parsePythonLiteral } from '../../encoding/python-literal.ts'
import { FormatError } from '../../errors.ts'

/** First bytes of every `.npy` file. */
export const NPY_MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59] as const

/** What stands before the elements. */
export interface NpyHeader {
  /** `1.0`, `2.0` or `3.0` */
  readonly version: string
  readonly type: NumpyType
  readonly shape: readonly number[]
  readonly fortranOrder: boolean
  /** of the first element, in bytes from the beginning */
  readonly dataOffset: number
}

/** numpy itself refuses headers above 10,000 bytes; records with thousands of fields need more. */
const MAX_HEADER_BYTES = 1 << 20

/**
 * Reads the header of an array.
 *
 *     93 'N' 'U' 'M' 'P' 'Y' | major u8 | minor u8 | length u16 (version 1) or u32 | Python dict, padded | elements
 *
 * The dict has exactly `descr`, `fortran_order` and `shape`. Versions 1 and 2 are Latin-1, version 3 is UTF-8.
 *
 * @throws {FormatError} TRUNCATED, INVALID_FIELD, UNSUPPORTED_FEATURE for an unknown version or type
 * @source https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
export async function readNpyHeader(source: ByteSource, limits: Limits): Promise<NpyHeader> {
  const { name } = source
  // one read serves every usual header; a short file is noticed by the reader
  const start = new ByteReader(await source.read(0, Math.min(source.size, 512)), { name })
  const bad = (what: string, byteOffset: number, expected: string, found: string) =>
    new FormatError({ code: 'INVALID_FIELD', file: name, what, byteOffset, expected, found })
  if (!startsWith(start.take(6, 'magic'), NPY_MAGIC)) throw bad('magic', 0, '"\\x93NUMPY"', 'other bytes')
  const major = start.u8('version')
  const minor = start.u8('version')
  if (major < 1 || major > 3 || minor !== 0) {
    throw new FormatError({
      code: 'UNSUPPORTED_FEATURE',
      file: name,
      what: 'version of the .npy format',
      byteOffset: 6,
      expected: '1.0, 2.0 or 3.0',
      found: `${major}.${minor}`,
    })
  }
  const length = major === 1 ? start.u16('header length') : start.u32('header length')
  if (length > Math.min(MAX_HEADER_BYTES, limits.maxHeaderBytes)) {
    throw bad('header length', 8, `at most ${MAX_HEADER_BYTES}`, String(length))
  }
  const textOffset = start.position
  const whole = new ByteReader(await source.read(textOffset, length), { name, base: textOffset })
  const text = major === 3 ? whole.utf8(length, 'header') : whole.latin1(length, 'header')
  const literal = parsePythonLiteral(name, text.trimEnd(), textOffset)
  if (typeof literal !== 'object' || literal?.kind !== 'dict')
    throw bad('header', textOffset, 'a dict', 'another value')
  const { entries } = literal
  const keys = [...entries.keys()].sort().join(', ')
  if (keys !== 'descr, fortran_order, shape') {
    throw bad('header', textOffset, 'the keys descr, fortran_order and shape', keys.slice(0, 200))
  }
  const type = parseTypeDescription(entries.get('descr'))
  if (!type) {
    throw new FormatError({
      code: 'UNSUPPORTED_FEATURE',
      file: name,
      what: 'element type (descr)',
      byteOffset: textOffset,
      expected: 'a NumPy type of numbers, text, records or objects',
      found: describeLiteral(entries.get('descr')),
    })
  }
  const shape = parseShape(entries.get('shape'))
  if (!shape || typeof entries.get('shape') === 'number') {
    throw bad('shape', textOffset, 'a tuple of sizes', describeLiteral(entries.get('shape')))
  }
  const fortranOrder = entries.get('fortran_order')
  if (typeof fortranOrder !== 'boolean') {
    throw bad('fortran_order', textOffset, 'True or False', describeLiteral(fortranOrder))
  }
  return { version: `${major}.${minor}`, type, shape, fortranOrder, dataOffset: textOffset + length }
}

function describeLiteral(literal: PythonLiteral | undefined): string {
  if (typeof literal === 'object' && literal !== null) return `a ${literal.kind}`
  return literal === undefined ? 'nothing' : JSON.stringify(literal).slice(0, 100)
}
