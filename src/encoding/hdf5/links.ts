import type { ByteReader } from '../../bytes/byte-reader.ts'
import { FormatError } from '../../errors.ts'
import { readBtreeV1 } from './btree-v1.ts'
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
} from './context.ts'
import { openFractalHeap } from './fractal-heap.ts'
import { findMessage, type HeaderMessage, MESSAGE } from './object-header.ts'

/** One entry of a group. */
export type Hdf5Link = { readonly name: string } & (
  | { readonly kind: 'hard'; readonly address: number }
  | { readonly kind: 'soft'; readonly target: string }
  /** to another file: never followed */
  | { readonly kind: 'external'; readonly target: string }
)

/**
 * The links of a group, sorted by name: from a symbol table (old groups), link messages (compact) or a fractal heap
 * (dense).
 * @throws {FormatError} LIMIT_EXCEEDED above `limits.maxItems` links
 * @source HDF5 File Format Specification 3.0, IV.A.2.c, g, k, r
 */
export async function readLinks(context: Hdf5Context, messages: readonly HeaderMessage[]): Promise<Hdf5Link[]> {
  const links: Hdf5Link[] = []
  for await (const link of eachLink(context, messages)) {
    if (links.length >= context.limits.maxItems) {
      throw new FormatError({
        code: 'LIMIT_EXCEEDED',
        file: context.metadata.name,
        what: 'group',
        expected: `at most ${context.limits.maxItems} links`,
        found: 'more',
      })
    }
    links.push(link)
  }
  return links.sort((left, right) => (left.name < right.name ? -1 : left.name > right.name ? 1 : 0))
}

async function* eachLink(context: Hdf5Context, messages: readonly HeaderMessage[]): AsyncGenerator<Hdf5Link> {
  const table = await findMessage(context, messages, MESSAGE.symbolTable)
  if (table) yield* symbolTableLinks(context, table)
  for (const message of messages) if (message.type === MESSAGE.link) yield parseLink(context, message.body())
  const info = await findMessage(context, messages, MESSAGE.linkInfo)
  if (info) yield* denseLinks(context, info)
}

/** Symbol table message: B-tree address | local heap address. */
async function* symbolTableLinks(context: Hdf5Context, message: ByteReader): AsyncGenerator<Hdf5Link> {
  const tree = needAddress(context, message, 'group B-tree')
  const heapAddress = needAddress(context, message, 'group heap')
  const heap = await readLocalHeap(context, heapAddress)
  const { offsetSize, lengthSize } = context
  const entryBytes = 2 * offsetSize + 24
  for await (const { address } of readBtreeV1(context, tree, { type: 0, keyBytes: lengthSize })) {
    const head = await readAt(context, address, 8, 'symbol table node')
    expectSignature(head, 'SNOD', 'symbol table node')
    expectVersion(head, [1], 'symbol table node')
    head.skip(1)
    const count = head.u16('number of symbols')
    const body = await readAt(context, address + 8, count * entryBytes, 'symbol table node')
    for (let index = 0; index < count; index++) {
      body.seek(index * entryBytes)
      const name = heapText(heap, readUint(body, offsetSize, 'link name'), body)
      const target = readAddress(context, body, 'object address')
      const cache = body.u32('cache type')
      body.skip(4)
      if (cache === 2) yield { name, kind: 'soft', target: heapText(heap, body.u32('soft link'), body) }
      else if (target !== undefined) yield { name, kind: 'hard', address: target }
    }
  }
}

/** "HEAP" | 0 | reserved 3 | size of the data | free list (lengths) | data address */
async function readLocalHeap(context: Hdf5Context, address: number): Promise<Uint8Array> {
  const head = await readAt(context, address, 8 + 2 * context.lengthSize + context.offsetSize, 'local heap')
  expectSignature(head, 'HEAP', 'local heap')
  expectVersion(head, [0], 'local heap')
  head.skip(3)
  const size = readLength(context, head, 'local heap size')
  readLength(context, head, 'free list')
  const data = needAddress(context, head, 'local heap data')
  return (await readAt(context, data, size, 'local heap data')).bytes
}

function heapText(heap: Uint8Array, offset: number, reader: ByteReader): string {
  const end = offset < heap.length ? heap.indexOf(0, offset) : -1
  if (end === -1) {
    throw reader.invalid('link name', `text inside a heap of ${heap.length} bytes`, `offset ${offset}`, reader.offset)
  }
  return new TextDecoder().decode(heap.subarray(offset, end))
}

/**
 * Link message: 1 | flags 1 | [type 1] | [creation order 8] | [character set 1] | name length 1, 2, 4 or 8 | name |
 * hard: address; soft: length 2, path; external: length 2, flags 1, file, NUL, path, NUL
 */
function parseLink(context: Hdf5Context, reader: ByteReader): Hdf5Link {
  expectVersion(reader, [1], 'link')
  const flags = reader.u8('link flags')
  const type = flags & 8 ? reader.u8('link type') : 0
  if (flags & 4) reader.skip(8)
  if (flags & 16) reader.skip(1)
  const name = reader.utf8(readUint(reader, 1 << (flags & 3), 'length of a link name'), 'link name')
  if (type === 0) return { name, kind: 'hard', address: needAddress(context, reader, `link "${name}"`) }
  const value = reader.take(reader.u16('length of a link'), `link "${name}"`)
  const text = new TextDecoder().decode(type === 1 ? value : value.subarray(1))
  if (type === 1) return { name, kind: 'soft', target: text }
  return { name, kind: 'external', target: text.replaceAll('\0', ' ').trim() }
}

/** Link info message: 0 | flags 1 | [largest order 8] | heap | name B-tree | [order B-tree] */
async function* denseLinks(context: Hdf5Context, message: ByteReader): AsyncGenerator<Hdf5Link> {
  expectVersion(message, [0], 'link info')
  const flags = message.u8('link info flags')
  if (flags & 1) message.skip(8)
  const heapAddress = readAddress(context, message, 'link heap')
  const treeAddress = readAddress(context, message, 'link B-tree')
  if (heapAddress === undefined || treeAddress === undefined) return
  const heap = await openFractalHeap(context, heapAddress)
  const tree = await openBtreeV2(context, treeAddress, [5])
  // Records of type 5: hash of the name 4 | heap ID 7
  for await (const record of tree.records()) {
    record.skip(4)
    yield parseLink(context, await heap.read(record.take(7, 'heap ID')))
  }
}
