import { ByteReader } from '../../bytes/byte-reader.ts'
import { expectSignature, type Hdf5Context, needAddress, readAddress, readAt } from './context.ts'

/** One child of the lowest level of a version 1 B-tree, with the key before it. */
export interface BtreeLeaf {
  readonly key: ByteReader
  readonly address: number
}

/**
 * All leaves' children of a version 1 B-tree, in key order. A node that is met twice, or whose level does not fall by
 * one from its parent's, is an error, so the walk ends.
 *
 *     "TREE" | type 1 | level 1 | entries 2 | left, right sibling | key 0 | child 0 | ... | key n
 *
 * @param shape `type` 0 for groups, 1 for chunks; `keyBytes` is the size of a key
 * @source HDF5 File Format Specification 3.0, III.A.1
 */
export async function* readBtreeV1(
  context: Hdf5Context,
  root: number,
  shape: { type: 0 | 1; keyBytes: number },
): AsyncGenerator<BtreeLeaf> {
  const seen = new Set<number>()
  const stack: { address: number; level: number | undefined }[] = [{ address: root, level: undefined }]
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { address } = next
    const headBytes = 8 + 2 * context.offsetSize
    const head = await readAt(context, address, headBytes, 'B-tree node')
    if (seen.has(address)) throw head.invalid('B-tree node', 'each node once', 'a node that contains itself')
    seen.add(address)
    expectSignature(head, 'TREE', 'B-tree node')
    const type = head.u8('B-tree type')
    if (type !== shape.type) throw head.invalid('B-tree type', String(shape.type), String(type), head.offset - 1)
    const level = head.u8('B-tree level')
    if (next.level !== undefined && level !== next.level) {
      throw head.invalid('B-tree level', String(next.level), String(level), head.offset - 1)
    }
    const entries = head.u16('B-tree entries')
    readAddress(context, head, 'left sibling')
    const span = shape.keyBytes + context.offsetSize
    const body = await readAt(context, address + headBytes, entries * span + shape.keyBytes, 'B-tree node')
    const children: BtreeLeaf[] = []
    for (let index = 0; index < entries; index++) {
      const start = body.position
      body.skip(shape.keyBytes, 'B-tree key')
      const child = needAddress(context, body, 'B-tree child')
      children.push({ key: subReader(body, start, shape.keyBytes), address: child })
    }
    if (level === 0) yield* children
    else for (const child of children.reverse()) stack.push({ address: child.address, level: level - 1 })
  }
}

function subReader(reader: ByteReader, start: number, length: number): ByteReader {
  const bytes = reader.bytes.subarray(start, start + length)
  return new ByteReader(bytes, { name: reader.name, base: reader.base + start })
}
