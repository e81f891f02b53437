import { constants, inflateRawSync } from 'node:zlib'
import yauzl from 'yauzl'
import { type ByteSource, memorySource, sliceSource } from '../bytes/byte-source.ts'
import type { Limits } from '../bytes/limits.ts'
import { FormatError } from '../errors.ts'

/** One file in a zip archive. */
export interface ZipEntry {
  readonly name: string
  readonly compressed: boolean
  /** uncompressed, in bytes, as the directory states it */
  readonly bytes: number
  /** Its content. A stored entry is a view into the archive; a deflated one is inflated into memory, within limits. */
  open(): Promise<ByteSource>
  /**
   * Its first `length` bytes at least, or all of a shorter one, without inflating the rest: for headers. The source
   * may end there.
   */
  openHead(length: number): Promise<ByteSource>
}

/** An archive: the central directory only, entries on demand. */
export interface ZipArchive {
  /** in directory order */
  readonly entries: ReadonlyMap<string, ZipEntry>
  /** @throws {FormatError} MISSING_FILE */
  get(name: string): ZipEntry
}

/** Deflate cannot shrink more than about 1032 to 1: a larger claim is a bomb or damage. */
const MAX_DEFLATE_RATIO = 1040

/**
 * Reads the directory of a zip archive (zip64 included). Names that are absolute or leave the archive with `..`,
 * names that occur twice, encrypted entries and sizes that deflate cannot reach are errors. Nothing is written to disk.
 * @source https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (through yauzl)
 */
export async function openZip(source: ByteSource, limits: Limits): Promise<ZipArchive> {
  const zip = await fromReader(source)
  const entries = new Map<string, ZipEntry>()
  const extents: Extent[] = []
  await new Promise<void>((resolve, reject) => {
    const fail = (error: unknown) => reject(zipError(source, error))
    zip.on('error', fail)
    zip.on('end', () => resolve())
    zip.on('entry', (entry: yauzl.Entry) => {
      try {
        addEntry(entries, entry, zip, source, limits)
        const start = entry.relativeOffsetOfLocalHeader
        extents.push({ name: entry.fileName, start, end: start + LOCAL_HEADER_BYTES + entry.compressedSize })
        zip.readEntry()
      } catch (error) {
        fail(error)
      }
    })
    zip.readEntry()
  })
  checkOverlap(extents, source)
  return {
    entries,
    get(name) {
      const entry = entries.get(name)
      if (entry) return entry
      throw new FormatError({
        code: 'MISSING_FILE',
        file: source.name,
        what: 'archive',
        expected: `an entry "${name}"`,
        found: listNames(entries),
      })
    },
  }
}

interface Extent {
  readonly name: string
  readonly start: number
  readonly end: number
}

/** Fixed part of a local header; name and extra field follow it. */
const LOCAL_HEADER_BYTES = 30

/** Entries that share compressed data are how small archives hold petabytes; no writer makes them. */
function checkOverlap(extents: Extent[], source: ByteSource): void {
  extents.sort((a, b) => a.start - b.start)
  for (let index = 1; index < extents.length; index++) {
    const before = extents[index - 1]!
    const after = extents[index]!
    if (after.start >= before.end) continue
    throw new FormatError({
      code: 'INVALID_FIELD',
      file: source.name,
      what: `archive entry "${after.name}"`,
      byteOffset: after.start,
      expected: `a place behind entry "${before.name}", which ends at byte ${before.end}`,
      found: 'data that both entries claim',
    })
  }
}

function addEntry(
  entries: Map<string, ZipEntry>,
  entry: yauzl.Entry,
  zip: yauzl.ZipFile,
  source: ByteSource,
  limits: Limits,
): void {
  const name = entry.fileName
  const bad = (code: 'INVALID_FIELD' | 'LIMIT_EXCEEDED' | 'UNSUPPORTED_FEATURE', expected: string, found: string) =>
    new FormatError({
      code,
      file: source.name,
      what: `archive entry "${name}"`,
      byteOffset: entry.relativeOffsetOfLocalHeader,
      expected,
      found,
    })
  if (entries.size >= limits.maxItems) throw bad('LIMIT_EXCEEDED', `at most ${limits.maxItems} entries`, 'more')
  if (entries.has(name)) throw bad('INVALID_FIELD', 'each name once', 'the same name twice')
  if (entry.generalPurposeBitFlag & 1) throw bad('UNSUPPORTED_FEATURE', 'no encryption', 'an encrypted entry')
  if (entry.compressionMethod !== 0 && entry.compressionMethod !== 8) {
    throw bad('UNSUPPORTED_FEATURE', 'method 0 (stored) or 8 (deflate)', `method ${entry.compressionMethod}`)
  }
  const compressed = entry.compressionMethod === 8
  if (entry.compressedSize > source.size)
    throw bad('INVALID_FIELD', `at most ${source.size} bytes`, String(entry.compressedSize))
  if (!compressed && entry.compressedSize !== entry.uncompressedSize) {
    throw bad('INVALID_FIELD', `a stored size of ${entry.uncompressedSize}`, String(entry.compressedSize))
  }
  if (entry.uncompressedSize > entry.compressedSize * MAX_DEFLATE_RATIO + 64) {
    throw bad(
      'INVALID_FIELD',
      `at most ${MAX_DEFLATE_RATIO} times its ${entry.compressedSize} compressed bytes`,
      String(entry.uncompressedSize),
    )
  }
  entries.set(name, {
    name,
    compressed,
    bytes: entry.uncompressedSize,
    open: () => openEntry(entry, zip, source, limits),
    openHead: (length) => openEntryHead(entry, zip, source, limits, length),
  })
}

/** Where the entry's data begins: its local header says so. */
function findData(entry: yauzl.Entry, zip: yauzl.ZipFile, source: ByteSource): Promise<number> {
  return new Promise((resolve, reject) => {
    zip.readLocalFileHeader(entry, { minimal: true }, (error, header) =>
      error ? reject(zipError(source, error)) : resolve(header.fileDataStart),
    )
  })
}

async function openEntryHead(
  entry: yauzl.Entry,
  zip: yauzl.ZipFile,
  source: ByteSource,
  limits: Limits,
  length: number,
): Promise<ByteSource> {
  const whole = () => openEntry(entry, zip, source, limits)
  // deflate never makes data longer by more than a few bytes per block, so this much gives `length` bytes
  const packedBytes = length + 1024
  if (entry.compressionMethod === 0 || entry.compressedSize <= packedBytes) return whole()
  const packed = await source.read(await findData(entry, zip, source), packedBytes)
  try {
    const bytes = inflateRawSync(packed, { finishFlush: constants.Z_SYNC_FLUSH })
    return bytes.length < length ? whole() : memorySource(`${source.name}!${entry.fileName}`, bytes)
  } catch {
    // damaged data: the reading of the whole entry says what is wrong, with its place
    return whole()
  }
}

async function openEntry(
  entry: yauzl.Entry,
  zip: yauzl.ZipFile,
  source: ByteSource,
  limits: Limits,
): Promise<ByteSource> {
  const name = `${source.name}!${entry.fileName}`
  const offset = await findData(entry, zip, source)
  const stored = sliceSource(source, { offset, length: entry.compressedSize }, name)
  if (entry.compressionMethod === 0) return stored
  const { uncompressedSize } = entry
  if (uncompressedSize > limits.maxInflatedBytes) {
    throw new FormatError({
      code: 'LIMIT_EXCEEDED',
      file: name,
      what: 'inflated size',
      expected: `at most ${limits.maxInflatedBytes} bytes`,
      found: String(uncompressedSize),
    })
  }
  const packed = await stored.read(0, stored.size)
  let bytes: Uint8Array
  try {
    bytes = uncompressedSize === 0 ? new Uint8Array(0) : inflateRawSync(packed, { maxOutputLength: uncompressedSize })
  } catch (cause) {
    throw new FormatError({
      code: 'INVALID_FIELD',
      file: name,
      what: 'deflated data',
      byteOffset: offset,
      expected: `${uncompressedSize} bytes`,
      found: (cause as Error).message,
      cause,
    })
  }
  if (bytes.length !== uncompressedSize) {
    throw new FormatError({
      code: 'INVALID_FIELD',
      file: name,
      what: 'deflated data',
      byteOffset: offset,
      expected: `${uncompressedSize} bytes`,
      found: String(bytes.length),
    })
  }
  return memorySource(name, bytes)
}

/** yauzl over a ByteSource; the end of the file, where the directory lies, is read in one go. */
class SourceReader extends yauzl.RandomAccessReader {
  readonly #source: ByteSource
  #window: Uint8Array = new Uint8Array(0)
  #start = 0
  constructor(source: ByteSource) {
    super()
    this.#source = source
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    this.#fill(position, length)
      .then((bytes) => {
        buffer.set(bytes, offset)
        callback(null)
      })
      .catch((error: Error) => callback(error))
  }

  async #fill(position: number, length: number): Promise<Uint8Array> {
    if (position < this.#start || position + length > this.#start + this.#window.length) {
      const span = Math.max(length, Math.min(65_536, this.#source.size - position))
      this.#window = await this.#source.read(position, span)
      this.#start = position
    }
    return this.#window.subarray(position - this.#start, position - this.#start + length)
  }
}

function fromReader(source: ByteSource): Promise<yauzl.ZipFile> {
  const options = {
    lazyEntries: true,
    autoClose: false,
    strictFileNames: false,
    decodeStrings: true,
    validateEntrySizes: true,
  }
  return new Promise((resolve, reject) => {
    yauzl.fromRandomAccessReader(new SourceReader(source), source.size, options, (error, zip) =>
      error ? reject(zipError(source, error)) : resolve(zip),
    )
  })
}

function zipError(source: ByteSource, error: unknown): Error {
  if (error instanceof FormatError) return error
  const message = error instanceof Error ? error.message : String(error)
  const unsafe = /absolute path|invalid relative path|invalid characters in fileName/.test(message)
  return new FormatError({
    code: unsafe ? 'UNSAFE' : 'INVALID_FIELD',
    file: source.name,
    what: 'zip directory',
    expected: unsafe ? 'entry names inside the archive' : 'a whole archive',
    found: /end of central directory/i.test(message) ? 'no end record in the last 64 KiB' : message.replace(/\.$/, ''),
    hint: unsafe
      ? 'Nothing was written.'
      : 'The file is cut short or damaged; compare its size or sha256 with the source.',
    cause: error,
  })
}

function listNames(entries: ReadonlyMap<string, ZipEntry>): string {
  const names = [...entries.keys()]
  return names.length === 0
    ? 'an empty archive'
    : `${names.slice(0, 5).join(', ')}${names.length > 5 ? `, ... (${names.length})` : ''}`
}
