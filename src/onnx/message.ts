/** Values that are written when their turn comes, so that a message is planned before any weight is read. */
export interface Deferred {
  /** how many `stream` gives */
  readonly bytes: number
  stream(): AsyncIterable<Uint8Array>
  /** fills `target`, which has `bytes` bytes, without memory of its own */
  readInto?(target: Uint8Array): Promise<void>
}

/**
 * A protocol-buffer message in the making. Its size is known before its bytes are: the whole is written once, into one
 * buffer, and weights go there straight from their file.
 * @source https://protobuf.dev/programming-guides/encoding/
 */
export class Message {
  readonly #parts: (Uint8Array | Deferred)[] = []
  #bytes = 0

  /** size of what was written so far */
  get bytes(): number {
    return this.#bytes
  }

  varint(id: number, value: number | bigint): this {
    return this.raw(Uint8Array.from([...varint(BigInt(id) << 3n), ...varint(BigInt.asUintN(64, BigInt(value)))]))
  }

  float(id: number, value: number): this {
    const bytes = new Uint8Array(5)
    bytes[0] = id * 8 + 5
    new DataView(bytes.buffer).setFloat32(1, value, true)
    return this.raw(bytes)
  }

  text(id: number, value: string): this {
    return this.payload(id, new TextEncoder().encode(value))
  }

  /** a length-delimited field: text, bytes, a message as stored, or values yet to be read */
  payload(id: number, content: Uint8Array | Deferred): this {
    const length = content instanceof Uint8Array ? content.length : content.bytes
    return this.#head(id, length).#add(content, length)
  }

  message(id: number, inner: Message): this {
    this.#head(id, inner.#bytes)
    for (const part of inner.#parts) this.#parts.push(part)
    this.#bytes += inner.#bytes
    return this
  }

  /** fields that are encoded already */
  raw(bytes: Uint8Array): this {
    return this.#add(bytes, bytes.length)
  }

  /**
   * The whole message, every deferred value read.
   * @param memory is written to, and shared with the result, where it is large enough
   */
  async encode(memory = new ArrayBuffer(0)): Promise<Uint8Array<ArrayBuffer>> {
    const out = memory.byteLength < this.#bytes ? new Uint8Array(this.#bytes) : new Uint8Array(memory, 0, this.#bytes)
    let at = 0
    for (const part of this.#parts) {
      if (part instanceof Uint8Array) {
        out.set(part, at)
        at += part.length
        continue
      }
      const end = at + part.bytes
      if (part.readInto) {
        await part.readInto(out.subarray(at, end))
        at = end
        continue
      }
      for await (const chunk of part.stream()) {
        out.set(chunk, at)
        at += chunk.length
      }
      if (at !== end) throw new RangeError(`values of ${part.bytes} bytes were announced, ${at - end} more came`)
    }
    return out
  }

  #head(id: number, length: number): this {
    return this.raw(Uint8Array.from([...varint((BigInt(id) << 3n) | 2n), ...varint(BigInt(length))]))
  }

  #add(part: Uint8Array | Deferred, length: number): this {
    this.#parts.push(part)
    this.#bytes += length
    return this
  }
}

function varint(value: bigint): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  bytes.push(Number(rest))
  return bytes
}
