/**
 * A look at the first bytes of a file as if they were a protocol-buffer message. Protobuf has no magic, so the formats
 * that use it are told apart by which fields the head has, and by what lies inside them.
 *
 * No I/O and no throw: this is for `Format.match`.
 */
export interface ProbedField {
  readonly id: number
  /** 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes */
  readonly wireType: 0 | 1 | 2 | 5
  /** begin of the payload, relative to the probed bytes */
  readonly start: number
  /** end of the payload; may lie behind the probed bytes */
  readonly end: number
  /** length of the payload in bytes */
  readonly length: number
  /** whether the whole payload is among the probed bytes */
  readonly complete: boolean
  /** of a varint below 2^53 */
  readonly value?: number
}

/**
 * The fields of the message that fills a file of `size` bytes and begins with `head`, as far as `head` reaches.
 *
 * @param head the first bytes of the message
 * @param size length of the whole message in bytes; no field may reach beyond it
 * @returns in file order; undefined when the bytes cannot be such a message (wrong tag, a field beyond the end, a
 *   group: no model format of today has one) or when it is empty
 */
export function probeFields(head: Uint8Array, size: number): readonly ProbedField[] | undefined {
  const fields: ProbedField[] = []
  let position = 0
  while (position < head.length && position < size) {
    const tag = probeVarint(head, position)
    if (tag === 'invalid') return undefined
    if (tag === 'cut') return fields.length > 0 && head.length < size ? fields : undefined
    const id = Math.floor(tag.value / 8)
    const wireType = tag.value % 8
    if (id === 0 || id > 0x1fffffff) return undefined
    let start = tag.end
    let end: number
    let value: number | undefined
    if (wireType === 0 || wireType === 2) {
      const number = probeVarint(head, start)
      if (number === 'invalid') return undefined
      if (number === 'cut') return fields.length > 0 && head.length < size ? fields : undefined
      if (wireType === 0) value = number.value
      else start = number.end
      end = wireType === 0 ? number.end : start + number.value
    } else if (wireType === 1 || wireType === 5) {
      end = start + (wireType === 1 ? 8 : 4)
    } else {
      return undefined
    }
    if (end > size) return undefined
    const complete = end <= head.length
    fields.push({ id, wireType, start, end, length: end - start, complete, ...(value === undefined ? {} : { value }) })
    position = end
  }
  return fields.length > 0 ? fields : undefined
}

/** The fields inside `field` of the message that `head` begins, as far as `head` reaches; undefined as `probeFields`. */
export function probeNested(head: Uint8Array, field: ProbedField): readonly ProbedField[] | undefined {
  if (field.wireType !== 2) return undefined
  return probeFields(head.subarray(field.start, Math.min(field.end, head.length)), field.length)
}

/** The text in `field`, as far as `head` reaches; undefined when it is not printable UTF-8. */
export function probeText(head: Uint8Array, field: ProbedField): string | undefined {
  if (field.wireType !== 2) return undefined
  const bytes = head.subarray(field.start, Math.min(field.end, head.length))
  for (const byte of bytes) if (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) return undefined
  try {
    // `stream`: a character cut by the end of the head is no error
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: !field.complete })
  } catch {
    // not UTF-8: that is the answer
    return undefined
  }
}

function probeVarint(bytes: Uint8Array, position: number): { value: number; end: number } | 'cut' | 'invalid' {
  let value = 0
  for (let index = 0; index < 10; index++) {
    const byte = bytes[position + index]
    if (byte === undefined) return 'cut'
    value += (byte & 0x7f) * 2 ** (7 * index)
    if (byte < 0x80) return { value, end: position + index + 1 }
  }
  return 'invalid'
}
