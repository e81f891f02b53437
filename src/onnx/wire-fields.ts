import { InternalError } from '../errors.ts'

/** A field of an encoded message: all of its bytes, tag included, and the payload alone where it has a length. */
export interface WireField {
  readonly id: number
  readonly encoded: Uint8Array
  /** for length-delimited fields: text, bytes, messages, packed numbers */
  readonly payload?: Uint8Array
}

/**
 * The fields of an encoded message, in order, unknown ones included: what is not changed is copied as it was.
 *
 * For messages that a reader has decoded before: they are whole.
 * @throws {InternalError} when they are not
 */
export function* wireFields(message: Uint8Array): Generator<WireField> {
  let at = 0
  while (at < message.length) {
    const start = at
    const tag = readVarint(message, at)
    at = tag.end
    const id = Math.floor(tag.value / 8)
    let payload: Uint8Array | undefined
    switch (tag.value % 8) {
      case 0:
        at = readVarint(message, at).end
        break
      case 1:
        at += 8
        break
      case 2: {
        const length = readVarint(message, at)
        payload = message.subarray(length.end, length.end + length.value)
        at = length.end + length.value
        break
      }
      case 5:
        at += 4
        break
      default:
        throw new InternalError(`wire type ${tag.value % 8} in a message that was read before`)
    }
    if (at > message.length) throw new InternalError('a message that was read before is cut short')
    yield { id, encoded: message.subarray(start, at), ...(payload === undefined ? {} : { payload }) }
  }
}

function readVarint(bytes: Uint8Array, at: number): { value: number; end: number } {
  let value = 0
  let scale = 1
  for (let end = at; end < bytes.length && end < at + 10; end++) {
    const byte = bytes[end]!
    value += (byte & 0x7f) * scale
    scale *= 128
    if (byte < 0x80) return { value, end: end + 1 }
  }
  throw new InternalError('a number in a message that was read before has no end')
}
