import { streamRange } from '../../bytes/byte-source.ts'
import { FormatError } from '../../errors.ts'
import type { ChunkGrid } from './chunk-index.ts'
import { filled, streamChunks } from './chunk-stream.ts'
import { checkStored, freshBudget, type Hdf5Context } from './context.ts'
import { type Dataspace, parseDataspace } from './dataspace.ts'
import { parseDatatype, type StoredType } from './datatype.ts'
import { type Filter, findUnknownFilter, parseFilters } from './filters.ts'
import { type Layout, parseLayout } from './layout.ts'
import { findMessage, type HeaderMessage, MESSAGE } from './object-header.ts'

/** A dataset's description; no value has been read. */
export interface DatasetHeader {
  readonly type: StoredType
  readonly space: Dataspace
  readonly layout: Layout
  readonly filters: readonly Filter[]
  /** one element, as stored; undefined: zeros */
  readonly fill: Uint8Array | undefined
  /** bytes of all elements as stored uncompressed */
  readonly bytes: number
  /** values of a compact dataset lie in a header with a checksum */
  readonly checked: boolean
  /** its values lie in other files, by name */
  readonly external: boolean
  /** why its values cannot be read here: an unknown filter, external or virtual storage */
  readonly obstacle: string | undefined
}

/** gzip cannot shrink more than about 1032 to 1: a chunked dataset that claims more holds nothing but fill values. */
const MAX_RATIO = 1040

/**
 * Reads a dataset's header messages.
 * @returns undefined when a message that every dataset has is missing
 * @throws {FormatError} INVALID_FIELD or TRUNCATED when the stated values cannot lie in the file
 */
export async function readDatasetHeader(
  context: Hdf5Context,
  messages: readonly HeaderMessage[],
): Promise<DatasetHeader | undefined> {
  const typeMessage = await findMessage(context, messages, MESSAGE.datatype)
  const spaceMessage = await findMessage(context, messages, MESSAGE.dataspace)
  const layoutMessage = await findMessage(context, messages, MESSAGE.layout)
  if (!typeMessage || !spaceMessage || !layoutMessage) return undefined
  const type = parseDatatype(context, typeMessage)
  const at = spaceMessage.offset
  const space = parseDataspace(context, spaceMessage)
  const layout = parseLayout(context, layoutMessage)
  const filterMessage = await findMessage(context, messages, MESSAGE.filters)
  const filters = filterMessage ? parseFilters(filterMessage) : []
  const elements = space.kind === 'null' ? 0 : space.shape.reduce((product, size) => product * size, 1)
  const bytes = elements * type.size
  const external = messages.some((message) => message.type === MESSAGE.externalFiles)
  const header = {
    type,
    space,
    layout,
    filters,
    fill: await readFill(context, messages, type.size),
    bytes,
    checked: messages.some((message) => message.type === MESSAGE.layout && message.checked),
    external,
    obstacle: findObstacle(layout, filters, external),
  }
  checkSize(context, header, at)
  return header
}

function findObstacle(layout: Layout, filters: readonly Filter[], external: boolean): string | undefined {
  if (external) return 'its values lie in external files'
  if (layout.kind === 'virtual') return 'it is a virtual dataset, put together from other files'
  const filter = findUnknownFilter(filters)
  return filter && `it is packed with the filter ${filter.name}, which is not supported`
}

/** The physical invariants: what is stated can lie in a file of this size. */
function checkSize(context: Hdf5Context, { type, space, layout, bytes, external }: DatasetHeader, at: number): void {
  const { metadata } = context
  const bad = (expected: string, found: string) =>
    new FormatError({ code: 'INVALID_FIELD', file: metadata.name, what: 'dataset', byteOffset: at, expected, found })
  const shape = `[${space.shape.join(', ')}]`
  if (!Number.isSafeInteger(bytes * 16)) throw bad('a size that can be counted', shape)
  switch (layout.kind) {
    case 'compact':
      if (layout.bytes.length < bytes) throw bad(`${bytes} bytes for ${shape}`, `${layout.bytes.length} in the header`)
      return
    case 'contiguous':
      if (external || bytes === 0) return
      if (layout.address === undefined) break
      if (layout.length !== undefined && layout.length < bytes) {
        throw bad(`${bytes} bytes for ${shape}`, `${layout.length} stored`)
      }
      checkStored(context, layout.address, bytes, 'dataset')
      return
    case 'chunked': {
      const { chunk, elementSize } = layout
      if (chunk.length !== space.shape.length) throw bad(`${space.shape.length} chunk sizes`, String(chunk.length))
      if (elementSize !== type.size) throw bad(`elements of ${type.size} bytes`, `${elementSize} in the layout`)
      if (!Number.isSafeInteger(chunk.reduce((product, size) => product * size, elementSize))) {
        throw bad('chunks that can be counted', `[${chunk.join(', ')}]`)
      }
      break
    }
    case 'virtual':
      return
  }
  if (bytes > metadata.size * MAX_RATIO) {
    throw bad(`at most ${MAX_RATIO} times the ${metadata.size} bytes of the file`, `${shape}: ${bytes} bytes`)
  }
}

/**
 *     old message: size 4 | value;  versions 1, 2: version | times 2 | defined 1 | size 4 | value
 *     version 3: 3 | flags 1 (bit 5: defined) | size 4 | value
 */
async function readFill(
  context: Hdf5Context,
  messages: readonly HeaderMessage[],
  elementSize: number,
): Promise<Uint8Array | undefined> {
  const reader = await findMessage(context, messages, MESSAGE.fill)
  if (reader === undefined) {
    const old = await findMessage(context, messages, MESSAGE.oldFill)
    if (old === undefined) return undefined
    const value = old.take(old.u32('size of the fill value'), 'fill value')
    return value.length === elementSize ? value : undefined
  }
  const version = reader.u8('fill value version')
  if (version === 3) {
    if (!(reader.u8('fill value flags') & 0x20)) return undefined
  } else {
    reader.skip(2)
    const defined = reader.u8('fill value defined')
    if (version > 1 && !defined) return undefined
    if (reader.remaining < 4) return undefined
  }
  const value = reader.take(reader.u32('size of the fill value'), 'fill value')
  return value.length === elementSize ? value : undefined
}

/** Pieces of a contiguous dataset. */
const PIECE_BYTES = 1 << 20

/**
 * The values as stored, in C order, in pieces of whole elements. The pieces may share memory with the source.
 * @throws {FormatError} UNSUPPORTED_FEATURE where `obstacle` says so; INVALID_FIELD, TRUNCATED for damaged chunks
 */
export async function* streamStored(context: Hdf5Context, header: DatasetHeader): AsyncGenerator<Uint8Array> {
  const { layout, type, space, bytes, filters } = header
  const fill = header.fill ?? new Uint8Array(type.size)
  if (bytes === 0) return
  const whole = Math.max(1, Math.floor(PIECE_BYTES / type.size)) * type.size
  switch (layout.kind) {
    case 'compact':
      yield layout.bytes.subarray(0, bytes)
      return
    case 'contiguous':
      if (layout.address === undefined) {
        for (let done = 0; done < bytes; done += whole) yield filled(Math.min(whole, bytes - done), fill)
        return
      }
      yield* streamRange(context.values, { offset: context.base + layout.address, length: bytes }, whole)
      return
    case 'chunked': {
      const chunkBytes = layout.chunk.reduce((product, size) => product * size, layout.elementSize)
      const grid: ChunkGrid = { space, layout, chunkBytes, filtered: filters.length > 0 }
      yield* streamChunks(freshBudget(context), grid, { filters, fill })
      return
    }
    case 'virtual':
      return
  }
}
