import { describe, expect, test } from 'vitest'
import {
  codebookArray,
  floatArray,
  halfArray,
  int8Array,
  ncnnBin,
  ncnnParam,
  rawArray,
  words,
} from '../../../test/build/ncnn.ts'
import { describeConformance, readAll, type Sample } from '../../../test/conformance.ts'
import { describeOracle } from '../../../test/shared-models.ts'
import { FormatError } from '../../errors.ts'
import { readTensor } from '../../tensor/tensor.ts'
import { ncnn } from './ncnn.ts'

const param = ncnnParam(
  'Input data 0 1 data 0=4 1=5 2=2',
  'Convolution conv 1 1 data a 0=2 1=1 5=1 6=4',
  'PReLU slope 1 1 a b 0=2',
  'InnerProduct fc 1 1 b c 0=3 1=0 2=6 -23310=2,0.5,1.5',
)
const bin = ncnnBin(floatArray([1, 2, 3, 4]), rawArray([5, 6]), rawArray([0.1, 0.2]), halfArray([1, 2, 3, 4, 5, 6]))
const pair: Sample = { files: { 'net.param': param, 'net.bin': bin }, main: 'net.param', victim: 'net.bin' }

describe('conformance', () => {
  describeConformance(ncnn, {
    'param with its bin': pair,
    'bin with its param': { ...pair, main: 'net.bin' },
    'binary param': binaryPair(),
  })
  describeConformance(
    ncnn,
    { 'bin, param damaged': { ...pair, main: 'net.bin', victim: 'net.param' } },
    { mayReadCut: 'the text may lose its last newline or the end of a last number that no size depends on' },
  )
})

function binaryPair(): Sample {
  // Input (16) -> Convolution (6) with 1 output, kernel 1 x 1, bias
  const file = words(
    ...[7767517, 2, 2],
    ...[16, 0, 1, 0, 0, 4, 1, 5, 2, 2, -233],
    ...[6, 1, 1, 0, 1, 0, 1, 1, 1, 5, 1, 6, 2, -233],
  )
  const weights = ncnnBin(floatArray([1, 2]), rawArray([3]))
  return { files: { 'net.param.bin': file, 'net.bin': weights }, main: 'net.param.bin' }
}

const shapesOf = async (sample: Sample) => {
  const { model } = await readAll(ncnn, sample)
  return model.tensors.map(({ name, dtype, shape }) => `${name} ${dtype} [${shape}]`)
}

test('tensors come in the order of the layers, with shapes from the parameters', async () => {
  expect(await shapesOf(pair)).toEqual([
    'conv/weight float32 [2,2,1,1]',
    'conv/bias float32 [2]',
    'slope/slope float32 [2]',
    'fc/weight float16 [3,2]',
  ])
})

test('the graph has names for numbers, inputs without a batch, and owned tensors', async () => {
  const { model } = await readAll(ncnn, pair)
  const [graph] = model.graphs
  expect(graph?.inputs).toEqual([{ name: 'data', dtype: 'float32', shape: [2, 5, 4] }])
  expect(graph?.outputs).toEqual([{ name: 'c' }])
  expect(graph?.nodes[1]).toMatchObject({
    op: 'Convolution',
    attributes: { num_output: 2, kernel_w: 1, bias_term: 1, weight_data_size: 4 },
    parameters: [
      { role: 'weight', tensor: 'conv/weight' },
      { role: 'bias', tensor: 'conv/bias' },
    ],
  })
  expect(graph?.nodes[3]?.attributes.activation_params).toEqual([0.5, 1.5])
})

test('int8 weights carry their scales as reciprocals', async () => {
  const sample: Sample = {
    files: {
      'q.param': ncnnParam('Input i 0 1 x', 'Convolution conv 1 1 x y 0=2 1=1 5=0 6=6 8=1'),
      'q.bin': ncnnBin(int8Array([1, -2, 3, 4, 5, 6]), rawArray([2, 4]), rawArray([8])),
    },
    main: 'q.param',
  }
  const { model } = await readAll(ncnn, sample)
  expect(model.tensors[0]).toMatchObject({
    dtype: 'int8',
    shape: [2, 3, 1, 1],
    quantization: { scales: [0.5, 0.25], zeroPoints: [0, 0], axis: 0 },
  })
  expect(model.tensors.map(({ name }) => name)).toEqual(['conv/weight', 'conv/weight_scale', 'conv/input_scale'])
})

test('codebook weights are shown as the values that they stand for', async () => {
  const sample: Sample = {
    files: {
      'k.param': ncnnParam('Input i 0 1 x', 'InnerProduct fc 1 1 x y 0=1 1=0 2=3'),
      'k.bin': ncnnBin(codebookArray([0, 1.5, -2], [2, 0, 1])),
    },
    main: 'k.bin',
  }
  const { model } = await readAll(ncnn, sample)
  const bytes = await readTensor(model.tensors[0]!)
  expect([...new Float32Array(bytes.slice().buffer)]).toEqual([-2, 0, 1.5])
  expect(model.warnings.map(({ code }) => code)).toEqual(['CODEBOOK_WEIGHTS'])
})

const fails = async (files: Record<string, Uint8Array>, main: string, sentence: string | RegExp) => {
  const error = await readAll(ncnn, { files, main }).catch((caught: unknown) => caught)
  expect(error).toBeInstanceOf(FormatError)
  expect((error as Error).message).toMatch(sentence)
}

test('bytes must add up', async () => {
  const longer = new Uint8Array([...bin, 0, 0, 0, 0])
  await fails(
    { 'a.param': param, 'a.bin': longer },
    'a.param',
    /a\.bin: end of the last layer at byte 52: .*4 more bytes/,
  )
  await fails({ 'a.param': param, 'a.bin': bin.subarray(0, 20) }, 'a.param', /"conv\/bias" of Convolution at byte 20/)
})

test('a layer of unknown size ends the search, one known to have no weights does not', async () => {
  const files = { 'a.param': ncnnParam('Input i 0 1 x', 'MyLayer m 1 1 x y', 'PReLU p 1 1 y z 0=1'), 'a.bin': bin }
  await fails(files, 'a.param', /a\.param: layer "m" of type MyLayer at byte 26/)
})

test('a bin without its param says what is missing; a param alone gives the graph', async () => {
  await fails({ 'a.bin': bin }, 'a.bin', /Put the \.param beside it/)
  const { model } = await readAll(ncnn, { files: { 'a.param': param }, main: 'a.param' })
  expect([model.tensors.length, model.graphs[0]?.nodes.length]).toEqual([0, 4])
  expect(model.warnings[0]?.code).toBe('WEIGHTS_NOT_FOUND')
})

test('a partner of another name is taken when it is the only one that fits', async () => {
  const files = { 'net.param': param, 'other.bin': bin.subarray(8), 'weights.bin': bin }
  const { model } = await readAll(ncnn, { files, main: 'net.param' })
  expect(model.files.map(({ name }) => name)).toEqual(['net.param', 'weights.bin'])
})

test('broken text is reported with its line', async () => {
  const text = (body: string) => new TextEncoder().encode(body)
  await fails(
    { 'a.param': text('7767517\n1 1\nInput data 0 2 x\n') },
    'a.param',
    /blobs of layer "data" in line 3 at byte 12/,
  )
  await fails({ 'a.param': text('7767517\n2 1\nInput data 0 1 x\n') }, 'a.param', /expected 2 layers, found 1/)
  await fails(
    { 'a.param': text('7767517\n1 1\nInput data 0 1 x 0=1,x\n') },
    'a.param',
    /parameter of layer "data" in line 3/,
  )
})

test('the binary form numbers its layers', async () => {
  expect(await shapesOf(binaryPair())).toEqual(['layer_1/weight float32 [1,2,1,1]', 'layer_1/bias float32 [1]'])
})

describeOracle(['ultraface-slim-320/ncnn/slim_320.bin'], (model) => {
  expect(model.graphs[0]?.nodes.length).toBe(100)
  expect(model.metadata.properties).toEqual({ layers: 100, blobs: 107 })
  expect(model.graphs[0]?.outputs.map(({ name }) => name).sort()).toEqual(['boxes', 'scores'])
})
