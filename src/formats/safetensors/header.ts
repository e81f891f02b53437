import { ByteReader, describeBytes } from '../../bytes/byte-reader.ts'
import type { ByteSource } from '../../bytes/byte-source.ts'
import { checkRange } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { asObject, parseJson } from '../../encoding/json.ts'
import { refuseDuplicateKeys } from '../../encoding/json-keys.ts'
import type { JsonValue } from '../../encoding/json-value.ts'
import { FormatError } from '../../errors.ts'
import { DTYPES, type Dtype, elementCount } from '../../tensor/dtype.ts'

/**
 * A safetensors file:
 *
 *     0         8                8+N                           end
 *     | N (u64) | JSON, N bytes  | values, one after the other |
 *
 * The JSON names each tensor: `{"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}`, offsets counted from
 * byte 8+N, and has text pairs under `__metadata__`. Values cover the rest of the file without holes or overlap.
 *
 * @source https://github.com/huggingface/safetensors#format
 */
export interface Header {
  /** in the order of their values in the file */
  readonly tensors: readonly TensorEntry[]
  readonly metadata: Readonly<Record<string, JsonValue>>
}

export interface TensorEntry {
  readonly name: string
  readonly dtype: Dtype
  readonly shape: readonly number[]
  /** absolute, in bytes */
  readonly offset: number
  /** in bytes */
  readonly length: number
}

/** The limit of the official implementation. */
export const MAX_HEADER_BYTES = 100_000_000

const LENGTH_BYTES = 8

/** Names of element types, as of safetensors 0.8, narrowest first, as the official library orders them. */
export const SAFETENSORS_TYPES: ReadonlyMap<string, Dtype> = new Map([
  ['BOOL', 'bool'],
  ['F4', 'float4_e2m1fn'],
  ['F6_E2M3', 'float6_e2m3fn'],
  ['F6_E3M2', 'float6_e3m2fn'],
  ['U8', 'uint8'],
  ['I8', 'int8'],
  ['F8_E5M2', 'float8_e5m2'],
  ['F8_E4M3', 'float8_e4m3fn'],
  ['F8_E8M0', 'float8_e8m0fnu'],
  ['F8_E4M3FNUZ', 'float8_e4m3fnuz'],
  ['F8_E5M2FNUZ', 'float8_e5m2fnuz'],
  ['I16', 'int16'],
  ['U16', 'uint16'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['I32', 'int32'],
  ['U32', 'uint32'],
  ['F32', 'float32'],
  ['C64', 'complex64'],
  ['F64', 'float64'],
  ['I64', 'int64'],
  ['U64', 'uint64'],
] satisfies [string, Dtype][])

/**
 * Reads and checks the header of `source`.
 * @throws {FormatError} LIMIT_EXCEEDED, TRUNCATED or INVALID_FIELD; UNSUPPORTED_FEATURE for an unknown element type
 */
export async function readHeader(source: ByteSource, limits: Limits): Promise<Header> {
  const file = source.name
  checkRange(source, 0, LENGTH_BYTES, 'header length')
  const length = new ByteReader(await source.read(0, LENGTH_BYTES), { name: file }).u64('header length')
  const most = Math.min(MAX_HEADER_BYTES, limits.maxHeaderBytes)
  if (length > most) {
    throw new FormatError({
      code: 'LIMIT_EXCEEDED',
      file,
      what: 'header length',
      byteOffset: 0,
      expected: `at most ${most}`,
      found: String(length),
    })
  }
  checkRange(source, LENGTH_BYTES, length, 'header')
  const json = await source.read(LENGTH_BYTES, length)
  if (json[0] !== 0x7b) throw invalid(file, 'header', LENGTH_BYTES, 'a JSON object', describeBytes(json))
  const root = asObject(parseJson(file, json, LENGTH_BYTES))
  if (root === undefined) throw invalid(file, 'header', LENGTH_BYTES, 'a JSON object', describeBytes(json))
  refuseDuplicateKeys(file, json, LENGTH_BYTES)
  const names = Object.keys(root)
  if (names.length > limits.maxItems) {
    throw new FormatError({
      code: 'LIMIT_EXCEEDED',
      file,
      what: 'number of tensors',
      expected: `at most ${limits.maxItems}`,
      found: String(names.length),
    })
  }
  const start = LENGTH_BYTES + length
  const tensors = names
    .filter((name) => name !== '__metadata__')
    .map((name) => readEntry(source, name, root[name], start))
    .sort((a, b) => a.offset - b.offset || a.length - b.length)
  checkCoverage(source, tensors, start)
  return { tensors, metadata: asObject(root.__metadata__) ?? {} }
}

function readEntry(source: ByteSource, name: string, value: JsonValue | undefined, start: number): TensorEntry {
  const file = source.name
  const what = `tensor "${name}"`
  const entry = asObject(value)
  const offsets = whole(entry?.data_offsets)
  const shape = whole(entry?.shape)
  if (entry === undefined || offsets?.length !== 2 || shape === undefined) {
    const found = (JSON.stringify(value) ?? 'nothing').slice(0, 200)
    throw invalid(file, what, undefined, 'dtype, shape and data_offsets of whole numbers', found)
  }
  const dtype = SAFETENSORS_TYPES.get(String(entry.dtype))
  if (dtype === undefined) {
    throw new FormatError({
      code: 'UNSUPPORTED_FEATURE',
      file,
      what,
      expected: `an element type of ${[...SAFETENSORS_TYPES.keys()].join(', ')}`,
      found: JSON.stringify(entry.dtype)?.slice(0, 40) ?? 'none',
    })
  }
  const [begin, end] = offsets as [number, number]
  const count = elementCount(shape)
  const bits = count * DTYPES[dtype].bits
  if (!Number.isSafeInteger(bits * 2) || end < begin || (end - begin) * 8 !== bits) {
    const found = `data_offsets [${begin}, ${end}]`
    throw invalid(file, what, start + begin, `${bits / 8} bytes for ${entry.dtype} [${shape.join(', ')}]`, found)
  }
  checkRange(source, start + begin, end - begin, what)
  return { name, dtype, shape, offset: start + begin, length: end - begin }
}

/** Values must follow one another from the end of the header to the end of the file. */
function checkCoverage(source: ByteSource, tensors: readonly TensorEntry[], start: number): void {
  let end = start
  for (const { name, offset, length } of tensors) {
    if (offset !== end) {
      const found = offset > end ? `a hole of ${offset - end} bytes` : `an overlap of ${end - offset} bytes`
      throw invalid(source.name, `values of tensor "${name}"`, offset, `them to begin at byte ${end}`, found)
    }
    end = offset + length
  }
  if (end !== source.size)
    throw invalid(source.name, 'end of the values', end, 'the end of the file', `${source.size - end} more bytes`)
}

function whole(value: JsonValue | undefined): readonly number[] | undefined {
  if (!Array.isArray(value)) return undefined
  return value.every((item) => typeof item === 'number' && Number.isSafeInteger(item) && item >= 0)
    ? (value as number[])
    : undefined
}

function invalid(
  file: string,
  what: string,
  byteOffset: number | undefined,
  expected: string,
  found: string,
): FormatError {
  return new FormatError({ code: 'INVALID_FIELD', file, what, byteOffset, expected, found })
}
