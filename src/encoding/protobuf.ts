import { type ByteRange, type ByteSource, checkRange } from '../bytes/byte-source.ts'
import type { Limits } from '../bytes/limits.ts'
import {
  type Budget,
  begin,
  chargeBytes,
  checkText,
  Decoder,
  deeper,
  type Field,
  spend,
  store,
  type Table,
  type Target,
  utf8,
} from './protobuf-decoder.ts'

/**
 * Protocol-buffer messages over a ranged source.
 *
 * Decodes by table, keeps bulk bytes where they are (a `ranges` field yields offsets, not data), so a 3 GB model costs
 * its structure only, and every error carries the byte offset. A general library decodes whole buffers in memory and
 * gives no offsets: that is why this is our own. Unknown fields are skipped, as the specification demands.
 *
 * What fits in the current window of bytes is decoded by `Decoder` without further I/O; only a message that is larger
 * is walked here, field by field, jumping over what nobody asked for.
 *
 * @source https://protobuf.dev/programming-guides/encoding/
 */
export interface MessageType<T> {
  /** for error messages, e.g. `onnx.TensorProto` */
  readonly name: string
  readonly fields: { readonly [K in keyof T]-?: FieldSpec }
}

export interface FieldSpec {
  readonly id: number
  /**
   * - `int`: varint as number, sign-extended from 64 bits; INVALID_FIELD beyond +-2^53
   * - `int64`: varint as bigint, signed; `uint64`: unsigned
   * - `bool`, `float` (fixed32), `double` (fixed64), `fixed32`, `fixed64` (bigint), `string` (UTF-8)
   * - `ranges`: where the payload lies, one `Payload` per occurrence, whatever the wire type; loaded only up to `keep`
   * - a message type, as a thunk so that types can refer to themselves
   */
  readonly type:
    | 'int'
    | 'int64'
    | 'uint64'
    | 'bool'
    | 'float'
    | 'double'
    | 'fixed32'
    | 'fixed64'
    | 'string'
    | 'ranges'
    | (() => MessageType<never> | MessageType<object>)
  /** repeated fields always yield an array, packed or not */
  readonly repeated?: true
  /** for `ranges`: payloads of at most so many bytes come with their `bytes`, as they lie in the window anyway */
  readonly keep?: number
  /** what `ranges` hold: the wire form of one element; needed only by `protobuf-encode.ts` */
  readonly of?: 'float' | 'double' | 'int64' | 'uint64' | 'bytes'
  /** value names of an enum, for text and JSON forms; the wire has numbers */
  readonly names?: Readonly<Record<string, number>>
  /** entries `{key, value}`, which JSON writes as one object */
  readonly map?: true
}

/** Where the value of a `ranges` field lies, and the bytes themselves where the field asks to keep small ones. */
export interface Payload extends ByteRange {
  readonly bytes?: Uint8Array
}

/** Identity with types: `const TensorProto = defineMessage<TensorProto>('onnx.TensorProto', {...})`. */
export function defineMessage<T>(name: string, fields: MessageType<T>['fields']): MessageType<T> {
  return { name, fields }
}

/** A message of at most so many bytes is loaded whole; a larger one is walked, so that its bulk is never read. */
const EAGER_BYTES = 16_384

/** A tag and a length take at most so many bytes. */
const MAX_HEAD_BYTES = 20

/**
 * Decodes the message in `range` of `source`. Singular fields that are absent stay undefined, so T's fields should be
 * optional; repeated ones are `[]`. A message field that occurs twice is merged, as the specification demands.
 *
 * @throws {FormatError} TRUNCATED, INVALID_FIELD or LIMIT_EXCEEDED with the byte offset
 */
export async function decodeMessage<T>(
  type: MessageType<T>,
  source: ByteSource,
  limits: Limits,
  range: ByteRange = { offset: 0, length: source.size },
): Promise<T> {
  const budget: Budget = { items: limits.maxItems, bytes: limits.maxHeaderBytes, limits }
  checkRange(source, range.offset, range.length, type.name)
  const walker = new Walker(source, budget, range.offset + range.length)
  return (await walker.decode(table(type), range, 0, {})) as T
}

const tables = new WeakMap<object, Table>()

function table(type: MessageType<unknown> | MessageType<never> | MessageType<object>): Table {
  const known = tables.get(type)
  if (known) return known
  const entries = Object.entries(type.fields as Record<string, FieldSpec>)
  const repeated = entries.filter(([, spec]) => spec.repeated || spec.type === 'ranges').map(([key]) => key)
  const byId = new Map<number, Field>()
  const made: Table = { name: type.name, byId, repeated }
  tables.set(type, made)
  for (const [key, { id, type: kind, repeated: isRepeated, keep }] of entries) {
    const shared = { key, repeated: isRepeated ?? false, keep: keep ?? 0 }
    byId.set(
      id,
      typeof kind === 'function' ? { ...shared, kind: 'message', child: () => table(kind()) } : { ...shared, kind },
    )
  }
  return made
}

class Walker {
  readonly #source: ByteSource
  readonly #budget: Budget
  /** absolute end of the outermost message: no window reaches beyond it */
  readonly #end: number
  #decoder: Decoder
  #windowBytes = 4096

  constructor(source: ByteSource, budget: Budget, end: number) {
    this.#source = source
    this.#budget = budget
    this.#end = end
    this.#decoder = new Decoder(new Uint8Array(0), 0, source, budget)
  }

  async decode(type: Table, range: ByteRange, depth: number, into: Target): Promise<Target> {
    const { offset, length } = range
    const end = offset + length
    if (length <= EAGER_BYTES) await this.#ensure(offset, length)
    if (this.#decoder.holds(offset, length)) return this.#decoder.message(type, offset, end, depth, into)
    begin(type, into)
    let position = offset
    while (position < end) {
      await this.#ensure(position, Math.min(MAX_HEAD_BYTES, end - position))
      const head = this.#decoder.head(position, type, end)
      const field = type.byId.get(head.id)
      if (field) {
        if (this.#decoder.holds(head.start, head.end - head.start) || (field.kind === 'ranges' && !isKept(field, head)))
          this.#decoder.value(field, head, into, depth)
        else await this.#outside(field, head, into, depth)
      }
      position = head.end
    }
    return into
  }

  /** A field whose payload reaches beyond the window. */
  async #outside(
    field: Field,
    head: { wireType: number; start: number; end: number },
    into: Target,
    depth: number,
  ): Promise<void> {
    const payload = { offset: head.start, length: head.end - head.start }
    if (field.kind === 'message' && head.wireType === 2) {
      spend(this.#budget, 1, this.#source.name, payload.offset)
      const inner = deeper(depth, this.#budget, this.#source, payload.offset)
      const known = field.repeated ? undefined : (into[field.key] as Target | undefined)
      store(into, field, await this.decode(field.child(), payload, inner, known ?? {}))
    } else if (field.kind === 'string' && head.wireType === 2) {
      checkText(payload, this.#budget, this.#source, field.key)
      store(into, field, utf8.decode(await this.#source.read(payload.offset, payload.length)))
    } else {
      chargeBytes(this.#budget, payload.length, this.#source, payload.offset)
      const bytes = await this.#source.read(payload.offset, payload.length)
      new Decoder(bytes, payload.offset, this.#source, this.#budget).value(field, head, into, depth)
    }
  }

  /**
   * Brings `length` bytes from `offset` into the window. Runs of small fields double the window, a jump over bulk
   * bytes makes it small again: a model of 1,000 large tensors costs 4 KiB for each, not 64.
   */
  async #ensure(offset: number, length: number): Promise<void> {
    if (this.#decoder.holds(offset, length)) return
    const sequential = offset <= this.#decoder.end && offset >= this.#decoder.base
    this.#windowBytes = sequential ? Math.min(this.#windowBytes * 2, 262_144) : 4096
    const wanted = Math.max(length, Math.min(this.#windowBytes, this.#end - offset))
    const bytes = await this.#source.read(offset, wanted)
    this.#decoder = new Decoder(bytes, offset, this.#source, this.#budget)
  }
}

function isKept(field: Field, head: { start: number; end: number }): boolean {
  return head.end - head.start <= field.keep
}
