import { type ByteRange, type ByteSource, checkRange, streamRange } from '../../bytes/byte-source.ts'
import { crc32c, maskCrc } from '../../encoding/crc32c.ts'
import { FormatError } from '../../errors.ts'
import { packElements, tfElementBytes } from '../../model/tensorflow-dtype.ts'
import { swapBytes } from '../../tensor/byte-order.ts'
import { DTYPES, type Dtype } from '../../tensor/dtype.ts'

/** Where the bytes of one entry lie. */
export interface StoredValues {
  readonly name: string
  readonly source: ByteSource
  readonly range: ByteRange
  /** masked; undefined where the entry has none */
  readonly crc32c: number | undefined
  readonly bigEndian: boolean
}

/**
 * The values of an entry of fixed element width, little-endian, checked against the stored checksum when the last
 * byte has been read.
 */
export async function* streamValues(stored: StoredValues, dtype: Dtype): AsyncGenerator<Uint8Array> {
  const { source, range, bigEndian } = stored
  const { bits, kind } = DTYPES[dtype]
  const part = tfElementBytes(dtype) / (kind === 'complex' ? 2 : 1)
  let crc = 0
  for await (const chunk of streamRange(source, range)) {
    crc = crc32c(chunk, crc)
    const little = bigEndian ? swapBytes(chunk, part) : chunk
    yield bits < 8 ? packElements(little, bits) : little
  }
  checkCrc(stored, crc)
}

function checkCrc({ name, source, range, crc32c: wanted }: StoredValues, crc: number): void {
  if (wanted === undefined || maskCrc(crc) === wanted) return
  throw new FormatError({
    code: 'INVALID_FIELD',
    file: source.name,
    what: `checksum of tensor "${name}"`,
    byteOffset: range.offset,
    expected: `crc32c ${wanted.toString(16)}`,
    found: maskCrc(crc).toString(16),
    hint: 'The data are damaged, or belong to another index.',
  })
}

/** The lengths of a text tensor and where the texts begin. */
export interface TextLengths {
  readonly lengths: readonly number[]
  readonly texts: ByteRange
  /** of the lengths and their checksum, unmasked: the texts' checksum goes on from here */
  readonly crc: number
}

/**
 * Reads the head of a text tensor: varint length of each text, then a masked CRC-32C over the lengths (each as u32,
 * or u64 from 4 GiB on), then the texts.
 * @source tensorflow/core/util/tensor_bundle/tensor_bundle.cc (WriteStringTensor)
 */
export async function readTextLengths(stored: StoredValues, count: number): Promise<TextLengths> {
  const { source, range, name } = stored
  checkRange(source, range.offset, range.length, `tensor "${name}"`)
  const head = await source.read(range.offset, Math.min(range.length, count * 10 + 4))
  const fail = (found: string) =>
    new FormatError({
      code: 'INVALID_FIELD',
      file: source.name,
      what: `lengths of text tensor "${name}"`,
      byteOffset: range.offset,
      expected: `${count} lengths, their checksum and as many texts in ${range.length} bytes`,
      found,
    })
  const lengths: number[] = []
  let position = 0
  let total = 0
  let crc = 0
  const number = new DataView(new ArrayBuffer(8))
  while (lengths.length < count) {
    let length = 0
    for (let shift = 0; ; shift += 7) {
      const byte = head[position++]
      if (byte === undefined || shift > 49) throw fail('a length that is cut')
      length += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) break
    }
    lengths.push(length)
    total += length
    const wide = length >= 2 ** 32
    if (wide) number.setBigUint64(0, BigInt(length), true)
    else number.setUint32(0, length, true)
    crc = crc32c(new Uint8Array(number.buffer, 0, wide ? 8 : 4), crc)
  }
  if (position + 4 + total !== range.length) throw fail(`${total} bytes of text behind ${position + 4}`)
  const checksum = head.subarray(position, position + 4)
  if (new DataView(checksum.buffer, checksum.byteOffset, 4).getUint32(0, true) !== maskCrc(crc))
    throw fail('lengths that do not fit their checksum')
  const texts = { offset: range.offset + position + 4, length: total }
  return { lengths, texts, crc: crc32c(checksum, crc) }
}

/** The texts as our streams give them, each behind its u32 length. */
export async function* streamTexts(stored: StoredValues, count: number): AsyncGenerator<Uint8Array> {
  const { lengths, texts, crc: begun } = await readTextLengths(stored, count)
  const { source } = stored
  let crc = begun
  let position = texts.offset
  for (let index = 0; index < lengths.length; ) {
    // as many whole texts as make a chunk, so that a million short ones are not a million reads
    let end = index
    let size = 0
    do size += lengths[end++]!
    while (end < lengths.length && size + lengths[end]! <= CHUNK_BYTES)
    const bytes = await source.read(position, size)
    crc = crc32c(bytes, crc)
    const out = new Uint8Array(size + 4 * (end - index))
    const view = new DataView(out.buffer)
    let from = 0
    let to = 0
    for (; index < end; index++) {
      const length = lengths[index]!
      view.setUint32(to, length, true)
      out.set(bytes.subarray(from, from + length), to + 4)
      from += length
      to += 4 + length
    }
    position += size
    yield out
  }
  checkCrc(stored, crc)
}

const CHUNK_BYTES = 1 << 20
