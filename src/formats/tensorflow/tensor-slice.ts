import { compareKeys } from '../../encoding/leveldb-table.ts'
import { defineMessage, type MessageType } from '../../encoding/protobuf.ts'
import { elementCount } from '../../tensor/dtype.ts'

/**
 * A box of a partitioned variable: begin and size per dimension. An extent without a length is the whole dimension.
 * @source tensorflow/core/framework/tensor_slice.proto
 */
export interface SliceProto {
  extent: { start?: number; length?: number }[]
}

const ExtentType = defineMessage<{ start?: number; length?: number }>('tensorflow.TensorSliceProto.Extent', {
  start: { id: 1, type: 'int' },
  length: { id: 2, type: 'int' },
})

export const SliceType: MessageType<SliceProto> = defineMessage('tensorflow.TensorSliceProto', {
  extent: { id: 1, type: () => ExtentType, repeated: true },
})

/** A slice with numbers for every dimension. */
export interface Box {
  readonly starts: readonly number[]
  readonly sizes: readonly number[]
}

/** The box that `slice` cuts out of `shape`; undefined when it reaches outside or has another rank. */
export function boxOf(slice: SliceProto, shape: readonly number[]): Box | undefined {
  if (slice.extent.length !== shape.length) return undefined
  const starts = slice.extent.map(({ start }) => start ?? 0)
  const sizes = slice.extent.map(({ length }, axis) => length ?? shape[axis]!)
  const inside = shape.every(
    (size, axis) => starts[axis]! >= 0 && sizes[axis]! >= 0 && starts[axis]! + sizes[axis]! <= size,
  )
  return inside ? { starts, sizes } : undefined
}

/**
 * The boxes in the order of their first elements when each is whole rows and together they are the whole, so that
 * their bytes simply follow each other; undefined otherwise.
 */
export function findRowOrder<T extends { box: Box }>(parts: readonly T[], shape: readonly number[]): T[] | undefined {
  if (shape.length === 0) return undefined
  const ordered = [...parts].sort((left, right) => left.box.starts[0]! - right.box.starts[0]!)
  let next = 0
  for (const { box } of ordered) {
    if (box.starts[0] !== next || box.sizes.some((size, axis) => axis > 0 && size !== shape[axis])) return undefined
    next += box.sizes[0]!
  }
  return next === shape[0] ? ordered : undefined
}

/** Copies the dense values of `box` to their places in the dense values of `shape`. */
export function placeBox(
  into: Uint8Array,
  shape: readonly number[],
  part: Uint8Array,
  { starts, sizes }: Box,
  width: number,
): void {
  if (part.length === 0) return
  const rank = shape.length
  const run = rank === 0 ? 1 : sizes[rank - 1]!
  const rows = elementCount(sizes.slice(0, -1))
  const index = new Array<number>(Math.max(0, rank - 1)).fill(0)
  for (let row = 0; row < rows; row++) {
    let at = 0
    for (let axis = 0; axis < rank; axis++) at = at * shape[axis]! + starts[axis]! + (index[axis] ?? 0)
    into.set(part.subarray(row * run * width, (row + 1) * run * width), at * width)
    for (let axis = rank - 2; axis >= 0; axis--) {
      index[axis]!++
      if (index[axis]! < sizes[axis]!) break
      index[axis] = 0
    }
  }
}

/**
 * The table key under which a slice is stored: ordered code of 0, the name, the rank, and begin and length of every
 * dimension (-1: all of it).
 * @source tensorflow/core/util/saved_tensor_slice_util.cc (EncodeTensorNameSlice), lib/strings/ordered_code.cc
 */
export function encodeSliceKey(name: string, slice: SliceProto): Uint8Array {
  const key: number[] = [0]
  for (const byte of new TextEncoder().encode(name)) {
    key.push(byte)
    if (byte === 0) key.push(0xff)
    else if (byte === 0xff) key.push(0)
  }
  key.push(0, 1, ...unsignedCode(slice.extent.length))
  for (const { start, length } of slice.extent) {
    const whole = length === undefined
    key.push(...signedCode(whole ? 0 : (start ?? 0)), ...signedCode(whole ? -1 : length))
  }
  return Uint8Array.from(key)
}

/** Length, then big-endian digits without leading zeros. */
function unsignedCode(value: number): number[] {
  const digits: number[] = []
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256)
  return [digits.length, ...digits]
}

/** A signed number of n bytes holds 7n - 1 bits; n leading ones (inverted for negative numbers) say how long it is. */
function signedCode(value: number): number[] {
  const wide = BigInt(value)
  const magnitude = wide < 0n ? ~wide : wide
  let length = 1
  while (magnitude >> BigInt(7 * length - 1) > 0n) length++
  const bits = BigInt.asUintN(8 * length, wide)
  const marked = bits ^ BigInt.asUintN(8 * length, ((1n << BigInt(length)) - 1n) << BigInt(7 * length))
  return Array.from({ length }, (_, index) => Number((marked >> BigInt(8 * (length - 1 - index))) & 0xffn))
}

/** Keys as map keys: two byte strings are the same when this text is. */
export function keyText(key: Uint8Array): string {
  return latin1.decode(key)
}

const latin1 = new TextDecoder('latin1')

/** Whether a table key belongs to a slice rather than to a tensor. */
export function isSliceKey(key: Uint8Array): boolean {
  return key.length > 1 && compareKeys(key.subarray(0, 1), SLICE_PREFIX) === 0
}

const SLICE_PREFIX = Uint8Array.of(0)
