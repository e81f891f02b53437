import { ByteReader } from '../../bytes/byte-reader.ts'
import { FormatError } from '../../errors.ts'
import {
  expectSignature,
  expectVersion,
  type Hdf5Context,
  needAddress,
  readAt,
  readLength,
  readUint,
  unsupported,
  verifyChecksum,
} from './context.ts'

/** Numbers of the header messages that the reader uses. */
export const MESSAGE = {
  dataspace: 0x01,
  linkInfo: 0x02,
  datatype: 0x03,
  oldFill: 0x04,
  fill: 0x05,
  link: 0x06,
  externalFiles: 0x07,
  layout: 0x08,
  groupInfo: 0x0a,
  filters: 0x0b,
  attribute: 0x0c,
  continuation: 0x10,
  symbolTable: 0x11,
  attributeInfo: 0x15,
} as const

/** One message of an object header, not yet interpreted. */
export interface HeaderMessage {
  readonly type: number
  /** bit 1: the body is a reference to a message elsewhere */
  readonly flags: number
  /** a checksum covers it (newer headers): its bytes cannot be changed alone */
  readonly checked: boolean
  /** a cursor over the body, at its beginning */
  readonly body: () => ByteReader
}

/** No real object has more; Keras' widest layers have some hundred attributes. */
const MAX_MESSAGES = 100_000

/**
 * All messages of the object whose header is at `address`, continuation blocks followed.
 *
 *     version 1: version 1 | 0 | messages 2 | references 4 | size 4 | pad 4 | messages, each
 *                type 2 | size 2 | flags 1 | 0 0 0 | body (a multiple of 8)
 *     version 2: "OHDR" | 2 | flags | [times 16] | [attribute limits 4] | size 1..8 | messages, each
 *                type 1 | size 2 | flags 1 | [creation order 2] | body; checksum 4
 *
 * @source HDF5 File Format Specification 3.0, IV.A.1
 */
export async function readObjectHeader(context: Hdf5Context, address: number): Promise<readonly HeaderMessage[]> {
  // A version 2 header at the very end of a file may be shorter than the 16 bytes that version 1 begins with.
  const room = context.metadata.size - context.base - address
  const head = await readAt(context, address, Math.max(8, Math.min(16, room)), 'object header')
  const newer = head.bytes[0] === 0x4f
  const found: HeaderMessage[] = []
  const blocks: Block[] = []
  const seen = new Set<number>([address])
  let orderBytes = 0
  if (newer) {
    expectSignature(head, 'OHDR', 'object header')
    expectVersion(head, [2], 'object header')
    const flags = head.u8('object header flags')
    orderBytes = flags & 4 ? 2 : 0
    const before = 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0)
    const sizeBytes = 1 << (flags & 3)
    const prefix = await readAt(context, address, before + sizeBytes, 'object header')
    prefix.skip(before)
    const length = readUint(prefix, sizeBytes, 'object header size')
    blocks.push({ address, skip: before + sizeBytes, length: before + sizeBytes + length + 4 })
  } else {
    expectVersion(head, [1], 'object header')
    head.skip(1)
    head.u16('number of messages')
    head.skip(4)
    blocks.push({ address, skip: 16, length: 16 + head.u32('object header size') })
  }
  for (let block = blocks.shift(); block !== undefined; block = blocks.shift()) {
    const reader = await readAt(context, block.address, block.length, 'object header block')
    for (const message of parseBlock(reader, block, newer, orderBytes)) {
      if (message.type !== MESSAGE.continuation) {
        if (found.length >= MAX_MESSAGES) throw tooMany(context, address)
        found.push(message)
        continue
      }
      const next = readContinuation(context, message, newer)
      if (seen.has(next.address)) {
        const body = message.body()
        throw body.invalid('object header continuation', 'a block not read before', String(next.address), body.offset)
      }
      seen.add(next.address)
      blocks.push(next)
    }
  }
  return found
}

interface Block {
  readonly address: number
  /** bytes before the first message */
  readonly skip: number
  /** in bytes, `skip` and checksum included */
  readonly length: number
}

function readContinuation(context: Hdf5Context, message: HeaderMessage, newer: boolean): Block {
  const body = message.body()
  const address = needAddress(context, body, 'object header continuation')
  const length = readLength(context, body, 'object header continuation length')
  return { address, length, skip: newer ? 4 : 0 }
}

function parseBlock(reader: ByteReader, block: Block, newer: boolean, orderBytes: number): HeaderMessage[] {
  const messages: HeaderMessage[] = []
  const end = newer ? block.length - 4 : block.length
  if (newer) {
    expectSignature(reader, block.skip === 4 ? 'OCHK' : 'OHDR', 'object header block')
    if (end < block.skip) throw reader.invalid('object header block', 'room for its checksum', `${block.length} bytes`)
    reader.seek(end)
    verifyChecksum(reader, 'object header')
  }
  reader.seek(block.skip)
  // What is left over before the end of a block and is too small for a message is a gap.
  const smallest = newer ? 4 + orderBytes : 8
  while (end - reader.position >= smallest) {
    const type = newer ? reader.u8('message type') : reader.u16('message type')
    const size = reader.u16('message size')
    const flags = reader.u8('message flags')
    reader.skip(newer ? orderBytes : 3)
    if (reader.position + size > end) {
      const room = `at most ${end - reader.position} bytes in this header block`
      throw reader.invalid('size of a header message', room, String(size))
    }
    const base = reader.offset
    const bytes = reader.take(size, 'header message')
    messages.push({ type, flags, checked: newer, body: () => new ByteReader(bytes, { name: reader.name, base }) })
  }
  return messages
}

function tooMany(context: Hdf5Context, address: number): FormatError {
  return new FormatError({
    code: 'LIMIT_EXCEEDED',
    file: context.metadata.name,
    what: 'object header',
    byteOffset: context.base + address,
    expected: `at most ${MAX_MESSAGES} messages`,
    found: 'more',
  })
}

/** The first message of `type`, followed to where it is shared from; undefined when the object has none. */
export async function findMessage(
  context: Hdf5Context,
  messages: readonly HeaderMessage[],
  type: number,
): Promise<ByteReader | undefined> {
  const message = messages.find((candidate) => candidate.type === type)
  if (message === undefined) return undefined
  return message.flags & 2 ? readShared(context, message.body(), type) : message.body()
}

/**
 * The message of `type` that a shared message refers to: the header of another object (a committed datatype).
 *
 *     version 1: 1 | type 1 | reserved 6 | name offset | address;   versions 2, 3: version | type 1 | address or heap id
 *
 * @throws {FormatError} UNSUPPORTED_FEATURE for the shared message heap, which h5py and Keras never write
 */
export async function readShared(context: Hdf5Context, reader: ByteReader, type: number): Promise<ByteReader> {
  const at = reader.offset
  const version = expectVersion(reader, [1, 2, 3], 'shared message')
  const kind = reader.u8('shared message type')
  // Version 1 is a symbol table entry: the offset of a name, which is not used, comes first.
  if (version === 1) reader.skip(6 + context.lengthSize)
  if (version === 3 && kind === 1) {
    throw unsupported(context, { what: 'shared message', at, expected: 'a committed object', found: 'a shared heap' })
  }
  const address = needAddress(context, reader, 'shared message address')
  const target = (await readObjectHeader(context, address)).find((message) => message.type === type)
  if (target === undefined || target.flags & 2) {
    throw reader.invalid('shared message', 'an object that holds the message', `none at address ${address}`, at)
  }
  return target.body()
}
