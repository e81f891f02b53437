import { crc32, deflateRawSync } from 'node:zlib'

/** One entry of a zip archive that a test writes. */
export interface ZipContent {
  readonly name: string
  readonly content: Uint8Array
  readonly deflated?: boolean
  /** what the headers claim instead of the true sizes */
  readonly claim?: { readonly packed?: number; readonly size?: number }
  /** general purpose bit flags; bit 0 says that the entry is encrypted */
  readonly flags?: number
  /** compression method instead of 0 or 8 */
  readonly method?: number
}

/** A zip archive; sizes and checksums are right unless an entry claims otherwise. */
export function zip(entries: readonly ZipContent[]): Uint8Array {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const { name, content, deflated = false, claim = {}, flags = 0, method } of entries) {
    const packed = deflated ? deflateRawSync(content, { level: 9 }) : Buffer.from(content)
    const encoded = Buffer.from(name)
    const head = Buffer.alloc(30)
    head.writeUInt32LE(0x04034b50, 0)
    head.writeUInt16LE(20, 4)
    head.writeUInt16LE(flags, 6)
    head.writeUInt16LE(method ?? (deflated ? 8 : 0), 8)
    head.writeUInt32LE(crc32(content), 14)
    head.writeUInt32LE(claim.packed ?? packed.length, 18)
    head.writeUInt32LE(claim.size ?? content.length, 22)
    head.writeUInt16LE(encoded.length, 26)
    const record = Buffer.alloc(46)
    record.writeUInt32LE(0x02014b50, 0)
    head.copy(record, 6, 4, 30)
    record.writeUInt32LE(offset, 42)
    parts.push(head, encoded, packed)
    directory.push(record, encoded)
    offset += head.length + encoded.length + packed.length
  }
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(entries.length, 8)
  end.writeUInt16LE(entries.length, 10)
  const size = directory.reduce((sum, part) => sum + part.length, 0)
  end.writeUInt32LE(size, 12)
  end.writeUInt32LE(offset, 16)
  return new Uint8Array(Buffer.concat([...parts, ...directory, end]))
}
