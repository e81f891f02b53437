import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { zip } from '../../test/build/zip.ts'
import { type ByteSource, memorySource } from '../bytes/byte-source.ts'
import { DEFAULT_LIMITS } from '../bytes/limits.ts'
import { openZip } from './zip.ts'
import { findZipPlaces } from './zip-layout.ts'
import { type NewZipEntry, zipBytes, zipPieces } from './zip-write.ts'

const text = (value: string) => new TextEncoder().encode(value)
const entry = (name: string, content: string): NewZipEntry => ({
  name,
  bytes: content.length,
  async *content() {
    yield text(content)
  },
})

/** An archive with an entry of gigabytes that are never stored: what is not among the pieces is zeros. */
async function sparse(entries: readonly NewZipEntry[]): Promise<ByteSource> {
  const pieces: { offset: number; bytes: Uint8Array }[] = []
  for await (const piece of zipPieces(entries)) if (piece.bytes.length < 1 << 20) pieces.push(piece)
  const size = zipBytes(entries)
  return {
    name: 'sparse.zip',
    size,
    async read(offset, length) {
      const out = new Uint8Array(length)
      for (const { offset: at, bytes } of pieces) {
        const from = Math.max(offset, at)
        const to = Math.min(offset + length, at + bytes.length)
        if (from < to) out.set(bytes.subarray(from - at, to - at), from - offset)
      }
      return out
    },
  }
}

describe('where entries lie', () => {
  test('beyond 4 GiB, in an archive that we wrote', async () => {
    const gigabyte = new Uint8Array(2 ** 30)
    const bytes = 5 * gigabyte.length
    const large: NewZipEntry = {
      name: 'large',
      bytes,
      packed: { method: 0, bytes, crc: 7 },
      async *content() {
        for (let index = 0; index < 5; index++) yield gigabyte
      },
    }
    const source = await sparse([entry('first', 'one'), large, entry('behind', 'two')])
    const archive = await openZip(source, DEFAULT_LIMITS)
    expect([...archive.entries.values()].map(({ name, bytes: size }) => [name, size])).toEqual([
      ['first', 3],
      ['large', bytes],
      ['behind', 3],
    ])
    const places = await findZipPlaces(source, archive.entries.keys(), DEFAULT_LIMITS)
    expect(places.get('large')).toMatchObject({ dataBytes: bytes, crc: 7 })
    const behind = places.get('behind')!
    expect(behind.dataAt).toBeGreaterThan(2 ** 32)
    expect(await source.read(behind.dataAt, 3)).toEqual(text('two'))
    for (const at of behind.crcAt) {
      const stored = await source.read(at, 4)
      expect(new DataView(stored.buffer).getUint32(0, true)).toBe(crc32('two'))
    }
  })

  test('more entries than 16 bits count', async () => {
    const entries = Array.from({ length: 66_000 }, (_, index) => entry(`${index}`, ''))
    const out = new Uint8Array(zipBytes(entries))
    for await (const { offset, bytes } of zipPieces(entries)) out.set(bytes, offset)
    const source = memorySource('many.zip', out)
    // the end record says 65535, and zip64's beside it the truth
    expect(out.subarray(-14, -10)).toEqual(new Uint8Array(4).fill(0xff))
    expect(new DataView(out.buffer).getBigUint64(out.length - 22 - 20 - 56 + 24, true)).toBe(66_000n)
    const names = entries.slice(0, 100).map(({ name }) => name)
    const places = await findZipPlaces(source, names, DEFAULT_LIMITS)
    expect(places.get('99')?.dataBytes).toBe(0)
  })

  test('behind a comment that looks like an end record', async () => {
    const plain = zip([{ name: 'a', content: text('abc') }])
    const comment = new Uint8Array(30)
    comment.set(plain.subarray(plain.length - 22))
    const bytes = new Uint8Array([...plain, ...comment])
    new DataView(bytes.buffer).setUint16(plain.length - 2, comment.length, true)
    const places = await findZipPlaces(memorySource('a.zip', bytes), ['a'], DEFAULT_LIMITS)
    expect(places.get('a')?.dataAt).toBe(31)
  })
})

test.each([
  ['an archive cut before its directory', (bytes: Uint8Array) => bytes.subarray(0, 40)],
  ['nothing', () => new Uint8Array(0)],
  [
    'a local header that is none',
    (bytes: Uint8Array) => {
      bytes[0] = 0
      return bytes
    },
  ],
  [
    'a directory that leads outside',
    (bytes: Uint8Array) => {
      new DataView(bytes.buffer).setUint32(bytes.length - 6, 0x7fffffff, true)
      return bytes
    },
  ],
])('%s is an error', async (_, damage) => {
  const bytes = damage(zip([{ name: 'a', content: text('abc') }]))
  await expect(findZipPlaces(memorySource('a.zip', bytes), ['a'], DEFAULT_LIMITS)).rejects.toMatchObject({
    name: 'FormatError',
  })
})
