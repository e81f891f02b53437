import type { ByteRange, ByteSource } from '../bytes/byte-source.ts'
import { FormatError } from '../errors.ts'

/** Payloads that lie this close together are read at once: an unpacked field has a payload for each value. */
const SPAN_BYTES = 262_144

/**
 * The payloads of a `ranges` field one after the other, in pieces of at most `chunkBytes`. Pieces follow the file, not
 * the values: see `wholeElements`.
 */
export async function* streamPayloads(
  source: ByteSource,
  ranges: readonly ByteRange[],
  chunkBytes = 1 << 20,
): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < ranges.length; ) {
    const first = ranges[index]!
    const last = spanEnd(ranges, index)
    if (last === index) {
      for (let done = 0; done < first.length; done += chunkBytes)
        yield await source.read(first.offset + done, Math.min(chunkBytes, first.length - done))
    } else {
      const end = ranges[last]!.offset + ranges[last]!.length
      const span = await source.read(first.offset, end - first.offset)
      const parts = ranges.slice(index, last + 1)
      const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
      let position = 0
      for (const { offset, length } of parts) {
        joined.set(span.subarray(offset - first.offset, offset - first.offset + length), position)
        position += length
      }
      yield joined
    }
    index = last + 1
  }
}

/** Index of the last of the payloads from `first` on that lie in ascending order within one span. */
function spanEnd(ranges: readonly ByteRange[], first: number): number {
  const begin = ranges[first]!.offset
  let last = first
  let end = begin + ranges[first]!.length
  for (let next = ranges[last + 1]; next !== undefined; next = ranges[last + 1]) {
    if (next.offset < end || next.offset + next.length - begin > SPAN_BYTES) break
    end = next.offset + next.length
    last++
  }
  return last
}

/**
 * Varints, packed or not, as 64-bit two's complement numbers: pairs of words, low word first, which on the wire and in
 * a little-endian Uint32Array is the same as an int64 or uint64.
 *
 * @param what for error messages, e.g. `tensor "indices"`
 * @throws {FormatError} INVALID_FIELD for a number of more than 10 bytes, TRUNCATED for one cut by the end
 */
export async function* streamVarints(
  source: ByteSource,
  ranges: readonly ByteRange[],
  what: string,
): AsyncGenerator<Uint32Array> {
  let low = 0
  let high = 0
  let shift = 0
  for await (const bytes of streamPayloads(source, ranges, 262_144)) {
    const words = new Uint32Array(bytes.length * 2)
    let count = 0
    for (const byte of bytes) {
      const bits = byte & 0x7f
      if (shift < 28) low |= bits << shift
      else if (shift === 28) {
        low |= bits << 28
        high = bits >>> 4
      } else if (shift < 64) high |= bits << (shift - 32)
      else throw badVarint(source, ranges, what, 'INVALID_FIELD', 'numbers of at most 10 bytes', 'a longer one')
      if (byte >= 0x80) {
        shift += 7
        continue
      }
      words[count++] = low
      words[count++] = high
      low = 0
      high = 0
      shift = 0
    }
    yield words.subarray(0, count)
  }
  if (shift > 0) throw badVarint(source, ranges, what, 'TRUNCATED', 'whole numbers', 'one cut by the end of the field')
}

function badVarint(
  source: ByteSource,
  ranges: readonly ByteRange[],
  what: string,
  code: 'INVALID_FIELD' | 'TRUNCATED',
  expected: string,
  found: string,
): FormatError {
  return new FormatError({ code, file: source.name, what, byteOffset: ranges[0]?.offset, expected, found })
}
