import { cacheBlocks } from '../bytes/block-cache.ts'
import { type ByteRange, type ByteSource, memorySource, sliceSource } from '../bytes/byte-source.ts'
import { concatSources } from '../bytes/concat-source.ts'
import type { Limits } from '../bytes/limits.ts'
import { FormatError } from '../errors.ts'

/** Which fields of a message are messages that may hold what is changed; by field number. */
export interface SpliceShape {
  readonly children: Readonly<Record<number, () => SpliceShape>>
  /** asked for every message of this shape: what it is to become, or undefined to leave it as it is */
  readonly change?: (message: SpliceMessage) => Promise<readonly SplicePart[] | undefined>
}

/** A message as it lies in the file. */
export interface SpliceMessage {
  readonly fields: readonly SpliceField[]
  read(range: ByteRange): Promise<Uint8Array>
  /** fields of a message inside, such as an entry of pairs */
  fieldsOf(range: ByteRange): Promise<readonly SpliceField[]>
}

export interface SpliceField {
  readonly id: number
  /** 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes */
  readonly wire: number
  /** with tag and length */
  readonly whole: ByteRange
  readonly payload: ByteRange
}

/** Piece of a changed message: a range of the old file, new bytes, or room that is filled later under a key. */
export type SplicePart =
  | { readonly kind: 'old'; readonly range: ByteRange }
  | { readonly kind: 'new'; readonly bytes: Uint8Array }
  | { readonly kind: 'room'; readonly length: number; readonly key: string }

/** A file with changed messages, and what moved. */
export interface Spliced {
  readonly source: ByteSource
  /** where each room begins in `source`, by key */
  readonly rooms: ReadonlyMap<string, number>
  /** place in `source` of a byte of the old file that is still there */
  moved(offset: number): number | undefined
}

/**
 * Changes messages within a protocol-buffer file, whatever their new size: the lengths of all messages around them are
 * written anew, every other byte stays, and nothing is copied yet: the result reads from the old file.
 *
 * @throws {FormatError} INVALID_FIELD, LIMIT_EXCEEDED for what is no message of this shape
 */
export async function spliceMessages(source: ByteSource, shape: SpliceShape, limits: Limits): Promise<Spliced> {
  const walk = new Splicer(source, limits)
  const whole = { offset: 0, length: source.size }
  const parts = (await walk.message(shape, whole, 0)) ?? [{ kind: 'old', range: whole } as const]
  const sources: ByteSource[] = []
  const rooms = new Map<string, number>()
  const kept: { from: number; length: number; to: number }[] = []
  let position = 0
  for (const part of parts) {
    const length = lengthOf(part)
    if (part.kind === 'room') rooms.set(part.key, position)
    if (part.kind === 'old') kept.push({ from: part.range.offset, length, to: position })
    if (length > 0) sources.push(sourceOf(part, source))
    position += length
  }
  return {
    source: concatSources(source.name, sources),
    rooms,
    moved(offset) {
      const run = kept.find(({ from, length }) => offset >= from && offset < from + length)
      return run && run.to + offset - run.from
    },
  }
}

function lengthOf(part: SplicePart): number {
  return part.kind === 'old' ? part.range.length : part.kind === 'new' ? part.bytes.length : part.length
}

function sourceOf(part: SplicePart, source: ByteSource): ByteSource {
  if (part.kind === 'old') return sliceSource(source, part.range)
  if (part.kind === 'new') return memorySource(source.name, part.bytes)
  return { name: source.name, size: part.length, read: async (_, length) => new Uint8Array(length) }
}

/** A tag and a length take at most so many bytes. */
const MAX_HEAD_BYTES = 20

class Splicer {
  readonly #source: ByteSource
  readonly #cached: ByteSource
  readonly #limits: Limits
  #fields = 0

  constructor(source: ByteSource, limits: Limits) {
    this.#source = source
    this.#cached = cacheBlocks(source)
    this.#limits = limits
  }

  /** The parts of the message, or undefined when nothing in it changes. */
  async message(shape: SpliceShape, range: ByteRange, depth: number): Promise<SplicePart[] | undefined> {
    if (depth > this.#limits.maxDepth) throw this.#bad(range.offset, `at most ${this.#limits.maxDepth} levels`, 'more')
    const fields = await this.#fieldsOf(range)
    const message = {
      fields,
      read: ({ offset, length }: ByteRange) => this.#cached.read(offset, length),
      fieldsOf: (inner: ByteRange) => this.#fieldsOf(inner),
    }
    const changed = await shape.change?.(message)
    if (changed !== undefined) return [...changed]
    let parts: SplicePart[] | undefined
    for (const [index, { id, wire, whole, payload }] of fields.entries()) {
      const child = wire === 2 ? shape.children[id] : undefined
      const inner = child && (await this.message(child(), payload, depth + 1))
      if (inner !== undefined) {
        parts ??= fields.slice(0, index).map((field) => ({ kind: 'old', range: field.whole }))
        parts.push({ kind: 'new', bytes: messageHead(id, inner) }, ...inner)
      } else parts?.push({ kind: 'old', range: whole })
    }
    return parts && joinRuns(parts)
  }

  async #fieldsOf({ offset, length }: ByteRange): Promise<SpliceField[]> {
    const end = offset + length
    const fields: SpliceField[] = []
    for (let at = offset; at < end; ) {
      if (++this.#fields > this.#limits.maxItems * 16) throw this.#bad(at, 'fewer fields', 'more')
      const head = await this.#cached.read(at, Math.min(MAX_HEAD_BYTES, end - at))
      const tag = this.#varint(head, 0, at)
      const wire = Number(tag.value & 7n)
      const id = Number(tag.value >> 3n)
      let payload: ByteRange
      if (wire === 0) payload = { offset: at + tag.end, length: this.#varint(head, tag.end, at).end - tag.end }
      else if (wire === 1) payload = { offset: at + tag.end, length: 8 }
      else if (wire === 5) payload = { offset: at + tag.end, length: 4 }
      else if (wire === 2) {
        const size = this.#varint(head, tag.end, at)
        payload = { offset: at + size.end, length: Number(size.value) }
      } else throw this.#bad(at, 'wire type 0, 1, 2 or 5', String(wire))
      const next = payload.offset + payload.length
      if (next > end) throw this.#bad(at, `a field that ends by byte ${end}`, 'one that does not')
      fields.push({ id, wire, whole: { offset: at, length: next - at }, payload })
      at = next
    }
    return fields
  }

  #varint(bytes: Uint8Array, start: number, at: number): { value: bigint; end: number } {
    let value = 0n
    for (let index = start; index < Math.min(bytes.length, start + 10); index++) {
      value |= BigInt(bytes[index]! & 0x7f) << BigInt(7 * (index - start))
      if (bytes[index]! < 0x80) return { value, end: index + 1 }
    }
    throw this.#bad(at, 'a number of at most 10 bytes', 'one without end')
  }

  #bad(byteOffset: number, expected: string, found: string): FormatError {
    return new FormatError({
      code: 'INVALID_FIELD',
      file: this.#source.name,
      what: 'message',
      byteOffset,
      expected,
      found,
    })
  }
}

/** Neighbouring ranges of the old file as one: most of a graph stays. */
function joinRuns(parts: readonly SplicePart[]): SplicePart[] {
  const joined: SplicePart[] = []
  for (const part of parts) {
    const before = joined.at(-1)
    if (
      part.kind === 'old' &&
      before?.kind === 'old' &&
      before.range.offset + before.range.length === part.range.offset
    ) {
      const range = { offset: before.range.offset, length: before.range.length + part.range.length }
      joined[joined.length - 1] = { kind: 'old', range }
    } else joined.push(part)
  }
  return joined
}

function messageHead(id: number, inner: readonly SplicePart[]): Uint8Array {
  return fieldHead(
    id,
    inner.reduce((sum, part) => sum + lengthOf(part), 0),
  )
}

/** Tag and length of a field of bytes. */
export function fieldHead(id: number, length: number): Uint8Array {
  return Uint8Array.from([...varint(id * 8 + 2), ...varint(length)])
}

function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  while (rest > 0x7f) {
    bytes.push((rest % 128) | 0x80)
    rest = Math.floor(rest / 128)
  }
  return [...bytes, rest]
}
