import { describe, expect, test } from 'vitest'
import { describeConformance, readAll, type Sample } from '../../../test/conformance.ts'
import { memoryInput } from '../../../test/memory-input.ts'
import { readFixtures } from '../../../test/read-folder.ts'
import { DEFAULT_LIMITS } from '../../bytes/limits.ts'
import { tfjs } from './tfjs.ts'

const graph: Sample = { files: readFixtures('tfjs/graph-model'), main: 'model.json' }
const layers: Sample = { files: readFixtures('tfjs/layers-model'), main: 'model.json' }
const quantised: Sample = { files: readFixtures('tfjs/quantised'), main: 'model.json' }
const bare: Sample = { files: readFixtures('tfjs/bare-manifest'), main: 'weights_manifest.json' }

describe('conformance', () => {
  describeConformance(tfjs, {
    'graph model': graph,
    'layers model': layers,
    'quantised, last shard damaged': { ...quantised, victim: 'group1-shard5of5.bin' },
    'bare manifest': bare,
  })
})

test('a graph model opened as a folder', async () => {
  const { model } = await readAll(tfjs, { files: graph.files })
  expect(model.graphs[0]).toMatchObject({
    inputs: [{ name: 'x', dtype: 'float32', shape: [null, 4] }],
    outputs: [{ name: 'y' }],
  })
  const [, kernel, , fused] = model.graphs[0]!.nodes
  expect(kernel?.attributes.value).toEqual({ tensor: 'dense/kernel' })
  expect(fused).toMatchObject({ op: '_FusedMatMul', attributes: { fused_ops: ['BiasAdd'], num_args: 1 } })
  expect(model.metadata).toMatchObject({ producer: 'TensorFlow.js Converter', producerVersion: '4.22.0' })
})

test('a weight says where it lies, also where it goes on in another shard', async () => {
  const { model } = await readAll(tfjs, graph)
  const first = model.tensors[0]!.storage!
  expect(first.parts?.map(({ file }) => file)).toEqual([
    'group1-shard1of3.bin',
    'group1-shard2of3.bin',
    'group1-shard3of3.bin',
  ])
  expect(first.parts?.reduce((sum, { byteLength }) => sum + byteLength, 0)).toBe(model.tensors[0]!.bytes)
  expect(model.tensors.map(({ storage }) => storage)).toEqual([
    first,
    { file: 'group1-shard3of3.bin', byteOffset: 8, byteLength: 12 },
  ])
})

test('layers own their weights', async () => {
  const { model } = await readAll(tfjs, layers)
  expect(model.graphs[0]!.nodes).toMatchObject([
    {
      name: 'dense',
      op: 'Dense',
      parameters: [
        { role: 'kernel', tensor: 'dense/kernel' },
        { role: 'bias', tensor: 'dense/bias' },
      ],
    },
  ])
})

test('quantised weights stay as they are stored', async () => {
  const { model } = await readAll(tfjs, quantised)
  const find = (name: string) => model.tensors.find((tensor) => tensor.name === name)
  expect(find('quant8')).toMatchObject({ dtype: 'uint8', quantization: { scales: [0.01], zeroPoints: [125] } })
  expect(find('quant16')).toMatchObject({ dtype: 'uint16', quantization: { zeroPoints: [0.5 / 0.0001] } })
  expect(find('half')).toMatchObject({ dtype: 'float16', bytes: 10 })
  expect(find('half')?.quantization).toBeUndefined()
})

const manifest = (...groups: unknown[]): Sample => ({
  files: { 'm.json': new TextEncoder().encode(JSON.stringify(groups)), 'a.bin': new Uint8Array(8) },
  main: 'm.json',
})
const weight = { name: 'w', shape: [2], dtype: 'float32' }

describe('errors', () => {
  const fails = (name: string, group: unknown, message: string) =>
    test(name, () => {
      const { files, main } = manifest(group)
      return expect(tfjs.read(memoryInput(files, main), DEFAULT_LIMITS)).rejects.toThrow(message)
    })
  fails('missing shard', { paths: ['b.bin'], weights: [] }, 'expected a file "b.bin" beside it, found none')
  fails('one shard twice', { paths: ['a.bin', 'a.bin'], weights: [] }, 'expected every shard once')
  fails('one name twice', { paths: ['a.bin'], weights: [{ ...weight, shape: [1] }, weight] }, '"w" twice')
  fails('too short', { paths: ['a.bin'], weights: [{ ...weight, shape: [3] }] }, 'expected 12 bytes, found 8')
  fails('unknown type', { paths: ['a.bin'], weights: [{ ...weight, dtype: 'float99' }] }, 'found float99')
  fails('text beyond the end', { paths: ['a.bin'], weights: [{ ...weight, dtype: 'string', shape: [9] }] }, 'a text')
  fails('negative size', { paths: ['a.bin'], weights: [{ ...weight, shape: [-1] }] }, 'a shape of whole numbers')
})

test('bytes that belong to no weight, and weights that the graph misses, are warnings', async () => {
  const { model } = await readAll(tfjs, manifest({ paths: ['a.bin'], weights: [{ ...weight, shape: [1] }] }))
  expect(model.warnings.map(({ code }) => code)).toEqual(['TRAILING_BYTES'])
  const document = JSON.parse(new TextDecoder().decode(graph.files['model.json']))
  document.weightsManifest = []
  const files = { 'model.json': new TextEncoder().encode(JSON.stringify(document)) }
  const without = await readAll(tfjs, { files, main: 'model.json' })
  expect(without.model.warnings.map(({ subject }) => subject)).toEqual(['dense/kernel', 'dense/bias'])
})
