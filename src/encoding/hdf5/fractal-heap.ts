import { ByteReader } from '../../bytes/byte-reader.ts'
import { openBtreeV2 } from './btree-v2.ts'
import {
  expectSignature,
  expectVersion,
  type Hdf5Context,
  needAddress,
  readAddress,
  readAt,
  readLength,
  readUint,
  unsupported,
  verifyChecksum,
} from './context.ts'

/** A heap of link and attribute messages ("dense" storage). */
export interface FractalHeap {
  /** The object with this heap ID, as a cursor over its bytes. */
  read(id: Uint8Array): Promise<ByteReader>
}

interface Heap {
  readonly idBytes: number
  /** bytes of an offset in the heap's address space */
  readonly offsetBytes: number
  readonly lengthBytes: number
  readonly width: number
  readonly startSize: number
  readonly maxDirectSize: number
  readonly rootAddress: number | undefined
  /** 0: the root is a direct block */
  readonly rootRows: number
  readonly hugeTree: number | undefined
  readonly checksums: boolean
}

/**
 * Opens a fractal heap. Its objects lie in blocks of a doubling table (rows of `width` blocks: sizes s, s, 2s, 4s ...),
 * in the file itself (huge), or inside their ID (tiny).
 *
 *     "FRHP" | 0 | ID length 2 | filters 2 | flags 1 | largest managed object 4 | next huge ID | huge B-tree address |
 *     free space | its manager | managed, allocated, iterator, count: lengths | huge: size, count | tiny: size, count |
 *     width 2 | start size | largest direct size: lengths | heap size in bits 2 | rows 2 | root address | root rows 2 |
 *     [filters] | checksum 4
 *
 * @throws {FormatError} UNSUPPORTED_FEATURE when the heap's own blocks are filtered (no writer known does)
 * @source HDF5 File Format Specification 3.0, III.G
 */
export async function openFractalHeap(context: Hdf5Context, address: number): Promise<FractalHeap> {
  const heap = await readHeader(context, address)
  let huge: ReadonlyMap<number, HugeObject> | undefined
  return {
    async read(id) {
      const kind = (id[0]! >> 4) & 3
      if (kind === 0) return readManaged(context, heap, id)
      if (kind === 2) return readTiny(context, heap, id, address)
      const { offsetSize, lengthSize } = context
      if (heap.idBytes >= 1 + offsetSize + lengthSize) {
        const own = wrap(context, id, address)
        own.skip(1)
        const objectAddress = needAddress(context, own, 'huge heap object')
        return readAt(context, objectAddress, readLength(context, own, 'huge heap object'), 'huge heap object')
      }
      huge ??= await readHugeTree(context, heap)
      const key = wrap(context, id, address)
      key.skip(1)
      const number = readUint(key, Math.min(lengthSize, heap.idBytes - 1), 'huge heap object')
      const object = huge.get(number)
      if (object === undefined)
        throw key.invalid('fractal heap', `a huge object ${number}`, 'none', context.base + address)
      return readAt(context, object.address, object.length, 'huge heap object')
    },
  }
}

function wrap(context: Hdf5Context, bytes: Uint8Array, address: number): ByteReader {
  return new ByteReader(bytes, { name: context.metadata.name, base: context.base + address })
}

async function readHeader(context: Hdf5Context, address: number): Promise<Heap> {
  const { offsetSize, lengthSize } = context
  const reader = await readAt(context, address, 26 + 3 * offsetSize + 12 * lengthSize, 'fractal heap')
  expectSignature(reader, 'FRHP', 'fractal heap')
  expectVersion(reader, [0], 'fractal heap')
  const idBytes = reader.u16('heap ID length')
  const filterAt = reader.offset
  if (reader.u16('filter length') > 0) {
    throw unsupported(context, { what: 'fractal heap', at: filterAt, expected: 'no filters', found: 'filtered blocks' })
  }
  const flags = reader.u8('heap flags')
  const largest = reader.u32('largest managed object')
  reader.skip(lengthSize)
  const hugeTree = readAddress(context, reader, 'B-tree of huge objects')
  reader.skip(lengthSize + offsetSize + 8 * lengthSize)
  const shapeAt = reader.offset
  const width = reader.u16('table width')
  const startSize = readLength(context, reader, 'starting block size')
  const maxDirectSize = readLength(context, reader, 'largest direct block')
  const bits = reader.u16('heap size')
  reader.skip(2)
  const rootAddress = readAddress(context, reader, 'root block')
  const rootRows = reader.u16('rows of the root block')
  verifyChecksum(reader, 'fractal heap')
  const powers = [width, startSize, maxDirectSize].every((value) => value > 0 && Number.isInteger(Math.log2(value)))
  if (!powers || bits > 64 || maxDirectSize < startSize || idBytes < 2) {
    throw reader.invalid('fractal heap table', 'sizes that are powers of two', `${width}, ${startSize}`, shapeAt)
  }
  return {
    idBytes,
    offsetBytes: Math.ceil(bits / 8),
    lengthBytes: bytesFor(Math.min(maxDirectSize, largest)),
    width,
    startSize,
    maxDirectSize,
    rootAddress,
    rootRows,
    hugeTree,
    checksums: (flags & 2) !== 0,
  }
}

const bytesFor = (value: number) => Math.floor(Math.log2(Math.max(1, value)) / 8) + 1

/** ID: flags 1 | offset | length, in the heap's address space. */
async function readManaged(context: Hdf5Context, heap: Heap, id: Uint8Array): Promise<ByteReader> {
  const key = wrap(context, id, heap.rootAddress ?? 0)
  key.skip(1)
  const offset = readUint(key, heap.offsetBytes, 'offset in the heap')
  const length = readUint(key, heap.lengthBytes, 'length in the heap')
  const block = await findBlock(context, heap, offset)
  const within = offset - block.offset
  const head = 5 + context.offsetSize + heap.offsetBytes + (heap.checksums ? 4 : 0)
  if (within < head || within + length > block.size) {
    throw key.invalid('heap object', `a range inside its block of ${block.size} bytes`, `${length} bytes at ${within}`)
  }
  const signature = await readAt(context, block.address, 4, 'heap block')
  expectSignature(signature, 'FHDB', 'heap block')
  return readAt(context, block.address + within, length, 'heap object')
}

interface Block {
  readonly address: number
  readonly size: number
  /** of its first byte in the heap's address space */
  readonly offset: number
}

/** Goes down the doubling table to the direct block that holds `target`. Each level is smaller, so this ends. */
async function findBlock(context: Hdf5Context, heap: Heap, target: number): Promise<Block> {
  const nowhere = () => wrap(context, new Uint8Array(0), heap.rootAddress ?? 0)
  if (heap.rootAddress === undefined) throw nowhere().invalid('fractal heap', 'a root block', 'none')
  if (heap.rootRows === 0) return { address: heap.rootAddress, size: heap.startSize, offset: 0 }
  let address = heap.rootAddress
  let rows = heap.rootRows
  let start = 0
  for (let depth = 0; depth < 64; depth++) {
    const place = findEntry(heap, target - start)
    if (place.row >= rows) throw nowhere().invalid('fractal heap', `at most ${rows} rows`, `row ${place.row}`)
    const head = 5 + context.offsetSize + heap.offsetBytes
    const signature = await readAt(context, address, 4, 'heap block')
    expectSignature(signature, 'FHIB', 'heap block')
    const entry = place.row * heap.width + place.column
    const pointer = await readAt(context, address + head + entry * context.offsetSize, context.offsetSize, 'heap block')
    address = needAddress(context, pointer, 'heap block')
    start += place.offset
    if (place.size <= heap.maxDirectSize) return { address, size: place.size, offset: start }
    rows = Math.log2(place.size) - Math.log2(heap.startSize * heap.width) + 1
  }
  throw nowhere().invalid('fractal heap', 'at most 64 levels', 'more')
}

/** Row and column of the block that holds byte `target` of an indirect block, with the block's size and offset. */
function findEntry({ width, startSize }: Heap, target: number) {
  const firstRow = width * startSize
  // Rows 0 and 1 have blocks of the starting size; from then on each row's are twice as large.
  const row = target < firstRow ? 0 : Math.floor(Math.log2(target / firstRow)) + 1
  const size = row === 0 ? startSize : startSize * 2 ** (row - 1)
  const rowOffset = row === 0 ? 0 : firstRow * 2 ** (row - 1)
  const column = Math.floor((target - rowOffset) / size)
  return { row, column, size, offset: rowOffset + column * size }
}

/** ID: flags and length - 1 | data; IDs of more than 18 bytes have the length in 12 bits. */
function readTiny(context: Hdf5Context, heap: Heap, id: Uint8Array, address: number): ByteReader {
  const reader = wrap(context, id, address)
  const first = reader.u8('tiny heap object')
  const length = heap.idBytes <= 18 ? (first & 15) + 1 : (((first & 15) << 8) | reader.u8('tiny heap object')) + 1
  return wrap(context, reader.take(length, 'tiny heap object'), address)
}

interface HugeObject {
  readonly address: number
  readonly length: number
}

/** Records of type 1: address | length | ID. */
async function readHugeTree(context: Hdf5Context, heap: Heap): Promise<ReadonlyMap<number, HugeObject>> {
  const objects = new Map<number, HugeObject>()
  if (heap.hugeTree === undefined) return objects
  const tree = await openBtreeV2(context, heap.hugeTree, [1])
  for await (const record of tree.records()) {
    const address = needAddress(context, record, 'huge heap object')
    const length = readLength(context, record, 'huge heap object')
    objects.set(readLength(context, record, 'huge heap object'), { address, length })
    if (objects.size > context.limits.maxItems) break
  }
  return objects
}
