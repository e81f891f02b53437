import { ByteReader } from '../../bytes/byte-reader.ts'
import {
  expectSignature,
  expectVersion,
  type Hdf5Context,
  needAddress,
  readAddress,
  readAt,
  readLength,
  readUint,
  verifyChecksum,
} from './context.ts'

/** Bytes of a node that are not records: signature 4, version 1, type 1, checksum 4. */
const NODE_OVERHEAD = 10

interface Tree {
  readonly type: number
  readonly nodeSize: number
  readonly recordSize: number
  /** per level, leaves first: how many records fit, and the bytes of a child's total */
  readonly levels: readonly { readonly most: number; readonly totalBytes: number }[]
  /** bytes in which a child's number of records is written */
  readonly countBytes: number
}

/** The records of a version 2 B-tree, and their size. */
export interface BtreeV2 {
  readonly recordSize: number
  records(): AsyncGenerator<ByteReader>
}

/**
 * Opens a version 2 B-tree. Its depth is stated in the header and falls by one per level, so the walk ends.
 *
 *     "BTHD" | 0 | type 1 | node size 4 | record size 2 | depth 2 | split 1 | merge 1 |
 *     root address | records in root 2 | records in all (length) | checksum 4
 *     leaf  "BTLF" | 0 | type 1 | records | checksum 4
 *     inner "BTIN" | 0 | type 1 | records | children: address, records, [records below] | checksum 4
 *
 * @param types that may stand in the header
 * @source HDF5 File Format Specification 3.0, III.A.2
 */
export async function openBtreeV2(context: Hdf5Context, address: number, types: readonly number[]): Promise<BtreeV2> {
  const length = 22 + context.offsetSize + context.lengthSize
  const reader = await readAt(context, address, length, 'B-tree header')
  expectSignature(reader, 'BTHD', 'B-tree header')
  expectVersion(reader, [0], 'B-tree header')
  const type = reader.u8('B-tree type')
  if (!types.includes(type)) throw reader.invalid('B-tree type', types.join(' or '), String(type), reader.offset - 1)
  const nodeSize = reader.u32('B-tree node size')
  const recordSize = reader.u16('B-tree record size')
  const depth = reader.u16('B-tree depth')
  reader.skip(2)
  const root = readAddress(context, reader, 'B-tree root')
  const rootRecords = reader.u16('records in the root')
  readLength(context, reader, 'records in the tree')
  verifyChecksum(reader, 'B-tree header')
  if (recordSize === 0 || nodeSize < NODE_OVERHEAD + recordSize) {
    throw reader.invalid('B-tree node size', `room for a record of ${recordSize} bytes`, String(nodeSize))
  }
  // 2^64 records of one byte need fewer levels than this.
  if (depth > 32) throw reader.invalid('B-tree depth', 'at most 32', String(depth))
  const tree = measure(context, { type, nodeSize, recordSize, depth })
  return {
    recordSize,
    records: () => walk(context, tree, { address: root, records: rootRecords, level: depth }),
  }
}

function measure(
  context: Hdf5Context,
  { type, nodeSize, recordSize, depth }: { type: number; nodeSize: number; recordSize: number; depth: number },
): Tree {
  const leaf = Math.floor((nodeSize - NODE_OVERHEAD) / recordSize)
  const countBytes = bytesFor(leaf)
  const levels = [{ most: leaf, totalBytes: 0 }]
  let total = leaf
  for (let level = 1; level <= depth; level++) {
    const below = levels[level - 1]!
    const pointer = context.offsetSize + countBytes + below.totalBytes
    const most = Math.floor((nodeSize - NODE_OVERHEAD - pointer) / (recordSize + pointer))
    total = Math.min((most + 1) * total + most, 2 ** 63)
    levels.push({ most, totalBytes: bytesFor(total) })
  }
  return { type, nodeSize, recordSize, levels, countBytes }
}

/** Bytes that hold numbers up to `value`. */
function bytesFor(value: number): number {
  return Math.floor(Math.log2(Math.max(1, value)) / 8) + 1
}

interface NodePointer {
  readonly address: number | undefined
  readonly records: number
  readonly level: number
}

async function* walk(context: Hdf5Context, tree: Tree, pointer: NodePointer): AsyncGenerator<ByteReader> {
  const { address, records, level } = pointer
  if (address === undefined || records === 0) return
  const what = 'B-tree node'
  const reader = await readAt(context, address, tree.nodeSize, what)
  expectSignature(reader, level === 0 ? 'BTLF' : 'BTIN', what)
  expectVersion(reader, [0], what)
  const type = reader.u8('B-tree type')
  if (type !== tree.type) throw reader.invalid('B-tree type', String(tree.type), String(type), reader.offset - 1)
  const own: ByteReader[] = []
  for (let index = 0; index < records; index++) {
    const base = reader.offset
    own.push(new ByteReader(reader.take(tree.recordSize, 'B-tree record'), { name: reader.name, base }))
  }
  if (level === 0) {
    verifyChecksum(reader, what)
    yield* own
    return
  }
  const { totalBytes } = tree.levels[level - 1]!
  const children: NodePointer[] = []
  for (let index = 0; index <= records; index++) {
    const child = needAddress(context, reader, 'B-tree child')
    const count = readUint(reader, tree.countBytes, 'records in a child')
    if (totalBytes > 0) reader.skip(totalBytes, 'records below a child')
    children.push({ address: child, records: count, level: level - 1 })
  }
  verifyChecksum(reader, what)
  for (const [index, child] of children.entries()) {
    yield* walk(context, tree, child)
    const record = own[index]
    if (record) yield record
  }
}
