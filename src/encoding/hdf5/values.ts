import { ByteReader } from '../../bytes/byte-reader.ts'
import type { Hdf5Attribute } from './attributes.ts'
import { type Hdf5Context, readAddress } from './context.ts'
import type { StoredType } from './datatype.ts'
import { type GlobalHeap, openGlobalHeap } from './global-heap.ts'

/** An attribute's value: a number or text for a scalar, otherwise a flat list in C order. */
export type AttributeContent = number | bigint | boolean | string | readonly (number | bigint | boolean | string)[]

/**
 * The value of an attribute.
 * @returns undefined for types that are neither numbers nor text, complex numbers included
 */
export async function readAttribute(
  context: Hdf5Context,
  attribute: Hdf5Attribute,
): Promise<AttributeContent | undefined> {
  const { type, space, data } = attribute
  const scalar = space.kind === 'scalar'
  switch (type.kind) {
    case 'number': {
      const values = decodeNumbers(type.name, putInOrder(data, type.swap, true))
      return values === undefined ? undefined : scalar ? values[0] : values
    }
    case 'string':
    case 'vlen-string': {
      const heap = openGlobalHeap(context)
      const texts: string[] = []
      for await (const bytes of eachText(context, heap, type, data)) texts.push(new TextDecoder().decode(bytes))
      return scalar ? (texts[0] ?? '') : texts
    }
    case 'array':
    case 'opaque':
    case 'other':
      return undefined
  }
}

/** Absolute offset of an attribute's text: in the header, or in the global heap where a single text lies there. */
export async function findTextOffset(context: Hdf5Context, { type, data, byteOffset }: Hdf5Attribute): Promise<number> {
  if (type.kind !== 'vlen-string' || data.length !== type.size) return byteOffset
  const place = parseHeapId(context, data)
  return place === undefined
    ? byteOffset
    : (await openGlobalHeap(context).read(place.collection, place.index)).byteOffset
}

/**
 * The elements of text data as bytes, without padding.
 *
 *     fixed length: up to the first NUL, or without the NULs or spaces at the end
 *     variable length: length 4 | heap address | index 4
 */
export async function* eachText(
  context: Hdf5Context,
  heap: GlobalHeap,
  type: StoredType,
  data: Uint8Array,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at + type.size <= data.length; at += type.size) {
    const element = data.subarray(at, at + type.size)
    if (type.kind === 'string') yield withoutPadding(element, type.padding)
    else {
      const place = parseHeapId(context, element)
      if (place === undefined) yield new Uint8Array(0)
      else yield (await heap.read(place.collection, place.index)).bytes.subarray(0, place.length)
    }
  }
}

function withoutPadding(bytes: Uint8Array, padding: 'null-terminated' | 'null-padded' | 'space-padded'): Uint8Array {
  if (padding === 'null-terminated') {
    const end = bytes.indexOf(0)
    return end === -1 ? bytes : bytes.subarray(0, end)
  }
  const pad = padding === 'null-padded' ? 0 : 0x20
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === pad) end--
  return bytes.subarray(0, end)
}

function parseHeapId(context: Hdf5Context, element: Uint8Array) {
  const reader = new ByteReader(element, { name: context.metadata.name })
  const length = reader.u32('length of a text')
  const collection = readAddress(context, reader, 'global heap')
  if (length === 0 || collection === undefined || collection === 0) return undefined
  return { length, collection, index: reader.u32('global heap index') }
}

/**
 * Reverses every `swap` bytes; `swap` 0 means that nothing has to change.
 * @param copy whether the result must not share memory with `bytes`
 */
export function putInOrder(bytes: Uint8Array, swap: number, copy: boolean): Uint8Array {
  if (swap <= 1) return copy ? bytes.slice() : bytes
  const out = new Uint8Array(bytes.length)
  for (let at = 0; at + swap <= bytes.length; at += swap) {
    for (let byte = 0; byte < swap; byte++) out[at + byte] = bytes[at + swap - 1 - byte]!
  }
  return out
}

function decodeNumbers(name: string, bytes: Uint8Array): (number | bigint | boolean)[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const decoder = Object.hasOwn(DECODERS, name) ? DECODERS[name] : undefined
  if (decoder === undefined) return undefined
  const [width, read] = decoder
  return Array.from({ length: Math.floor(bytes.length / width) }, (_, index) => read(view, index * width))
}

const DECODERS: Readonly<Record<string, readonly [number, (view: DataView, at: number) => number | bigint | boolean]>> =
  {
    bool: [1, (view, at) => view.getUint8(at) !== 0],
    int8: [1, (view, at) => view.getInt8(at)],
    uint8: [1, (view, at) => view.getUint8(at)],
    int16: [2, (view, at) => view.getInt16(at, true)],
    uint16: [2, (view, at) => view.getUint16(at, true)],
    int32: [4, (view, at) => view.getInt32(at, true)],
    uint32: [4, (view, at) => view.getUint32(at, true)],
    int64: [8, (view, at) => view.getBigInt64(at, true)],
    uint64: [8, (view, at) => view.getBigUint64(at, true)],
    float32: [4, (view, at) => view.getFloat32(at, true)],
    float64: [8, (view, at) => view.getFloat64(at, true)],
  }
