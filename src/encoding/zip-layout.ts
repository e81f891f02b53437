import { ByteReader } from '../bytes/byte-reader.ts'
import { type ByteSource, checkRange } from '../bytes/byte-source.ts'
import type { Limits } from '../bytes/limits.ts'
import { FormatError } from '../errors.ts'

/** Where an archive keeps an entry's data and checksums: what must be known to change the entry in place. */
export interface ZipPlace {
  readonly name: string
  /** 0: stored, 8: deflate */
  readonly method: number
  /** absolute, of the first byte of data */
  readonly dataAt: number
  /** as stored */
  readonly dataBytes: number
  /** CRC-32 of the content, as the directory says */
  readonly crc: number
  /** absolute: each place that holds it; a local header may leave it to the data descriptor */
  readonly crcAt: readonly number[]
}

const END_BYTES = 22
const MAX_COMMENT_BYTES = 65_535
const LOCAL_BYTES = 30
const LOCAL_SIGNATURE = 0x04034b50
const RECORD_SIGNATURE = 0x02014b50
const DESCRIPTOR_SIGNATURE = 0x08074b50
const MAX_U32 = 0xffffffff

/**
 * The places of all entries by name. The rules on names, overlap and sizes are those of `openZip`, which must have
 * accepted the archive; this only finds where things lie.
 *
 * @param names of the entries in the order of the directory, as `openZip` gives them
 * @throws {FormatError} when records do not lie where others say
 * @source https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
 */
export async function findZipPlaces(
  source: ByteSource,
  names: Iterable<string>,
  limits: Limits,
): Promise<ReadonlyMap<string, ZipPlace>> {
  const { offset, length } = await findDirectory(source)
  checkRange(source, offset, length, 'zip directory')
  if (length > limits.maxHeaderBytes) {
    const parts = { what: 'zip directory', expected: `at most ${limits.maxHeaderBytes} bytes`, found: String(length) }
    throw new FormatError({ code: 'LIMIT_EXCEEDED', file: source.name, ...parts })
  }
  const reader = new ByteReader(await source.read(offset, length), { name: source.name, base: offset })
  const places = new Map<string, ZipPlace>()
  for (const name of names) places.set(name, await readRecord(source, reader, name))
  return places
}

async function findDirectory(source: ByteSource): Promise<{ offset: number; length: number }> {
  const start = Math.max(0, source.size - END_BYTES - MAX_COMMENT_BYTES)
  const tail = await source.read(start, source.size - start)
  const view = new DataView(tail.buffer, tail.byteOffset, tail.byteLength)
  let at = tail.length - END_BYTES
  // the comment of the true end record reaches to the end of the file
  while (
    at >= 0 &&
    (view.getUint32(at, true) !== 0x06054b50 || at + END_BYTES + view.getUint16(at + 20, true) !== tail.length)
  )
    at--
  if (at < 0) throw broken(source, 'zip directory', undefined, 'an end record', 'none')
  const small = {
    length: view.getUint32(at + 12, true),
    offset: view.getUint32(at + 16, true),
  }
  const locatorAt = start + at - 20
  if (locatorAt < 0) return small
  const locator = new ByteReader(await source.read(locatorAt, 20), { name: source.name, base: locatorAt })
  if (locator.u32('zip64 locator') !== 0x07064b50) return small
  locator.skip(4, 'zip64 locator')
  const recordAt = locator.u64('zip64 record')
  checkRange(source, recordAt, 56, 'zip64 record')
  const record = new ByteReader(await source.read(recordAt, 56), { name: source.name, base: recordAt })
  if (record.u32('zip64 record') !== 0x06064b50) return small
  record.skip(36, 'zip64 record')
  return { length: record.u64('size of the directory'), offset: record.u64('place of the directory') }
}

async function readRecord(source: ByteSource, reader: ByteReader, name: string): Promise<ZipPlace> {
  const offset = reader.offset
  if (reader.u32('directory record') !== RECORD_SIGNATURE)
    throw broken(source, 'directory record', offset, 'its signature', 'other bytes')
  reader.skip(4, 'versions')
  const flags = reader.u16('flags')
  const method = reader.u16('method')
  reader.skip(4, 'time')
  const crc = reader.u32('checksum')
  let dataBytes = reader.u32('stored size')
  let contentBytes = reader.u32('size')
  const nameBytes = reader.u16('name length')
  const extraBytes = reader.u16('extra length')
  const commentBytes = reader.u16('comment length')
  reader.skip(8, 'attributes')
  let headerAt = reader.u32('place of the entry')
  reader.skip(nameBytes, 'name')
  const extra = new ByteReader(reader.take(extraBytes, 'extra field'), { name: source.name })
  while (extra.remaining >= 4) {
    const id = extra.u16('extra field')
    const length = extra.u16('extra field')
    const field = new ByteReader(extra.take(length, 'extra field'), { name: source.name })
    if (id !== 1) continue
    if (contentBytes === MAX_U32) contentBytes = field.u64('size')
    if (dataBytes === MAX_U32) dataBytes = field.u64('stored size')
    if (headerAt === MAX_U32) headerAt = field.u64('place of the entry')
  }
  reader.skip(commentBytes, 'comment')
  checkRange(source, headerAt, LOCAL_BYTES, `entry "${name}"`)
  const local = new ByteReader(await source.read(headerAt, LOCAL_BYTES), { name: source.name, base: headerAt })
  if (local.u32('local header') !== LOCAL_SIGNATURE)
    throw broken(source, `entry "${name}"`, headerAt, 'a local header', 'other bytes')
  local.seek(14)
  const ownCrc = local.u32('checksum')
  local.seek(26)
  const dataAt = headerAt + LOCAL_BYTES + local.u16('name length') + local.u16('extra length')
  checkRange(source, dataAt, dataBytes, `entry "${name}"`)
  const crcAt = ownCrc === crc ? [headerAt + 14, offset + 16] : [offset + 16]
  if (flags & 8) {
    const at = dataAt + dataBytes
    checkRange(source, at, 8, `data descriptor of "${name}"`)
    const descriptor = new ByteReader(await source.read(at, 8), { name: source.name, base: at })
    const [first, second] = [descriptor.u32('data descriptor'), descriptor.u32('data descriptor')]
    // some writers set the flag and leave the descriptor out: what lies there then is the next entry
    if (first === DESCRIPTOR_SIGNATURE && second === crc) crcAt.push(at + 4)
    else if (first === crc) crcAt.push(at)
  }
  return { name, method, dataAt, dataBytes, crc, crcAt }
}

function broken(
  source: ByteSource,
  what: string,
  byteOffset: number | undefined,
  expected: string,
  found: string,
): FormatError {
  return new FormatError({ code: 'INVALID_FIELD', file: source.name, what, byteOffset, expected, found })
}
