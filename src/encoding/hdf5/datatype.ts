import type { ByteReader } from '../../bytes/byte-reader.ts'
import { type Hdf5Context, unsupported } from './context.ts'

/** Element types with numeric values, under numpy's names. */
export type NumberName =
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'float16'
  | 'bfloat16'
  | 'float32'
  | 'float64'
  | 'float8_e4m3fn'
  | 'float8_e5m2'
  | 'complex64'
  | 'complex128'
  | 'bool'

/** Type of one stored element; `size` is what it takes in the file, in bytes. */
export type StoredType =
  | { readonly kind: 'number'; readonly name: NumberName; readonly size: number; readonly swap: number }
  | {
      readonly kind: 'string'
      readonly size: number
      readonly padding: 'null-terminated' | 'null-padded' | 'space-padded'
    }
  | { readonly kind: 'vlen-string'; readonly size: number }
  /** bytes whose meaning stands elsewhere: Keras keeps bfloat16 so, with an attribute `dtype` */
  | { readonly kind: 'opaque'; readonly size: number }
  | { readonly kind: 'array'; readonly size: number; readonly shape: readonly number[]; readonly base: StoredType }
  /** nothing that a tensor can hold; `description` says what, with article */
  | { readonly kind: 'other'; readonly size: number; readonly description: string }

/**
 * A datatype message: class and version 1 | class bits 3 | size 4 | properties by class.
 *
 * `swap` of a number is the width of the pieces whose bytes stand in big-endian order, or 0. Compounds are read where
 * they are complex numbers as h5py writes them (`{r, i}`), enumerations where they are booleans (FALSE = 0, TRUE = 1)
 * or by their base type.
 *
 * @throws {FormatError} INVALID_FIELD, LIMIT_EXCEEDED (nesting); types without a numeric value are `other`, not errors
 * @source HDF5 File Format Specification 3.0, IV.A.2.d
 */
export function parseDatatype(context: Hdf5Context, reader: ByteReader, depth = 0): StoredType {
  const at = reader.offset
  if (depth > 16) throw reader.invalid('datatype', 'at most 16 nested types', 'more', at)
  const classAndVersion = reader.u8('datatype class and version')
  const version = classAndVersion >> 4
  const bits = reader.u8() | (reader.u8() << 8) | (reader.u8() << 16)
  const size = reader.u32('datatype size')
  if (version < 1 || version > 5) {
    throw unsupported(context, { what: 'datatype version', at, expected: '1 to 5', found: String(version) })
  }
  if (size === 0) throw reader.invalid('datatype size', 'at least 1 byte', '0', at)
  switch (classAndVersion & 15) {
    case 0:
    case 4:
      return parseIntegerType(reader, { bits, size, bitfield: (classAndVersion & 15) === 4 })
    case 1:
      return parseFloatType(reader, { bits, size })
    case 2:
      return other(size, 'a time')
    case 3:
      return { kind: 'string', size, padding: PADDINGS[bits & 15] ?? 'null-padded' }
    case 5:
      return { kind: 'opaque', size }
    case 6:
      return parseCompound(context, reader, { members: bits & 0xffff, size, version, depth })
    case 7:
      return other(size, 'a reference')
    case 8:
      return parseEnum(context, reader, { members: bits & 0xffff, version, depth })
    case 9: {
      const base = parseDatatype(context, reader, depth + 1)
      if ((bits & 15) === 1) return { kind: 'vlen-string', size }
      return other(size, `a variable-length list of ${describeType(base)}`)
    }
    case 10:
      return parseArray(context, reader, { size, version, depth })
    case 11:
      return complexOf(parseDatatype(context, reader, depth + 1), size) ?? other(size, 'a complex number')
    default:
      throw reader.invalid('datatype class', '0 to 11', String(classAndVersion & 15), at)
  }
}

const PADDINGS = ['null-terminated', 'null-padded', 'space-padded'] as const

const other = (size: number, description: string): StoredType => ({ kind: 'other', size, description })

const INTEGERS: Readonly<Record<number, readonly [signed: NumberName, unsigned: NumberName]>> = {
  1: ['int8', 'uint8'],
  2: ['int16', 'uint16'],
  4: ['int32', 'uint32'],
  8: ['int64', 'uint64'],
}

/** Properties: bit offset 2 | precision 2. Class bit 0: big-endian; bit 3: signed. */
function parseIntegerType(
  reader: ByteReader,
  { bits, size, bitfield }: { bits: number; size: number; bitfield: boolean },
): StoredType {
  const offset = reader.u16('bit offset')
  const precision = reader.u16('bit precision')
  const names = INTEGERS[size]
  if (names === undefined || offset !== 0 || precision !== size * 8) {
    return other(size, `an integer of ${precision} bits in ${size} bytes`)
  }
  const name = bits & 8 && !bitfield ? names[0] : names[1]
  return { kind: 'number', name, size, swap: bits & 1 && size > 1 ? size : 0 }
}

/** Sign, exponent and fraction places of the floats we read: `size: [precision, exponent at, its bits, fraction bits, bias]`. */
const FLOATS: readonly (readonly [NumberName, number, number, number, number, number])[] = [
  ['float16', 16, 10, 5, 10, 15],
  ['bfloat16', 16, 7, 8, 7, 127],
  ['float32', 32, 23, 8, 23, 127],
  ['float64', 64, 52, 11, 52, 1023],
  ['float8_e4m3fn', 8, 3, 4, 3, 7],
  ['float8_e5m2', 8, 2, 5, 2, 15],
]

/**
 * Properties: bit offset 2 | precision 2 | exponent at 1 | its bits 1 | fraction at 1 | its bits 1 | exponent bias 4.
 * Class bit 0: big-endian; bit 6 with it: VAX order.
 */
function parseFloatType(reader: ByteReader, { bits, size }: { bits: number; size: number }): StoredType {
  const offset = reader.u16('bit offset')
  const precision = reader.u16('bit precision')
  const [exponentAt, exponentBits] = [reader.u8(), reader.u8()]
  const [fractionAt, fractionBits] = [reader.u8(), reader.u8()]
  const bias = reader.u32('exponent bias')
  const known = FLOATS.find(
    (row) =>
      row[1] === precision &&
      row[2] === exponentAt &&
      row[3] === exponentBits &&
      row[4] === fractionBits &&
      row[5] === bias,
  )
  if (!known || offset !== 0 || fractionAt !== 0 || precision !== size * 8 || bits & 0x40) {
    return other(size, `a float of ${precision} bits (exponent ${exponentBits}, fraction ${fractionBits})`)
  }
  return { kind: 'number', name: known[0], size, swap: bits & 1 && size > 1 ? size : 0 }
}

interface Member {
  readonly name: string
  readonly offset: number
  readonly type: StoredType
}

function parseCompound(
  context: Hdf5Context,
  reader: ByteReader,
  { members, size, version, depth }: { members: number; size: number; version: number; depth: number },
): StoredType {
  const list: Member[] = []
  for (let index = 0; index < members; index++) {
    const name = readName(reader, version < 3)
    const offset = version < 3 ? reader.u32('member offset') : readSized(reader, size)
    let repeated = false
    if (version === 1) {
      repeated = reader.u8('dimensionality') > 0
      reader.skip(3 + 4 + 4 + 16)
    }
    const type = parseDatatype(context, reader, depth + 1)
    list.push({ name, offset, type: repeated ? other(type.size, 'an array') : type })
  }
  const [real, imaginary] = list
  if (list.length === 2 && real?.name === 'r' && imaginary?.name === 'i' && real.offset === 0) {
    const same =
      real.type.kind === 'number' && imaginary.type.kind === 'number' && real.type.name === imaginary.type.name
    if (same && imaginary.offset === real.type.size) {
      const complex = complexOf(real.type, size)
      if (complex) return complex
    }
  }
  const names = list.slice(0, 4).map(({ name }) => name)
  return other(size, `a compound of ${names.join(', ')}${list.length > 4 ? ', ...' : ''}`)
}

function complexOf(part: StoredType, size: number): StoredType | undefined {
  if (part.kind !== 'number' || size !== 2 * part.size) return undefined
  if (part.name === 'float32') return { kind: 'number', name: 'complex64', size, swap: part.swap }
  if (part.name === 'float64') return { kind: 'number', name: 'complex128', size, swap: part.swap }
  return undefined
}

/** Base type | names | values. h5py's booleans are an int8 with FALSE = 0 and TRUE = 1. */
function parseEnum(
  context: Hdf5Context,
  reader: ByteReader,
  { members, version, depth }: { members: number; version: number; depth: number },
): StoredType {
  const base = parseDatatype(context, reader, depth + 1)
  const names = Array.from({ length: members }, () => readName(reader, version < 3))
  const values = reader.take(members * base.size, 'enumeration values')
  const boolean = names.join() === 'FALSE,TRUE' && base.size === 1 && values[0] === 0 && values[1] === 1
  if (boolean) return { kind: 'number', name: 'bool', size: 1, swap: 0 }
  return base
}

/** Dimensions 1 | [reserved 3] | sizes 4 each | [permutation 4 each] | base type */
function parseArray(
  context: Hdf5Context,
  reader: ByteReader,
  { size, version, depth }: { size: number; version: number; depth: number },
): StoredType {
  const at = reader.offset
  const rank = reader.u8('array dimensions')
  if (version < 3) reader.skip(3)
  const shape = Array.from({ length: rank }, () => reader.u32('array size'))
  if (version < 3) reader.skip(4 * rank)
  const base = parseDatatype(context, reader, depth + 1)
  const expected = shape.reduce((product, length) => product * length, base.size)
  if (expected !== size) throw reader.invalid('size of an array type', String(expected), String(size), at)
  return { kind: 'array', size, shape, base }
}

/** A name that ends in NUL, in older versions padded to a multiple of 8 bytes. */
function readName(reader: ByteReader, padded: boolean): string {
  const start = reader.position
  const end = reader.bytes.indexOf(0, start)
  if (end === -1) throw reader.invalid('member name', 'a NUL at its end', 'none')
  const name = reader.utf8(end - start, 'member name')
  reader.skip(padded ? Math.ceil((end + 1 - start) / 8) * 8 - (end - start) : 1, 'padding of a member name')
  return name
}

/** A number in as few bytes as the largest possible value, `size`, needs. */
function readSized(reader: ByteReader, size: number): number {
  const bytes = size < 0x100 ? 1 : size < 0x10000 ? 2 : size < 0x1000000 ? 3 : 4
  return reader.take(bytes, 'member offset').reduce((sum, byte, index) => sum + byte * 2 ** (8 * index), 0)
}

/** The type as people say it: `float32`, `text`, `an array of int8`. */
export function describeType(type: StoredType): string {
  switch (type.kind) {
    case 'number':
      return type.name
    case 'string':
    case 'vlen-string':
      return 'text'
    case 'opaque':
      return 'opaque bytes'
    case 'array':
      return `an array of ${describeType(type.base)}`
    case 'other':
      return type.description
  }
}
