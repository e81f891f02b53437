import { ByteReader } from '../../bytes/byte-reader.ts'
import type { ByteRange, ByteSource } from '../../bytes/byte-source.ts'

/** Texts of one tensor are read together; labels of a large classifier take 400 kB. */
const CHUNK_TEXTS = 4096

/**
 * A tensor of texts: their number (i32), the offset of each and of the end (i32 from the begin of the data), then the
 * bytes. Given out in our form: for each its length (u32) and its bytes.
 *
 * @param count elements by the tensor's shape
 * @throws {FormatError} INVALID_FIELD or TRUNCATED when number or offsets contradict the data
 * @source tensorflow/lite/string_util.h
 */
export async function readTexts(
  source: ByteSource,
  data: ByteRange,
  count: number,
  what: string,
): Promise<{ bytes: number; stream: () => AsyncGenerator<Uint8Array> }> {
  const reader = async (position: number, length: number) => {
    const inside = Math.min(length, Math.max(0, data.length - position))
    const bytes = await source.read(data.offset + position, inside)
    return new ByteReader(bytes, { name: source.name, base: data.offset + position })
  }
  const head = await reader(0, 8)
  const stored = head.u32(`number of texts of ${what}`)
  if (stored !== count)
    throw head.invalid(`number of texts of ${what}`, `${count}, as its shape says`, String(stored), data.offset)
  const tableBytes = 4 + 4 * (count + 1)
  const first = head.u32(`first offset of ${what}`)
  if (first !== tableBytes)
    throw head.invalid(`first offset of ${what}`, String(tableBytes), String(first), data.offset + 4)
  return {
    bytes: count * 4 + data.length - tableBytes,
    async *stream() {
      for (let begin = 0; begin < count; begin += CHUNK_TEXTS) {
        const end = Math.min(count, begin + CHUNK_TEXTS)
        const table = await reader(4 + begin * 4, 4 * (end - begin + 1))
        const offsets = Array.from({ length: end - begin + 1 }, () => table.u32(`offset of a text of ${what}`))
        const lastEnd = end === count ? data.length : offsets.at(-1)!
        if (offsets.some((offset, index) => offset < (offsets[index - 1] ?? first)) || offsets.at(-1) !== lastEnd)
          throw table.invalid(`offsets of the texts of ${what}`, 'ascending offsets up to the end', 'others')
        const texts = await reader(offsets[0]!, lastEnd - offsets[0]!)
        const out = new Uint8Array(4 * (end - begin) + lastEnd - offsets[0]!)
        const view = new DataView(out.buffer)
        let at = 0
        for (let index = 0; index < end - begin; index++) {
          const length = offsets[index + 1]! - offsets[index]!
          view.setUint32(at, length, true)
          out.set(texts.take(length, `a text of ${what}`), at + 4)
          at += 4 + length
        }
        yield out
      }
    },
  }
}
