import { ByteReader } from '../../bytes/byte-reader.ts'
import { openBtreeV2 } from './btree-v2.ts'
import { expectVersion, type Hdf5Context, readAddress } from './context.ts'
import { type Dataspace, parseDataspace } from './dataspace.ts'
import { parseDatatype, type StoredType } from './datatype.ts'
import { openFractalHeap } from './fractal-heap.ts'
import { findMessage, type HeaderMessage, MESSAGE, readShared } from './object-header.ts'

/** A named value attached to a group or dataset, as stored. `values.ts` makes numbers and text of it. */
export interface Hdf5Attribute {
  readonly name: string
  readonly type: StoredType
  readonly space: Dataspace
  readonly data: Uint8Array
  /** absolute offset of `data` */
  readonly byteOffset: number
}

/**
 * The attributes of an object: messages of its header, and those in a fractal heap where there are many or large ones.
 * @source HDF5 File Format Specification 3.0, IV.A.2.m, v
 */
export async function readAttributes(
  context: Hdf5Context,
  messages: readonly HeaderMessage[],
): Promise<ReadonlyMap<string, Hdf5Attribute>> {
  const found = new Map<string, Hdf5Attribute>()
  const add = (attribute: Hdf5Attribute) => found.set(attribute.name, attribute)
  for (const message of messages) {
    if (message.type !== MESSAGE.attribute) continue
    const body = message.flags & 2 ? await readShared(context, message.body(), MESSAGE.attribute) : message.body()
    add(await parseAttribute(context, body))
  }
  const info = await findMessage(context, messages, MESSAGE.attributeInfo)
  if (info) for await (const attribute of denseAttributes(context, info)) add(attribute)
  return found
}

/**
 *     version | flags 1 (0 in version 1) | sizes of name, datatype, dataspace 2 each | [3: character set 1] |
 *     name | datatype | dataspace, each padded to 8 in version 1 | data
 *
 * Flags bit 0: the datatype is shared; bit 1: the dataspace is.
 */
async function parseAttribute(context: Hdf5Context, reader: ByteReader): Promise<Hdf5Attribute> {
  const version = expectVersion(reader, [1, 2, 3], 'attribute')
  const flags = reader.u8('attribute flags')
  const nameBytes = reader.u16('length of the attribute name')
  const typeBytes = reader.u16('length of the attribute type')
  const spaceBytes = reader.u16('length of the attribute shape')
  if (version === 3) reader.skip(1)
  const field = (bytes: number, what: string) => {
    const base = reader.offset
    const own = reader.take(version === 1 ? Math.ceil(bytes / 8) * 8 : bytes, what).subarray(0, bytes)
    return new ByteReader(own, { name: reader.name, base })
  }
  const name = textUpToNul(field(nameBytes, 'attribute name').bytes)
  const typeField = field(typeBytes, 'attribute type')
  const spaceField = field(spaceBytes, 'attribute shape')
  const typeReader = version > 1 && flags & 1 ? await readShared(context, typeField, MESSAGE.datatype) : typeField
  const spaceReader = version > 1 && flags & 2 ? await readShared(context, spaceField, MESSAGE.dataspace) : spaceField
  const type = parseDatatype(context, typeReader)
  const space = parseDataspace(context, spaceReader)
  const byteOffset = reader.offset
  const count = space.kind === 'null' ? 0 : space.shape.reduce((product, size) => product * size, 1)
  const data = reader.take(count * type.size, `attribute "${name}"`)
  return { name, type, space, data, byteOffset }
}

function textUpToNul(bytes: Uint8Array): string {
  const end = bytes.indexOf(0)
  return new TextDecoder().decode(end === -1 ? bytes : bytes.subarray(0, end))
}

/** Attribute info message: 0 | flags 1 | [largest order 2] | heap | name B-tree | [order B-tree] */
async function* denseAttributes(context: Hdf5Context, message: ByteReader): AsyncGenerator<Hdf5Attribute> {
  expectVersion(message, [0], 'attribute info')
  const flags = message.u8('attribute info flags')
  if (flags & 1) message.skip(2)
  const heapAddress = readAddress(context, message, 'attribute heap')
  const treeAddress = readAddress(context, message, 'attribute B-tree')
  if (heapAddress === undefined || treeAddress === undefined) return
  const heap = await openFractalHeap(context, heapAddress)
  const tree = await openBtreeV2(context, treeAddress, [8])
  // Records of type 8: heap ID 8 | message flags 1 | creation order 4 | hash of the name 4
  for await (const record of tree.records()) {
    const id = record.take(8, 'heap ID')
    const messageFlags = record.u8('message flags')
    const body = await heap.read(id)
    yield parseAttribute(context, messageFlags & 2 ? await readShared(context, body, MESSAGE.attribute) : body)
  }
}
