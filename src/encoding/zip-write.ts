import { ToolError } from '../errors.ts'
import { crc32 } from './crc32.ts'

/** An entry of an archive that is written, its size known beforehand. */
export interface NewZipEntry {
  readonly name: string
  /** of the content, in bytes */
  readonly bytes: number
  /** the content, to be stored; with `packed` the compressed data of another archive */
  content(): AsyncIterable<Uint8Array>
  readonly packed?: { readonly method: number; readonly bytes: number; readonly crc: number }
}

const MAX_U32 = 0xffffffff
const MAX_U16 = 0xffff
const LOCAL_BYTES = 30
const RECORD_BYTES = 46
/** id, length and the two sizes of a local header's zip64 field */
const LOCAL_64_BYTES = 20
/** 1980-01-01, the earliest that the format can say: equal content gives equal bytes */
const DATE = 0x21
/** bit 11: names are UTF-8 */
const FLAGS = 0x800

/** Bytes at a place; a checksum comes after the data it covers. */
interface Placed {
  readonly offset: number
  readonly bytes: Uint8Array
}

/** Length in bytes of the archive that `zipPieces` gives. */
export function zipBytes(entries: readonly NewZipEntry[]): number {
  let offset = 0
  let directory = 0
  for (const entry of entries) {
    directory += record(entry, offset, 0).length
    offset += localHeader(entry).length + storedBytes(entry)
  }
  return offset + directory + end(entries.length, offset, directory).length
}

/**
 * A new archive of stored entries, zip64 where an entry or the archive needs it (4 GiB, 65535 entries). Each local
 * header comes first without its checksum, which follows the entry's data as a piece of its own.
 *
 * @throws {ToolError} NOT_WRITABLE for a name that would leave the folder it is unpacked into
 * @source https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
 */
export async function* zipPieces(entries: readonly NewZipEntry[]): AsyncGenerator<Placed> {
  const records: Uint8Array[] = []
  let offset = 0
  for (const entry of entries) {
    const header = localHeader(entry)
    yield { offset, bytes: header }
    let at = offset + header.length
    let crc = entry.packed?.crc ?? 0
    for await (const bytes of entry.content()) {
      if (entry.packed === undefined) crc = crc32(bytes, crc)
      yield { offset: at, bytes }
      at += bytes.length
    }
    const checksum = new Uint8Array(4)
    new DataView(checksum.buffer).setUint32(0, crc, true)
    yield { offset: offset + 14, bytes: checksum }
    records.push(record(entry, offset, crc))
    offset = at
  }
  const directoryAt = offset
  for (const bytes of records) {
    yield { offset, bytes }
    offset += bytes.length
  }
  yield { offset, bytes: end(entries.length, directoryAt, offset - directoryAt) }
}

function storedBytes({ bytes, packed }: NewZipEntry): number {
  return packed?.bytes ?? bytes
}

function localHeader(entry: NewZipEntry): Uint8Array {
  const { name, bytes, packed } = entry
  const encoded = encodeName(name)
  const stored = storedBytes(entry)
  const large = bytes >= MAX_U32 || stored >= MAX_U32
  const out = new Uint8Array(LOCAL_BYTES + encoded.length + (large ? LOCAL_64_BYTES : 0))
  const view = new DataView(out.buffer)
  view.setUint32(0, 0x04034b50, true)
  view.setUint16(4, large ? 45 : 20, true)
  view.setUint16(6, FLAGS, true)
  view.setUint16(8, packed?.method ?? 0, true)
  view.setUint16(12, DATE, true)
  view.setUint32(18, large ? MAX_U32 : stored, true)
  view.setUint32(22, large ? MAX_U32 : bytes, true)
  view.setUint16(26, encoded.length, true)
  view.setUint16(28, large ? LOCAL_64_BYTES : 0, true)
  out.set(encoded, LOCAL_BYTES)
  if (large) write64(view, LOCAL_BYTES + encoded.length, [bytes, stored])
  return out
}

function record(entry: NewZipEntry, offset: number, crc: number): Uint8Array {
  const { name, bytes, packed } = entry
  const encoded = encodeName(name)
  const stored = storedBytes(entry)
  // in this order, each only where the header has no room for it
  const wide = [bytes, stored, offset].filter((value) => value >= MAX_U32)
  const extra = wide.length === 0 ? 0 : 4 + 8 * wide.length
  const out = new Uint8Array(RECORD_BYTES + encoded.length + extra)
  const view = new DataView(out.buffer)
  view.setUint32(0, 0x02014b50, true)
  view.setUint16(4, wide.length > 0 ? 45 : 20, true)
  view.setUint16(6, wide.length > 0 ? 45 : 20, true)
  view.setUint16(8, FLAGS, true)
  view.setUint16(10, packed?.method ?? 0, true)
  view.setUint16(14, DATE, true)
  view.setUint32(16, crc, true)
  view.setUint32(20, Math.min(stored, MAX_U32), true)
  view.setUint32(24, Math.min(bytes, MAX_U32), true)
  view.setUint16(28, encoded.length, true)
  view.setUint16(30, extra, true)
  view.setUint32(42, Math.min(offset, MAX_U32), true)
  out.set(encoded, RECORD_BYTES)
  if (extra > 0) write64(view, RECORD_BYTES + encoded.length, wide)
  return out
}

/** The zip64 field: id 1, length, then the numbers that have no room in the header. */
function write64(view: DataView, at: number, values: readonly number[]): void {
  view.setUint16(at, 1, true)
  view.setUint16(at + 2, 8 * values.length, true)
  for (const [index, value] of values.entries()) view.setBigUint64(at + 4 + 8 * index, BigInt(value), true)
}

/** End record, with the zip64 record and its locator before it where a number is too large. */
function end(count: number, directoryAt: number, directoryBytes: number): Uint8Array {
  const large = count >= MAX_U16 || directoryAt >= MAX_U32 || directoryBytes >= MAX_U32
  const start = large ? 76 : 0
  const view = new DataView(new ArrayBuffer(start + 22))
  if (large) {
    view.setUint32(0, 0x06064b50, true)
    view.setBigUint64(4, 44n, true)
    view.setUint16(12, 45, true)
    view.setUint16(14, 45, true)
    view.setBigUint64(24, BigInt(count), true)
    view.setBigUint64(32, BigInt(count), true)
    view.setBigUint64(40, BigInt(directoryBytes), true)
    view.setBigUint64(48, BigInt(directoryAt), true)
    view.setUint32(56, 0x07064b50, true)
    view.setBigUint64(64, BigInt(directoryAt + directoryBytes), true)
    view.setUint32(72, 1, true)
  }
  view.setUint32(start, 0x06054b50, true)
  view.setUint16(start + 8, Math.min(count, MAX_U16), true)
  view.setUint16(start + 10, Math.min(count, MAX_U16), true)
  view.setUint32(start + 12, Math.min(directoryBytes, MAX_U32), true)
  view.setUint32(start + 16, Math.min(directoryAt, MAX_U32), true)
  return new Uint8Array(view.buffer)
}

const encoder = new TextEncoder()

/** Tensor names come from files of others: an archive must not lead whoever unpacks it out of the folder. */
function encodeName(name: string): Uint8Array {
  const encoded = encoder.encode(name)
  const unsafe = /^[/\\]|^[A-Za-z]:|\\|\0/.test(name) || name.split('/').includes('..')
  if (!unsafe && encoded.length <= MAX_U16) return encoded
  const shown = JSON.stringify(name.slice(0, 100))
  throw new ToolError(
    'NOT_WRITABLE',
    `${shown} cannot be the name of an entry in an archive: write safetensors instead`,
  )
}
