import { expect, test } from 'vitest'
import { concat, double, field, float, floats, number, packed, varint } from '../../test/build/protobuf.ts'
import { type ByteSource, memorySource } from '../bytes/byte-source.ts'
import { DEFAULT_LIMITS } from '../bytes/limits.ts'
import { decodeMessage, defineMessage, type MessageType, type Payload } from './protobuf.ts'

interface Part {
  id?: number
  big?: bigint
  unsigned?: bigint
  flag?: boolean
  ratio?: number
  exact?: number
  name?: string
  numbers: number[]
  floats: number[]
  parts: Part[]
  child?: Part
  blob: Payload[]
}

const Part: MessageType<Part> = defineMessage<Part>('Part', {
  id: { id: 1, type: 'int' },
  big: { id: 2, type: 'int64' },
  unsigned: { id: 3, type: 'uint64' },
  flag: { id: 4, type: 'bool' },
  ratio: { id: 5, type: 'float' },
  exact: { id: 6, type: 'double' },
  name: { id: 7, type: 'string' },
  numbers: { id: 8, type: 'int', repeated: true },
  floats: { id: 9, type: 'float', repeated: true },
  parts: { id: 10, type: () => Part, repeated: true },
  child: { id: 11, type: () => Part },
  blob: { id: 12, type: 'ranges', keep: 4 },
})

const decode = (bytes: Uint8Array, limits = DEFAULT_LIMITS) => decodeMessage(Part, memorySource('x.pb', bytes), limits)

test('scalars of every wire type', async () => {
  const bytes = concat(
    number(1, -3),
    number(2, -(2n ** 63n)),
    number(3, 2n ** 64n - 1n),
    number(4, 1),
    float(5, 0.5),
    double(6, 0.1),
    field(7, 'größe'),
  )
  expect(await decode(bytes)).toMatchObject({
    id: -3,
    big: -(2n ** 63n),
    unsigned: 2n ** 64n - 1n,
    flag: true,
    ratio: 0.5,
    exact: 0.1,
    name: 'größe',
  })
})

test.each([
  0,
  1,
  127,
  128,
  2 ** 28 - 1,
  2 ** 28,
  2 ** 31,
  2 ** 32 + 5,
  2 ** 49 - 1,
  2 ** 49,
  2 ** 53 - 1,
  -1,
  -(2 ** 53 - 1),
])('the number %d', async (value) => {
  expect(await decode(concat(number(1, value), number(2, value)))).toMatchObject({ id: value, big: BigInt(value) })
})

test('a number beyond 2^53 is refused where a number is wanted', async () => {
  await expect(decode(number(1, 2n ** 53n))).rejects.toThrow('x.pb: number at byte 1: expected at most 2^53 - 1')
})

test('repeated scalars, packed and not, in one list', async () => {
  const bytes = concat(number(8, 1), packed(8, [300, -1]), float(9, 1), field(9, floats([2, 3])))
  expect(await decode(bytes)).toMatchObject({ numbers: [1, 300, -1], floats: [1, 2, 3], parts: [] })
})

test('a singular message that occurs twice is merged, a repeated one is not', async () => {
  const bytes = concat(field(11, number(1, 1)), field(11, field(7, 'b')), field(10, number(1, 1)), field(10))
  const part = await decode(bytes)
  expect(part.child).toMatchObject({ id: 1, name: 'b' })
  expect(part.parts.map(({ id }) => id)).toEqual([1, undefined])
})

test('unknown fields and groups are skipped', async () => {
  const group = concat(varint(30 * 8 + 3), number(1, 9), field(2, 'x'), varint(30 * 8 + 4))
  expect(await decode(concat(number(99, 5), group, float(98, 1), number(1, 7)))).toMatchObject({ id: 7 })
})

test('bulk bytes are located, not read, whatever the size of the message', async () => {
  const bulk = new Uint8Array(3_000_000)
  const inner = concat(field(7, 'inner'), field(12, bulk), field(12, 'abcd'), number(1, 5))
  const bytes = concat(field(7, 'outer'), ...Array.from({ length: 5 }, () => field(10, inner)))
  let read = 0
  const memory = memorySource('x.pb', bytes)
  const source: ByteSource = {
    ...memory,
    read(offset, length) {
      read += length
      return memory.read(offset, length)
    },
  }
  const { parts } = await decodeMessage(Part, source, DEFAULT_LIMITS)
  expect(parts.map(({ id, name, blob }) => [id, name, blob[0]?.length, blob[1]?.bytes?.length])).toEqual(
    Array(5).fill([5, 'inner', 3_000_000, 4]),
  )
  expect(parts[0]!.blob[0]!.bytes).toBeUndefined()
  expect(read).toBeLessThan(100_000)
})

test('the same result for a message in one window and for one in many', async () => {
  const small = Array.from({ length: 3000 }, (_, index) => field(10, number(1, index), field(7, `part ${index}`)))
  const text = 'x'.repeat(300_000)
  const bytes = concat(
    ...small,
    field(7, text),
    packed(8, Array(20_000).fill(7)),
    field(9, floats(Array(9000).fill(1))),
  )
  const part = await decode(bytes)
  expect(part.parts.map(({ id, name }) => [id, name])).toEqual(small.map((_, index) => [index, `part ${index}`]))
  expect([part.name?.length, part.numbers.length, part.floats.length]).toEqual([300_000, 20_000, 9000])
})

test.each([
  ['field 0', Uint8Array.of(0, 0), 'a field number from 1'],
  ['wire type 7', Uint8Array.of(0x0f, 0), 'expected 0, 1, 2, 3 or 5'],
  [
    'a text that runs out of the file',
    Uint8Array.of(0x3a, 5, 0x61),
    'expected 5 bytes, found 1 before the end of the file',
  ],
  ['a length of 2^60', concat(Uint8Array.of(0x3a), varint(2n ** 60n)), 'before the end'],
  ['a text as a number', field(1, 'x'), 'field "id" at byte 2: expected int'],
  ['a number as a message', number(11, 1), 'expected a message'],
  ['an open group', concat(varint(30 * 8 + 3), number(1, 9)), 'before the end'],
])('%s is an error with its place', async (_name, bytes, message) => {
  await expect(decode(bytes)).rejects.toThrow(message)
})

test('limits: depth, records, text', async () => {
  const nested = (depth: number): Uint8Array => (depth === 0 ? number(1, 1) : field(11, nested(depth - 1)))
  await expect(decode(nested(100))).resolves.toBeDefined()
  await expect(decode(nested(101))).rejects.toThrow('nesting')
  const records = concat(...Array.from({ length: 10 }, () => number(8, 1)))
  await expect(decode(records, { ...DEFAULT_LIMITS, maxItems: 10 })).resolves.toBeDefined()
  await expect(decode(records, { ...DEFAULT_LIMITS, maxItems: 9 })).rejects.toThrow('number of records')
  await expect(decode(field(7, 'abc'), { ...DEFAULT_LIMITS, maxStringBytes: 2 })).rejects.toThrow('text "name"')
})
