import { FormatError } from '../../errors.ts'
import { type ChunkGrid, chunkCounts, readChunkIndex, type StoredChunk, strides } from './chunk-index.ts'
import { checkStored, type Hdf5Context } from './context.ts'
import { type Filter, unpackChunk } from './filters.ts'

/** Values are put together in regions of at most this many bytes; memory is this, one chunk, and the chunks kept. */
const REGION_BYTES = 8 << 20

/** Unpacked chunks that are kept when a region is smaller than the chunks it cuts through. */
const KEPT_BYTES = 32 << 20

/**
 * The values of a chunked dataset as stored (before byte order is put right), in C order.
 *
 * The dataset is cut into regions that are whole in C order and span whole chunks where they can: along the first
 * dimension whose slices fit into `REGION_BYTES`. Each region is filled with the fill value, then every stored chunk
 * that meets it is copied in.
 */
export async function* streamChunks(
  context: Hdf5Context,
  grid: ChunkGrid,
  { filters, fill }: { filters: readonly Filter[]; fill: Uint8Array },
): AsyncGenerator<Uint8Array> {
  const { space, layout } = grid
  const { shape } = space
  const { chunk, elementSize } = layout
  const index = await readChunkIndex(context, grid)
  const counts = chunkCounts(shape, chunk)
  const gridStrides = strides(counts)
  const byteStrides = strides(shape).map((stride) => stride * elementSize)
  const fits = byteStrides.findIndex((bytes) => bytes <= REGION_BYTES)
  // One element alone may be larger than a region.
  const axis = fits === -1 ? shape.length - 1 : fits
  const sliceBytes = byteStrides[axis]!
  const perChunk = chunk[axis]!
  const fitting = Math.max(1, Math.floor(REGION_BYTES / sliceBytes))
  const step = fitting >= perChunk ? fitting - (fitting % perChunk) : fitting
  const kept = keepChunks(axis > 0 || step < perChunk ? KEPT_BYTES : 0, (stored) =>
    unpack(context, grid, { filters, stored, counts }),
  )
  const outer = shape.slice(0, axis)
  const outerTotal = outer.reduce((product, size) => product * size, 1)
  const outerStrides = strides(outer)
  for (let outside = 0; outside < outerTotal; outside++) {
    const before = outer.map((size, at) => Math.floor(outside / outerStrides[at]!) % size)
    const prefix = before.reduce((sum, at, dim) => sum + Math.floor(at / chunk[dim]!) * gridStrides[dim]!, 0)
    for (let start = 0; start < shape[axis]!; start += step) {
      const count = Math.min(step, shape[axis]! - start)
      const region = filled(count * sliceBytes, fill)
      const origin = [...before, start, ...shape.slice(axis + 1).map(() => 0)]
      const extent = [...before.map(() => 1), count, ...shape.slice(axis + 1)]
      const firstPlace = prefix + Math.floor(start / perChunk) * gridStrides[axis]!
      const endPlace = prefix + (Math.floor((start + count - 1) / perChunk) + 1) * gridStrides[axis]!
      for (let at = lowerBound(index, firstPlace); at < index.length && index[at]!.place < endPlace; at++) {
        const stored = index[at]!
        const corner = counts.map((size, dim) => (Math.floor(stored.place / gridStrides[dim]!) % size) * chunk[dim]!)
        copyBox(await kept(stored), region, { corner, chunk, origin, extent, elementSize })
      }
      yield region
    }
  }
}

/** `bytes` bytes of the repeated fill value. */
export function filled(bytes: number, fill: Uint8Array): Uint8Array {
  const region = new Uint8Array(bytes)
  if (fill.some((byte) => byte !== 0)) {
    region.set(fill.subarray(0, bytes))
    for (let done = fill.length; done < bytes; done *= 2) region.copyWithin(done, 0, Math.min(done, bytes - done))
  }
  return region
}

function lowerBound(index: readonly StoredChunk[], place: number): number {
  let low = 0
  let high = index.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (index[middle]!.place < place) low = middle + 1
    else high = middle
  }
  return low
}

/** Remembers up to `maxBytes` of what `load` gives, the least recent going first. */
function keepChunks(maxBytes: number, load: (stored: StoredChunk) => Promise<Uint8Array>) {
  const chunks = new Map<number, Uint8Array>()
  let bytes = 0
  return async (stored: StoredChunk): Promise<Uint8Array> => {
    const known = chunks.get(stored.place)
    if (known) {
      chunks.delete(stored.place)
      chunks.set(stored.place, known)
      return known
    }
    const loaded = await load(stored)
    if (loaded.length > maxBytes) return loaded
    chunks.set(stored.place, loaded)
    bytes += loaded.length
    for (const [place, old] of chunks) {
      if (bytes <= maxBytes) break
      chunks.delete(place)
      bytes -= old.length
    }
    return loaded
  }
}

async function unpack(
  context: Hdf5Context,
  { space, layout, chunkBytes }: ChunkGrid,
  { filters, stored, counts }: { filters: readonly Filter[]; stored: StoredChunk; counts: readonly number[] },
): Promise<Uint8Array> {
  const { values, base, limits } = context
  checkStored(context, stored.address, stored.size, 'chunk')
  if (chunkBytes > limits.maxInflatedBytes) {
    throw new FormatError({
      code: 'LIMIT_EXCEEDED',
      file: values.name,
      what: 'chunk',
      byteOffset: base + stored.address,
      expected: `at most ${limits.maxInflatedBytes} bytes`,
      found: String(chunkBytes),
    })
  }
  const gridStrides = strides(counts)
  const atEdge = layout.chunk.some((length, dim) => {
    const at = Math.floor(stored.place / gridStrides[dim]!) % counts[dim]!
    return (at + 1) * length > space.shape[dim]!
  })
  const packed = await values.read(base + stored.address, stored.size)
  const used = layout.plainEdges && atEdge ? [] : filters
  const byteOffset = base + stored.address
  return unpackChunk(packed, used, { file: values.name, byteOffset, bytes: chunkBytes, mask: stored.mask })
}

interface Box {
  /** first element of the chunk, and its shape */
  readonly corner: readonly number[]
  readonly chunk: readonly number[]
  /** first element of the region, and its shape */
  readonly origin: readonly number[]
  readonly extent: readonly number[]
  readonly elementSize: number
}

/** Copies what chunk and region have in common, row by row along the last dimension. */
function copyBox(from: Uint8Array, to: Uint8Array, { corner, chunk, origin, extent, elementSize }: Box): void {
  const rank = chunk.length
  const low = corner.map((at, dim) => Math.max(at, origin[dim]!))
  const high = corner.map((at, dim) => Math.min(at + chunk[dim]!, origin[dim]! + extent[dim]!))
  if (low.some((at, dim) => at >= high[dim]!)) return
  const fromStrides = strides(chunk)
  const toStrides = strides(extent)
  const last = rank - 1
  const rowBytes = (high[last]! - low[last]!) * elementSize
  const at = low.slice()
  for (;;) {
    let source = 0
    let target = 0
    for (let dim = 0; dim < rank; dim++) {
      source += (at[dim]! - corner[dim]!) * fromStrides[dim]!
      target += (at[dim]! - origin[dim]!) * toStrides[dim]!
    }
    to.set(from.subarray(source * elementSize, source * elementSize + rowBytes), target * elementSize)
    let dim = last - 1
    for (; dim >= 0; dim--) {
      at[dim]!++
      if (at[dim]! < high[dim]!) break
      at[dim] = low[dim]!
    }
    if (dim < 0) return
  }
}
