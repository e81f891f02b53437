import { crc32c, maskCrc } from '../../src/encoding/crc32c.ts'
import { lookup3 } from '../../src/encoding/hdf5/checksum.ts'

/**
 * Makes the checksums of a damaged file right again, so that the damage reaches the code behind them.
 * Works in place; what is too damaged to be found is left as it is.
 */
export function repairHdf5(bytes: Uint8Array): void {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const fixed: readonly (readonly [string, number])[] = [
    ['\x89HDF\r\n\x1a\n\x02', 44],
    ['\x89HDF\r\n\x1a\n\x03', 44],
    ['FRHP', 142],
    ['BTHD', 34],
  ]
  for (const [signature, length] of fixed) {
    for (const at of occurrences(text, signature)) seal(bytes, at, at + length)
  }
  for (const at of occurrences(text, 'OHDR')) {
    const flags = bytes[at + 5] ?? 0
    let size = at + 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0)
    let length = 0
    for (let index = 0, scale = 1; index < 1 << (flags & 3); index++, scale *= 256)
      length += (bytes[size + index] ?? 0) * scale
    size += 1 << (flags & 3)
    seal(bytes, at, size + length)
  }
}

function seal(bytes: Uint8Array, start: number, end: number): void {
  if (end + 4 > bytes.length) return
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(end, lookup3(bytes.subarray(start, end)), true)
}

function occurrences(text: Buffer, signature: string): number[] {
  const found: number[] = []
  for (
    let at = text.indexOf(signature, 0, 'latin1');
    at >= 0 && found.length < 64;
    at = text.indexOf(signature, at + 1, 'latin1')
  )
    found.push(at)
  return found
}

/** The same for the blocks of a LevelDB table: the index block and every block that it names. */
export function repairTable(bytes: Uint8Array): void {
  const footer = bytes.length - 48
  if (footer < 0) return
  const cursor = { at: footer }
  handle(bytes, cursor)
  const index = handle(bytes, cursor)
  if (!sealBlock(bytes, index)) return
  const end = index.offset + index.length
  for (let at = index.offset, rounds = 0; at < end && rounds < 64; rounds++) {
    const entry = { at }
    varint(bytes, entry)
    const further = varint(bytes, entry)
    const value = varint(bytes, entry)
    const inside = { at: entry.at + further }
    sealBlock(bytes, handle(bytes, inside))
    at = entry.at + further + value
  }
}

function sealBlock(bytes: Uint8Array, { offset, length }: { offset: number; length: number }): boolean {
  if (offset + length + 5 > bytes.length) return false
  const crc = maskCrc(crc32c(bytes.subarray(offset, offset + length + 1)))
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(offset + length + 1, crc, true)
  return true
}

function handle(bytes: Uint8Array, cursor: { at: number }): { offset: number; length: number } {
  return { offset: varint(bytes, cursor), length: varint(bytes, cursor) }
}

function varint(bytes: Uint8Array, cursor: { at: number }): number {
  let value = 0
  for (let scale = 1, count = 0; count < 7; scale *= 128, count++) {
    const byte = bytes[cursor.at++] ?? 0
    value += (byte & 0x7f) * scale
    if (byte < 0x80) break
  }
  return value
}
