import type { ByteSource } from '../../bytes/byte-source.ts'
import { FormatError } from '../../errors.ts'
import { swapBytes } from '../../tensor/byte-order.ts'
import { decodeValues } from '../../tensor/decode.ts'
import { mayHold, openPickleBytes } from '../pickle/stream-bytes.ts'
import {
  asDict,
  asInteger,
  asSequence,
  asText,
  callableName,
  isContainer,
  type PickleBytes,
  type PickleContainer,
  type PickleValue,
} from '../pickle/values.ts'
import { arrayBytes, type NumpyArray } from './numpy-array.ts'
import { type NumpyField, type NumpyType, parseTypeText } from './numpy-type.ts'

/** What a pickled `numpy.ndarray` is: elements, or a list of Python objects. */
export type PickledArray =
  | { readonly kind: 'array'; readonly array: NumpyArray }
  | { readonly kind: 'objects'; readonly shape: readonly number[]; readonly items: readonly PickleValue[] }

const RECONSTRUCT = new Set(['numpy.core.multiarray._reconstruct', 'numpy._core.multiarray._reconstruct'])
const FROM_BUFFER = new Set(['numpy.core.numeric._frombuffer', 'numpy._core.numeric._frombuffer'])
const SCALAR = new Set(['numpy.core.multiarray.scalar', 'numpy._core.multiarray.scalar'])

/**
 * The array that a symbolic object stands for; undefined when it is something else.
 *
 * `_reconstruct(ndarray, (0,), b'b')` with the state `(1, shape, dtype, is_fortran, data)`, or, from protocol 5 on,
 * `_frombuffer(data, dtype, shape, order)`.
 *
 * @param source the pickle's, in which long data still lies
 * @throws {FormatError} INVALID_FIELD when shape, type and data contradict each other
 * @source https://github.com/numpy/numpy/blob/main/numpy/_core/src/multiarray/methods.c (array_reduce)
 */
export function readPickledArray(value: PickleContainer, source: ByteSource, what: string): PickledArray | undefined {
  const name = callableName(value)
  if (name === undefined || value.kind !== 'object') return undefined
  if (FROM_BUFFER.has(name)) {
    const [data, dtype, shape, order] = value.args
    return build(source, what, shape, dtype, order === 'F', data)
  }
  if (!RECONSTRUCT.has(name)) return undefined
  const state = asSequence(value.state)
  if (!state || state.length < 4) return undefined
  const [shape, dtype, fortran, data] = state.slice(-4)
  return build(source, what, shape, dtype, fortran === true || fortran === 1, data)
}

function build(
  source: ByteSource,
  what: string,
  shapeValue: PickleValue | undefined,
  dtypeValue: PickleValue | undefined,
  fortranOrder: boolean,
  data: PickleValue | undefined,
): PickledArray {
  const bad = (expected: string, found: string, code: 'INVALID_FIELD' | 'UNSUPPORTED_FEATURE' = 'INVALID_FIELD') =>
    new FormatError({ code, file: source.name, what: `pickled NumPy array ${what}`, expected, found })
  const type = readPickledType(dtypeValue)
  if (!type) throw bad('an element type that is known', 'another', 'UNSUPPORTED_FEATURE')
  const sizes = asInteger(shapeValue) === undefined ? asSequence(shapeValue)?.map(asInteger) : [asInteger(shapeValue)]
  const shape = sizes?.filter((size): size is number => size !== undefined && size >= 0)
  if (!sizes || !shape || shape.length !== sizes.length) throw bad('a shape of whole numbers', 'another')
  const length = arrayBytes({ type, shape })
  if (!Number.isSafeInteger(length)) throw bad('a countable number of elements', `[${shape.join(', ')}]`)
  if (type.kind === 'object') {
    const items = asSequence(data)
    if (!items) throw bad('a list of objects', 'something else')
    return { kind: 'objects', shape, items }
  }
  const bytes = asBytes(data)
  if (!bytes || !mayHold(bytes, length))
    throw bad(`${length} bytes of data`, bytes ? 'another number' : 'something else')
  const place = { source, length, what }
  const { content } = bytes
  const inFile = 'offset' in content && content.encoding === 'raw' ? content : undefined
  return {
    kind: 'array',
    array: {
      type,
      shape,
      fortranOrder,
      open: () => openPickleBytes(bytes, place),
      offset: 0,
      storage: { file: source.name, ...(inFile ? { byteOffset: inFile.offset } : {}) },
    },
  }
}

/** Bytes, also where Python 2 wrote ASCII that was taken as text. */
function asBytes(value: PickleValue | undefined): PickleBytes | undefined {
  if (typeof value === 'string') return { kind: 'bytes', content: { text: value } }
  return isContainer(value) && value.kind === 'bytes' ? value : undefined
}

/** Records of records that share their types could have any number of fields; each one counted ends that. */
const MAX_FIELDS = 1000

/**
 * The type that `numpy.dtype('f4', False, True)` with its state `(3, '<', ...)` stands for.
 *
 * State: version, byte order, subtype, names, fields {name: (dtype, offset)}, item size, alignment, flags.
 */
export function readPickledType(
  value: PickleValue | undefined,
  budget = { fields: MAX_FIELDS },
): NumpyType | undefined {
  if (!isContainer(value) || value.kind !== 'object' || callableName(value) !== 'numpy.dtype') return undefined
  const text = asText(value.args[0])
  const state = asSequence(value.state) ?? []
  const [, order, , names, fields, itemBytes] = state
  const byFieldName = asDict(fields)
  const fieldNames = asSequence(names)
  if (byFieldName && fieldNames) return readRecord(fieldNames, byFieldName.entries, asInteger(itemBytes), budget)
  return text === undefined ? undefined : parseTypeText(text, asText(order))
}

function readRecord(
  names: readonly PickleValue[],
  entries: ReadonlyMap<PickleValue, PickleValue>,
  itemBytes: number | undefined,
  budget: { fields: number },
): NumpyType | undefined {
  const fields: NumpyField[] = []
  for (const name of names) {
    if (--budget.fields < 0) return undefined
    const field = asSequence(entries.get(name))
    const label = asText(name)
    const type = readPickledType(field?.[0], budget)
    const offset = asInteger(field?.[1])
    if (!type || type.kind === 'object' || offset === undefined || label === undefined || itemBytes === undefined) {
      return undefined
    }
    if (offset < 0 || offset + type.itemBytes > itemBytes) return undefined
    fields.push({ name: label, type, offset, shape: [] })
  }
  return itemBytes === undefined ? undefined : { kind: 'record', itemBytes, fields }
}

/** The number or text of a pickled NumPy scalar, `scalar(dtype, bytes)`; undefined for anything else. */
export function readPickledScalar(value: PickleContainer): number | string | boolean | undefined {
  const name = callableName(value)
  if (name === undefined || value.kind !== 'object' || !SCALAR.has(name)) return undefined
  const type = readPickledType(value.args[0])
  const data = asBytes(value.args[1])
  if (!data || type?.kind !== 'number') return undefined
  const { content } = data
  const bytes =
    'inline' in content
      ? content.inline
      : 'text' in content && content.text.length <= 16
        ? Uint8Array.from(content.text, (character) => character.charCodeAt(0))
        : undefined
  if (bytes?.length !== type.itemBytes) return undefined
  const [number] = decodeValues(type.dtype, swapBytes(bytes, type.swapUnit), 1)
  return type.dtype === 'bool' ? number !== 0 : number
}
