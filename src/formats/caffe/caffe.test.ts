import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { double, field, floats, number, packed } from '../../../test/build/protobuf.ts'
import { describeConformance, readAll, type Sample } from '../../../test/conformance.ts'
import { memoryInput } from '../../../test/memory-input.ts'
import { describeOracle, sharedModel, sharedTest } from '../../../test/shared-models.ts'
import { DEFAULT_LIMITS } from '../../bytes/limits.ts'
import { FormatError } from '../../errors.ts'
import { openInput } from '../../host/open-input.ts'
import { readTensor } from '../../tensor/tensor.ts'
import { identify } from '../identify.ts'
import { caffe } from './caffe.ts'

const folder = resolve(import.meta.dirname, '../../../test/fixtures/caffe')
const fixture = (name: string) => new Uint8Array(readFileSync(join(folder, name)))
const pair = (name: string) => ({
  [`${name}.prototxt`]: fixture(`${name}.prototxt`),
  [`${name}.caffemodel`]: fixture(`${name}.caffemodel`),
})
const text = (body: string) => new TextEncoder().encode(body)

interface Oracle {
  models: Record<string, { tensors: { name: string; dtype: string; shape: number[]; sha256: string }[] }>
}
const oracle = JSON.parse(readFileSync(join(folder, 'oracle.json'), 'utf8')) as Oracle

const TEXT = 'layer { name: "a" type: "InnerProduct" bottom: "x" top: "y" }'
const layer = (name: string, ...fields: Uint8Array[]) =>
  field(100, field(1, name), field(2, 'InnerProduct'), field(3, 'x'), field(4, 'y'), ...fields)
const blob = (shape: readonly number[], values: readonly number[]) =>
  field(7, field(7, packed(1, shape)), field(5, floats(values)))
const model = layer('a', blob([1, 2], [1, 2]))

describe('conformance', () => {
  describeConformance(caffe, {
    'one layer, binary': { files: { 'a.caffemodel': model }, main: 'a.caffemodel' },
    'one layer, text': { files: { 'a.prototxt': text(TEXT) }, main: 'a.prototxt' },
  })
  describeConformance(
    caffe,
    {
      'pair, V2': { files: pair('tiny-v2'), main: 'tiny-v2.caffemodel' },
      'pair, V1': { files: pair('tiny-v1'), main: 'tiny-v1.prototxt' },
      'pair, caffemodel damaged': { files: pair('tiny-v1'), main: 'tiny-v1.prototxt', victim: 'tiny-v1.caffemodel' },
    },
    { mayReadCut: 'a network cut behind a layer is a network', cuts: 400, flips: 200 },
  )
})

test.each(Object.entries(oracle.models))(
  '%s: all tensors equal what was written and OpenCV holds',
  async (name, one) => {
    const files = pair(name)
    for (const main of Object.keys(files)) {
      const result = await readAll(caffe, { files, main })
      const found = []
      for (const tensor of result.model.tensors) {
        const sha256 = createHash('sha256')
          .update(await readTensor(tensor))
          .digest('hex')
        found.push({ name: tensor.name, dtype: tensor.dtype, shape: tensor.shape, sha256 })
      }
      expect(found).toEqual(one.tensors)
      expect(result.model.warnings).toEqual([])
    }
  },
)

test('layers in place give unique values; the last keeps the name of the blob', async () => {
  const { model: read } = await readAll(caffe, { files: pair('tiny-v2'), main: 'tiny-v2.prototxt' })
  const [graph] = read.graphs
  expect(graph?.nodes.map(({ inputs, outputs }) => `${inputs} -> ${outputs}`)).toEqual([
    ' -> data',
    'data -> conv1@conv1',
    'conv1@conv1 -> conv1@bn1',
    'conv1@bn1 -> conv1@scale1',
    'conv1@scale1 -> conv1',
    'conv1 -> pool1',
    'pool1 -> fc',
    'fc -> prob',
  ])
  expect(graph?.inputs).toEqual([{ name: 'data', dtype: 'float32', shape: [1, 3, 8, 8] }])
  expect(graph?.outputs).toEqual([{ name: 'prob', dtype: 'float32' }])
  expect(graph?.nodes[2]?.parameters).toEqual([
    { role: 'blob 0', tensor: 'bn1/0' },
    { role: 'blob 1', tensor: 'bn1/1' },
    { role: 'blob 2', tensor: 'bn1/2' },
  ])
})

test('text and binary give the same attributes, flattened', async () => {
  const files = pair('tiny-v2')
  const { model: fromText } = await readAll(caffe, { files, main: 'tiny-v2.prototxt' })
  const alone = { 'tiny-v2.caffemodel': files['tiny-v2.caffemodel']! }
  const { model: fromBinary } = await readAll(caffe, { files: alone, main: 'tiny-v2.caffemodel' })
  const node = (from: typeof fromText, name: string) => from.graphs[0]?.nodes.find((one) => one.name === name)
  expect(node(fromText, 'conv1')?.attributes).toEqual({
    param: { lr_mult: 1, decay_mult: 1 },
    num_output: 4,
    kernel_size: 3,
    pad: 1,
    stride: 2,
    bias_term: false,
    weight_filler: { type: 'msra' },
  })
  expect(node(fromBinary, 'conv1')?.attributes).toEqual({
    phase: 'TRAIN',
    num_output: 4,
    kernel_size: 3,
    pad: 1,
    stride: 2,
    bias_term: false,
  })
  for (const name of ['pool1', 'relu1'])
    expect(node(fromBinary, name)?.attributes).toEqual(node(fromText, name)?.attributes)
  expect(node(fromText, 'bn1')?.attributes).toEqual({ use_global_stats: true, eps: 0.001 })
  expect(fromBinary.warnings.map(({ code }) => code)).toEqual(['PROTOTXT_NOT_FOUND'])
})

test('types of the first version are named as in the second', async () => {
  for (const main of ['tiny-v1.prototxt', 'tiny-v1.caffemodel']) {
    const files = { [main]: fixture(main) }
    const { model: read } = await readAll(caffe, { files, main })
    const ops = ['Convolution', 'ReLU', 'Pooling', 'InnerProduct', 'Softmax']
    expect(read.graphs[0]?.nodes.map(({ op }) => op)).toEqual(ops)
    expect(read.metadata.formatVersion).toBe('V1')
  }
})

test('the graph is that of the TEST phase; what is left out is said', async () => {
  const body = `layer { name: "train" type: "Data" top: "x" include { phase: TRAIN } }
    layer { name: "input" type: "Input" top: "x" include { phase: TEST } input_param { shape { dim: [1, 3] } } }
    layer { name: "drop" type: "Dropout" bottom: "x" top: "x" exclude { phase: TEST } }
    layer { name: "stage" type: "ReLU" bottom: "x" top: "x" include { stage: "late" } }
    layer { name: "fc" type: "InnerProduct" bottom: "x" top: "y" }`
  const { model: read } = await readAll(caffe, { files: { 'n.prototxt': text(body) }, main: 'n.prototxt' })
  expect(read.graphs[0]?.nodes.map(({ name }) => name)).toEqual(['input', 'fc'])
  expect(read.graphs[0]?.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: [1, 3] }])
  expect(read.warnings.find(({ code }) => code === 'PHASE_FILTERED')?.message).toMatch(
    /train \(Data\), drop \(Dropout\), stage/,
  )
})

test('the oldest form: a layer within layers', async () => {
  const body =
    'input: "x" layers { layer { name: "c" type: "conv" num_output: 2 kernelsize: 3 biasterm: false } bottom: "x" top: "y" }'
  const { model: read } = await readAll(caffe, { files: { 'n.prototxt': text(body) }, main: 'n.prototxt' })
  expect(read.graphs[0]?.nodes[0]).toMatchObject({
    name: 'c',
    op: 'Convolution',
    inputs: ['x'],
    outputs: ['y'],
    attributes: { num_output: 2, kernel_size: 3, bias_term: false },
  })
  const binary = field(
    2,
    field(1, field(1, 'c'), field(2, 'conv'), number(3, 2), field(50, field(5, floats([1])))),
    field(2, 'x'),
    field(3, 'y'),
  )
  const { model: stored } = await readAll(caffe, { files: { 'n.caffemodel': binary }, main: 'n.caffemodel' })
  expect(stored.tensors.map(({ name, shape }) => `${name} [${shape}]`)).toEqual(['c/0 [1]'])
})

test('doubles, halves and unpacked floats keep their type and order', async () => {
  const doubles = field(7, field(7, packed(1, [2])), double(8, 1.5), double(8, -2))
  const half = field(7, field(7, packed(1, [3])), number(10, 2), field(12, new Uint8Array([0, 60, 0, 64, 0, 66])))
  const unpacked = field(
    7,
    number(1, 1),
    number(2, 1),
    number(3, 1),
    number(4, 2),
    new Uint8Array([0x2d, 0, 0, 128, 63]),
    new Uint8Array([0x2d, 0, 0, 0, 64]),
  )
  const files = { 'n.caffemodel': layer('a', doubles, half, unpacked) }
  const { model: read } = await readAll(caffe, { files, main: 'n.caffemodel' })
  expect(read.tensors.map(({ dtype, shape }) => `${dtype} [${shape}]`)).toEqual([
    'float64 [2]',
    'float16 [3]',
    'float32 [1,1,1,2]',
  ])
  const values = await readTensor(read.tensors[2]!)
  expect([...new Float32Array(values.slice().buffer)]).toEqual([1, 2])
})

const fails = async (files: Sample['files'], main: string, sentence: RegExp) => {
  const error = await readAll(caffe, { files, main }).catch((caught: unknown) => caught)
  expect(error).toBeInstanceOf(FormatError)
  expect((error as Error).message).toMatch(sentence)
}

test('values that do not fill the shape are an error with both sizes', async () => {
  const files = { 'n.caffemodel': layer('a', blob([2, 2], [1, 2])) }
  await fails(
    files,
    'n.caffemodel',
    /values of blob "a\/0" at byte \d+: expected 16 bytes for float32 \[2, 2\], found 8/,
  )
})

test('a wire type that does not exist is named with its offset', async () => {
  const bytes = new Uint8Array([0x0a, 5, 0x31, 0x32, 0x4e, 0x65, 0x74, 0xa2, 0x06, 0x02, 0x0c, 0x00])
  const input = memoryInput({ 'n.caffemodel': bytes }, 'n.caffemodel')
  expect((await identify(input, DEFAULT_LIMITS)).id).toBe('caffe')
  await fails({ 'n.caffemodel': bytes }, 'n.caffemodel', /at byte 10: expected 0, 1, 2, 3 or 5, found 4/)
})

test('text errors have line and token; a template is called one', async () => {
  await fails({ 'n.prototxt': text(`${TEXT}\nlayer { name: "b" type: "ReLU" } }`) }, 'n.prototxt', /line 2/)
  const template = TEXT.replace('bottom: "x"', 'scale_param { axis: $SCALE_WIDTH }')
  await fails(
    { 'n.prototxt': text(template) },
    'n.prototxt',
    /value on line 1 at byte \d+: expected a value, found the placeholder \$SCALE_WIDTH\. This is a template/,
  )
})

test('partners: the only one that fits, never a guess', async () => {
  const other = text(TEXT.replace('"a"', '"b"'))
  const files = { 'w.caffemodel': model, 'x.prototxt': text(TEXT), 'y.prototxt': other }
  const { model: read } = await readAll(caffe, { files, main: 'w.caffemodel' })
  expect(read.files.map(({ name }) => name)).toEqual(['w.caffemodel', 'x.prototxt'])
  const { model: unsure } = await readAll(caffe, {
    files: { ...files, 'z.prototxt': text(TEXT) },
    main: 'w.caffemodel',
  })
  expect(unsure.warnings[0]?.message).toMatch(/x\.prototxt, z\.prototxt all fit/)
  const { model: alone } = await readAll(caffe, {
    files: { 'y.prototxt': other, 'w.caffemodel': model },
    main: 'y.prototxt',
  })
  expect(alone.warnings[0]?.message).toMatch(/The layers of w\.caffemodel are others/)
})

test('a pair by name that does not match says what is missing on either side', async () => {
  const files = { 'n.caffemodel': model, 'n.prototxt': text(TEXT.replace('"a"', '"b"')) }
  const { model: read } = await readAll(caffe, { files, main: 'n.prototxt' })
  expect(read.warnings.map(({ code }) => code)).toEqual([
    'UNKNOWN_BLOBS',
    'LAYERS_NOT_IN_PROTOTXT',
    'LAYERS_WITHOUT_WEIGHTS',
  ])
})

describeOracle(['mtcnn-pnet/caffe/det1.caffemodel', 'ultraface-slim-320/caffe/slim-320.caffemodel'], (read, file) => {
  expect(read.files).toHaveLength(2)
  expect(read.warnings, file).toEqual([])
})

sharedTest('mtcnn P-Net: opened by its prototxt it has the same weights', async () => {
  const input = await openInput(sharedModel('mtcnn-pnet/caffe/det1.prototxt'))
  const read = await caffe.read(input, DEFAULT_LIMITS)
  await input.close()
  expect(read.tensors).toHaveLength(13)
  expect(read.graphs[0]?.inputs).toEqual([{ name: 'data', dtype: 'float32', shape: [1, 3, 12, 12] }])
})
