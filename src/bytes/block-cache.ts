import { type ByteSource, checkRange } from './byte-source.ts'

/**
 * A source that remembers the blocks it was read in, for formats whose structures lie scattered in small pieces
 * (HDF5). Reads of more than four blocks go past the cache: they are values, not structure.
 *
 * @param options `blockBytes` 16 KiB and `maxBlocks` 128 (2 MiB in all) unless told; the oldest block goes first
 */
export function cacheBlocks(source: ByteSource, options: { blockBytes?: number; maxBlocks?: number } = {}): ByteSource {
  const { blockBytes = 16_384, maxBlocks = 128 } = options
  const blocks = new Map<number, Uint8Array>()

  async function block(index: number): Promise<Uint8Array> {
    const known = blocks.get(index)
    if (known !== undefined) {
      blocks.delete(index)
      blocks.set(index, known)
      return known
    }
    const offset = index * blockBytes
    const bytes = await source.read(offset, Math.min(blockBytes, source.size - offset))
    blocks.set(index, bytes)
    if (blocks.size > maxBlocks) blocks.delete(blocks.keys().next().value!)
    return bytes
  }

  return {
    name: source.name,
    size: source.size,
    async read(offset, length) {
      checkRange(source, offset, length)
      const first = Math.floor(offset / blockBytes)
      const last = Math.floor(Math.max(offset, offset + length - 1) / blockBytes)
      if (length === 0 || last - first >= 4) return source.read(offset, length)
      const start = offset - first * blockBytes
      if (first === last) return (await block(first)).subarray(start, start + length)
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
