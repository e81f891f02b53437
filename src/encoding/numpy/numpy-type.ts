import type { Dtype } from '../../tensor/dtype.ts'
import type { PythonLiteral } from '../python-literal.ts'

/** Type of the elements of a NumPy array. */
export type NumpyType = NumpyScalar | NumpyRecord | { readonly kind: 'object' }

export interface NumpyScalar {
  /**
   * `number` has a `dtype`; `unicode` is UTF-32 and `bytes` raw text, both padded with zeros; `raw` are bytes whose
   * meaning NumPy does not state (void) or that no dtype of ours covers (long double)
   */
  readonly kind: 'number' | 'unicode' | 'bytes' | 'raw'
  /** of the stream: `string` for text, `uint8` with one more dimension for `raw` */
  readonly dtype: Dtype
  readonly itemBytes: number
  /** bytes of each number that must be reversed to become little-endian; 1: none */
  readonly swapUnit: number
  /** as NumPy spells it, e.g. `<f4`, `>M8[ns]` */
  readonly text: string
}

/** A structured type: each field is an array of its own, spread over the records. */
export interface NumpyRecord {
  readonly kind: 'record'
  readonly itemBytes: number
  readonly fields: readonly NumpyField[]
}

export interface NumpyField {
  readonly name: string
  readonly type: NumpyType
  /** in bytes, from the beginning of the record */
  readonly offset: number
  /** of a field that is an array in each record */
  readonly shape: readonly number[]
}

/** Element kinds and sizes of the array protocol. @source https://numpy.org/doc/stable/reference/arrays.interface.html */
const NUMBERS: Readonly<Record<string, Dtype>> = {
  b1: 'bool',
  i1: 'int8',
  i2: 'int16',
  i4: 'int32',
  i8: 'int64',
  u1: 'uint8',
  u2: 'uint16',
  u4: 'uint32',
  u8: 'uint64',
  f2: 'float16',
  f4: 'float32',
  f8: 'float64',
  c8: 'complex64',
  c16: 'complex128',
  // times count in the unit that the type names
  m8: 'int64',
  M8: 'int64',
}

const MAX_ITEM_BYTES = 1 << 24

/** A type as text, `<f4`; undefined for what is none. `byteOrder` replaces the text's own (as pickles state it). */
export function parseTypeText(text: string, byteOrder?: string): NumpyType | undefined {
  const match = /^([<>|=]?)([biufcmMOSUVa?])(\d{0,9})(\[[\w/ ]{1,20}\])?$/.exec(text)
  if (!match) return undefined
  const [, ownOrder, letter, digits] = match
  const order = byteOrder ?? ownOrder
  const swapped = order === '>'
  const kind = letter === '?' ? 'b' : letter === 'a' ? 'S' : letter!
  if (kind === 'O') return { kind: 'object' }
  const size = digits === '' ? (kind === 'b' ? 1 : 0) : Number(digits)
  if (size > MAX_ITEM_BYTES) return undefined
  const dtype = NUMBERS[`${kind}${size}`]
  if (dtype) {
    const unit = kind === 'c' ? size / 2 : size
    return { kind: 'number', dtype, itemBytes: size, swapUnit: swapped ? unit : 1, text }
  }
  if (kind === 'U') {
    return { kind: 'unicode', dtype: 'string', itemBytes: size * 4, swapUnit: swapped ? 4 : 1, text }
  }
  if (kind === 'S') return { kind: 'bytes', dtype: 'string', itemBytes: size, swapUnit: 1, text }
  // a long double of another width than 8 bytes, or void
  if (kind === 'V' || ((kind === 'f' || kind === 'c') && size > 8)) {
    return { kind: 'raw', dtype: 'uint8', itemBytes: size, swapUnit: 1, text }
  }
  return undefined
}

/** A type as the `descr` of an `.npy` header: text, or a list of `(name, type)` or `(name, type, shape)`. */
export function parseTypeDescription(descr: PythonLiteral | undefined): NumpyType | undefined {
  if (typeof descr === 'string') return parseTypeText(descr)
  if (typeof descr !== 'object' || descr === null || descr.kind !== 'list') return undefined
  const fields: NumpyField[] = []
  let offset = 0
  for (const item of descr.items) {
    if (typeof item !== 'object' || item === null || item.kind !== 'tuple') return undefined
    const [label, inner, shapeLiteral] = item.items
    const type = parseTypeDescription(inner)
    const shape = shapeLiteral === undefined ? [] : parseShape(shapeLiteral)
    const name = fieldName(label)
    if (!type || !shape || name === undefined || type.kind === 'object') return undefined
    const bytes = type.itemBytes * shape.reduce((product, size) => product * size, 1)
    if (!Number.isSafeInteger(bytes)) return undefined
    // fields without a name are padding
    if (name !== '') fields.push({ name, type, offset, shape })
    offset += bytes
  }
  return offset > MAX_ITEM_BYTES ? undefined : { kind: 'record', itemBytes: offset, fields }
}

/** A field may have a title beside its name. */
function fieldName(label: PythonLiteral | undefined): string | undefined {
  if (typeof label === 'string') return label
  if (typeof label !== 'object' || label === null || label.kind !== 'tuple') return undefined
  const name = label.items[1]
  return typeof name === 'string' ? name : undefined
}

/** A shape: a tuple of sizes, or one size. */
export function parseShape(literal: PythonLiteral | undefined): number[] | undefined {
  if (typeof literal === 'number') return isSize(literal) ? [literal] : undefined
  if (typeof literal !== 'object' || literal === null || literal.kind === 'dict') return undefined
  const sizes = literal.items.filter((item): item is number => typeof item === 'number' && isSize(item))
  return sizes.length === literal.items.length ? sizes : undefined
}

const isSize = (value: number) => Number.isSafeInteger(value) && value >= 0
