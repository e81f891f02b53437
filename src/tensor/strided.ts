import type { ByteSource } from '../bytes/byte-source.ts'
import { elementCount } from './dtype.ts'

/** Elements that lie in a source at regular distances: a view, a transposed array, a field of records. */
export interface StridedLayout {
  /** of the first element, in bytes from the beginning of the source */
  readonly offset: number
  readonly shape: readonly number[]
  /** distance of neighbours along each dimension, in bytes; zero repeats, negative is not supported */
  readonly strides: readonly number[]
  /** bytes per element */
  readonly itemBytes: number
}

/** Strides in bytes of a C-contiguous array. */
export function contiguousStrides(shape: readonly number[], itemBytes: number): number[] {
  const strides = new Array<number>(shape.length)
  let step = itemBytes
  for (let index = shape.length - 1; index >= 0; index--) {
    strides[index] = step
    step *= Math.max(1, shape[index]!)
  }
  return strides
}

/** Whether C order is also the order in the file; dimensions of size 1 may have any stride. */
export function isContiguous({ shape, strides, itemBytes }: StridedLayout): boolean {
  let step = itemBytes
  for (let index = shape.length - 1; index >= 0; index--) {
    if (shape[index] === 0) return true
    if (shape[index] !== 1 && strides[index] !== step) return false
    step *= shape[index]!
  }
  return true
}

/** Bytes from the first byte of the first element to the end of the last one; 0 for an empty array. */
export function spanBytes({ shape, strides, itemBytes }: Omit<StridedLayout, 'offset'>): number {
  if (shape.includes(0)) return 0
  return shape.reduce((span, size, index) => span + (size - 1) * strides[index]!, itemBytes)
}

/** What a gather holds at once, of the source and of the result each: 8 MiB keep most kernels in one piece. */
const WINDOW_BYTES = 8 << 20
const CHUNK_BYTES = 1 << 20

/**
 * The elements of `layout` in C order, in pieces of whole elements.
 *
 * Contiguous data is passed through in pieces of 1 MiB. Anything else is gathered block by block: a block of the
 * result (8 MiB at most) is filled from windows of the source (8 MiB at most), so memory stays flat; a transposed
 * array larger than that is read once per block.
 *
 * @throws {FormatError} TRUNCATED when an element does not lie inside `source`
 */
export async function* streamStrided(source: ByteSource, layout: StridedLayout): AsyncGenerator<Uint8Array> {
  const { shape, itemBytes } = layout
  const total = elementCount(shape) * itemBytes
  if (total === 0) return
  if (isContiguous(layout)) {
    const piece = Math.max(itemBytes, CHUNK_BYTES - (CHUNK_BYTES % itemBytes))
    for (let done = 0; done < total; done += piece) {
      yield await source.read(layout.offset + done, Math.min(piece, total - done))
    }
    return
  }
  yield* gatherBlocks(source, layout)
}

/** Splits along the leading dimensions until a block of the result is small enough, then fills it. */
async function* gatherBlocks(source: ByteSource, layout: StridedLayout): AsyncGenerator<Uint8Array> {
  const { offset, shape, strides, itemBytes } = layout
  const first = shape[0]!
  const rest = { shape: shape.slice(1), strides: strides.slice(1), itemBytes }
  const rowBytes = elementCount(rest.shape) * itemBytes
  if (rowBytes > WINDOW_BYTES) {
    for (let index = 0; index < first; index++) {
      yield* gatherBlocks(source, { ...rest, offset: offset + index * strides[0]! })
    }
    return
  }
  const rows = Math.max(1, Math.floor(WINDOW_BYTES / rowBytes))
  for (let done = 0; done < first; done += rows) {
    const block = [Math.min(rows, first - done), ...rest.shape]
    yield await gatherBlock(source, { offset: offset + done * strides[0]!, shape: block, strides, itemBytes })
  }
}

async function gatherBlock(source: ByteSource, layout: StridedLayout): Promise<Uint8Array> {
  const { offset, shape, strides, itemBytes } = layout
  const out = new Uint8Array(elementCount(shape) * itemBytes)
  const span = spanBytes(layout)
  // windows overlap by one element, so that each element lies wholly inside one of them
  const step = WINDOW_BYTES - itemBytes + 1
  const innerBytes = shape.map((_, index) => elementCount(shape.slice(index + 1)) * itemBytes)
  const innerSpan = shape.map((_, index) =>
    spanBytes({ shape: shape.slice(index + 1), strides: strides.slice(index + 1), itemBytes }),
  )
  for (let start = 0; start < span; start += step) {
    const bytes = await source.read(offset + start, Math.min(WINDOW_BYTES, span - start))
    const end = Math.min(start + step, span)
    copyWindow({ shape, strides, itemBytes, innerBytes, innerSpan, out, bytes, start, end }, 0, 0, 0)
  }
  return out
}

interface WindowCopy {
  shape: readonly number[]
  strides: readonly number[]
  itemBytes: number
  /** per dimension: bytes of the result, and of the source, that one index of it covers */
  innerBytes: readonly number[]
  innerSpan: readonly number[]
  out: Uint8Array
  bytes: Uint8Array
  /** elements that begin in `[start, end)`, relative to the layout's first element, are copied */
  start: number
  end: number
}

/** Copies the elements of one window; sub-arrays that lie outside it are skipped as a whole. */
function copyWindow(copy: WindowCopy, dimension: number, from: number, to: number): void {
  const { shape, itemBytes, out, bytes, start, end } = copy
  const stride = copy.strides[dimension]!
  const size = shape[dimension]!
  if (dimension === shape.length - 1) {
    for (let index = 0; index < size; index++) {
      const begin = from + index * stride
      if (begin < start || begin >= end) continue
      const target = to + index * itemBytes
      for (let byte = 0; byte < itemBytes; byte++) out[target + byte] = bytes[begin - start + byte]!
    }
    return
  }
  for (let index = 0; index < size; index++) {
    const begin = from + index * stride
    if (begin < end && begin + copy.innerSpan[dimension]! > start) {
      copyWindow(copy, dimension + 1, begin, to + index * copy.innerBytes[dimension]!)
    }
  }
}

/**
 * Whether no two elements of a view share bytes: each dimension steps over all that the shorter steps reach. False for
 * views that repeat elements (a stride of zero) and for sliding windows.
 */
export function isInjective({ shape, strides, itemBytes }: Omit<StridedLayout, 'offset'>): boolean {
  const steps = shape
    .map((size, index) => ({ size, stride: strides[index]! }))
    .filter(({ size }) => size > 1)
    .sort((one, other) => one.stride - other.stride)
  let reach = itemBytes
  for (const { size, stride } of steps) {
    if (stride < reach) return false
    reach += (size - 1) * stride
  }
  return true
}

/**
 * Puts elements in C order to their places in a view: the inverse of `streamStrided`.
 *
 * @param span the bytes of the view, from its first element to the end of its last; changed
 * @param values as many elements as `shape` says
 */
export function scatterStrided(
  span: Uint8Array,
  { shape, strides, itemBytes }: Omit<StridedLayout, 'offset'>,
  values: Uint8Array,
): void {
  if (shape.includes(0)) return
  let from = 0
  const walk = (dimension: number, to: number): void => {
    if (dimension === shape.length) {
      for (let byte = 0; byte < itemBytes; byte++) span[to + byte] = values[from + byte]!
      from += itemBytes
      return
    }
    for (let index = 0; index < shape[dimension]!; index++) walk(dimension + 1, to + index * strides[dimension]!)
  }
  walk(0, 0)
}
