import { ByteReader } from '../../bytes/byte-reader.ts'
import type { ByteSource } from '../../bytes/byte-source.ts'
import { FormatError } from '../../errors.ts'
import { lookup3 } from './checksum.ts'

/** `\x89HDF\r\n\x1a\n` */
export const HDF5_SIGNATURE: readonly number[] = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]

/** What the superblock says: where the root group is and how wide addresses and lengths are. */
export interface Superblock {
  readonly version: number
  /** absolute offset of the superblock; addresses count from here */
  readonly base: number
  readonly offsetSize: number
  readonly lengthSize: number
  /** relative to `base` */
  readonly rootAddress: number
}

/**
 * Finds and reads the superblock, which stands at byte 0, 512, 1024, 2048 and so on (before it a user block).
 *
 *     versions 0, 1: signature 8 | versions of 4 parts, reserved | offset size 1 | length size 1 | reserved 1 |
 *                    leaf K 2 | internal K 2 | flags 4 | [version 1: K 2, reserved 2] |
 *                    base, free space, end of file, driver: addresses | root symbol table entry
 *     versions 2, 3: signature 8 | version 1 | offset size 1 | length size 1 | flags 1 |
 *                    base, extension, end of file, root header: addresses | checksum 4
 *
 * @throws {FormatError} TRUNCATED when the file is shorter than the superblock says
 * @source HDF5 File Format Specification 3.0, II.A
 */
export async function readSuperblock(source: ByteSource): Promise<Superblock> {
  for (let base = 0; base + 16 <= source.size; base = base === 0 ? 512 : base * 2) {
    const head = await source.read(base, Math.min(144, source.size - base))
    if (HDF5_SIGNATURE.every((byte, index) => head[index] === byte)) return parse(source, head, base)
  }
  throw new FormatError({
    code: 'INVALID_FIELD',
    file: source.name,
    what: 'HDF5 signature',
    byteOffset: 0,
    expected: '89 48 44 46 0d 0a 1a 0a at byte 0, 512, 1024 ...',
    found: 'none',
  })
}

function parse(source: ByteSource, head: Uint8Array, base: number): Superblock {
  const reader = new ByteReader(head, { name: source.name, base })
  reader.skip(8)
  const version = reader.u8('superblock version')
  if (version > 3) {
    throw new FormatError({
      code: 'UNSUPPORTED_FEATURE',
      file: source.name,
      what: 'HDF5 superblock version',
      byteOffset: base + 8,
      expected: '0 to 3',
      found: String(version),
    })
  }
  if (version < 2) reader.skip(4)
  const sizesAt = reader.offset
  const offsetSize = reader.u8('size of offsets')
  const lengthSize = reader.u8('size of lengths')
  if (![2, 4, 8].includes(offsetSize) || ![2, 4, 8].includes(lengthSize)) {
    throw reader.invalid('sizes of offsets and lengths', '2, 4 or 8', `${offsetSize} and ${lengthSize}`, sizesAt)
  }
  if (version < 2) reader.skip(1 + 4 + 4 + (version === 1 ? 4 : 0))
  else reader.skip(1)
  const address = (what: string) => {
    const bytes = reader.take(offsetSize, what)
    if (bytes.every((byte) => byte === 0xff)) return undefined
    return bytes.reduce((sum, byte, index) => sum + byte * 2 ** (8 * index), 0)
  }
  const statedBase = address('base address') ?? 0
  address('free space or superblock extension')
  const end = address('end of file address')
  if (version < 2) {
    const driverAt = reader.offset
    if (address('driver information') !== undefined) {
      throw new FormatError({
        code: 'UNSUPPORTED_FEATURE',
        file: source.name,
        what: 'driver information block',
        byteOffset: driverAt,
        expected: 'none',
        found: 'one: the file is a part of a family or multi-file set',
        hint: 'Repack it into one file with h5repack.',
      })
    }
    address('root link name')
  }
  const rootAt = reader.offset
  const rootAddress = address('root group address')
  if (version >= 2) {
    const found = lookup3(head.subarray(0, reader.position))
    const checksumAt = reader.offset
    const stated = reader.u32('superblock checksum')
    if (stated !== found) {
      const want = `0x${stated.toString(16)}`
      throw reader.invalid('superblock checksum', want, `0x${found.toString(16)}: bytes changed`, checksumAt)
    }
  }
  if (rootAddress === undefined) throw reader.invalid('root group address', 'an address', 'none', rootAt)
  // The end is stated from where the file was written; with the base moved (a user block added later) it moves along.
  const needed = (end ?? 0) - statedBase + base
  if (end === undefined || needed > source.size) {
    throw new FormatError({
      code: 'TRUNCATED',
      file: source.name,
      what: 'end of file address',
      byteOffset: base,
      expected: `${end === undefined ? 'a length' : `${needed} bytes`}`,
      found: `${source.size} bytes`,
      hint: 'The copy is incomplete, or its writer crashed before closing it; compare its size or sha256 with the source.',
    })
  }
  return { version, base, offsetSize, lengthSize, rootAddress }
}
