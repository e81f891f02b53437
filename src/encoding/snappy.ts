import type { Limits } from '../bytes/limits.ts'
import { FormatError } from '../errors.ts'

/** The densest element, a copy of 64 bytes, takes three bytes: more than this the format cannot promise. */
const MAX_RATIO = 22

/**
 * One Snappy block (not the framed stream): a varint of the length, then literals and copies of what came before.
 *
 * @param at name and byte offset of the block in its file, for errors
 * @throws {FormatError} INVALID_FIELD for damage; LIMIT_EXCEEDED when it would inflate beyond `limits.maxInflatedBytes`
 * @source https://github.com/google/snappy/blob/main/format_description.txt
 */
export function decodeSnappy(input: Uint8Array, limits: Limits, at: { file: string; byteOffset: number }): Uint8Array {
  const damaged = (found: string, position: number) =>
    new FormatError({
      code: 'INVALID_FIELD',
      file: at.file,
      what: 'Snappy block',
      byteOffset: at.byteOffset + position,
      expected: 'valid compressed data',
      found,
    })
  let position = 0
  let length = 0
  for (let shift = 0; ; shift += 7) {
    const byte = input[position++]
    if (byte === undefined || shift > 28) throw damaged('no valid length', 0)
    length += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) break
  }
  if (length > input.length * MAX_RATIO + 64) throw damaged(`a length of ${length} for ${input.length} bytes`, 0)
  if (length > limits.maxInflatedBytes) {
    const sizes = { expected: `at most ${limits.maxInflatedBytes} bytes`, found: String(length) }
    throw new FormatError({ code: 'LIMIT_EXCEEDED', what: 'Snappy block', ...at, ...sizes })
  }
  const out = new Uint8Array(length)
  let done = 0
  while (position < input.length) {
    const start = position
    const tag = input[position++]!
    const kind = tag & 3
    // trailing bytes of the element: literal length, or distance of the copy
    const extra = kind === 0 ? Math.max(0, (tag >> 2) - 59) : kind === 3 ? 4 : kind
    let number = 0
    for (let index = 0; index < extra; index++) number += (input[position + index] ?? 0) * 2 ** (8 * index)
    position += extra
    if (position > input.length) throw damaged('the end inside an element', start)
    if (kind === 0) {
      const count = extra === 0 ? (tag >> 2) + 1 : number + 1
      if (position + count > input.length || done + count > length)
        throw damaged('a literal beyond the end of the block', start)
      out.set(input.subarray(position, position + count), done)
      position += count
      done += count
    } else {
      const count = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1
      const distance = kind === 1 ? number + ((tag >> 5) << 8) : number
      if (distance === 0 || distance > done || done + count > length)
        throw damaged('a copy from outside the block', start)
      // byte by byte: a copy may overlap itself, which repeats it
      for (let index = 0; index < count; index++, done++) out[done] = out[done - distance]!
    }
  }
  if (done !== length) throw damaged(`${done} of ${length} bytes`, input.length)
  return out
}
