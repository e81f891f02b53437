import { type ByteSource, streamRange } from '../bytes/byte-source.ts'
import type { Limits } from '../bytes/limits.ts'
import type { TensorProto, TensorShape } from '../encoding/graph-def.ts'
import type { Payload } from '../encoding/protobuf.ts'
import { FormatError } from '../errors.ts'
import { byteLength, DTYPES, type Dtype, elementCount } from '../tensor/dtype.ts'
import type { Tensor, TensorRole } from '../tensor/tensor.ts'
import { findTfDtype, packElements, tfElementBytes, tfTypeName } from './tensorflow-dtype.ts'

/** Where TensorProtos were decoded from, and how much they may grow to. */
export interface ProtoContext {
  /** what payload offsets count in: the file, or the binary form of a text file */
  readonly source: ByteSource
  /** name of the file that the model has; undefined when `source` is not that file's bytes */
  readonly file: string | undefined
  readonly limits: Limits
  /** bytes that short lists may still be repeated to: a few bytes can claim any shape */
  readonly expansion: { bytes: number }
}

export function protoContext(source: ByteSource, file: string | undefined, limits: Limits): ProtoContext {
  return { source, file, limits, expansion: { bytes: limits.maxInflatedBytes } }
}

/** How the values of a type are listed where `tensor_content` is not used. */
const LISTS: Partial<Record<Dtype, { field: keyof TensorProto; wire: 'fixed' | 'varint' | 'raw' }>> = {
  float32: { field: 'floatVal', wire: 'fixed' },
  float64: { field: 'doubleVal', wire: 'fixed' },
  complex64: { field: 'scomplexVal', wire: 'fixed' },
  complex128: { field: 'dcomplexVal', wire: 'fixed' },
  float16: { field: 'halfVal', wire: 'varint' },
  bfloat16: { field: 'halfVal', wire: 'varint' },
  int64: { field: 'int64Val', wire: 'varint' },
  uint64: { field: 'uint64Val', wire: 'varint' },
  uint32: { field: 'uint32Val', wire: 'varint' },
  bool: { field: 'boolVal', wire: 'varint' },
  float8_e5m2: { field: 'float8Val', wire: 'raw' },
  float8_e4m3fn: { field: 'float8Val', wire: 'raw' },
  float8_e4m3fnuz: { field: 'float8Val', wire: 'raw' },
  float8_e5m2fnuz: { field: 'float8Val', wire: 'raw' },
}
/** int8 to int32, quantised or not, and everything narrower */
const INT_LIST = { field: 'intVal', wire: 'varint' } as const

/**
 * A constant as a Tensor; its values stay in the file.
 *
 * Without `tensor_content` the values are listed; of a list shorter than the shape the last value repeats, and an
 * empty list is all zeros. That growth is charged to `context.expansion`.
 *
 * @returns undefined for a type that is no array (resources, variants) or that we do not know
 * @throws {FormatError} INVALID_FIELD when shape and values do not fit; LIMIT_EXCEEDED beyond the allowed growth
 * @source tensorflow/core/framework/tensor.proto, tensor.cc (Tensor::FromProto)
 */
export function readTensorProto(
  proto: TensorProto,
  { name, role }: { name: string; role: TensorRole },
  context: ProtoContext,
): Tensor | undefined {
  const dtype = findTfDtype(proto.dtype)
  if (dtype === undefined) return undefined
  const { source, limits, file } = context
  const list = LISTS[dtype] ?? INT_LIST
  const content = proto.tensorContent.at(-1)
  const payloads = dtype === 'string' ? proto.stringVal : (proto[list.field] as Payload[])
  const what = `constant "${name}"`
  const fail = (code: 'INVALID_FIELD' | 'LIMIT_EXCEEDED', expected: string, found: string) =>
    new FormatError({
      code,
      file: source.name,
      what,
      byteOffset: (content ?? payloads[0])?.offset,
      expected,
      found,
    })
  const shape = readShape(proto.tensorShape)
  if (shape === undefined) throw fail('INVALID_FIELD', 'a known shape', 'an unknown size')
  const count = elementCount(shape)
  if (shape.length > limits.maxRank || !Number.isSafeInteger(count * 16))
    throw fail('LIMIT_EXCEEDED', 'a countable shape', `[${shape.slice(0, 8).join(', ')}]`)
  const charge = (bytes: number) => {
    context.expansion.bytes -= bytes
    if (context.expansion.bytes < 0)
      throw fail('LIMIT_EXCEEDED', `values that repeat to at most ${limits.maxInflatedBytes} bytes`, 'more')
  }
  if (dtype === 'string') return stringTensor({ name, role, shape, count, payloads, charge, fail, context })

  const width = tfElementBytes(dtype)
  const stored = count * width
  const bytes = byteLength(dtype, count)
  const pack = DTYPES[dtype].bits < 8
  const [only] = payloads
  const whole = payloads.length === 1 && list.wire !== 'varint' && !pack && only?.length === stored ? only : undefined
  const raw = content !== undefined && content.length > 0 ? content : whole
  if (raw !== undefined) {
    if (raw.length !== stored) throw fail('INVALID_FIELD', `${stored} bytes`, `${raw.length}`)
    if (pack && stored > limits.maxInflatedBytes) throw fail('LIMIT_EXCEEDED', 'a smaller constant', `${stored} bytes`)
    const storage = file === undefined || pack ? {} : { storage: { file, byteOffset: raw.offset, byteLength: bytes } }
    const stream = pack
      ? async function* () {
          yield packElements(await load(source, raw), DTYPES[dtype].bits)
        }
      : () => streamPayload(source, raw)
    return { name, dtype, shape, bytes, role, ...storage, stream }
  }
  const listed = payloads.reduce((sum, payload) => sum + payload.length, 0)
  charge(Math.max(0, stored - listed))
  if (listed > limits.maxInflatedBytes) throw fail('LIMIT_EXCEEDED', 'a shorter list of values', `${listed} bytes`)
  return {
    name,
    dtype,
    shape,
    bytes,
    role,
    async *stream() {
      const values = await loadList(source, payloads, list.wire, width, count, fail)
      if (pack) yield packElements(expandAll(values, width, stored), DTYPES[dtype].bits)
      else yield* expand(values, width, stored)
    },
  }
}

/** Sizes of a TensorShapeProto; undefined where a size or the rank is unknown. A missing shape is a scalar. */
export function readShape(proto: TensorShape | undefined): number[] | undefined {
  if (proto?.unknownRank) return undefined
  const shape = (proto?.dim ?? []).map(({ size }) => size ?? 0)
  return shape.every((size) => size >= 0) ? shape : undefined
}

/** A shape for a Value: null for unknown sizes, undefined for an unknown rank. */
export function describeShape(proto: TensorShape | undefined): (number | null)[] | undefined {
  if (proto === undefined || proto.unknownRank) return undefined
  return proto.dim.map(({ size }) => ((size ?? 0) < 0 ? null : (size ?? 0)))
}

/** Whether any value is stored; without one all are zero, or kept elsewhere. */
export function hasValues(proto: TensorProto): boolean {
  return Object.values(proto).some((part) => Array.isArray(part) && part.length > 0)
}

/** What the numbers of a type that we cannot give are called, for warnings. */
export function typeOfProto(proto: TensorProto): string {
  return tfTypeName(proto.dtype)
}

async function load(source: ByteSource, payload: Payload): Promise<Uint8Array> {
  return payload.bytes ?? source.read(payload.offset, payload.length)
}

async function* streamPayload(source: ByteSource, payload: Payload): AsyncGenerator<Uint8Array> {
  if (payload.bytes) yield payload.bytes
  else yield* streamRange(source, payload)
}

type Fail = (code: 'INVALID_FIELD' | 'LIMIT_EXCEEDED', expected: string, found: string) => FormatError

/** The listed values as raw little-endian bytes, at most `count` of them. */
async function loadList(
  source: ByteSource,
  payloads: readonly Payload[],
  wire: 'fixed' | 'varint' | 'raw',
  width: number,
  count: number,
  fail: Fail,
): Promise<Uint8Array> {
  const all = new Uint8Array(payloads.reduce((sum, payload) => sum + payload.length, 0))
  let at = 0
  for (const payload of payloads) {
    all.set(await load(source, payload), at)
    at += payload.length
  }
  const raw = wire === 'varint' ? fromVarints(all, width, fail) : all
  if (raw.length % width !== 0) throw fail('INVALID_FIELD', `whole values of ${width} bytes`, `${raw.length} bytes`)
  if (raw.length > count * width) throw fail('INVALID_FIELD', `at most ${count} values`, String(raw.length / width))
  return raw
}

const CHUNK_BYTES = 1 << 18

/** Varints to two's complement numbers of `width` bytes each. */
function fromVarints(bytes: Uint8Array, width: number, fail: Fail): Uint8Array {
  let count = 0
  for (const byte of bytes) if (byte < 0x80) count++
  const out = new Uint8Array(count * width)
  let position = 0
  for (let index = 0; index < count; index++) {
    let low = 0
    let high = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[position++]!
      const bits = byte & 0x7f
      if (shift < 28) low |= bits << shift
      else if (shift === 28) {
        low |= bits << 28
        high = bits >>> 4
      } else high |= bits << (shift - 32)
      if (byte < 0x80) break
      if (shift >= 63) throw fail('INVALID_FIELD', 'numbers of at most 10 bytes', 'more')
    }
    for (let byte = 0; byte < width; byte++)
      out[index * width + byte] = byte < 4 ? low >>> (8 * byte) : high >>> (8 * (byte - 4))
  }
  if (position !== bytes.length) throw fail('INVALID_FIELD', 'whole numbers', 'a number that is cut')
  return out
}

/** `values` and then their last `width` bytes again and again up to `size`; the first `skip` bytes were given before. */
function* expand(values: Uint8Array, width: number, size: number, skip = 0): Generator<Uint8Array> {
  if (values.length > skip) yield values.subarray(skip)
  const rest = size - values.length
  if (rest <= 0) return
  const chunk = new Uint8Array(Math.min(rest, Math.max(1, Math.floor(CHUNK_BYTES / width)) * width))
  const last = values.subarray(values.length - width)
  if (last.length > 0) for (let at = 0; at < chunk.length; at += width) chunk.set(last, at)
  for (let done = 0; done < rest; done += chunk.length) yield chunk.subarray(0, Math.min(chunk.length, rest - done))
}

function expandAll(values: Uint8Array, width: number, size: number): Uint8Array {
  const out = new Uint8Array(size)
  let at = 0
  for (const chunk of expand(values, width, size)) {
    out.set(chunk, at)
    at += chunk.length
  }
  return out
}

interface StringParts {
  readonly name: string
  readonly role: TensorRole
  readonly shape: number[]
  readonly count: number
  readonly payloads: readonly Payload[]
  readonly charge: (bytes: number) => void
  readonly fail: Fail
  readonly context: ProtoContext
}

function stringTensor({ name, role, shape, count, payloads, charge, fail, context }: StringParts): Tensor {
  if (payloads.length > count) throw fail('INVALID_FIELD', `at most ${count} texts`, String(payloads.length))
  const repeats = count - payloads.length
  const lastBytes = payloads.at(-1)?.length ?? 0
  charge(repeats * (lastBytes + 4))
  const bytes = payloads.reduce((sum, payload) => sum + 4 + payload.length, 0) + repeats * (lastBytes + 4)
  return {
    name,
    dtype: 'string',
    shape,
    bytes,
    role,
    async *stream() {
      let element = prefixed(new Uint8Array(0))
      for (const payload of payloads) {
        element = prefixed(await load(context.source, payload))
        yield element
      }
      yield* expand(element, element.length, element.length * (repeats + 1), element.length)
    },
  }
}

/** A text as our streams give it: u32 length, then its bytes. */
function prefixed(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(4 + bytes.length)
  new DataView(out.buffer).setUint32(0, bytes.length, true)
  out.set(bytes, 4)
  return out
}
