import type { ByteReader } from '../../bytes/byte-reader.ts'
import { FormatError } from '../../errors.ts'
import { readBtreeV1 } from './btree-v1.ts'
import { openBtreeV2 } from './btree-v2.ts'
import { readExtensibleArray, readFixedArray } from './chunk-array.ts'
import { checkStored, type Hdf5Context, readAddress, readUint } from './context.ts'
import type { Dataspace } from './dataspace.ts'
import type { ChunkedLayout } from './layout.ts'

/** One stored chunk. */
export interface StoredChunk {
  /** its place in the grid of chunks that the dataset's present shape covers, C order */
  readonly place: number
  readonly address: number
  /** stored bytes */
  readonly size: number
  /** bit i: filter i was left out */
  readonly mask: number
}

/** A dataset cut into chunks: what the index readers need to know. */
export interface ChunkGrid {
  readonly space: Dataspace
  readonly layout: ChunkedLayout
  /** bytes of an unfiltered chunk */
  readonly chunkBytes: number
  readonly filtered: boolean
}

/** How many chunks lie along each dimension of `shape`. */
export function chunkCounts(shape: readonly number[], chunk: readonly number[]): number[] {
  return shape.map((size, axis) => Math.ceil(size / chunk[axis]!))
}

/**
 * All stored chunks that the dataset's present shape covers, sorted by place. Chunks that are not there hold the fill
 * value.
 * @throws {FormatError} INVALID_FIELD when a place is given twice; LIMIT_EXCEEDED above `limits.maxItems` chunks
 */
export async function readChunkIndex(context: Hdf5Context, grid: ChunkGrid): Promise<readonly StoredChunk[]> {
  const found = new Map<number, StoredChunk>()
  for await (const chunk of eachChunk(context, grid)) {
    if (found.has(chunk.place)) throw damaged(context, chunk.address, 'each chunk once', `chunk ${chunk.place} twice`)
    if (found.size >= context.limits.maxItems) {
      throw damaged(context, chunk.address, `at most ${context.limits.maxItems} chunks`, 'more', 'LIMIT_EXCEEDED')
    }
    found.set(chunk.place, chunk)
  }
  return [...found.values()].sort((left, right) => left.place - right.place)
}

function damaged(
  context: Hdf5Context,
  address: number,
  expected: string,
  found: string,
  code: 'INVALID_FIELD' | 'LIMIT_EXCEEDED' = 'INVALID_FIELD',
): FormatError {
  const { metadata, base } = context
  return new FormatError({
    code,
    file: metadata.name,
    what: 'chunk index',
    byteOffset: base + address,
    expected,
    found,
  })
}

async function* eachChunk(context: Hdf5Context, grid: ChunkGrid): AsyncGenerator<StoredChunk> {
  const { space, layout, chunkBytes, filtered } = grid
  const { index } = layout
  if (index.address === undefined) return
  const counts = chunkCounts(space.shape, layout.chunk)
  switch (index.kind) {
    case 'single':
      yield { place: 0, address: index.address, size: index.size ?? chunkBytes, mask: index.mask }
      return
    case 'implicit':
      yield* implicitChunks(context, grid, counts, index.address)
      return
    case 'btree1':
      yield* btree1Chunks(context, grid, counts, index.address)
      return
    case 'btree2':
      yield* btree2Chunks(context, grid, counts, index.address)
      return
    case 'fixed-array':
    case 'extensible-array': {
      const unlimited = index.kind === 'extensible-array' ? space.maxShape.indexOf(Number.POSITIVE_INFINITY) : -1
      const place = placeInArray(space, layout.chunk, unlimited)
      const read = index.kind === 'fixed-array' ? readFixedArray : readExtensibleArray
      const total = counts.reduce((product, count) => product * count, 1)
      for await (const { position, element } of read(context, index.address, filtered)) {
        const at = place(position)
        if (at === undefined) continue
        const chunk = parseElement(context, element, filtered)
        if (chunk.address === undefined) continue
        if (at >= total) throw element.invalid('chunk', `at most ${total} chunks`, `number ${at}`)
        yield { place: at, address: chunk.address, size: chunk.size ?? chunkBytes, mask: chunk.mask }
      }
    }
  }
}

/** Unfiltered: address. Filtered: address | stored size, in the bytes left over | filter mask 4. */
function parseElement(context: Hdf5Context, element: ByteReader, filtered: boolean) {
  const address = readAddress(context, element, 'chunk address')
  if (!filtered) return { address, size: undefined, mask: 0 }
  const size = readUint(element, element.remaining - 4, 'stored size of a chunk')
  return { address, size, mask: element.u32('filter mask') }
}

/** All chunks of the largest shape one behind the other. */
function* implicitChunks(
  context: Hdf5Context,
  { space, layout, chunkBytes }: ChunkGrid,
  counts: readonly number[],
  address: number,
): Generator<StoredChunk> {
  const total = counts.reduce((product, count) => product * count, 1)
  checkStored(context, address, total * chunkBytes, 'chunks')
  const largest = strides(chunkCounts(space.maxShape, layout.chunk))
  const present = strides(counts)
  for (let place = 0; place < total; place++) {
    let position = 0
    for (const [axis, stride] of present.entries()) {
      position += (Math.floor(place / stride) % counts[axis]!) * largest[axis]!
    }
    yield { place, address: address + position * chunkBytes, size: chunkBytes, mask: 0 }
  }
}

/**
 * An array of chunks counts them over the largest shape, with the unlimited dimension slowest. The result is the place
 * in the present grid, or undefined when the present shape does not reach there.
 */
function placeInArray(space: Dataspace, chunk: readonly number[], unlimited: number) {
  const counts = chunkCounts(space.shape, chunk)
  const largest = chunkCounts(space.maxShape, chunk)
  const axes = counts.map((_, axis) => axis).filter((axis) => axis !== unlimited)
  if (unlimited !== -1) axes.unshift(unlimited)
  const inOrder = strides(axes.map((axis) => largest[axis]!))
  const present = strides(counts)
  return (position: number): number | undefined => {
    let place = 0
    for (const [order, axis] of axes.entries()) {
      const stride = inOrder[order]!
      const count = largest[axis]!
      const at = order === 0 ? Math.floor(position / stride) : Math.floor(position / stride) % count
      if (at >= counts[axis]!) return undefined
      place += at * present[axis]!
    }
    return place
  }
}

/** How far apart neighbours along each axis are, C order. */
export function strides(counts: readonly number[]): number[] {
  const result = new Array<number>(counts.length).fill(1)
  for (let axis = counts.length - 2; axis >= 0; axis--) result[axis] = result[axis + 1]! * counts[axis + 1]!
  return result
}

/** Keys: stored size 4 | filter mask 4 | offsets in elements 8 each, and one for the element itself. */
async function* btree1Chunks(
  context: Hdf5Context,
  { layout, space }: ChunkGrid,
  counts: readonly number[],
  address: number,
): AsyncGenerator<StoredChunk> {
  const rank = space.shape.length
  const present = strides(counts)
  for await (const leaf of readBtreeV1(context, address, { type: 1, keyBytes: 8 + 8 * (rank + 1) })) {
    const size = leaf.key.u32('stored size of a chunk')
    const mask = leaf.key.u32('filter mask')
    const scaled = layout.chunk.map((length) => {
      const offset = leaf.key.u64('offset of a chunk')
      if (offset % length !== 0) throw leaf.key.invalid('offset of a chunk', `a multiple of ${length}`, String(offset))
      return offset / length
    })
    const place = placeOf(scaled, counts, present)
    if (place !== undefined) yield { place, address: leaf.address, size, mask }
  }
}

/** Records: address | [stored size | filter mask 4] | scaled offsets 8 each */
async function* btree2Chunks(
  context: Hdf5Context,
  { space, filtered, chunkBytes }: ChunkGrid,
  counts: readonly number[],
  address: number,
): AsyncGenerator<StoredChunk> {
  const tree = await openBtreeV2(context, address, [filtered ? 11 : 10])
  const present = strides(counts)
  const sizeBytes = tree.recordSize - context.offsetSize - 4 - 8 * space.shape.length
  for await (const record of tree.records()) {
    const chunk = readAddress(context, record, 'chunk address')
    const size = filtered ? readUint(record, sizeBytes, 'stored size of a chunk') : chunkBytes
    const mask = filtered ? record.u32('filter mask') : 0
    const scaled = counts.map(() => record.u64('offset of a chunk'))
    const place = placeOf(scaled, counts, present)
    if (chunk !== undefined && place !== undefined) yield { place, address: chunk, size, mask }
  }
}

/** Chunks beyond the present shape are left over from a larger one. */
function placeOf(scaled: readonly number[], counts: readonly number[], present: readonly number[]): number | undefined {
  let place = 0
  for (const [axis, at] of scaled.entries()) {
    if (at >= counts[axis]!) return undefined
    place += at * present[axis]!
  }
  return place
}
