import { describe, expect, test } from 'vitest'
import { describeConformance } from '../../../test/conformance.ts'
import { memoryInput } from '../../../test/memory-input.ts'
import { DEFAULT_LIMITS } from '../../bytes/limits.ts'
import { readTensor } from '../../tensor/tensor.ts'
import { safetensors } from './safetensors.ts'

/** A safetensors file: header length, header, then `bytes` counting up from 1. */
function file(header: string | object, bytes = 0): Uint8Array {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header))
  const out = new Uint8Array(8 + json.length + bytes)
  new DataView(out.buffer).setBigUint64(0, BigInt(json.length), true)
  out.set(json, 8)
  for (let index = 0; index < bytes; index++) out[8 + json.length + index] = index + 1
  return out
}

const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

const a = { dtype: 'F32', shape: [2], data_offsets: [0, 8] }
const b = { dtype: 'U8', shape: [3, 1], data_offsets: [8, 11] }
const pair = file({ __metadata__: { format: 'pt' }, 'b.running_mean': b, a }, 11)

const shards = {
  'm.safetensors.index.json': text({
    metadata: { total_size: 11 },
    weight_map: { b: 'm-2.safetensors', a: 'm-1.safetensors' },
  }),
  'm-1.safetensors': file({ a }, 8),
  'm-2.safetensors': file({ b: { ...b, data_offsets: [0, 3] } }, 3),
}

const read = (files: Readonly<Record<string, Uint8Array>>, main?: string) =>
  safetensors.read(memoryInput(files, main), DEFAULT_LIMITS)
const readOne = (bytes: Uint8Array) => read({ 'm.safetensors': bytes }, 'm.safetensors')

describeConformance(safetensors, {
  single: { files: { 'm.safetensors': pair }, main: 'm.safetensors' },
  'sharded, the index': { files: shards, main: 'm.safetensors.index.json' },
  'sharded, the folder': { files: shards, victim: 'm.safetensors.index.json' },
  'sharded, a shard': { files: shards, main: 'm.safetensors.index.json', victim: 'm-2.safetensors' },
})

test('tensors in the order of their values, with metadata', async () => {
  const { tensors, metadata, warnings } = await readOne(pair)
  expect(warnings).toEqual([])
  expect(metadata).toEqual({ framework: 'pytorch', properties: { format: 'pt' } })
  expect(tensors).toMatchObject([
    { name: 'a', dtype: 'float32', shape: [2], bytes: 8, role: 'parameter' },
    { name: 'b.running_mean', dtype: 'uint8', shape: [3, 1], bytes: 3, role: 'buffer' },
  ])
  expect([...(await readTensor(tensors[1]!))]).toEqual([9, 10, 11])
})

describe('element types', () => {
  const check = (name: string, dtype: string, shape: readonly number[], bytes: number) =>
    test(name, async () => {
      const { tensors } = await readOne(file({ t: { dtype: name, shape, data_offsets: [0, bytes] } }, bytes))
      expect(tensors).toMatchObject([{ dtype, shape, bytes }])
    })
  check('F4', 'float4_e2m1fn', [4], 2)
  check('F6_E2M3', 'float6_e2m3fn', [4], 3)
  check('F6_E3M2', 'float6_e3m2fn', [2, 4], 6)
  check('F8_E8M0', 'float8_e8m0fnu', [5], 5)
  check('F8_E4M3FNUZ', 'float8_e4m3fnuz', [1], 1)
  check('BF16', 'bfloat16', [2, 0], 0)
  check('C64', 'complex64', [], 8)
})

describe('what the official implementation refuses too', () => {
  const check = (name: string, bytes: Uint8Array, message: string) =>
    test(name, () => expect(readOne(bytes)).rejects.toThrow(message))
  const offsets = (...data_offsets: number[]) => ({ ...a, data_offsets })
  check('a hole', file({ a, b: { ...b, data_offsets: [9, 12] } }, 12), 'found a hole of 1 bytes')
  check('a hole before the first', file({ a: offsets(1, 9) }, 9), 'found a hole of 1 bytes')
  check('an overlap', file({ a, b: { ...b, data_offsets: [7, 10] } }, 10), 'found an overlap of 1 bytes')
  check('bytes behind the last value', file({ a }, 9), 'expected the end of the file, found 1 more bytes')
  check('values beyond the end', file({ a }, 7), 'tensor "a" at byte')
  check(
    'another size than the shape',
    file({ a: offsets(0, 4) }, 4),
    'expected 8 bytes for F32 [2], found data_offsets [0, 4]',
  )
  check('an end before the begin', file({ a: offsets(8, 0) }, 8), 'expected 8 bytes')
  check('a shape beyond counting', file({ a: { ...a, shape: [2 ** 52, 2 ** 52] } }, 8), 'data_offsets')
  check('a shape that is no list', file({ a: { ...a, shape: 2 } }, 8), 'expected dtype, shape and data_offsets')
  check('half a byte', file({ a: { dtype: 'F4', shape: [1], data_offsets: [0, 1] } }, 1), 'expected 0.5 bytes')
  check('an unknown element type', file({ a: { ...a, dtype: 'F7' } }, 8), 'found "F7"')
  check('a name twice', file('{"a":{},"a":{}}'), 'JSON key "a" at byte 16')
  check('no JSON', file('{"a"'), 'JSON document')
  check(
    'a header of 200 MB',
    Uint8Array.of(0, 0, 0, 12, 0, 0, 0, 0, 0x7b),
    'expected at most 100000000, found 201326592',
  )
})

test('metadata that is not text is a warning', async () => {
  expect((await readOne(file({ __metadata__: { n: 1 } }))).warnings).toMatchObject([{ code: 'METADATA_NOT_TEXT' }])
})

describe('shards', () => {
  const index = (value: unknown) => ({ ...shards, 'm.safetensors.index.json': text(value) })
  const main = 'm.safetensors.index.json'

  test('give one model', async () => {
    const { tensors, files, variant, warnings } = await read(shards, main)
    expect(warnings).toEqual([])
    expect(variant).toBe('sharded safetensors')
    expect(files.map(({ name, role }) => `${name} ${role}`)).toEqual([
      'm.safetensors.index.json index',
      'm-2.safetensors shard',
      'm-1.safetensors shard',
    ])
    expect(tensors.map(({ name, storage }) => [name, storage?.file])).toEqual([
      ['b', 'm-2.safetensors'],
      ['a', 'm-1.safetensors'],
    ])
    expect([...(await readTensor(tensors[0]!))]).toEqual([1, 2, 3])
  })

  test('a missing shard, and a tensor in another shard, are errors', async () => {
    await expect(read(index({ weight_map: { a: 'none.safetensors' } }), main)).rejects.toMatchObject({
      code: 'MISSING_FILE',
    })
    await expect(read(index({ weight_map: { a: 'm-2.safetensors' } }), main)).rejects.toThrow('it in this shard')
    await expect(read(index({ weight_map: { a: 1 } }), main)).rejects.toThrow('weight_map')
  })

  test('more tensors than the index has, and another total size, are warnings', async () => {
    const files = index({ metadata: { total_size: 5 }, weight_map: { b: 'm-2.safetensors' } })
    const more = {
      ...files,
      'm-2.safetensors': file({ b: { ...b, data_offsets: [0, 3] }, c: { ...b, data_offsets: [3, 6] } }, 6),
    }
    const { tensors, warnings } = await read(more, main)
    expect(tensors.map(({ name }) => name)).toEqual(['b', 'c'])
    expect(warnings.map(({ code }) => code)).toEqual(['NOT_IN_INDEX', 'TOTAL_SIZE'])
  })
})
