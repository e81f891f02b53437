import { ByteReader } from '../bytes/byte-reader.ts'
import { type ByteRange, type ByteSource, checkRange } from '../bytes/byte-source.ts'
import type { Limits } from '../bytes/limits.ts'
import { FormatError } from '../errors.ts'
import { crc32c, maskCrc } from './crc32c.ts'
import { decodeSnappy } from './snappy.ts'

/**
 * Sorted tables of LevelDB, in which TensorFlow keeps the index of a checkpoint (and, before 2016, the checkpoint).
 *
 *     data block 1 .. n | metaindex block | index block | footer (48 bytes)
 *     block   entries | u32 restart offset, each | u32 number of restarts || u8 compression | u32 masked crc32c
 *     entry   varint bytes shared with the key before | varint further key bytes | varint value bytes | key | value
 *     footer  handle of metaindex | handle of index | zeros to 40 | 0xdb4775248b80fb57
 *     handle  varint offset | varint length (without the 5 bytes behind ||)
 *
 * The index block maps a key that is not below the last key of a data block to its handle.
 *
 * @source https://github.com/google/leveldb/blob/main/doc/table_format.md
 */
export interface Table {
  /** handles of the data blocks with the highest key of each, in key order */
  readonly blocks: readonly TableBlock[]
  /** All entries in key order, block by block. */
  entries(): AsyncGenerator<TableEntry>
  /** The value of `key`, from the one block that can hold it; that block is kept for the next call. */
  find(key: Uint8Array): Promise<TableEntry | undefined>
}

export interface TableBlock {
  readonly lastKey: Uint8Array
  readonly range: ByteRange
}

export interface TableEntry {
  readonly key: Uint8Array
  readonly value: Uint8Array
  /** of the block (a compressed block has no smaller unit), or of the value itself */
  readonly byteOffset: number
}

const FOOTER_BYTES = 48
/** compression and checksum behind each block */
const TRAILER_BYTES = 5
const MAGIC = [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb] as const

/** Whether `tail`, the last bytes of a file, ends as a table does. */
export function endsAsTable(tail: Uint8Array): boolean {
  return tail.length >= FOOTER_BYTES && MAGIC.every((byte, index) => tail[tail.length - 8 + index] === byte)
}

/**
 * Opens a table: reads footer and index block.
 *
 * Blocks must follow each other without overlap and keys must rise, so that reading all of it costs no more than the
 * file is long.
 * @throws {FormatError} TRUNCATED, INVALID_FIELD (checksum, order, handles), LIMIT_EXCEEDED
 */
export async function openTable(source: ByteSource, limits: Limits): Promise<Table> {
  checkRange(source, 0, FOOTER_BYTES, 'table footer')
  const footerAt = source.size - FOOTER_BYTES
  const footer = new ByteReader(await source.read(footerAt, FOOTER_BYTES), { name: source.name, base: footerAt })
  if (!endsAsTable(footer.bytes)) {
    throw new FormatError({
      code: 'INVALID_FIELD',
      file: source.name,
      what: 'table magic',
      byteOffset: source.size - 8,
      expected: '57 fb 80 8b 24 75 47 db',
      found: Array.from(footer.bytes.subarray(40), (byte) => byte.toString(16).padStart(2, '0')).join(' '),
      hint: 'The file is cut short, or is not a checkpoint index.',
    })
  }
  readHandle(footer, 'metaindex')
  const index = readHandle(footer, 'index block')
  const budget = { keyBytes: limits.maxHeaderBytes, items: limits.maxItems }
  const blocks: TableBlock[] = []
  let end = 0
  for (const { key, value, byteOffset } of await readBlock(source, index, limits, budget)) {
    const range = readHandle(new ByteReader(value, { name: source.name, base: byteOffset }), 'data block')
    if (range.offset < end) {
      const expected = `a block at ${end} or later`
      throw invalid(source, 'block handle', byteOffset, expected, `one at ${range.offset}`)
    }
    end = range.offset + range.length
    blocks.push({ lastKey: key, range })
  }
  let recent: { block: TableBlock; entries: readonly TableEntry[] } | undefined
  return {
    blocks,
    async *entries() {
      const whole = { keyBytes: limits.maxHeaderBytes, items: limits.maxItems }
      let last: Uint8Array | undefined
      for (const { range } of blocks) {
        for (const entry of await readBlock(source, range, limits, whole, last)) {
          last = entry.key
          yield entry
        }
      }
    },
    async find(key) {
      const block = blocks.find(({ lastKey }) => compareKeys(lastKey, key) >= 0)
      if (block === undefined) return undefined
      if (recent?.block !== block) {
        const own = { keyBytes: limits.maxHeaderBytes, items: limits.maxItems }
        recent = { block, entries: await readBlock(source, block.range, limits, own) }
      }
      return findEntry(recent.entries, key)
    },
  }
}

function findEntry(entries: readonly TableEntry[], key: Uint8Array): TableEntry | undefined {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareKeys(entries[middle]!.key, key) < 0) low = middle + 1
    else high = middle
  }
  const entry = entries[low]
  return entry !== undefined && compareKeys(entry.key, key) === 0 ? entry : undefined
}

interface Budget {
  /** keys are rebuilt from shared prefixes, so a small block could hold huge ones */
  keyBytes: number
  items: number
}

async function readBlock(
  source: ByteSource,
  range: ByteRange,
  limits: Limits,
  budget: Budget,
  after?: Uint8Array,
): Promise<TableEntry[]> {
  const { offset, length } = range
  checkRange(source, offset, length + TRAILER_BYTES, 'table block')
  if (length > limits.maxInflatedBytes)
    throw tooMuch(source, 'table block', offset, `at most ${limits.maxInflatedBytes} bytes`, String(length))
  const stored = await source.read(offset, length + TRAILER_BYTES)
  const trailer = new DataView(stored.buffer, stored.byteOffset + length, TRAILER_BYTES)
  const compression = trailer.getUint8(0)
  const wanted = trailer.getUint32(1, true)
  const found = maskCrc(crc32c(stored.subarray(0, length + 1)))
  if (found !== wanted)
    throw invalid(source, 'checksum of table block', offset, `crc32c ${wanted.toString(16)}`, found.toString(16))
  if (compression > 1) throw invalid(source, 'table block compression', offset + length, '0 or 1', String(compression))
  const payload = stored.subarray(0, length)
  const bytes = compression === 0 ? payload : decodeSnappy(payload, limits, { file: source.name, byteOffset: offset })
  return readEntries(source, bytes, offset, compression === 0, budget, after)
}

function readEntries(
  source: ByteSource,
  bytes: Uint8Array,
  base: number,
  plain: boolean,
  budget: Budget,
  after: Uint8Array | undefined,
): TableEntry[] {
  const reader = new ByteReader(bytes, { name: source.name, base: plain ? base : 0 })
  if (bytes.length < 4) throw invalid(source, 'table block', base, 'at least 4 bytes', String(bytes.length))
  reader.seek(bytes.length - 4)
  const restarts = reader.u32('number of restarts')
  const end = bytes.length - 4 - restarts * 4
  if (end < 0) throw invalid(source, 'number of restarts', base, `at most ${bytes.length / 4 - 1}`, String(restarts))
  reader.seek(0)
  const entries: TableEntry[] = []
  let key: Uint8Array = new Uint8Array(0)
  let last = after
  while (reader.position < end) {
    const at = plain ? reader.offset : base
    const shared = readVarint(reader, 'shared key bytes')
    const further = readVarint(reader, 'key bytes')
    const valueBytes = readVarint(reader, 'value bytes')
    if (shared > key.length) throw invalid(source, 'shared key bytes', at, `at most ${key.length}`, String(shared))
    if (reader.position + further + valueBytes > end)
      throw invalid(source, 'table entry', at, `an entry that ends inside its block`, 'one that does not')
    budget.items--
    budget.keyBytes -= shared + further
    if (budget.items < 0) throw tooMuch(source, 'number of table entries', at, 'fewer', 'more')
    if (budget.keyBytes < 0) throw tooMuch(source, 'keys of the table', at, 'fewer bytes', 'more')
    const grown = new Uint8Array(shared + further)
    grown.set(key.subarray(0, shared))
    grown.set(reader.take(further, 'key'), shared)
    key = grown
    if (last !== undefined && compareKeys(last, key) >= 0)
      throw invalid(source, 'table key', at, 'keys in rising order', 'one that is not')
    last = key
    const byteOffset = plain ? reader.offset : base
    entries.push({ key, value: reader.take(valueBytes, 'value'), byteOffset })
  }
  if (reader.position !== end) throw invalid(source, 'table block', base, 'entries that fill it', 'others')
  return entries
}

/** Byte order, as LevelDB's default comparator. */
export function compareKeys(left: Uint8Array, right: Uint8Array): number {
  const length = Math.min(left.length, right.length)
  for (let at = 0; at < length; at++) if (left[at] !== right[at]) return left[at]! - right[at]!
  return left.length - right.length
}

function readHandle(reader: ByteReader, what: string): ByteRange {
  return { offset: readVarint(reader, `${what} offset`), length: readVarint(reader, `${what} length`) }
}

function readVarint(reader: ByteReader, what: string): number {
  const at = reader.offset
  let value = 0
  for (let shift = 0; shift < 56; shift += 7) {
    const byte = reader.u8(what)
    value += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80 && Number.isSafeInteger(value)) return value
    if (byte < 0x80) break
  }
  throw reader.invalid(what, 'a number below 2^53', 'more', at)
}

function invalid(source: ByteSource, what: string, byteOffset: number, expected: string, found: string): FormatError {
  return new FormatError({ code: 'INVALID_FIELD', file: source.name, what, byteOffset, expected, found })
}

function tooMuch(source: ByteSource, what: string, byteOffset: number, expected: string, found: string): FormatError {
  return new FormatError({ code: 'LIMIT_EXCEEDED', file: source.name, what, byteOffset, expected, found })
}
