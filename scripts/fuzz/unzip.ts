import { inflateRawSync } from 'node:zlib'

/** One entry of an archive that the fuzzer takes apart. */
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
