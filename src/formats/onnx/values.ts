import type { ByteSource } from '../../bytes/byte-source.ts'
import { streamRange } from '../../bytes/byte-source.ts'
import type { Payload } from '../../encoding/protobuf.ts'
import { streamPayloads, streamVarints } from '../../encoding/protobuf-values.ts'
import { FormatError } from '../../errors.ts'
import { DTYPES, type Dtype } from '../../tensor/dtype.ts'
import { wholeElements } from '../../tensor/whole-elements.ts'

/**
 * Where the values of one tensor lie, and how they come to be raw little-endian bytes.
 *
 * - `raw`: payloads that are the values (raw_data, float_data, double_data), or a range of an external file
 * - `varints`: int32_data, int64_data, uint64_data: numbers of 1 to 10 bytes
 * - `strings`: string_data, one payload for each element
 * - `memory`: attributes of a Constant node that are no TensorProto
 * - `missing`: why there are none
 */
export type Values =
  | { readonly kind: 'raw'; readonly source: ByteSource; readonly ranges: readonly Payload[] }
  | { readonly kind: 'varints'; readonly source: ByteSource; readonly ranges: readonly Payload[] }
  | { readonly kind: 'strings'; readonly source: ByteSource; readonly ranges: readonly Payload[] }
  | { readonly kind: 'memory'; readonly bytes: Uint8Array }
  | { readonly kind: 'missing'; readonly error: () => FormatError }

/**
 * Raw little-endian values in C order, in pieces of whole elements.
 *
 * @param expected bytes that dtype and shape take; for `string` the stored length
 * @throws {FormatError} when the file holds fewer, more or other values than it promised
 */
export async function* streamValues(
  values: Values,
  dtype: Dtype,
  expected: number,
  what: string,
): AsyncGenerator<Uint8Array> {
  switch (values.kind) {
    case 'raw': {
      const [only] = values.ranges
      if (only && values.ranges.length === 1) yield* streamRange(values.source, only)
      else yield* wholeElements(streamPayloads(values.source, values.ranges), elementBytes(dtype))
      break
    }
    case 'varints':
      yield* streamNumbers(values.source, values.ranges, dtype, expected, what)
      break
    case 'strings':
      for (const range of values.ranges) yield encodeText(await values.source.read(range.offset, range.length))
      break
    case 'memory':
      yield values.bytes
      break
    case 'missing':
      throw values.error()
    default:
      values satisfies never
  }
}

/** The values as raw bytes, when they are few and the decoder has kept them; undefined otherwise. */
export function keptBytes(values: Values, dtype: Dtype): Uint8Array | undefined {
  if (values.kind === 'memory') return values.bytes
  if (values.kind === 'missing') return undefined
  const parts: Uint8Array[] = []
  for (const { bytes } of values.ranges) {
    if (bytes === undefined) return undefined
    parts.push(values.kind === 'strings' ? encodeText(bytes) : bytes)
  }
  const joined = parts.length === 1 ? parts[0]! : Uint8Array.from(parts.flatMap((part) => [...part]))
  return values.kind === 'varints' ? keptNumbers(joined, dtype) : joined
}

function keptNumbers(bytes: Uint8Array, dtype: Dtype): Uint8Array | undefined {
  const { bits } = DTYPES[dtype]
  if (bits === 6) return undefined
  const width = Math.max(1, bits / 8)
  const out: number[] = []
  let value = 0n
  let shift = 0n
  for (const byte of bytes) {
    if (shift > 63n) return undefined
    value |= BigInt(byte & 0x7f) << shift
    shift += 7n
    if (byte >= 0x80) continue
    for (let index = 0; index < width; index++) out.push(Number((value >> BigInt(8 * index)) & 0xffn))
    value = 0n
    shift = 0n
  }
  return shift === 0n ? Uint8Array.from(out) : undefined
}

/** An element of a `string` tensor: length (u32, little-endian), then its bytes. */
export function encodeText(text: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + text.length)
  new DataView(bytes.buffer).setUint32(0, text.length, true)
  bytes.set(text, 4)
  return bytes
}

/** Bytes of the smallest group of whole bytes that holds whole elements. */
function elementBytes(dtype: Dtype): number {
  const { bits } = DTYPES[dtype]
  return bits === 6 ? 3 : Math.max(1, bits / 8)
}

async function* streamNumbers(
  source: ByteSource,
  ranges: readonly Payload[],
  dtype: Dtype,
  expected: number,
  what: string,
): AsyncGenerator<Uint8Array> {
  const chunks = narrow(source, ranges, dtype, what)
  let found = 0
  for await (const chunk of DTYPES[dtype].bits === 6 ? pack6(chunks) : chunks) {
    found += chunk.length
    if (found > expected) break
    yield chunk
  }
  if (found !== expected) {
    throw new FormatError({
      code: 'INVALID_FIELD',
      file: source.name,
      what,
      byteOffset: ranges[0]?.offset,
      expected: `${expected} bytes of values`,
      found: found > expected ? 'more' : String(found),
    })
  }
}

/** 64-bit numbers to the width of the type. int4 and narrower: each number is a byte that holds two or four elements. */
async function* narrow(
  source: ByteSource,
  ranges: readonly Payload[],
  dtype: Dtype,
  what: string,
): AsyncGenerator<Uint8Array> {
  const width = Math.max(1, Math.floor(DTYPES[dtype].bits / 8))
  const most = 2 ** (8 * width) - 1
  const least = -(2 ** (8 * width - 1))
  for await (const words of streamVarints(source, ranges, what)) {
    if (width === 8) {
      yield new Uint8Array(words.buffer, words.byteOffset, words.byteLength)
      continue
    }
    const out = new Uint8Array((words.length / 2) * width)
    for (let index = 0, at = 0; index < words.length; index += 2, at += width) {
      const low = words[index]!
      const high = words[index + 1]!
      const fits = high === 0 ? low <= most : high === 0xffff_ffff && (low | 0) >= least && low >= 0x8000_0000
      if (!fits) {
        throw new FormatError({
          code: 'INVALID_FIELD',
          file: source.name,
          what,
          byteOffset: ranges[0]?.offset,
          expected: `values that fit ${dtype}`,
          found: String(BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low))),
        })
      }
      out[at] = low
      if (width > 1) out[at + 1] = low >>> 8
      if (width > 2) {
        out[at + 2] = low >>> 16
        out[at + 3] = low >>> 24
      }
    }
    yield out
  }
}

/** 6-bit codes, one in each byte, to four in three bytes, first in the low bits. */
async function* pack6(codes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const group of wholeElements(codes, 4)) {
    const out = new Uint8Array(Math.ceil((group.length * 6) / 8))
    for (const [index, code] of group.entries()) {
      const bit = index * 6
      const at = Math.floor(bit / 8)
      out[at]! |= (code & 0x3f) << (bit % 8)
      if (bit % 8 > 2) out[at + 1]! |= (code & 0x3f) >> (8 - (bit % 8))
    }
    yield out
  }
}
