import { expect, test } from 'vitest'
import { cacheBlocks } from './block-cache.ts'
import { type ByteSource, memorySource } from './byte-source.ts'

const bytes = Uint8Array.from({ length: 1000 }, (_, index) => index % 251)

function counted(): { source: ByteSource; reads: string[] } {
  const memory = memorySource('x', bytes)
  const reads: string[] = []
  const read = (offset: number, length: number) => {
    reads.push(`${offset}+${length}`)
    return memory.read(offset, length)
  }
  return { source: { ...memory, read }, reads }
}

test('every range equals the source, whatever the blocks', async () => {
  for (const blockBytes of [1, 7, 64, 1000, 4096]) {
    const cached = cacheBlocks(memorySource('x', bytes), { blockBytes, maxBlocks: 3 })
    for (const [offset, length] of [
      [0, 0],
      [0, 1],
      [5, 3],
      [6, 2],
      [63, 2],
      [990, 10],
      [0, 1000],
      [1000, 0],
    ] as const) {
      expect(await cached.read(offset, length)).toEqual(bytes.slice(offset, offset + length))
    }
  }
})

test('a block is read once, until others push it out', async () => {
  const { source, reads } = counted()
  const cached = cacheBlocks(source, { blockBytes: 100, maxBlocks: 2 })
  await cached.read(10, 5)
  await cached.read(20, 5)
  await cached.read(190, 20)
  expect(reads).toEqual(['0+100', '100+100', '200+100'])
  await cached.read(10, 5)
  expect(reads.at(-1)).toBe('0+100')
})

test('prefetch reads once, and nothing outside', async () => {
  const { source, reads } = counted()
  const cached = cacheBlocks(source, { blockBytes: 100 })
  for (const offset of [950, 990, 1000, -1]) cached.prefetch(offset)
  await cached.read(960, 40)
  expect(reads).toEqual(['900+100'])
})

test('a range beyond the end is an error, a failed read is tried again', async () => {
  const cached = cacheBlocks(memorySource('x', bytes))
  await expect(cached.read(999, 2)).rejects.toMatchObject({ code: 'TRUNCATED' })
  let failures = 1
  const flaky: ByteSource = {
    ...memorySource('x', bytes),
    read: async (offset, length) => {
      if (failures-- > 0) throw new Error('disk')
      return bytes.slice(offset, offset + length)
    },
  }
  const retried = cacheBlocks(flaky)
  await expect(retried.read(0, 1)).rejects.toThrow('disk')
  expect(await retried.read(0, 1)).toEqual(bytes.slice(0, 1))
})
