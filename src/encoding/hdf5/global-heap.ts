import type { ByteReader } from '../../bytes/byte-reader.ts'
import { FormatError } from '../../errors.ts'
import { expectSignature, expectVersion, type Hdf5Context, readAt, readLength } from './context.ts'

/** Where an object of a global heap lies; addresses are relative to the context's base. */
interface HeapObject {
  readonly address: number
  readonly length: number
}

/** Reads objects of global heaps: variable-length text. Directories of recent collections are kept. */
export interface GlobalHeap {
  /** `length` bytes that begin at `byteOffset` of the file */
  read(collection: number, index: number): Promise<{ bytes: Uint8Array; byteOffset: number }>
}

/** Collections whose directories are kept; text of one attribute lies in one or two. */
const MAX_COLLECTIONS = 64

/**
 *     "GCOL" | 1 | reserved 3 | size of the collection (length) |
 *     objects: index 2 | references 2 | reserved 4 | size (length) | data, padded to 8; index 0 is free space
 *
 * @source HDF5 File Format Specification 3.0, III.E
 */
export function openGlobalHeap(context: Hdf5Context): GlobalHeap {
  const collections = new Map<number, ReadonlyMap<number, HeapObject>>()
  return {
    async read(collection, index) {
      let objects = collections.get(collection)
      if (objects === undefined) {
        objects = await readCollection(context, collection)
        collections.set(collection, objects)
        if (collections.size > MAX_COLLECTIONS) collections.delete(collections.keys().next().value!)
      }
      const object = objects.get(index)
      if (object === undefined) throw missing(context, collection, index)
      if (object.length > context.limits.maxStringBytes) throw tooLong(context, object)
      const reader = await readAt(context, object.address, object.length, 'global heap object')
      return { bytes: reader.bytes, byteOffset: reader.base }
    },
  }
}

async function readCollection(context: Hdf5Context, address: number): Promise<ReadonlyMap<number, HeapObject>> {
  const headBytes = 8 + context.lengthSize
  const head = await readAt(context, address, headBytes, 'global heap')
  expectSignature(head, 'GCOL', 'global heap')
  expectVersion(head, [1], 'global heap')
  head.skip(3)
  const size = readLength(context, head, 'size of the global heap')
  const objects = new Map<number, HeapObject>()
  const entryBytes = 8 + context.lengthSize
  let position = headBytes
  while (position + entryBytes <= size) {
    const entry: ByteReader = await readAt(context, address + position, entryBytes, 'global heap object')
    const index = entry.u16('global heap index')
    entry.skip(6)
    const length = readLength(context, entry, 'size of a global heap object')
    if (index === 0) break
    if (length > size - position - entryBytes) {
      const room = `at most ${size - position - entryBytes} bytes in this heap`
      throw entry.invalid('size of a global heap object', room, String(length), entry.base + 8)
    }
    if (objects.size >= context.limits.maxItems) break
    objects.set(index, { address: address + position + entryBytes, length })
    position += entryBytes + Math.ceil(length / 8) * 8
  }
  return objects
}

function missing(context: Hdf5Context, collection: number, index: number): FormatError {
  return new FormatError({
    code: 'INVALID_FIELD',
    file: context.metadata.name,
    what: 'global heap',
    byteOffset: context.base + collection,
    expected: `an object ${index}`,
    found: 'none',
  })
}

function tooLong(context: Hdf5Context, object: HeapObject): FormatError {
  return new FormatError({
    code: 'LIMIT_EXCEEDED',
    file: context.metadata.name,
    what: 'global heap object',
    byteOffset: context.base + object.address,
    expected: `at most ${context.limits.maxStringBytes} bytes`,
    found: String(object.length),
  })
}
