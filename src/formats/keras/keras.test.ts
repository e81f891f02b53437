import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { describeConformance, type Sample } from '../../../test/conformance.ts'
import { memoryInput } from '../../../test/memory-input.ts'
import { DEFAULT_LIMITS } from '../../bytes/limits.ts'
import type { Model } from '../../model/model.ts'
import { validateModel } from '../../model/validate.ts'
import { readTensor } from '../../tensor/tensor.ts'
import { kerasH5 } from './keras-h5.ts'
import { kerasV3 } from './keras-v3.ts'

const root = resolve(import.meta.dirname, '../../..')
const frameworks = `${root}/test/fixtures/frameworks`

interface OracleTensor {
  name: string
  dtype: string
  shape: number[]
  sha256?: string
  values?: string | string[]
}

interface OracleFile {
  file: string
  format: string
  tensors: OracleTensor[]
  facts: { error?: string; optimizer?: string; wholeModel?: boolean; learningRate?: number }
}

async function open(path: string): Promise<Model> {
  const name = path.split('/').at(-1)!
  const format = name.endsWith('.keras') ? kerasV3 : kerasH5
  const model = await format.read(memoryInput({ [name]: readFileSync(path) }, name), DEFAULT_LIMITS)
  return validateModel(model, DEFAULT_LIMITS)
}

async function checkTensors(model: Model, expected: readonly OracleTensor[]): Promise<void> {
  expect(model.tensors.map(({ name }) => name).sort()).toEqual(expected.map(({ name }) => name).sort())
  const byName = new Map(model.tensors.map((tensor) => [tensor.name, tensor]))
  for (const { name, dtype, shape, sha256, values } of expected) {
    const tensor = byName.get(name)!
    expect({ name, dtype: tensor.dtype, shape: tensor.shape }).toEqual({ name, dtype, shape })
    const bytes = await readTensor(tensor)
    if (values !== undefined) expect(textsOf(bytes)).toEqual([values].flat())
    else expect(createHash('sha256').update(bytes).digest('hex'), name).toBe(sha256)
  }
}

function textsOf(bytes: Uint8Array): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const texts: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = view.getUint32(at, true)
    texts.push(new TextDecoder().decode(bytes.subarray(at + 4, at + 4 + length)))
    at += 4 + length
  }
  return texts
}

/** `layer: role=tensor ...` for every node that has weights. */
const parametersOf = (model: Model) =>
  (model.graphs[0]?.nodes ?? [])
    .filter((node) => node.parameters)
    .map(
      ({ name, op, parameters }) =>
        `${name} ${op}: ${parameters!.map(({ role, tensor }) => `${role}=${tensor}`).join(' ')}`,
    )

describe('files by real Keras and h5py', () => {
  const oracle = JSON.parse(readFileSync(`${frameworks}/oracle.json`, 'utf8')) as { files: OracleFile[] }
  const ours = oracle.files.filter(({ file, facts }) => /\.(h5|keras)$/.test(file) && facts.error === undefined)

  test.each(ours)('$file: names, types, shapes, values', async ({ file, tensors, facts }) => {
    const model = await open(`${frameworks}/${file}`)
    await checkTensors(model, tensors)
    const warnings = model.warnings.map(({ code, message }) => `${code} ${message}`)
    expect(warnings.filter((text) => /UNCLAIMED|MISSING|GRAPH/.test(text))).toEqual([])
    if (facts.optimizer) expect(model.training?.optimizer?.name).toBe(facts.optimizer)
    if (facts.learningRate) {
      expect(model.training?.optimizer?.groups[0]?.learning_rate).toBeCloseTo(facts.learningRate, 6)
    }
    for (const graph of model.graphs) {
      const kernels = graph.nodes.filter(({ op }) => /^(Dense|Conv2D|DepthwiseConv2D|Embedding)$/.test(op))
      for (const node of kernels) expect(node.parameters?.[0]?.role, node.name).toMatch(/kernel|embeddings/)
    }
  })

  test.each([
    ['keras-2/nested.h5', 'model_weights/part/same_name/kernel:0', 'model_weights/same_name/same_name/kernel:0'],
    [
      'keras-3/nested-legacy.h5',
      'model_weights/part/part/same_name/kernel',
      'model_weights/same_name/same_name/kernel',
    ],
    ['keras-3/nested.keras', 'layers/sequential/layers/dense/vars/0', 'layers/dense/vars/0'],
  ])('%s: inner and outer layers of one name keep apart', async (file, inner, outer) => {
    const model = await open(`${frameworks}/${file}`)
    const kernels = parametersOf(model).map((line) => line.replace(/ bias=.*/, ''))
    // The inner model is called twice, with the same weights.
    expect(kernels).toEqual([
      `part/same_name Dense: kernel=${inner}`,
      `part@1/same_name Dense: kernel=${inner}`,
      `same_name Dense: kernel=${outer}`,
    ])
  })

  test('recurrent layers: cells and directions', async () => {
    expect(parametersOf(await open(`${frameworks}/keras-3/recurrent.keras`))).toMatchInlineSnapshot(`
      [
        "embed Embedding: embeddings=layers/embedding/vars/0",
        "both Bidirectional: backward_layer/kernel=layers/bidirectional/backward_layer/cell/vars/0 backward_layer/recurrent_kernel=layers/bidirectional/backward_layer/cell/vars/1 backward_layer/bias=layers/bidirectional/backward_layer/cell/vars/2 forward_layer/kernel=layers/bidirectional/forward_layer/cell/vars/0 forward_layer/recurrent_kernel=layers/bidirectional/forward_layer/cell/vars/1 forward_layer/bias=layers/bidirectional/forward_layer/cell/vars/2",
        "gru GRU: kernel=layers/gru/cell/vars/0 recurrent_kernel=layers/gru/cell/vars/1 bias=layers/gru/cell/vars/2",
        "out Dense: kernel=layers/dense/vars/0 bias=layers/dense/vars/1",
      ]
    `)
    expect(parametersOf(await open(`${frameworks}/keras-2/recurrent.h5`))).toMatchInlineSnapshot(`
      [
        "embed Embedding: embeddings=model_weights/embed/embed/embeddings:0",
        "both Bidirectional: forward_inner/kernel=model_weights/both/both/forward_inner/lstm_cell/kernel:0 forward_inner/recurrent_kernel=model_weights/both/both/forward_inner/lstm_cell/recurrent_kernel:0 forward_inner/bias=model_weights/both/both/forward_inner/lstm_cell/bias:0 backward_inner/kernel=model_weights/both/both/backward_inner/lstm_cell/kernel:0 backward_inner/recurrent_kernel=model_weights/both/both/backward_inner/lstm_cell/recurrent_kernel:0 backward_inner/bias=model_weights/both/both/backward_inner/lstm_cell/bias:0",
        "gru GRU: kernel=model_weights/gru/gru/gru_cell/kernel:0 recurrent_kernel=model_weights/gru/gru/gru_cell/recurrent_kernel:0 bias=model_weights/gru/gru/gru_cell/bias:0",
        "out Dense: kernel=model_weights/out/out/kernel:0 bias=model_weights/out/out/bias:0",
      ]
    `)
  })

  test('kinds of layers', async () => {
    expect(parametersOf(await open(`${frameworks}/keras-3/kinds.keras`))).toMatchInlineSnapshot(`
      [
        "depthwise DepthwiseConv2D: kernel=layers/depthwise_conv2d/vars/0 bias=layers/depthwise_conv2d/vars/1",
        "separable SeparableConv2D: depthwise_kernel=layers/separable_conv2d/vars/0 pointwise_kernel=layers/separable_conv2d/vars/1 bias=layers/separable_conv2d/vars/2",
        "up Conv2DTranspose: kernel=layers/conv2d_transpose/vars/0 bias=layers/conv2d_transpose/vars/1",
        "norm LayerNormalization: gamma=layers/layer_normalization/vars/0 beta=layers/layer_normalization/vars/1",
        "slope PReLU: alpha=layers/p_re_lu/vars/0",
      ]
    `)
    expect(parametersOf(await open(`${frameworks}/keras-2/kinds.h5`))).toMatchInlineSnapshot(`
      [
        "depthwise DepthwiseConv2D: depthwise_kernel=model_weights/depthwise/depthwise/depthwise_kernel:0 bias=model_weights/depthwise/depthwise/bias:0",
        "separable SeparableConv2D: depthwise_kernel=model_weights/separable/separable/depthwise_kernel:0 pointwise_kernel=model_weights/separable/separable/pointwise_kernel:0 bias=model_weights/separable/separable/bias:0",
        "up Conv2DTranspose: kernel=model_weights/up/up/kernel:0 bias=model_weights/up/up/bias:0",
        "norm LayerNormalization: gamma=model_weights/norm/norm/gamma:0 beta=model_weights/norm/norm/beta:0",
        "slope PReLU: alpha=model_weights/slope/slope/alpha:0",
      ]
    `)
  })
})

describe('the digits port', () => {
  const digits = `${root}/examples/digits`

  test('the same graph and weights from .h5 and .keras', async () => {
    const [legacy, archive] = [
      await open(`${digits}/candidate/digits.h5`),
      await open(`${digits}/candidate/digits.keras`),
    ]
    const shape = ({ graphs }: Model) =>
      graphs[0]!.nodes.map(({ name, op, inputs, outputs }) => [name, op, inputs, outputs])
    expect(shape(archive)).toEqual(shape(legacy))
    const roles = ({ graphs }: Model) =>
      graphs[0]!.nodes.map(({ name, parameters }) => [name, parameters?.map(({ role }) => role)])
    expect(roles(archive)).toEqual(roles(legacy))
    for (const node of archive.graphs[0]!.nodes) {
      const twin = legacy.graphs[0]!.nodes.find(({ name }) => name === node.name)!
      for (const [index, { tensor }] of (node.parameters ?? []).entries()) {
        const find = (model: Model, name: string) =>
          readTensor(model.tensors.find((candidate) => candidate.name === name)!)
        expect(Buffer.compare(await find(archive, tensor), await find(legacy, twin.parameters![index]!.tensor))).toBe(0)
      }
    }
    expect(archive.graphs[0]).toMatchObject({
      name: 'digits',
      inputs: [{ name: 'pixels', dtype: 'float32', shape: [null, 16, 12, 3] }],
      outputs: [{ name: 'dense_1' }],
    })
    expect(archive.metadata).toMatchObject({ framework: 'keras', frameworkVersion: '3.15.1', name: 'digits' })
    expect(archive.warnings).toEqual([])
    expect(legacy.warnings).toEqual([])
  })

  test('a weights file is recognised as one', async () => {
    const model = await open(`${digits}/candidate/digits.weights.h5`)
    expect(model.variant).toBe('Keras 3 weights (HDF5)')
    expect(model.graphs).toEqual([])
    expect(model.tensors.every(({ role }) => role !== 'other')).toBe(true)
    // four BatchNormalizations, of which nothing but the folders' names tells
    const buffers = model.tensors.filter(({ role }) => role === 'buffer').map(({ name }) => name)
    expect(buffers.length).toBe(8)
    expect(buffers.every((name) => /batch_normalization(_\d)?\/vars\/[23]$/.test(name))).toBe(true)
  })
})

const shared = resolve(root, '../shared/data/models')
describe.skipIf(!existsSync(shared))('real models (skipped where ../shared/data is absent)', () => {
  test('mlperf-tiny ResNet-8, Keras 2.4', async () => {
    const oracle = JSON.parse(readFileSync(`${shared}/oracle.json`, 'utf8')) as { expected: OracleFile[] }
    const file = 'mlperf-tiny-resnet8/pretrainedResnet.h5'
    const model = await open(`${shared}/${file}`)
    await checkTensors(model, oracle.expected.find((entry) => entry.file === file)!.tensors)
    expect(model.metadata).toMatchObject({ frameworkVersion: '2.4.0', properties: { backend: 'tensorflow' } })
    expect(model.graphs[0]).toMatchObject({
      inputs: [{ name: 'input_1', shape: [null, 32, 32, 3] }],
      outputs: [{ name: 'dense' }],
    })
    expect(model.graphs[0]!.nodes.filter(({ op }) => op === 'Conv2D')).toHaveLength(9)
    expect(parametersOf(model)[1]).toBe(
      'batch_normalization BatchNormalization: ' +
        ['gamma', 'beta', 'moving_mean', 'moving_variance']
          .map((role) => `${role}=model_weights/batch_normalization/batch_normalization/${role}:0`)
          .join(' '),
    )
    expect(model.training).toMatchObject({
      optimizer: { name: 'Adam', groups: [{ beta_1: 0.8999999761581421, amsgrad: false }] },
      other: { loss: 'categorical_crossentropy' },
    })
    const roles = (role: string) => model.tensors.filter((tensor) => tensor.role === role).length
    expect([roles('parameter'), roles('buffer'), roles('optimizer')]).toEqual([34, 14, 69])
    expect(model.warnings).toEqual([])
  })
})

const sample = (path: string): Sample => {
  const name = path.split('/').at(-1)!
  return { files: { [name]: readFileSync(`${root}/test/fixtures/${path}`) }, main: name }
}

describe('conformance', () => {
  describeConformance(
    kerasH5,
    {
      'old types': sample('hdf5/types-old.h5'),
      'latest types': sample('hdf5/dtypes-latest.h5'),
      text: sample('hdf5/text.h5'),
      chunks: sample('hdf5/chunks-latest.h5'),
      'old chunks': sample('hdf5/chunks-old.h5'),
      'extensible array': sample('hdf5/index-extensible.h5'),
      'old groups': sample('hdf5/groups-old.h5'),
      'dense groups': sample('hdf5/groups-latest.h5'),
      weights: sample('frameworks/keras-2/nested-weights.h5'),
    },
    { cuts: 300, flips: 300 },
  )
  describeConformance(kerasV3, { archive: sample('frameworks/keras-3/bfloat16.keras') }, { cuts: 300, flips: 300 })
})
