import { inflateSync } from 'node:zlib'
import type { ByteReader } from '../../bytes/byte-reader.ts'
import { FormatError } from '../../errors.ts'
import { matchesFletcher32 } from './checksum.ts'
import { expectVersion } from './context.ts'
import { unpackLzf } from './lzf.ts'

/** One step by which a chunk was packed. */
export interface Filter {
  readonly id: number
  /** as people call it */
  readonly name: string
  readonly parameters: readonly number[]
}

const DEFLATE = 1
const SHUFFLE = 2
const FLETCHER32 = 3
const LZF = 32000

/** Registered filters that model files may have; gzip, shuffle, fletcher32 and lzf are undone here. */
const NAMES: Readonly<Record<number, string>> = {
  [DEFLATE]: 'gzip',
  [SHUFFLE]: 'shuffle',
  [FLETCHER32]: 'fletcher32',
  4: 'szip',
  5: 'nbit',
  6: 'scale-offset',
  307: 'bzip2',
  [LZF]: 'lzf',
  32001: 'blosc',
  32004: 'lz4',
  32008: 'bitshuffle',
  32013: 'zfp',
  32015: 'zstd',
  32026: 'blosc2',
}

/**
 *     version 1: 1 | filters 1 | reserved 6 | each: id 2 | name length 2 | flags 2 | parameters 2 | name | values 4 each,
 *                padded to an even number
 *     version 2: 2 | filters 1 | each: id 2 | [name length 2, for ids of 256 and more] | flags 2 | parameters 2 |
 *                [name] | values
 *
 * @source HDF5 File Format Specification 3.0, IV.A.2.l
 */
export function parseFilters(reader: ByteReader): readonly Filter[] {
  const version = expectVersion(reader, [1, 2], 'filter pipeline')
  const at = reader.offset
  const count = reader.u8('number of filters')
  if (count > 32) throw reader.invalid('number of filters', 'at most 32', String(count), at)
  if (version === 1) reader.skip(6)
  return Array.from({ length: count }, () => {
    const id = reader.u16('filter')
    const nameBytes = version === 1 || id >= 256 ? reader.u16('length of the filter name') : 0
    reader.skip(2)
    const values = reader.u16('number of filter parameters')
    const own = reader
      .latin1(version === 1 ? Math.ceil(nameBytes / 8) * 8 : nameBytes, 'filter name')
      .replace(/\0.*$/s, '')
    const parameters = Array.from({ length: values }, () => reader.u32('filter parameter'))
    if (version === 1 && values % 2 === 1) reader.skip(4)
    return { id, name: NAMES[id] ?? (own || `number ${id}`), parameters }
  })
}

/** The first filter that cannot be undone here. */
export function findUnknownFilter(filters: readonly Filter[]): Filter | undefined {
  return filters.find(({ id }) => ![DEFLATE, SHUFFLE, FLETCHER32, LZF].includes(id))
}

/**
 * Undoes the filters of one chunk, last one first.
 *
 * @param packed as stored, at `byteOffset` of `file`
 * @param chunk `bytes` it must have in the end; `mask` bit i: filter i was left out
 * @throws {FormatError} INVALID_FIELD for damaged data, a wrong checksum or a wrong size
 */
export function unpackChunk(
  packed: Uint8Array,
  filters: readonly Filter[],
  chunk: { file: string; byteOffset: number; bytes: number; mask: number },
): Uint8Array {
  const bad = (expected: string, found: string, cause?: unknown) =>
    new FormatError({
      code: 'INVALID_FIELD',
      file: chunk.file,
      what: 'chunk',
      byteOffset: chunk.byteOffset,
      expected,
      found,
      cause,
    })
  // Checksums that were appended before compression come on top of the values.
  const most = chunk.bytes + 4 * filters.length
  let bytes = packed
  for (let index = filters.length - 1; index >= 0; index--) {
    const filter = filters[index]!
    if ((chunk.mask >>> index) & 1) continue
    switch (filter.id) {
      case DEFLATE:
        try {
          bytes = inflateSync(bytes, { maxOutputLength: most })
        } catch (cause) {
          throw bad(`gzip data of ${chunk.bytes} bytes`, (cause as Error).message, cause)
        }
        break
      case LZF: {
        const unpacked = unpackLzf(bytes, most)
        if (unpacked === undefined) throw bad(`lzf data of ${chunk.bytes} bytes`, 'damaged data')
        bytes = unpacked
        break
      }
      case SHUFFLE:
        bytes = unshuffle(bytes, filter.parameters[0] ?? 1)
        break
      case FLETCHER32: {
        if (bytes.length < 4) throw bad('a checksum of 4 bytes', `${bytes.length} bytes`)
        const data = bytes.subarray(0, bytes.length - 4)
        const [a, b, c, d] = bytes.subarray(bytes.length - 4)
        const stated = (a! | (b! << 8) | (c! << 16) | (d! << 24)) >>> 0
        if (!matchesFletcher32(data, stated)) throw bad('its fletcher32 checksum', 'another: the bytes changed')
        bytes = data
        break
      }
      default:
        throw bad('gzip, lzf, shuffle or fletcher32', `filter ${filter.name}`)
    }
  }
  if (bytes.length !== chunk.bytes) throw bad(`${chunk.bytes} bytes`, String(bytes.length))
  return bytes
}

/** All first bytes of the elements, then all second bytes ...: back to whole elements. Bytes left over stay behind. */
function unshuffle(bytes: Uint8Array, width: number): Uint8Array {
  const count = Math.floor(bytes.length / Math.max(1, width))
  if (width <= 1 || count <= 1) return bytes
  const out = new Uint8Array(bytes.length)
  for (let part = 0; part < width; part++) {
    const from = part * count
    for (let element = 0, to = part; element < count; element++, to += width) out[to] = bytes[from + element]!
  }
  out.set(bytes.subarray(count * width), count * width)
  return out
}
