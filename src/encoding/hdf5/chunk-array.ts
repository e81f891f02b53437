import { ByteReader } from '../../bytes/byte-reader.ts'
import {
  expectSignature,
  expectVersion,
  type Hdf5Context,
  readAddress,
  readAt,
  readLength,
  verifyChecksum,
} from './context.ts'

/** Entry `position` of an array of chunks. */
export interface ArrayElement {
  readonly position: number
  readonly element: ByteReader
}

/**
 * The elements of a fixed array: the index of chunked datasets of limited shape.
 *
 *     "FAHD" | 0 | client 1 | element size 1 | page bits 1 | elements (length) | data block address | checksum
 *     "FADB" | 0 | client 1 | header address | [bitmap of pages in use] | elements or checksum; pages: elements, checksum
 *
 * @source HDF5 File Format Specification 3.0, VII.C
 */
export async function* readFixedArray(
  context: Hdf5Context,
  address: number,
  filtered: boolean,
): AsyncGenerator<ArrayElement> {
  const what = 'fixed array'
  const head = await readAt(context, address, 12 + context.lengthSize + context.offsetSize, what)
  expectSignature(head, 'FAHD', what)
  expectVersion(head, [0], what)
  const elementSize = readElementSize(context, head, filtered)
  const pageBits = head.u8('page bits')
  const total = readLength(context, head, 'elements of the array')
  const block = readAddress(context, head, 'data block')
  verifyChecksum(head, what)
  if (block === undefined) return
  checkTotal(context, head, total)
  const pageElements = pageBits < 32 ? 2 ** pageBits : total
  const prefix = 6 + context.offsetSize
  if (total <= pageElements) {
    const reader = await readAt(context, block, prefix + total * elementSize + 4, what)
    expectSignature(reader, 'FADB', what)
    reader.seek(prefix + total * elementSize)
    verifyChecksum(reader, what)
    reader.seek(prefix)
    yield* elements(reader, { count: total, elementSize, first: 0 })
    return
  }
  const pages = Math.ceil(total / pageElements)
  const bitmapBytes = Math.ceil(pages / 8)
  const reader = await readAt(context, block, prefix + bitmapBytes + 4, what)
  expectSignature(reader, 'FADB', what)
  reader.seek(prefix)
  const used = reader.take(bitmapBytes, 'bitmap of pages')
  verifyChecksum(reader, what)
  const pageBytes = pageElements * elementSize + 4
  for (let page = 0; page < pages; page++) {
    if (!bitIsSet(used, page)) continue
    const count = Math.min(pageElements, total - page * pageElements)
    const start = block + prefix + bitmapBytes + 4 + page * pageBytes
    yield* readPage(context, start, { count, elementSize, first: page * pageElements })
  }
}

/** First bit of a page bitmap is the highest of the first byte. */
function bitIsSet(bitmap: Uint8Array, index: number): boolean {
  return ((bitmap[index >> 3]! >> (7 - (index & 7))) & 1) === 1
}

interface Run {
  readonly count: number
  readonly elementSize: number
  /** position of the first element */
  readonly first: number
}

async function* readPage(context: Hdf5Context, address: number, run: Run): AsyncGenerator<ArrayElement> {
  const reader = await readAt(context, address, run.count * run.elementSize + 4, 'page of an array')
  reader.seek(run.count * run.elementSize)
  verifyChecksum(reader, 'page of an array')
  reader.seek(0)
  yield* elements(reader, run)
}

function* elements(reader: ByteReader, { count, elementSize, first }: Run): Generator<ArrayElement> {
  for (let index = 0; index < count; index++) {
    const base = reader.offset
    const element = new ByteReader(reader.take(elementSize, 'array element'), { name: reader.name, base })
    yield { position: first + index, element }
  }
}

/** Client 0: plain chunks, 1: filtered; an element must hold an address, and with filters a size and a mask. */
function readElementSize(context: Hdf5Context, head: ByteReader, filtered: boolean): number {
  const at = head.offset
  const client = head.u8('array client')
  const size = head.u8('element size')
  const least = context.offsetSize + (filtered ? 5 : 0)
  const most = context.offsetSize + (filtered ? 12 : 0)
  if (client !== (filtered ? 1 : 0) || size < least || size > most) {
    throw head.invalid(
      'array of chunks',
      `client ${filtered ? 1 : 0}, elements of ${least} bytes`,
      `${client}, ${size}`,
      at,
    )
  }
  return size
}

function checkTotal(context: Hdf5Context, head: ByteReader, total: number): void {
  const { maxItems } = context.limits
  if (total > maxItems) throw head.invalid('elements of the array', `at most ${maxItems}`, String(total))
}

interface Extensible {
  readonly elementSize: number
  /** bytes of a block's offset */
  readonly offsetBytes: number
  readonly inIndex: number
  readonly minElements: number
  readonly minPointers: number
  readonly pageElements: number
  /** elements that have been set */
  readonly total: number
}

/**
 * The elements of an extensible array: the index of datasets with one unlimited dimension. The first elements stand in
 * the index block; then come data blocks of growing size, the first of them listed in the index block, the others in
 * super blocks: super block u has 2^(u/2) data blocks of minElements x 2^((u+1)/2) elements.
 *
 *     "EAHD" | 0 | client 1 | element size 1 | size bits 1 | elements in index block 1 | least elements of a data block 1 |
 *     least pointers of a super block 1 | page bits 1 | super blocks, their size, data blocks, their size, largest index
 *     set, elements: lengths | index block address | checksum
 *     "EAIB" | 0 | client 1 | header address | elements | data block addresses | super block addresses | checksum
 *     "EASB" | 0 | client 1 | header address | offset | [bitmaps of pages] | data block addresses | checksum
 *     "EADB" | 0 | client 1 | header address | offset | elements or checksum; pages: elements, checksum
 *
 * @source HDF5 File Format Specification 3.0, VII.D
 */
export async function* readExtensibleArray(
  context: Hdf5Context,
  address: number,
  filtered: boolean,
): AsyncGenerator<ArrayElement> {
  const what = 'extensible array'
  const head = await readAt(context, address, 16 + 6 * context.lengthSize + context.offsetSize, what)
  expectSignature(head, 'EAHD', what)
  expectVersion(head, [0], what)
  const elementSize = readElementSize(context, head, filtered)
  const bits = head.u8('size bits')
  const inIndex = head.u8('elements in the index block')
  const minElements = head.u8('least elements of a data block')
  const minPointers = head.u8('least pointers of a super block')
  const pageBits = head.u8('page bits')
  head.skip(4 * context.lengthSize)
  const total = readLength(context, head, 'largest index set')
  head.skip(context.lengthSize)
  const indexAddress = readAddress(context, head, 'index block')
  verifyChecksum(head, what)
  if (indexAddress === undefined) return
  checkTotal(context, head, total)
  const powers = [minElements, minPointers].every((value) => value > 0 && Number.isInteger(Math.log2(value)))
  if (!powers || bits > 64 || pageBits > 32) {
    throw head.invalid(what, 'block sizes that are powers of two', `${minElements} and ${minPointers}`)
  }
  const shape: Extensible = {
    elementSize,
    offsetBytes: Math.ceil(bits / 8),
    inIndex,
    minElements,
    minPointers,
    pageElements: 2 ** pageBits,
    total,
  }
  yield* readIndexBlock(context, indexAddress, shape, bits)
}

async function* readIndexBlock(
  context: Hdf5Context,
  address: number,
  shape: Extensible,
  bits: number,
): AsyncGenerator<ArrayElement> {
  const { offsetSize } = context
  const superBlocks = 1 + (bits - Math.log2(shape.minElements))
  const firstSuper = 2 * Math.log2(shape.minPointers)
  const direct = 2 * (shape.minPointers - 1)
  const listed = Math.max(0, superBlocks - firstSuper)
  const prefix = 6 + offsetSize
  const length = prefix + shape.inIndex * shape.elementSize + (direct + listed) * offsetSize
  const reader = await readAt(context, address, length + 4, 'extensible array')
  expectSignature(reader, 'EAIB', 'extensible array')
  reader.seek(length)
  verifyChecksum(reader, 'extensible array')
  reader.seek(prefix)
  yield* elements(reader, { count: shape.inIndex, elementSize: shape.elementSize, first: 0 })
  let position = shape.inIndex
  for (let level = 0; level < superBlocks && position < shape.total; level++) {
    const blocks = 2 ** Math.floor(level / 2)
    const perBlock = shape.minElements * 2 ** Math.floor((level + 1) / 2)
    if (level < firstSuper) {
      for (let block = 0; block < blocks; block++, position += perBlock) {
        const at = readAddress(context, reader, 'data block')
        if (at !== undefined) yield* readDataBlock(context, at, shape, { count: perBlock, first: position })
      }
      continue
    }
    const at = readAddress(context, reader, 'super block')
    if (at !== undefined) yield* readSuperBlock(context, at, shape, { blocks, perBlock, first: position })
    position += blocks * perBlock
  }
}

async function* readSuperBlock(
  context: Hdf5Context,
  address: number,
  shape: Extensible,
  { blocks, perBlock, first }: { blocks: number; perBlock: number; first: number },
): AsyncGenerator<ArrayElement> {
  const paged = perBlock > shape.pageElements
  const bitmapBytes = paged ? Math.ceil(perBlock / shape.pageElements / 8) : 0
  const prefix = 6 + context.offsetSize + shape.offsetBytes
  const length = prefix + blocks * (bitmapBytes + context.offsetSize)
  const reader = await readAt(context, address, length + 4, 'super block')
  expectSignature(reader, 'EASB', 'super block')
  reader.seek(length)
  verifyChecksum(reader, 'super block')
  reader.seek(prefix)
  const bitmaps = reader.take(blocks * bitmapBytes, 'bitmaps of pages')
  for (let block = 0; block < blocks && first + block * perBlock < shape.total; block++) {
    const at = readAddress(context, reader, 'data block')
    if (at === undefined) continue
    const used = bitmaps.subarray(block * bitmapBytes, (block + 1) * bitmapBytes)
    yield* readDataBlock(context, at, shape, { count: perBlock, first: first + block * perBlock, used })
  }
}

async function* readDataBlock(
  context: Hdf5Context,
  address: number,
  shape: Extensible,
  { count, first, used }: { count: number; first: number; used?: Uint8Array },
): AsyncGenerator<ArrayElement> {
  const { elementSize, pageElements } = shape
  const prefix = 6 + context.offsetSize + shape.offsetBytes
  const paged = count > pageElements
  const length = prefix + (paged ? 0 : count * elementSize)
  const reader = await readAt(context, address, length + 4, 'data block')
  expectSignature(reader, 'EADB', 'data block')
  reader.seek(length)
  verifyChecksum(reader, 'data block')
  if (!paged) {
    reader.seek(prefix)
    yield* elements(reader, { count, elementSize, first })
    return
  }
  const pageBytes = pageElements * elementSize + 4
  for (let page = 0; page < count / pageElements; page++) {
    if (first + page * pageElements >= shape.total) return
    if (used && used.length > 0 && !bitIsSet(used, page)) continue
    const start = address + prefix + 4 + page * pageBytes
    yield* readPage(context, start, { count: pageElements, elementSize, first: first + page * pageElements })
  }
}
