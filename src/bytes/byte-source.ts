import { FormatError } from '../errors.ts'

/**
 * Something of known size from which any range can be read: a file, a part of one, or memory.
 *
 * All readers work on this and on nothing else, so one reader serves disk, memory and tests. It never reads
 * ahead more than it is asked for.
 */
export interface ByteSource {
  /** shown in error messages; usually the path */
  readonly name: string
  /** in bytes */
  readonly size: number
  /**
   * Exactly `length` bytes from `offset`. The result may share memory with the source: do not write to it.
   * @throws {FormatError} TRUNCATED when the range does not lie inside the source
   */
  read(offset: number, length: number): Promise<Uint8Array>
  /**
   * Fills `target` with the bytes from `offset` on, where the source can do so without memory of its own.
   * @throws {FormatError} TRUNCATED
   */
  readInto?(offset: number, target: Uint8Array): Promise<void>
}

/** A range of bytes in a source: `[offset, offset + length)`. */
export interface ByteRange {
  readonly offset: number
  readonly length: number
}

/** A source over bytes in memory. */
export function memorySource(name: string, content: Uint8Array): ByteSource {
  // A Node Buffer is taken for the plain array that it is underneath: its `slice` shares memory instead of copying.
  const bytes = new Uint8Array(content.buffer, content.byteOffset, content.byteLength)
  return {
    name,
    size: bytes.length,
    async read(offset, length) {
      checkRange({ name, size: bytes.length }, offset, length)
      return bytes.subarray(offset, offset + length)
    },
  }
}

/** The part `range` of `source`, with offsets counted from its beginning. */
export function sliceSource(source: ByteSource, range: ByteRange, name = source.name): ByteSource {
  checkRange(source, range.offset, range.length)
  return {
    name,
    size: range.length,
    async read(offset, length) {
      checkRange({ name, size: range.length }, offset, length)
      return source.read(range.offset + offset, length)
    },
  }
}

/** @throws {FormatError} TRUNCATED unless `[offset, offset + length)` lies inside the source */
export function checkRange(
  source: { name: string; size: number },
  offset: number,
  length: number,
  what = 'data',
): void {
  const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0
  if (valid && offset + length <= source.size) return
  throw new FormatError({
    code: valid ? 'TRUNCATED' : 'INVALID_FIELD',
    file: source.name,
    what,
    byteOffset: offset,
    expected: `${length} bytes`,
    found: valid
      ? `${Math.max(0, source.size - offset)} before the end of the file (${source.size} bytes)`
      : 'an invalid range',
    hint: valid ? 'The copy is incomplete or damaged; compare its size or sha256 with the source.' : undefined,
  })
}

/** Reads `range` of `source` in pieces of at most `chunkBytes`, so that memory stays flat. */
export async function* streamRange(
  source: ByteSource,
  range: ByteRange,
  chunkBytes = 1 << 20,
): AsyncGenerator<Uint8Array> {
  checkRange(source, range.offset, range.length)
  for (let done = 0; done < range.length; done += chunkBytes) {
    yield await source.read(range.offset + done, Math.min(chunkBytes, range.length - done))
  }
}
