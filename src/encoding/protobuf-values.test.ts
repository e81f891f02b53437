import { expect, test } from 'vitest'
import { concat, varint } from '../../test/build/protobuf.ts'
import { type ByteRange, type ByteSource, memorySource } from '../bytes/byte-source.ts'
import { streamPayloads, streamVarints } from './protobuf-values.ts'

async function varints(bytes: Uint8Array, ranges: readonly ByteRange[]): Promise<bigint[]> {
  const all: bigint[] = []
  for await (const words of streamVarints(memorySource('x.pb', bytes), ranges, 'tensor "t"'))
    all.push(...new BigInt64Array(words.slice().buffer))
  return all
}

test('varints of all lengths, in one payload and in one payload each', async () => {
  const values = [0n, 1n, 127n, 128n, -1n, 2n ** 31n, 2n ** 32n, 2n ** 60n + 3n, -(2n ** 63n), 2n ** 63n - 1n]
  const bytes = concat(...values.map(varint))
  expect(await varints(bytes, [{ offset: 0, length: bytes.length }])).toEqual(values)
  let offset = 0
  const each = values.map((value) => {
    const range = { offset, length: varint(value).length }
    offset += range.length
    return range
  })
  expect(await varints(bytes, each)).toEqual(values)
})

test('a number that is too long or cut', async () => {
  const endless = new Uint8Array(11).fill(0x80)
  await expect(varints(endless, [{ offset: 0, length: 11 }])).rejects.toThrow('tensor "t" at byte 0: expected numbers')
  await expect(varints(Uint8Array.of(5, 0x80), [{ offset: 0, length: 2 }])).rejects.toThrow('whole numbers')
})

test('neighbouring payloads cost one read', async () => {
  const bytes = Uint8Array.from({ length: 3000 }, (_, index) => index % 251)
  let reads = 0
  const memory = memorySource('x.pb', bytes)
  const source: ByteSource = {
    ...memory,
    read(offset, length) {
      reads++
      return memory.read(offset, length)
    },
  }
  const ranges = Array.from({ length: 600 }, (_, index) => ({ offset: index * 5 + 1, length: 4 }))
  const pieces: number[] = []
  for await (const piece of streamPayloads(source, ranges)) pieces.push(...piece)
  expect(pieces).toEqual([...bytes].filter((_, index) => index % 5 !== 0))
  expect(reads).toBe(1)
})
