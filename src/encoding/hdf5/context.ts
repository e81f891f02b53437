import type { CachedSource } from '../../bytes/block-cache.ts'
import { ByteReader } from '../../bytes/byte-reader.ts'
import { type ByteSource, checkRange } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { FormatError } from '../../errors.ts'
import { lookup3 } from './checksum.ts'

/** What every part of the HDF5 reader needs to know of the file it is in. Addresses count from `base`. */
export interface Hdf5Context {
  /** through a small block cache: structure */
  readonly metadata: CachedSource
  /** past the cache: values */
  readonly values: ByteSource
  /** absolute offset of the superblock, to which all addresses are relative */
  readonly base: number
  /** bytes of an address */
  readonly offsetSize: number
  /** bytes of a length */
  readonly lengthSize: number
  readonly limits: Limits
  /** bytes of structure that may still be read: see `freshBudget` */
  readonly budget: { left: number }
}

/**
 * The same file with a full budget of structure to read: 16 times its size and 4 MiB. A sound file has each structure
 * once; one whose structures overlap or lead back to themselves runs out of it instead of running forever.
 */
export function freshBudget(context: Omit<Hdf5Context, 'budget'>): Hdf5Context {
  return { ...context, budget: { left: context.metadata.size * 16 + (4 << 20) } }
}

/** `length` bytes of structure at `address`, as a cursor whose errors carry absolute offsets. */
export async function readAt(context: Hdf5Context, address: number, length: number, what: string): Promise<ByteReader> {
  const { metadata, base, budget, limits } = context
  if (length > limits.maxHeaderBytes) {
    throw new FormatError({
      code: 'LIMIT_EXCEEDED',
      file: metadata.name,
      what,
      byteOffset: base + address,
      expected: `at most ${limits.maxHeaderBytes} bytes`,
      found: String(length),
    })
  }
  checkRange(metadata, base + address, length, what)
  budget.left -= length + 16
  if (budget.left < 0) {
    throw new FormatError({
      code: 'INVALID_FIELD',
      file: metadata.name,
      what,
      byteOffset: base + address,
      expected: 'every HDF5 structure once',
      found: 'structures that overlap or lead back to themselves',
    })
  }
  const bytes = await metadata.read(base + address, length)
  return new ByteReader(bytes, { name: metadata.name, base: base + address })
}

/** An unsigned number of 1 to 8 bytes, little-endian. */
export function readUint(reader: ByteReader, size: number, what: string): number {
  switch (size) {
    case 1:
      return reader.u8(what)
    case 2:
      return reader.u16(what)
    case 4:
      return reader.u32(what)
    case 8:
      return reader.u64(what)
  }
  const at = reader.offset
  let value = 0
  for (const [index, byte] of reader.take(size, what).entries()) value += byte * 2 ** (8 * index)
  if (!Number.isSafeInteger(value)) throw reader.invalid(what, 'at most 9007199254740991', String(value), at)
  return value
}

/** An address; undefined for "nowhere" (all bits set). */
export function readAddress(context: Hdf5Context, reader: ByteReader, what: string): number | undefined {
  const start = reader.position
  const bytes = reader.take(context.offsetSize, what)
  if (bytes.every((byte) => byte === 0xff)) return undefined
  reader.seek(start)
  return readUint(reader, context.offsetSize, what)
}

/** An address that must be there. */
export function needAddress(context: Hdf5Context, reader: ByteReader, what: string): number {
  const at = reader.offset
  const address = readAddress(context, reader, what)
  if (address === undefined) throw reader.invalid(what, 'an address', 'none (all bits set)', at)
  return address
}

/** A length, in the file's size of lengths. */
export function readLength(context: Hdf5Context, reader: ByteReader, what: string): number {
  return readUint(reader, context.lengthSize, what)
}

/** The four letters with which a structure begins. */
export function expectSignature(reader: ByteReader, signature: string, what: string): void {
  const at = reader.offset
  const found = reader.latin1(4, what)
  if (found !== signature) throw reader.invalid(what, `"${signature}"`, JSON.stringify(found), at)
}

/** A version number among those that the reader knows. */
export function expectVersion(reader: ByteReader, known: readonly number[], what: string): number {
  const at = reader.offset
  const version = reader.u8(`${what} version`)
  if (known.includes(version)) return version
  throw new FormatError({
    code: 'UNSUPPORTED_FEATURE',
    file: reader.name,
    what: `${what} version`,
    byteOffset: at,
    expected: known.join(' or '),
    found: String(version),
  })
}

/** The checksum that closes a structure: everything before it in `reader`, hashed. */
export function verifyChecksum(reader: ByteReader, what: string): void {
  const at = reader.offset
  const found = lookup3(reader.bytes.subarray(0, reader.position))
  const stated = reader.u32(`${what} checksum`)
  if (found !== stated) {
    throw reader.invalid(`${what} checksum`, `0x${stated.toString(16)}`, `0x${found.toString(16)}: bytes changed`, at)
  }
}

/** Something that the format allows and this reader does not handle. */
export function unsupported(
  context: Hdf5Context,
  parts: { what: string; at?: number | undefined; found: string; expected?: string; hint?: string },
): FormatError {
  return new FormatError({
    code: 'UNSUPPORTED_FEATURE',
    file: context.metadata.name,
    what: parts.what,
    byteOffset: parts.at,
    expected: parts.expected,
    found: parts.found,
    hint: parts.hint,
  })
}

/** @throws {FormatError} TRUNCATED unless the stored range lies inside the file */
export function checkStored(context: Hdf5Context, address: number, length: number, what: string): void {
  const { metadata, base } = context
  if (Number.isSafeInteger(address + length) && base + address + length <= metadata.size) return
  throw new FormatError({
    code: 'TRUNCATED',
    file: metadata.name,
    what,
    byteOffset: base + address,
    expected: `${length} bytes`,
    found: `${Math.max(0, metadata.size - base - address)} before the end of the file (${metadata.size} bytes)`,
  })
}
