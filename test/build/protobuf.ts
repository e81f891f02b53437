/** Writes protocol-buffer messages for tests, field by field, so that a test shows the bytes it means. */

/** Unsigned varint; negative numbers as 64-bit two's complement, as protobuf does. */
export function varint(value: number | bigint): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value))
  const bytes: number[] = []
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0))
    rest >>= 7n
  } while (rest > 0n)
  return Uint8Array.from(bytes)
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let position = 0
  for (const part of parts) {
    all.set(part, position)
    position += part.length
  }
  return all
}

/** A varint field. */
export function number(id: number, value: number | bigint): Uint8Array {
  return concat(varint(id * 8), varint(value))
}

/** A length-delimited field: text, bytes, or a nested message given as its parts. */
export function field(id: number, ...content: readonly (string | Uint8Array)[]): Uint8Array {
  const payload = concat(...content.map((part) => (typeof part === 'string' ? new TextEncoder().encode(part) : part)))
  return concat(varint(id * 8 + 2), varint(payload.length), payload)
}

/** A fixed32 field holding a float. */
export function float(id: number, value: number): Uint8Array {
  return concat(varint(id * 8 + 5), floats([value]))
}

/** A fixed64 field holding a double. */
export function double(id: number, value: number): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setFloat64(0, value, true)
  return concat(varint(id * 8 + 1), bytes)
}

/** Packed varints. */
export function packed(id: number, values: readonly (number | bigint)[]): Uint8Array {
  return field(id, ...values.map((value) => varint(value)))
}

/** Little-endian float32 values, without a tag. */
export function floats(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4)
  const view = new DataView(bytes.buffer)
  for (const [index, value] of values.entries()) view.setFloat32(index * 4, value, true)
  return bytes
}
