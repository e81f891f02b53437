import type { ByteSource } from '../../bytes/byte-source.ts'
import { FormatError } from '../../errors.ts'
import type { Dtype } from '../../tensor/dtype.ts'
import type { TensorStorage } from '../../tensor/tensor.ts'
import type { ModelInput } from '../format.ts'
import type { StringStringEntryProto, TensorProto } from './schema.ts'
import type { StoredTensor } from './tensor.ts'
import type { Values } from './values.ts'

/** The files that tensors with external data name, by location; undefined for one that is not there. */
export type ExternalFiles = ReadonlyMap<string, ByteSource | undefined>

/** No external files: for a TensorProto that stands alone. */
export const NO_EXTERNAL_FILES: ExternalFiles = new Map()

/**
 * Opens every file that the tensors refer to. `input.open` keeps them inside the model's folder.
 * @throws {FormatError} UNSAFE for a location outside that folder
 */
export async function openExternalFiles(
  input: ModelInput,
  tensors: readonly StoredTensor[],
): Promise<Map<string, ByteSource | undefined>> {
  const files = new Map<string, ByteSource | undefined>()
  for (const { content } of tensors) {
    if ('memory' in content || content.dataLocation !== 1) continue
    const location = entry(content.externalData, 'location') ?? ''
    if (!files.has(location)) files.set(location, location === '' ? undefined : await input.open(location))
  }
  return files
}

/**
 * The place of a tensor with `data_location = EXTERNAL`: keys `location` (path beside the model), `offset` (default 0)
 * and `length` (default: what dtype and shape take), all as text. A `checksum` is of the whole file and not verified.
 *
 * @param dense bytes that dtype and shape take
 * @throws {FormatError} INVALID_FIELD for an offset or length that is no number or contradicts the shape; TRUNCATED
 *   when the file is too short
 * @source https://github.com/onnx/onnx/blob/main/docs/ExternalData.md
 */
export function locateExternal(
  proto: TensorProto,
  dense: number,
  dtype: Dtype,
  what: string,
  main: ByteSource,
  files: ExternalFiles,
): { values: Values; storage?: TensorStorage } {
  const location = entry(proto.externalData, 'location')
  if (location === undefined || location === '' || dtype === 'string') {
    const found = dtype === 'string' ? 'text, which cannot be external' : 'no location'
    throw invalid(main, what, 'external data with a location', found)
  }
  const offset = size(proto, 'offset', what, main) ?? 0
  const length = size(proto, 'length', what, main) ?? dense
  if (length !== dense)
    throw invalid(main, what, `${dense} bytes of external data, as its shape and type say`, String(length))
  const source = files.get(location)
  if (source === undefined) return { values: { kind: 'missing', error: () => missingFile(main, what, location) } }
  if (offset + length > source.size) {
    throw new FormatError({
      code: 'TRUNCATED',
      file: source.name,
      what: `${what} of ${main.name}`,
      byteOffset: offset,
      expected: `${length} bytes`,
      found: `${Math.max(0, source.size - offset)} before the end of the file (${source.size} bytes)`,
      hint: 'The copy is incomplete, or belongs to another model.',
    })
  }
  return {
    values: { kind: 'raw', source, ranges: [{ offset, length }] },
    storage: { file: source.name, byteOffset: offset, byteLength: length, key: `${location}@${offset}` },
  }
}

/** Value of `key` among string pairs. */
export function entry(pairs: readonly StringStringEntryProto[], key: string): string | undefined {
  return pairs.find((pair) => pair.key === key)?.value
}

function size(proto: TensorProto, key: string, what: string, main: ByteSource): number | undefined {
  const text = entry(proto.externalData, key)
  if (text === undefined) return undefined
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (Number.isSafeInteger(value)) return value
  throw invalid(main, what, `a whole ${key} of external data`, JSON.stringify(text.slice(0, 40)))
}

function invalid(main: ByteSource, what: string, expected: string, found: string): FormatError {
  return new FormatError({ code: 'INVALID_FIELD', file: main.name, what, expected, found })
}

function missingFile(main: ByteSource, what: string, location: string): FormatError {
  return new FormatError({
    code: 'MISSING_FILE',
    file: main.name,
    what,
    expected: `its values in the file "${location}" beside the model`,
    found: 'no such file',
    hint: 'Copy it into the same folder; the graph can be read without it.',
  })
}
