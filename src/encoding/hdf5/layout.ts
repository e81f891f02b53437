import type { ByteReader } from '../../bytes/byte-reader.ts'
import { expectVersion, type Hdf5Context, readAddress, readLength, readUint } from './context.ts'

/** Where a dataset's values lie. Addresses are relative to the context's base; undefined means never written. */
export type Layout =
  | { readonly kind: 'compact'; readonly bytes: Uint8Array; readonly byteOffset: number }
  | { readonly kind: 'contiguous'; readonly address: number | undefined; readonly length: number | undefined }
  | ChunkedLayout
  | { readonly kind: 'virtual' }

export interface ChunkedLayout {
  readonly kind: 'chunked'
  /** in elements per dimension */
  readonly chunk: readonly number[]
  readonly elementSize: number
  /** chunks that stick out over the edge are stored without filters */
  readonly plainEdges: boolean
  readonly index: ChunkIndex
}

/** How the chunks are found. */
export type ChunkIndex =
  | {
      readonly kind: 'btree1' | 'btree2' | 'fixed-array' | 'extensible-array' | 'implicit'
      readonly address: number | undefined
    }
  | { readonly kind: 'single'; readonly address: number | undefined; readonly size?: number; readonly mask: number }

/**
 *     versions 1, 2: version | rank 1 | class 1 | reserved 5 | [address] | sizes 4 each | [compact size 4, bytes]
 *     version 3:     version | class 1 | compact: size 2, bytes; contiguous: address, length;
 *                    chunked: rank+1 1 | address | sizes 4 each, the last the element's
 *     versions 4, 5: version | class 1 | as 3, but chunked: flags 1 | rank+1 1 | bytes per size 1 | sizes |
 *                    index type 1 | its parameters | address
 *
 * @source HDF5 File Format Specification 3.0, IV.A.2.i
 */
export function parseLayout(context: Hdf5Context, reader: ByteReader): Layout {
  const version = expectVersion(reader, [1, 2, 3, 4, 5], 'data layout')
  if (version < 3) return parseOldLayout(context, reader)
  const at = reader.offset
  const kind = reader.u8('layout class')
  switch (kind) {
    case 0:
      return compact(reader, reader.u16('compact size'))
    case 1:
      return {
        kind: 'contiguous',
        address: readAddress(context, reader, 'data address'),
        length: readLength(context, reader, 'data length'),
      }
    case 2:
      return version === 3 ? parseChunked3(context, reader) : parseChunked4(context, reader)
    case 3:
      return { kind: 'virtual' }
    default:
      throw reader.invalid('layout class', '0 to 3', String(kind), at)
  }
}

function compact(reader: ByteReader, size: number): Layout {
  const byteOffset = reader.offset
  return { kind: 'compact', bytes: reader.take(size, 'compact data'), byteOffset }
}

function parseOldLayout(context: Hdf5Context, reader: ByteReader): Layout {
  const rank = reader.u8('dimensionality')
  const at = reader.offset
  const kind = reader.u8('layout class')
  if (kind > 2) throw reader.invalid('layout class', '0 to 2', String(kind), at)
  reader.skip(5)
  const address = kind === 0 ? undefined : readAddress(context, reader, 'data address')
  const sizes = Array.from({ length: rank }, () => reader.u32('dimension'))
  if (kind === 0) return compact(reader, reader.u32('compact size'))
  if (kind === 1) return { kind: 'contiguous', address, length: undefined }
  return chunked(reader, sizes, { kind: 'btree1', address }, false)
}

function parseChunked3(context: Hdf5Context, reader: ByteReader): Layout {
  const rank = reader.u8('dimensionality')
  const address = readAddress(context, reader, 'chunk index address')
  const sizes = Array.from({ length: rank }, () => reader.u32('chunk size'))
  return chunked(reader, sizes, { kind: 'btree1', address }, false)
}

function parseChunked4(context: Hdf5Context, reader: ByteReader): Layout {
  const flags = reader.u8('chunk flags')
  const rank = reader.u8('dimensionality')
  const widthAt = reader.offset
  const width = reader.u8('bytes per chunk size')
  if (width < 1 || width > 8) throw reader.invalid('bytes per chunk size', '1 to 8', String(width), widthAt)
  const sizes = Array.from({ length: rank }, () => readUint(reader, width, 'chunk size'))
  return chunked(reader, sizes, parseIndex(context, reader, flags), (flags & 1) !== 0)
}

function parseIndex(context: Hdf5Context, reader: ByteReader, flags: number): ChunkIndex {
  const at = reader.offset
  const type = reader.u8('chunk index type')
  switch (type) {
    case 1: {
      const size = flags & 2 ? readLength(context, reader, 'size of the single chunk') : undefined
      const mask = flags & 2 ? reader.u32('filter mask') : 0
      const address = readAddress(context, reader, 'address of the single chunk')
      return { kind: 'single', address, mask, ...(size === undefined ? {} : { size }) }
    }
    case 2:
      return { kind: 'implicit', address: readAddress(context, reader, 'chunk address') }
    case 3:
      reader.skip(1, 'fixed array parameters')
      return { kind: 'fixed-array', address: readAddress(context, reader, 'fixed array address') }
    case 4:
      reader.skip(5, 'extensible array parameters')
      return { kind: 'extensible-array', address: readAddress(context, reader, 'extensible array address') }
    case 5:
      reader.skip(6, 'B-tree parameters')
      return { kind: 'btree2', address: readAddress(context, reader, 'B-tree address') }
    default:
      throw reader.invalid('chunk index type', '1 to 5', String(type), at)
  }
}

function chunked(reader: ByteReader, sizes: readonly number[], index: ChunkIndex, plainEdges: boolean): Layout {
  const elementSize = sizes.at(-1) ?? 0
  if (sizes.length < 2 || sizes.some((size) => size < 1)) {
    throw reader.invalid('chunk shape', 'sizes of at least 1', `[${sizes.join(', ')}]`)
  }
  return { kind: 'chunked', chunk: sizes.slice(0, -1), elementSize, plainEdges, index }
}
