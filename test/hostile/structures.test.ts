import { describe, expect, test } from 'vitest'
import { hdf5Cycle } from '../build/hdf5-cycle.ts'
import { npyFile } from '../build/npy-file.ts'
import { concat, field, floats, number, packed, varint } from '../build/protobuf.ts'
import { safetensorsFile } from '../build/safetensors-file.ts'
import { endingOf, withinSeconds } from './attempt.ts'

const soon = (files: Readonly<Record<string, Uint8Array>>) => withinSeconds(5, () => endingOf(files))
const encode = (text: string) => new TextEncoder().encode(text)

describe('nesting', () => {
  test('ONNX graphs inside each other, 10,000 deep', async () => {
    const graph = nestedGraphs(10_000)
    expect(await soon({ 'model.onnx': onnx(graph) })).toMatch(/^LIMIT_EXCEEDED .*(depth|nest|deep)/)
  })

  test('JSON, 100,000 deep, in a safetensors header and an index', async () => {
    const deep = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`
    expect(await soon({ 'x.safetensors': withHeader(deep) })).toMatch(/^(LIMIT_EXCEEDED|INVALID_FIELD) /)
    const index = encode(`{"metadata":{},"weight_map":${deep}}`)
    expect(await soon({ 'x.safetensors.index.json': index })).toMatch(/^(LIMIT_EXCEEDED|INVALID_FIELD|NOT_RECOGNISED) /)
  })

  test('prototxt messages, 100,000 deep', async () => {
    const text = encode(`name: "x" layer { name: "a" type: "Input" } ${'layer {'.repeat(100_000)}`)
    expect(await soon({ 'x.prototxt': text })).toMatch(/^(LIMIT_EXCEEDED|INVALID_FIELD|TRUNCATED|NOT_RECOGNISED) /)
  })
})

test('HDF5: a group that is its own member', async () => {
  expect(await soon({ 'weights.h5': hdf5Cycle() })).toMatch(/^(read|INVALID_FIELD|LIMIT_EXCEEDED|NOT_RECOGNISED)/)
})

describe('shapes that nothing can hold', () => {
  const sizes = [2 ** 40, 2 ** 40]

  test('ONNX raw data', async () => {
    const dims = concat(...sizes.map((size) => number(1, size)))
    const tensor = field(5, dims, number(2, 1), field(8, 'w'), field(9, floats([1])))
    expect(await soon({ 'model.onnx': onnx(concat(tensor, field(2, 'g'))) })).toMatch(/^INVALID_FIELD /)
  })

  test('ONNX: 100,000 dimensions, and negative ones', async () => {
    for (const dims of [
      packed(
        1,
        Array.from({ length: 100_000 }, () => 1),
      ),
      number(1, -4),
    ]) {
      const tensor = field(5, dims, number(2, 1), field(8, 'w'), field(9, floats([1])))
      const found = await soon({ 'model.onnx': onnx(concat(tensor, field(2, 'g'))) })
      expect(found).toMatch(/^(INVALID_FIELD|LIMIT_EXCEEDED) /)
    }
  })

  test('an empty tensor with a huge dimension beside the zero', async () => {
    const found = await soon({ 'x.npy': npyFile('<f4', [0, 2 ** 50], new Uint8Array(0)) })
    expect(found).toMatch(/^(read|INVALID_FIELD)/)
  })

  test('npy and safetensors', async () => {
    expect(await soon({ 'x.npy': npyFile('<f4', sizes, new Uint8Array(64)) })).toMatch(/^(INVALID_FIELD|TRUNCATED) /)
    const file = safetensorsFile({ w: { dtype: 'F32', shape: sizes, bytes: 4 } })
    expect(await soon({ 'x.safetensors': file })).toMatch(/^INVALID_FIELD /)
  })
})

describe('safetensors', () => {
  const check = (entries: Parameters<typeof safetensorsFile>[0]) => soon({ 'x.safetensors': safetensorsFile(entries) })

  test('tensors that overlap', async () => {
    const a = { dtype: 'F32', shape: [4], bytes: 16 }
    expect(await check({ a, b: { ...a, bytes: 8, offsets: [8, 24] } })).toMatch(/^INVALID_FIELD .*/)
  })

  test('a hole, a reversed range, a range past the end, one at 2^53', async () => {
    const a = { dtype: 'F32', shape: [1], bytes: 4 }
    expect(await check({ a: { ...a, bytes: 12, offsets: [8, 12] } })).toMatch(/^INVALID_FIELD /)
    expect(await check({ a: { ...a, offsets: [4, 0] } })).toMatch(/^INVALID_FIELD /)
    expect(await check({ a: { ...a, offsets: [100, 104] } })).toMatch(/^(INVALID_FIELD|TRUNCATED) /)
    expect(await check({ a: { ...a, offsets: [2 ** 53, 2 ** 53 + 4] } })).toMatch(/^(INVALID_FIELD|TRUNCATED) /)
  })

  test('a header of 2^63 bytes, and names that are no properties', async () => {
    const file = withHeader('{}')
    new DataView(file.buffer).setBigUint64(0, 1n << 63n, true)
    expect(await soon({ 'x.safetensors': file })).toMatch(/^(INVALID_FIELD|LIMIT_EXCEEDED|NOT_RECOGNISED) /)
    const proto = withHeader('{"__proto__":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}', new Uint8Array(4))
    expect(await soon({ 'x.safetensors': proto })).toMatch(/^(read|INVALID_FIELD)/)
    expect(({} as Record<string, unknown>).dtype).toBeUndefined()
  })
})

test('a packed protobuf field of a million numbers, and a varint without end', async () => {
  const many = field(4, new Uint8Array(4_000_000))
  const tensor = field(5, number(1, 1_000_000), number(2, 1), field(8, 'w'), many)
  await soon({ 'model.onnx': onnx(concat(tensor, field(2, 'g'))) })
  const endless = concat(onnx(field(2, 'g')), new Uint8Array(64).fill(0xff))
  expect(await soon({ 'model.onnx': endless })).toMatch(/^(INVALID_FIELD|NOT_RECOGNISED|TRUNCATED) /)
})

/** A ModelProto around a GraphProto. */
function onnx(graph: Uint8Array): Uint8Array {
  return concat(number(1, 8), field(7, graph), field(8, field(1, ''), number(2, 17)))
}

function withHeader(header: string, values: Uint8Array = new Uint8Array(0)): Uint8Array {
  const text = encode(header)
  const file = new Uint8Array(8 + text.length + values.length)
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true)
  file.set(text, 8)
  file.set(values, 8 + text.length)
  return file
}

/** A GraphProto that holds another one in an attribute, and so on; written in one pass from the inside out. */
function nestedGraphs(depth: number): Uint8Array {
  const open = (id: number, length: number) => concat(varint(id * 8 + 2), varint(length))
  const inner = field(2, 'innermost')
  const suffix = concat(number(20, 5), field(2, 'g'))
  const op = field(4, 'Loop')
  const name = field(1, 'body')
  const prefixes: Uint8Array[] = []
  let length = inner.length
  for (let level = 0; level < depth; level++) {
    const graph = open(6, length)
    const attribute = open(5, name.length + graph.length + length + number(20, 5).length)
    const node = op.length + attribute.length + name.length + graph.length + length + number(20, 5).length
    const prefix = concat(open(1, node), op, attribute, name, graph)
    prefixes.push(prefix)
    length += prefix.length + suffix.length
  }
  return new Uint8Array(Buffer.concat([...prefixes.reverse(), inner, ...prefixes.map(() => suffix)]))
}
