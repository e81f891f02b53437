import { describe, expect, test } from 'vitest'
import { describeConformance, outcome, readAll, type Sample } from '../../../test/conformance.ts'
import { memoryInput } from '../../../test/memory-input.ts'
import { readFixtures } from '../../../test/read-folder.ts'
import { DEFAULT_LIMITS } from '../../bytes/limits.ts'
import { readText } from '../../encoding/length-prefixed.ts'
import { FormatError } from '../../errors.ts'
import { decodeValues } from '../../tensor/decode.ts'
import { readTensor } from '../../tensor/tensor.ts'
import { tfCheckpoint } from './checkpoint.ts'

const all = readFixtures('tf-checkpoint')
const pick = (pattern: RegExp) => Object.fromEntries(Object.entries(all).filter(([name]) => pattern.test(name)))
const managed = readFixtures('tf-checkpoint/managed')

const everything: Sample = { files: pick(/^everything/), main: 'everything.index' }
const shard = 'everything.data-00000-of-00001'
const shards: Sample = { files: pick(/^two-shards/), main: 'two-shards.index' }
const partitioned: Sample = { files: pick(/^partitioned/), main: 'partitioned.index' }
const old: Sample = { files: pick(/^tf1-v1$/), main: 'tf1-v1' }

describe('conformance', () => {
  describeConformance(tfCheckpoint, {
    index: everything,
    'index, data damaged': { ...everything, victim: shard },
    'data opened': { ...everything, main: shard },
    'two shards': shards,
    partitioned,
    'version 1': old,
  })
})

const namesOf = async (sample: Sample) => (await readAll(tfCheckpoint, sample)).model.tensors.map(({ name }) => name)

describe('what may be opened', () => {
  const newest = ['save_counter', 'step', 'w'].map((name) => `${name}/.ATTRIBUTES/VARIABLE_VALUE`)
  test('the folder: the checkpoint that its list calls the newest', async () => {
    const { model } = await readAll(tfCheckpoint, { files: managed })
    expect(model.files[0]?.name).toBe('ckpt-2.index')
    expect(model.tensors.map(({ name }) => name)).toEqual(newest)
    expect(model.metadata.properties?.checkpoints).toEqual(['ckpt-1', 'ckpt-2'])
  })
  test('the list itself', async () => expect(await namesOf({ files: managed, main: 'checkpoint' })).toEqual(newest))
  test('a folder with one checkpoint and no list', async () => {
    expect((await namesOf({ files: everything.files })).length).toBe(16)
  })
  test('not a folder with several and no list', async () => {
    const { checkpoint: _, ...files } = managed
    await expect(readAll(tfCheckpoint, { files })).rejects.toThrow('expected one checkpoint, found ckpt-1, ckpt-2')
  })
  test('paths of the machine that trained are not followed', async () => {
    const checkpoint = new TextEncoder().encode('model_checkpoint_path: "/home/somebody/run/ckpt-1"')
    const { model } = await readAll(tfCheckpoint, { files: { ...managed, checkpoint }, main: 'checkpoint' })
    expect(model.files[0]?.name).toBe('ckpt-1.index')
  })
})

describe('values', () => {
  test('text, brain floats, empty tensors and scalars', async () => {
    const { model } = await readAll(tfCheckpoint, everything)
    const find = (part: string) => model.tensors.find(({ name }) => name.includes(part))!
    expect(readText(await readTensor(find('words')))).toEqual(['first', 'na\u00efve \u4e2d', ''])
    expect(find('empty')).toMatchObject({ dtype: 'float32', shape: [0, 3], bytes: 0 })
    expect(find('brain').dtype).toBe('bfloat16')
    expect(find('float8').dtype).toBe('float8_e4m3fn')
  })
  test('slices of a partitioned variable are put together', async () => {
    const { model } = await readAll(tfCheckpoint, partitioned)
    const [tensor] = model.tensors
    expect(tensor).toMatchObject({ name: 'big/w', shape: [5, 4] })
    const values = decodeValues('float32', await readTensor(tensor!), 20)
    expect(Array.from(values)).toEqual(Array.from({ length: 20 }, (_, index) => values[0]! + index))
  })
  test('version 1 gives the same as version 2', async () => {
    const values = async (sample: Sample) => {
      const { model } = await readAll(tfCheckpoint, sample)
      return Promise.all(model.tensors.map(async (tensor) => [tensor.name, await readTensor(tensor)]))
    }
    expect(await values(old)).toEqual(await values({ files: pick(/^tf1-v2\./), main: 'tf1-v2.index' }))
  })
})

test('training state and the graph beside a TensorFlow 1 checkpoint', async () => {
  const { model } = await readAll(tfCheckpoint, { files: pick(/^tf1-v2\./), main: 'tf1-v2.index' })
  expect(model.training).toEqual({ step: 5 })
  expect(model.graphs[0]?.nodes.length).toBeGreaterThan(0)
  expect(model.warnings).toEqual([])
})

test('a damaged graph beside it is a warning', async () => {
  const files = { ...pick(/^tf1-v2\./), 'tf1-v2.meta': Uint8Array.of(0x0a, 0xff) }
  const { model } = await readAll(tfCheckpoint, { files, main: 'tf1-v2.index' })
  expect(model.warnings.map(({ code }) => code)).toEqual(['META_GRAPH_UNREADABLE'])
})

describe('errors', () => {
  const message = (sample: Sample, expected: string) =>
    expect(tfCheckpoint.read(memoryInput(sample.files, sample.main), DEFAULT_LIMITS)).rejects.toThrow(expected)
  test('a missing shard is named', async () => {
    const { 'two-shards.data-00001-of-00002': _, ...files } = shards.files
    await message({ ...shards, files }, 'expected a file "two-shards.data-00001-of-00002" beside the index, found none')
  })
  test('a missing index is named', async () => {
    const { 'everything.index': _, ...files } = everything.files
    await message({ files, main: shard }, 'expected a file "everything.index" beside it')
  })
  test('a flipped byte of the values is found by the checksum', async () => {
    const data = everything.files[shard]!.slice()
    data[data.length - 1]! ^= 1
    expect(await outcome(tfCheckpoint, { ...everything, files: { ...everything.files, [shard]: data } })).toBe(false)
  })
  test('a flipped byte of the index, too', async () => {
    const index = everything.files['everything.index']!.slice()
    index[20]! ^= 1
    const files = { ...everything.files, 'everything.index': index }
    const reading = tfCheckpoint.read(memoryInput(files, 'everything.index'), DEFAULT_LIMITS)
    await expect(reading).rejects.toThrow('checksum of table block at byte 0')
    await expect(reading).rejects.toBeInstanceOf(FormatError)
  })
})
