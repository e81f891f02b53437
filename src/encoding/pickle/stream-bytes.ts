import { type ByteSource, memorySource, sliceSource, streamRange } from '../../bytes/byte-source.ts'
import { FormatError } from '../../errors.ts'
import type { PickleBytes } from './values.ts'

/** What is needed to say where bytes of a pickle are and how many there must be. */
export interface PickleBytesPlace {
  /** of the pickle: long values are still in there */
  readonly source: ByteSource
  /** that the rest of the pickle promises */
  readonly length: number
  /** of the error, e.g. `array "weights"` */
  readonly what: string
}

/**
 * Whether `value` can hold `length` bytes, without reading it: exact but for UTF-8 text in the file, whose length
 * shows only when it is decoded (one or two bytes for each).
 */
export function mayHold(value: PickleBytes, length: number): boolean {
  const { content } = value
  if ('inline' in content) return content.inline.length === length
  if ('text' in content) return content.text.length === length
  return content.encoding === 'raw'
    ? content.length === length
    : content.length >= length && content.length <= 2 * length
}

/**
 * The bytes of `value`, in pieces.
 * @throws {FormatError} INVALID_FIELD when there are more or fewer than promised, or text is not Latin-1
 */
export async function* streamPickleBytes(value: PickleBytes, place: PickleBytesPlace): AsyncGenerator<Uint8Array> {
  let total = 0
  for await (const chunk of rawChunks(value, place)) {
    total += chunk.length
    if (total > place.length) break
    yield chunk
  }
  if (total !== place.length)
    throw bad(value, place, `${place.length} bytes`, total > place.length ? 'more' : `${total}`)
}

/** The same as a source of any range: a view into the file where the bytes lie there as they are, else in memory. */
export async function openPickleBytes(value: PickleBytes, place: PickleBytesPlace): Promise<ByteSource> {
  const { content } = value
  if ('offset' in content && content.encoding === 'raw') return sliceSource(place.source, content)
  const bytes = new Uint8Array(place.length)
  let position = 0
  for await (const chunk of streamPickleBytes(value, place)) {
    bytes.set(chunk, position)
    position += chunk.length
  }
  return memorySource(place.source.name, bytes)
}

async function* rawChunks(value: PickleBytes, place: PickleBytesPlace): AsyncGenerator<Uint8Array> {
  const { content } = value
  if ('inline' in content) {
    yield content.inline
  } else if ('text' in content) {
    const bytes = new Uint8Array(content.text.length)
    for (let index = 0; index < bytes.length; index++) {
      const code = content.text.charCodeAt(index)
      if (code > 0xff) throw bad(value, place, 'one byte per character', `character U+${code.toString(16)}`)
      bytes[index] = code
    }
    yield bytes
  } else if (content.encoding === 'raw') {
    yield* streamRange(place.source, content)
  } else {
    yield* latin1FromUtf8(value, place, streamRange(place.source, content))
  }
}

/** Characters U+0080 to U+00FF are two bytes in UTF-8: 110000xx 10xxxxxx. */
async function* latin1FromUtf8(
  value: PickleBytes,
  place: PickleBytesPlace,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let lead = -1
  for await (const chunk of chunks) {
    const out = new Uint8Array(chunk.length)
    let length = 0
    for (const byte of chunk) {
      if (lead >= 0) {
        if ((byte & 0xc0) !== 0x80) throw bad(value, place, 'Latin-1 text', 'damaged UTF-8')
        out[length++] = (lead << 6) | (byte & 0x3f)
        lead = -1
      } else if (byte < 0x80) out[length++] = byte
      else if (byte === 0xc2 || byte === 0xc3) lead = byte & 0x03
      else throw bad(value, place, 'Latin-1 text', 'another character')
    }
    yield out.subarray(0, length)
  }
  if (lead >= 0) throw bad(value, place, 'Latin-1 text', 'damaged UTF-8')
}

function bad(value: PickleBytes, place: PickleBytesPlace, expected: string, found: string): FormatError {
  return new FormatError({
    code: 'INVALID_FIELD',
    file: place.source.name,
    what: place.what,
    byteOffset: 'offset' in value.content ? value.content.offset : undefined,
    expected,
    found,
  })
}
