import { describe, expect, test } from 'vitest'
import { concat, varint } from '../../test/build/protobuf.ts'
import { memorySource } from '../bytes/byte-source.ts'
import { DEFAULT_LIMITS } from '../bytes/limits.ts'
import { crc32c, maskCrc } from './crc32c.ts'
import { endsAsTable, openTable } from './leveldb-table.ts'
import { decodeSnappy } from './snappy.ts'

const ascii = (text: string) => new TextEncoder().encode(text)
const u32 = (value: number) => new Uint8Array(new Uint32Array([value]).buffer)

test('crc32c: the vectors of RFC 3720', () => {
  expect(crc32c(new Uint8Array(32)).toString(16)).toBe('8a9136aa')
  expect(crc32c(new Uint8Array(32).fill(0xff)).toString(16)).toBe('62a8ab43')
  expect(crc32c(ascii('123456789')).toString(16)).toBe('e3069283')
  expect(crc32c(ascii('6789'), crc32c(ascii('12345')))).toBe(crc32c(ascii('123456789')))
})

const entry = (shared: number, key: string, value: string) =>
  concat(varint(shared), varint(key.length), varint(value.length), ascii(key), ascii(value))
const entryBytes = (shared: number, key: string, value: Uint8Array) =>
  concat(varint(shared), varint(key.length), varint(value.length), ascii(key), value)
const block = (...entries: Uint8Array[]) => concat(...entries, u32(0), u32(1))
const stored = (payload: Uint8Array, compression = 0) => {
  const typed = concat(payload, Uint8Array.of(compression))
  return concat(typed, u32(maskCrc(crc32c(typed))))
}
const handle = (offset: number, length: number) => concat(varint(offset), varint(length))

function table(blocks: { payload: Uint8Array; last: string; compression?: number }[], order = blocks.keys()) {
  const parts = blocks.map(({ payload, compression }) => stored(payload, compression))
  const starts = parts.map((_, index) => parts.slice(0, index).reduce((sum, part) => sum + part.length, 0))
  const index = block(
    ...[...order].map((at) => entryBytes(0, blocks[at]!.last, handle(starts[at]!, blocks[at]!.payload.length))),
  )
  const body = concat(...parts, stored(index))
  const indexHandle = handle(body.length - index.length - 5, index.length)
  const footer = concat(handle(0, 0), indexHandle, new Uint8Array(40))
  const magic = Uint8Array.of(0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb)
  return concat(body, footer.subarray(0, 40), magic)
}

const open = (bytes: Uint8Array, limits = DEFAULT_LIMITS) => openTable(memorySource('t.index', bytes), limits)
const entriesOf = async (bytes: Uint8Array) => {
  const found: string[] = []
  for await (const { key, value } of (await open(bytes)).entries())
    found.push(`${new TextDecoder().decode(key)}=${new TextDecoder().decode(value)}`)
  return found
}

const first = { payload: block(entry(0, '', 'head'), entry(0, 'layer/a', '1'), entry(6, 'b', '2')), last: 'layer/b' }
const second = { payload: block(entry(0, 'm', '3')), last: 'm' }

test('entries of all blocks with shared prefixes, and single keys', async () => {
  const bytes = table([first, second])
  expect(endsAsTable(bytes)).toBe(true)
  expect(await entriesOf(bytes)).toEqual(['=head', 'layer/a=1', 'layer/b=2', 'm=3'])
  const opened = await open(bytes)
  expect(new TextDecoder().decode((await opened.find(ascii('layer/b')))!.value)).toBe('2')
  expect(await opened.find(ascii('layer/c'))).toBeUndefined()
  expect(await opened.find(ascii('z'))).toBeUndefined()
})

test('a compressed block', async () => {
  const { payload } = second
  const packed = concat(varint(payload.length), Uint8Array.of((payload.length - 1) << 2), payload)
  expect(await entriesOf(table([{ payload: packed, last: 'm', compression: 1 }]))).toEqual(['m=3'])
})

describe('errors', () => {
  const fails = (name: string, bytes: Uint8Array, message: string) =>
    test(name, () => expect(entriesOf(bytes)).rejects.toThrow(message))
  const flipped = table([first])
  flipped[3]! ^= 1
  fails('checksum', flipped, 'checksum of table block at byte 0')
  fails('magic', table([first]).fill(0, -8), 'table magic')
  fails('falling keys', table([{ payload: block(entry(0, 'b', ''), entry(0, 'a', '')), last: 'b' }]), 'rising order')
  fails('the same block twice', table([first], [0, 0].values()), 'table key')
  fails('blocks that overlap', table([first, second], [1, 0].values()), 'rising order')
  fails('too long a prefix', table([{ payload: block(entry(5, 'a', '')), last: 'a' }]), 'shared key bytes')
  fails('unknown compression', table([{ ...second, compression: 7 }]), 'expected 0 or 1, found 7')
  fails('not even a footer', new Uint8Array(20), 'table footer')
})

test('keys that grow from shared prefixes are bounded', async () => {
  const long = 'x'.repeat(200)
  const grown = Array.from({ length: 100 }, (_, index) => entry(200, String.fromCharCode(33 + (index % 90)), ''))
  const bytes = table([{ payload: block(entry(0, long, ''), ...grown.slice(0, 90)), last: long }])
  const opened = await open(bytes, { ...DEFAULT_LIMITS, maxHeaderBytes: 2000 })
  await expect(opened.entries().next()).rejects.toThrow('keys of the table')
})

describe('snappy', () => {
  const decode = (...bytes: number[]) =>
    new TextDecoder().decode(decodeSnappy(Uint8Array.from(bytes), DEFAULT_LIMITS, { file: 'f', byteOffset: 0 }))
  test('literals, copies of one and two byte distances, overlapping copies', () => {
    expect(decode(0)).toBe('')
    expect(decode(3, 0x08, 97, 98, 99)).toBe('abc')
    expect(decode(11, 0x08, 97, 98, 99, 0x11, 3)).toBe('abcabcabcab'.slice(0, 11))
    expect(decode(6, 0x04, 97, 98, 0x0e, 2, 0)).toBe('ababab')
  })
  const fails = (message: string, ...bytes: number[]) =>
    test(message, () => expect(() => decode(...bytes)).toThrow(message))
  fails('no valid length', 0x80)
  fails('a length of 2097151', 0xff, 0xff, 0x7f, 0)
  fails('a copy from outside', 4, 0x00, 97, 0x01, 9)
  fails('a literal beyond the end', 4, 0x0c, 97)
  fails('2 of 4 bytes', 4, 0x04, 97, 98)
})
