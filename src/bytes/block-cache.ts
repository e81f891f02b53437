import { type ByteSource, checkRange } from './byte-source.ts'

/** A source that remembers blocks, and can be told early which it will be asked for. */
export interface CachedSource extends ByteSource {
  /** Begins to read the block at `offset`, without waiting; nothing happens where there is none. */
  prefetch(offset: number): void
}

/**
 * A source that remembers the blocks it was read in, for formats whose structures lie scattered in small pieces
 * (HDF5). Results are copies, so that a few bytes do not keep a block alive. Reads of more than four blocks go past the
 * cache: they are values, not structure.
 *
 * @param options `blockBytes` 16 KiB and `maxBlocks` 128 (2 MiB in all) unless told; the least recent block goes first
 */
export function cacheBlocks(
  source: ByteSource,
  options: { blockBytes?: number; maxBlocks?: number } = {},
): CachedSource {
  const { blockBytes = 16_384, maxBlocks = 128 } = options
  const blocks = new Map<number, Promise<Uint8Array>>()

  function block(index: number): Promise<Uint8Array> {
    const known = blocks.get(index)
    if (known !== undefined) {
      blocks.delete(index)
      blocks.set(index, known)
      return known
    }
    const offset = index * blockBytes
    const pending = source.read(offset, Math.min(blockBytes, source.size - offset))
    blocks.set(index, pending)
    // A failed read is not remembered; whoever waits for it gets the error.
    pending.catch(() => blocks.delete(index))
    if (blocks.size > maxBlocks) blocks.delete(blocks.keys().next().value!)
    return pending
  }

  return {
    name: source.name,
    size: source.size,
    prefetch(offset) {
      if (offset >= 0 && offset < source.size) void block(Math.floor(offset / blockBytes))
    },
    async read(offset, length) {
      checkRange(source, offset, length)
      const first = Math.floor(offset / blockBytes)
      const last = Math.floor(Math.max(offset, offset + length - 1) / blockBytes)
      if (length === 0 || last - first >= 4) return source.read(offset, length)
      const start = offset - first * blockBytes
      if (first === last) return (await block(first)).slice(start, start + length)
      const bytes = new Uint8Array(length)
      for (let index = first; index <= last; index++) {
        const begin = index * blockBytes
        const part = (await block(index)).subarray(Math.max(0, offset - begin), offset + length - begin)
        bytes.set(part, Math.max(0, begin - offset))
      }
      return bytes
    },
  }
}
