import { describe, expect, test } from 'vitest'
import {
  flatbuffer,
  float32,
  floatList,
  int8,
  int32,
  int64,
  ints,
  table,
  tables,
  text,
} from '../../test/build/flatbuffers.ts'
import { memorySource } from '../bytes/byte-source.ts'
import { DEFAULT_LIMITS } from '../bytes/limits.ts'
import { FlatBuffer } from './flatbuffers.ts'

const open = (bytes: Uint8Array, limits = DEFAULT_LIMITS) =>
  new FlatBuffer(memorySource('x.bin', bytes), limits).root('Root')

const sample = flatbuffer(
  'TEST',
  table(
    int8(-3),
    int32(70_000),
    int64(-5),
    float32(0.5),
    text('größe'),
    ints(1, -2),
    undefined,
    tables(table(), table(int8(9))),
  ),
)

test('scalars, text, vectors and tables', async () => {
  const root = await open(sample)
  expect(root.scalar(0, 'i8')).toBe(-3)
  expect(root.scalar(0, 'u8')).toBe(253)
  expect(root.flag(0)).toBe(true)
  expect(root.scalar(1, 'i32')).toBe(70_000)
  expect(root.scalar(2, 'i64')).toBe(-5)
  expect(root.scalar(3, 'f32')).toBe(0.5)
  expect(await root.string(4)).toBe('größe')
  expect(await root.numbers(5, 'i32')).toEqual([1, -2])
  const inner = await root.tables(7, 'Inner')
  expect(inner.map((each) => each.scalar(0, 'i8', 5))).toEqual([5, 9])
})

test('absent fields, within the vtable and behind it', async () => {
  const root = await open(sample)
  for (const field of [6, 8, 1000]) {
    expect(root.scalar(field, 'i32', 7)).toBe(7)
    expect(root.flag(field, true)).toBe(true)
    expect(await root.string(field)).toBeUndefined()
    expect(await root.numbers(field, 'i32')).toBeUndefined()
    expect(await root.range(field)).toBeUndefined()
    expect(await root.table(field, 'Inner')).toBeUndefined()
    expect(await root.tables(field, 'Inner')).toEqual([])
  }
})

describe('offsets that lead nowhere', () => {
  const check = (name: string, bytes: readonly number[], message: string) =>
    test(name, async () => {
      const reading = async () => (await open(Uint8Array.from(bytes))).string(0)
      await expect(reading()).rejects.toThrow(message)
    })
  check('a root outside the file', [200, 0, 0, 0], 'x.bin: Root at byte 200')
  check('a vtable before the file', [4, 0, 0, 0, 100, 0, 0, 0], 'vtable of Root')
  check('a vtable of odd size', [8, 0, 0, 0, 5, 0, 4, 0, 4, 0, 0, 0], 'an even size of at least 4 bytes, found 5')
  check('a table of no size', [8, 0, 0, 0, 4, 0, 3, 0, 4, 0, 0, 0], 'a table of at least 4 bytes, found 3')
  check(
    'a field outside its table',
    [12, 0, 0, 0, 6, 0, 4, 0, 4, 0, 0, 0, 8, 0, 0, 0],
    '4 bytes inside a table of 4, found offset 4',
  )
  check(
    'a text longer than the file',
    [12, 0, 0, 0, 6, 0, 8, 0, 4, 0, 0, 0, 8, 0, 0, 0, 4, 0, 0, 0, 99, 0, 0, 0],
    'Root field 0 at byte 24: expected 99 bytes',
  )
})

test('limits: records, text, and vectors that are read again and again', async () => {
  const strings = flatbuffer('TEST', table(text('abcdef')))
  await expect(open(strings, { ...DEFAULT_LIMITS, maxStringBytes: 5 }).then((root) => root.string(0))).rejects.toThrow(
    'text of at most 5 bytes',
  )
  const many = flatbuffer('TEST', table(tables(...Array.from({ length: 20 }, () => table()))))
  await expect(open(many, { ...DEFAULT_LIMITS, maxItems: 20 }).then((root) => root.tables(0, 'T'))).rejects.toThrow(
    'at most 20 records',
  )
  const root = await open(flatbuffer('TEST', table(floatList(...Array(1000).fill(1)))), {
    ...DEFAULT_LIMITS,
    maxItems: 100,
  })
  const reading = async () => {
    for (let round = 0; round < 10; round++) await root.numbers(0, 'f32')
  }
  await expect(reading()).rejects.toThrow('at most 100 records')
})
