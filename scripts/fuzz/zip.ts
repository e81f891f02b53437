import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib'

/** One entry of an archive that the fuzzer takes apart and puts together again. */
export interface ArchiveEntry {
  name: string
  content: Uint8Array
  deflated: boolean
}

/** Entries of a sound archive; undefined when it is too damaged to be taken apart. No security: for our own seeds. */
export function unzip(bytes: Uint8Array): ArchiveEntry[] | undefined {
  try {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    const end = view.lastIndexOf('PK\x05\x06', undefined, 'latin1')
    const entries: ArchiveEntry[] = []
    let at = view.readUInt32LE(end + 16)
    for (let left = view.readUInt16LE(end + 10); left > 0; left--) {
      const nameLength = view.readUInt16LE(at + 28)
      const name = view.toString('utf8', at + 46, at + 46 + nameLength)
      const local = view.readUInt32LE(at + 42)
      const start = local + 30 + view.readUInt16LE(local + 26) + view.readUInt16LE(local + 28)
      const packed = bytes.subarray(start, start + view.readUInt32LE(at + 20))
      const deflated = view.readUInt16LE(at + 10) === 8
      const content = deflated ? inflateRawSync(packed, { maxOutputLength: 1 << 20 }) : packed
      entries.push({ name, content: new Uint8Array(content), deflated })
      at += 46 + nameLength + view.readUInt16LE(at + 30) + view.readUInt16LE(at + 32)
    }
    return entries
  } catch {
    // A mutated archive that cannot be taken apart is mutated as bytes instead.
    return undefined
  }
}

/** An archive of `entries` with right sizes and checksums. */
export function zip(entries: readonly ArchiveEntry[]): Uint8Array {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const { name, content, deflated } of entries) {
    const packed = deflated ? deflateRawSync(content, { level: 1 }) : Buffer.from(content)
    const encoded = Buffer.from(name)
    const head = Buffer.alloc(30)
    head.writeUInt32LE(0x04034b50, 0)
    head.writeUInt16LE(20, 4)
    head.writeUInt16LE(deflated ? 8 : 0, 8)
    head.writeUInt32LE(crc32(content), 14)
    head.writeUInt32LE(packed.length, 18)
    head.writeUInt32LE(content.length, 22)
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
