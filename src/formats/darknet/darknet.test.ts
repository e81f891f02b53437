import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { darknetCfg, darknetWeights } from '../../../test/build/darknet.ts'
import { describeConformance, readAll, type Sample } from '../../../test/conformance.ts'
import { FormatError } from '../../errors.ts'
import { readTensor } from '../../tensor/tensor.ts'
import { darknet } from './darknet.ts'

const folder = resolve(import.meta.dirname, '../../../test/fixtures/darknet')
const fixture = (name: string) => new Uint8Array(readFileSync(join(folder, name)))
const detector = { 'detector.cfg': fixture('detector.cfg'), 'detector.weights': fixture('detector.weights') }

interface Oracle {
  models: Record<string, { seen: number; tensors: { name: string; dtype: string; shape: number[]; sha256: string }[] }>
}
const oracle = JSON.parse(readFileSync(join(folder, 'oracle.json'), 'utf8')) as Oracle

describe('conformance', () => {
  const oneLayer = {
    'a.cfg': darknetCfg('[convolutional]\nfilters=2\nsize=1\nbatch_normalize=1\n'),
    'a.weights': darknetWeights(2 * 4 + 2),
  }
  describeConformance(darknet, {
    'cfg with its weights': { files: oneLayer, main: 'a.cfg', victim: 'a.weights' },
    'weights with their cfg': { files: oneLayer, main: 'a.weights' },
  })
  describeConformance(
    darknet,
    { 'a cfg alone': { files: { 'a.cfg': oneLayer['a.cfg'] }, main: 'a.cfg' } },
    { mayReadCut: 'a cfg without its last lines or digits is a cfg' },
  )
  describeConformance(
    darknet,
    { detector: { files: detector, main: 'detector.weights' } },
    { mayReadCut: 'weights that end behind a layer are a backbone', cuts: 800 },
  )
})

test.each(Object.entries(oracle.models))(
  '%s: all tensors equal what was written and OpenCV holds',
  async (name, one) => {
    const files = { [`${name}.cfg`]: fixture(`${name}.cfg`), [`${name}.weights`]: fixture(`${name}.weights`) }
    for (const main of Object.keys(files)) {
      const { model } = await readAll(darknet, { files, main })
      const found = []
      for (const tensor of model.tensors) {
        const sha256 = createHash('sha256')
          .update(await readTensor(tensor))
          .digest('hex')
        found.push({ name: tensor.name, dtype: tensor.dtype, shape: tensor.shape, sha256 })
      }
      expect(found).toEqual(one.tensors)
      expect(model.metadata.properties?.seen).toBe(one.seen)
      expect(model.files[0]?.name).toBe(main)
    }
  },
)

test('the graph follows routes, shortcuts and sizes', async () => {
  const { model } = await readAll(darknet, { files: detector, main: 'detector.cfg' })
  const [graph] = model.graphs
  const at = (name: string) => graph?.values.get(name)?.shape
  expect(graph?.inputs).toEqual([{ name: 'data', dtype: 'float32', shape: [null, 3, 16, 16] }])
  expect(at('001_maxpool')).toEqual([null, 8, 8, 8])
  expect(at('005_route')).toEqual([null, 6, 8, 8])
  expect(at('007_route')).toEqual([null, 14, 16, 16])
  expect(graph?.nodes[4]?.inputs).toEqual(['003_convolutional', '002_convolutional'])
  expect(graph?.nodes[7]?.inputs).toEqual(['006_upsample', '000_convolutional'])
  expect(graph?.nodes[9]?.attributes).toEqual({ mask: [0, 1], anchors: [3, 4, 5, 6], classes: 2, num: 2 })
  expect(graph?.outputs.map(({ name }) => name)).toEqual(['009_yolo'])
  expect(model.training).toMatchObject({
    step: 1600,
    optimizer: { name: 'SGD', groups: [{ learning_rate: 0.001, momentum: 0.9, decay: 0.0005 }] },
    scheduler: { policy: 'steps', steps: [10, 20], scales: [0.1, 0.1] },
  })
})

const read = async (
  sections: string,
  count: number,
  options: { channels?: number; version?: [number, number, number] } = {},
) => {
  const files = { 'a.cfg': darknetCfg(sections, options.channels), 'a.weights': darknetWeights(count, options.version) }
  return (await readAll(darknet, { files, main: 'a.cfg' })).model
}
const shapes = async (...parameters: Parameters<typeof read>) =>
  (await read(...parameters)).tensors.map(({ name, shape }) => `${name} [${shape}]`)

test('a stand-alone batchnorm is read with or without biases, as the size says', async () => {
  expect(await shapes('[batchnorm]\n', 12, { channels: 3 })).toEqual([
    '000_batchnorm/biases [3]',
    '000_batchnorm/scales [3]',
    '000_batchnorm/rolling_mean [3]',
    '000_batchnorm/rolling_variance [3]',
  ])
  expect((await shapes('[batchnorm]\n', 9, { channels: 3 }))[0]).toBe('000_batchnorm/scales [3]')
})

test('old versions have a shorter header and transposed matrices', async () => {
  expect(await shapes('[connected]\noutput=3\n', 15, { version: [0, 1, 0] })).toEqual([
    '000_connected/biases [3]',
    '000_connected/weights [3,4]',
  ])
  const old = await read('[connected]\noutput=3\n', 15, { version: [0, 1001, 0] })
  expect(old.tensors[1]?.shape).toEqual([4, 3])
  expect(old.warnings[0]?.code).toBe('TRANSPOSED_CONNECTED')
})

const check = (name: string, sections: string, count: number, expected: readonly string[], channels = 1) =>
  test(`${name}: arrays in file order`, async () =>
    expect(await shapes(sections, count, { channels })).toEqual(expected))
check('connected with statistics', '[connected]\noutput=3\nbatch_normalize=1\n', 3 + 12 + 9, [
  '000_connected/biases [3]',
  '000_connected/weights [3,4]',
  '000_connected/scales [3]',
  '000_connected/rolling_mean [3]',
  '000_connected/rolling_variance [3]',
])
check(
  'deconvolutional',
  '[deconvolutional]\nfilters=2\nsize=2\nstride=2\n[connected]\noutput=1\n',
  2 + 24 + 1 + 32,
  [
    '000_deconvolutional/biases [2]',
    '000_deconvolutional/weights [3,2,2,2]',
    '001_connected/biases [1]',
    '001_connected/weights [1,32]',
  ],
  3,
)
check('local', '[local]\nfilters=2\nsize=1\n', 8 + 8, ['000_local/biases [2,2,2]', '000_local/weights [4,2,1,1,1]'])
check(
  'weighted shortcut',
  '[activation]\n[activation]\n[shortcut]\nfrom=0\nweights_type=per_channel\n',
  6,
  ['002_shortcut/weights [2,3]'],
  3,
)
check('rnn', '[rnn]\nhidden=2\noutput=1\n', 2 + 8 + 2 + 4 + 1 + 2, [
  '000_rnn/input_layer/biases [2]',
  '000_rnn/input_layer/weights [2,4]',
  '000_rnn/self_layer/biases [2]',
  '000_rnn/self_layer/weights [2,2]',
  '000_rnn/output_layer/biases [1]',
  '000_rnn/output_layer/weights [1,2]',
])

const fails = async (files: Sample['files'], main: string, sentence: RegExp) => {
  const error = await readAll(darknet, { files, main }).catch((caught: unknown) => caught)
  expect(error).toBeInstanceOf(FormatError)
  expect((error as Error).message).toMatch(sentence)
}
const TWO_LAYERS = '[convolutional]\nfilters=2\nsize=1\n[convolutional]\nfilters=3\nsize=1\n'

test('bytes must add up: what is short, what is left, what is a backbone', async () => {
  const cfg = darknetCfg(TWO_LAYERS)
  const pair = (count: number) => ({ 'a.cfg': cfg, 'a.weights': darknetWeights(count) })
  await fails(
    pair(8),
    'a.cfg',
    /"001_convolutional\/weights" \[3, 2, 1, 1\] \(a\.cfg, line 8\) at byte 48: expected 24 bytes, found 4/,
  )
  await fails(
    pair(14),
    'a.cfg',
    /end of the last layer at byte 72: .*found 4 more bytes\. It is not the weights file of a\.cfg/,
  )
  const { model } = await readAll(darknet, { files: pair(4), main: 'a.weights' })
  expect(model.warnings).toMatchObject([{ code: 'PARTIAL_WEIGHTS', subject: '001_convolutional' }])
  expect(model.tensors).toHaveLength(2)
})

test('a backbone finds its cfg under the name without the layer number', async () => {
  const files = { 'net.cfg': darknetCfg(TWO_LAYERS), 'net.conv.1': darknetWeights(4) }
  const { model } = await readAll(darknet, { files, main: 'net.conv.1' })
  expect(model.tensors).toHaveLength(2)
})

test('partners: another name when it is the only one that fits, never a guess', async () => {
  const files = {
    'a.cfg': darknetCfg(TWO_LAYERS),
    'x_final.weights': darknetWeights(13),
    'other.weights': darknetWeights(5),
  }
  const { model } = await readAll(darknet, { files, main: 'a.cfg' })
  expect(model.files.map(({ name }) => name)).toEqual(['a.cfg', 'x_final.weights'])
  const twice = { ...files, 'x_last.weights': darknetWeights(13) }
  const ambiguous = await readAll(darknet, { files: twice, main: 'a.cfg' })
  expect(ambiguous.model.warnings[0]?.message).toMatch(/x_final\.weights, x_last\.weights all fit/)
  await fails({ 'x.weights': darknetWeights(3) }, 'x.weights', /Put its \.cfg beside it/)
})

test('errors in the cfg name line and rule', async () => {
  const text = (body: string) => ({ 'a.cfg': new TextEncoder().encode(body) })
  await fails(
    text('[net]\nwidth=2\n\nxxxx\n'),
    'a.cfg',
    /a\.cfg: line 4 at byte 15: expected \[section\], key=value or a comment, found "xxxx"/,
  )
  await fails(
    text('[convolutional]\nsize=1\n[net]\n'),
    'a.cfg',
    /line 1 at byte 0: expected \[net\] as the first section, found \[convolutional\]/,
  )
  await fails(text('[net]\nwidth=2\n[dropout]\n'), 'a.cfg', /input size of \[net\] in line 1/)
  const sections = (body: string) => ({ 'a.cfg': darknetCfg(body) })
  await fails(sections('[route]\nlayers=-1\n'), 'a.cfg', /reference of \[route\] in line 5/)
  await fails(sections('[lstm]\noutput=2\n'), 'a.cfg', /layer of \[lstm\] in line 5 .* store in different order/)
  await fails(sections('[magic]\n'), 'a.cfg', /a section that no Darknet has/)
  await fails(
    sections('[convolutional]\nfilters=many\n'),
    'a.cfg',
    /option "filters" of \[convolutional\] in line 5 .*found "many"/,
  )
  await fails(sections('[maxpool]\nsize=9\npadding=0\n'), 'a.cfg', /output size of \[maxpool\]/)
})
