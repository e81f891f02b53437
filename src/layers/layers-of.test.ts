import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { plainModel, plainNode, plainTensor } from '../../test/build/plain-model.ts'
import { openInput } from '../host/open-input.ts'
import { readModel } from '../tasks/open-model.ts'
import { layersOf } from './layers-of.ts'

const ints = (name: string, ...values: number[]) =>
  plainTensor(name, [values.length], { values, dtype: 'int64', role: 'constant' })
const ints32 = (name: string, shape: number[], ...values: number[]) =>
  plainTensor(name, shape, { values, dtype: 'int32', role: 'constant' })
const param = (role: string, tensor: string) => ({ role, tensor })
const total = (layers: readonly { macs?: number }[]) => layers.reduce((sum, { macs }) => sum + (macs ?? 0), 0)

describe('one small network in every dialect: 3 x 3 convolution to 4 channels, ReLU, pool, dense to 5', () => {
  // input 3 x 8 x 8; convolution 4 * 8 * 8 outputs of 27; pool to 4 x 4; dense 5 of 64
  const MACS = 4 * 8 * 8 * 27 + 5 * 64

  test('ONNX: weights are operands, the reshape target is an initializer', async () => {
    const model = plainModel('onnx', {
      input: ['x', [null, 3, 8, 8]],
      tensors: [
        plainTensor('w', [4, 3, 3, 3]),
        plainTensor('b', [4]),
        ints('target', 0, -1),
        plainTensor('fc', [5, 64]),
      ],
      nodes: [
        plainNode('Conv', 'conv', ['x', 'w', 'b'], { attributes: { kernel_shape: [3, 3], pads: [1, 1, 1, 1] } }),
        plainNode('Relu', 'relu', ['conv']),
        plainNode('MaxPool', 'pool', ['relu'], { attributes: { kernel_shape: [2, 2], strides: [2, 2] } }),
        plainNode('Reshape', 'flat', ['pool', 'target']),
        plainNode('Gemm', 'out', ['flat', 'fc'], { attributes: { transB: 1 } }),
      ],
    })
    const layers = await layersOf(model)
    expect(layers.map(({ kind }) => kind)).toEqual(['conv', 'activation', 'pool', 'reshape', 'dense'])
    expect(layers[0]).toMatchObject({
      weights: [
        { role: 'kernel', tensor: 'w', layout: 'OIHW' },
        { role: 'bias', tensor: 'b' },
      ],
      inputs: ['x'],
      outputShapes: [[1, 4, 8, 8]],
      macs: 6912,
    })
    expect(layers[4]!.weights).toEqual([{ role: 'kernel', tensor: 'fc', layout: 'OI' }])
    expect(layers[4]!.outputShapes).toEqual([[1, 5]])
    expect(total(layers)).toBe(MACS)
  })

  test('Keras: layers own their weights, activations are fused, the batch is left out of targets', async () => {
    const model = plainModel('keras-v3', {
      input: ['x', [null, 8, 8, 3]],
      tensors: [plainTensor('c/kernel', [3, 3, 3, 4]), plainTensor('d/kernel', [64, 5])],
      nodes: [
        plainNode('Conv2D', 'c', ['x'], {
          attributes: { filters: 4, kernel_size: [3, 3], strides: [1, 1], padding: 'same', activation: 'relu' },
          parameters: [param('kernel', 'c/kernel')],
        }),
        plainNode('MaxPooling2D', 'p', ['c'], { attributes: { pool_size: [2, 2], strides: null, padding: 'valid' } }),
        plainNode('Flatten', 'f', ['p']),
        plainNode('Dense', 'd', ['f'], {
          attributes: { units: 5, activation: 'linear' },
          parameters: [param('kernel', 'd/kernel')],
        }),
      ],
    })
    const layers = await layersOf(model)
    expect(layers[0]).toMatchObject({
      kind: 'conv',
      fusedActivation: 'relu',
      attributes: { padding: 'same-upper', dataFormat: 'channels-last' },
    })
    expect(layers[0]!.weights).toEqual([{ role: 'kernel', tensor: 'c/kernel', layout: 'HWIO' }])
    expect(layers[3]!.fusedActivation).toBeUndefined()
    expect(total(layers)).toBe(MACS)
  })

  test('Keras 1 spells the same otherwise', async () => {
    const model = plainModel('keras-h5', {
      input: ['x', [null, 8, 8, 3]],
      nodes: [
        plainNode('Convolution2D', 'c', ['x'], {
          attributes: {
            nb_filter: 4,
            nb_row: 3,
            nb_col: 3,
            subsample: [2, 2],
            border_mode: 'same',
            dim_ordering: 'tf',
          },
        }),
      ],
    })
    expect((await layersOf(model))[0]).toMatchObject({
      attributes: { kernelSize: [3, 3], strides: [2, 2], padding: 'same-upper', outputSize: 4 },
      outputShapes: [[1, 4, 4, 4]],
    })
  })

  test('TFLite: [O, H, W, I] kernels, sizes from the kernel, shapes as operands', async () => {
    const model = plainModel('tflite', {
      input: ['x', [1, 8, 8, 3]],
      tensors: [plainTensor('w', [4, 3, 3, 3]), ints32('s', [2], -1, 64), plainTensor('fc', [5, 64])],
      nodes: [
        plainNode('CONV_2D', 'c', ['x', 'w'], {
          attributes: { padding: 'SAME', stride_w: 1, stride_h: 1, fused_activation_function: 'RELU6' },
        }),
        plainNode('MAX_POOL_2D', 'p', ['c'], {
          attributes: { padding: 'VALID', stride_w: 2, stride_h: 2, filter_width: 2, filter_height: 2 },
        }),
        plainNode('RESHAPE', 'r', ['p', 's']),
        plainNode('FULLY_CONNECTED', 'd', ['r', 'fc']),
      ],
    })
    const layers = await layersOf(model)
    expect(layers[0]).toMatchObject({ fusedActivation: 'relu6', weights: [{ layout: 'OHWI' }] })
    expect(total(layers)).toBe(MACS)
  })

  test('TensorFlow: weights behind Identity, lists over all axes, control inputs', async () => {
    const model = plainModel('tf-graphdef', {
      input: ['x', [null, 8, 8, 3]],
      tensors: [plainTensor('w', [3, 3, 3, 4]), plainTensor('fc', [64, 5]), ints32('shape', [2], -1, 64)],
      nodes: [
        plainNode('Const', 'w', []),
        plainNode('Identity', 'w/read', ['w']),
        plainNode('Conv2D', 'c', ['x', 'w/read', '^init'], {
          attributes: { strides: [1, 1, 1, 1], padding: 'SAME', data_format: 'NHWC' },
        }),
        plainNode('MaxPool', 'p', ['c'], {
          attributes: { ksize: [1, 2, 2, 1], strides: [1, 2, 2, 1], padding: 'VALID' },
        }),
        plainNode('Reshape', 'r', ['p', 'shape']),
        plainNode('MatMul', 'd', ['r', 'fc'], { attributes: { transpose_b: false } }),
      ],
    })
    const layers = await layersOf(model)
    expect(layers.find(({ op }) => op === 'Conv2D')).toMatchObject({
      inputs: ['x'],
      weights: [{ tensor: 'w', layout: 'HWIO' }],
    })
    expect(total(layers)).toBe(MACS)
  })

  test('Caffe: options inside a message, pools that round up', async () => {
    const model = plainModel('caffe', {
      input: ['x', [1, 3, 8, 8]],
      tensors: [plainTensor('c/0', [4, 3, 3, 3]), plainTensor('d/0', [5, 64])],
      nodes: [
        plainNode('Convolution', 'c', ['x'], {
          attributes: { convolution_param: { num_output: 4, kernel_size: [3], pad: [1] } },
          parameters: [param('blob 0', 'c/0')],
        }),
        plainNode('Pooling', 'p', ['c'], { attributes: { pooling_param: { pool: 'MAX', kernel_size: 2, stride: 2 } } }),
        plainNode('InnerProduct', 'd', ['p'], {
          attributes: { inner_product_param: { num_output: 5 } },
          parameters: [param('blob 0', 'd/0')],
        }),
      ],
    })
    const layers = await layersOf(model)
    expect(layers[1]!.attributes).toMatchObject({ ceilMode: true, function: 'max' })
    expect(total(layers)).toBe(MACS)
  })

  test('ncnn: no batch in the file', async () => {
    const model = plainModel('ncnn', {
      input: ['x', [3, 8, 8]],
      tensors: [plainTensor('c/weight', [4, 3, 3, 3]), plainTensor('d/weight', [5, 64])],
      nodes: [
        plainNode('Convolution', 'c', ['x'], {
          attributes: { num_output: 4, kernel_w: 3, pad_left: 1, activation_type: 1 },
          parameters: [param('weight', 'c/weight')],
        }),
        plainNode('Pooling', 'p', ['c'], { attributes: { pooling_type: 0, kernel_w: 2, stride_w: 2 } }),
        plainNode('InnerProduct', 'd', ['p'], {
          attributes: { num_output: 5 },
          parameters: [param('weight', 'd/weight')],
        }),
      ],
    })
    const layers = await layersOf(model)
    expect(layers[0]).toMatchObject({ fusedActivation: 'relu', outputShapes: [[1, 4, 8, 8]] })
    expect(total(layers)).toBe(MACS)
  })

  test('Darknet: options of sections', async () => {
    const model = plainModel('darknet', {
      input: ['x', [null, 3, 8, 8]],
      tensors: [plainTensor('c/weights', [4, 3, 3, 3]), plainTensor('d/weights', [5, 64])],
      nodes: [
        plainNode('convolutional', 'c', ['x'], {
          attributes: { filters: 4, size: 3, pad: 1, stride: 1, activation: 'leaky', batch_normalize: 1 },
          parameters: [param('weights', 'c/weights')],
        }),
        plainNode('maxpool', 'p', ['c'], { attributes: { size: 2, stride: 2 } }),
        plainNode('connected', 'd', ['p'], { attributes: { output: 5 }, parameters: [param('weights', 'd/weights')] }),
      ],
    })
    const layers = await layersOf(model)
    expect(layers[0]).toMatchObject({ fusedActivation: 'leaky-relu', attributes: { alpha: 0.1, epsilon: 1e-6 } })
    expect(total(layers)).toBe(MACS)
  })
})

test('defaults are those of the format, not one for all', async () => {
  const epsilon = async (format: string, op: string) =>
    (await layersOf(plainModel(format, { input: ['x', [1, 2]], nodes: [plainNode(op, 'bn', ['x'])] })))[0]!.attributes
      .epsilon
  expect(await epsilon('onnx', 'BatchNormalization')).toBe(1e-5)
  expect(await epsilon('keras-h5', 'BatchNormalization')).toBe(1e-3)
  expect(await epsilon('caffe', 'BatchNorm')).toBe(1e-5)
})

test('the arithmetic of an exported flatten is followed: Shape, Gather, Unsqueeze, Concat, Reshape', async () => {
  const model = plainModel('onnx', {
    input: ['x', [2, 3, 4, 5]],
    tensors: [
      plainTensor('zero', [], { values: [0], dtype: 'int64', role: 'constant' }),
      ints('axis', 0),
      ints('rest', -1),
    ],
    nodes: [
      plainNode('Shape', 'shape', ['x'], { domain: 'ai.onnx' }),
      plainNode('Gather', 'batch', ['shape', 'zero'], { domain: 'ai.onnx' }),
      plainNode('Unsqueeze', 'list', ['batch', 'axis'], { domain: 'ai.onnx' }),
      plainNode('Concat', 'target', ['list', 'rest'], { attributes: { axis: 0 } }),
      plainNode('Reshape', 'flat', ['x', 'target']),
    ],
  })
  expect((await layersOf(model)).at(-1)!.outputShapes).toEqual([[2, 60]])
})

test('a quantised kernel is found behind DequantizeLinear; depthwise and transposed work is counted', async () => {
  const model = plainModel('onnx', {
    input: ['x', [1, 8, 10, 10]],
    tensors: [plainTensor('q', [8, 1, 3, 3], { dtype: 'int8' }), plainTensor('s', []), plainTensor('t', [8, 2, 2, 2])],
    nodes: [
      plainNode('DequantizeLinear', 'w', ['q', 's']),
      plainNode('Conv', 'c', ['x', 'w'], { attributes: { group: 8, auto_pad: 'SAME_UPPER' } }),
      plainNode('ConvTranspose', 'u', ['c', 't'], { attributes: { strides: [2, 2] } }),
    ],
  })
  const [, conv, up] = await layersOf(model)
  expect(conv).toMatchObject({ weights: [{ role: 'kernel', tensor: 'q' }], macs: 8 * 100 * 9 })
  expect(up).toMatchObject({ outputShapes: [[1, 2, 20, 20]], macs: 8 * 100 * 2 * 4 })
})

test('called functions stand in place of their calls', async () => {
  const model = plainModel('onnx', {
    input: ['x', [1, 4]],
    tensors: [plainTensor('w', [4, 3])],
    nodes: [plainNode('Block', 'call', ['x', 'w'], { domain: 'my' })],
  })
  const body = {
    name: 'my::Block',
    kind: 'function' as const,
    inputs: [{ name: 'a' }, { name: 'b' }],
    outputs: [{ name: 'c' }],
    nodes: [plainNode('MatMul', 'm', ['a', 'b']), { ...plainNode('Relu', 'r', ['m']), outputs: ['c'] }],
    values: new Map(),
  }
  const layers = await layersOf({ ...model, graphs: [...model.graphs, body] })
  expect(layers.map(({ name, outputs, macs }) => [name, outputs, macs])).toEqual([
    ['call/m', ['call/m'], 12],
    ['call/r', ['call'], undefined],
  ])
})

test('functions that call themselves, or double at every level, end', async () => {
  const twice = (callee: string, name: string) => ({
    name,
    kind: 'function' as const,
    inputs: [{ name: 'a' }],
    outputs: [{ name: 'b' }],
    nodes: [plainNode(callee, 'one', ['a']), { ...plainNode(callee, 'two', ['one']), outputs: ['b'] }],
    values: new Map(),
  })
  const model = plainModel('onnx', { input: ['x', [1]], nodes: [plainNode('f0', 'call', ['x'])] })
  const self = { ...model, graphs: [...model.graphs, twice('f0', 'f0')] }
  expect((await layersOf(self)).map(({ name }) => name)).toEqual(['call/one', 'call/two'])
  const levels = Array.from({ length: 40 }, (_, i) => twice(`f${i + 1}`, `f${i}`))
  expect((await layersOf({ ...model, graphs: [...model.graphs, ...levels] })).length).toBeLessThan(60_000)
})

test('unknown sizes stay unknown until the user gives them', async () => {
  const model = plainModel('onnx', {
    input: ['x', [null, 3, null, null]],
    tensors: [plainTensor('w', [4, 3, 3, 3])],
    nodes: [plainNode('Conv', 'c', ['x', 'w']), plainNode('Mystery', 'm', ['c']), plainNode('Relu', 'r', ['m'])],
  })
  const open = await layersOf(model)
  expect(open[0]!.outputShapes).toEqual([[1, 4, null, null]])
  expect(open[0]!.macs).toBeUndefined()
  const given = await layersOf(model, { x: [1, 3, 5, 5] })
  expect(given[0]).toMatchObject({ outputShapes: [[1, 4, 3, 3]], macs: 4 * 9 * 27 })
  expect(given[2]!.outputShapes).toEqual([undefined])
})

describe('work is never understated in silence', () => {
  test('Shape with start and end (opset 15) gives that part of the shape only', async () => {
    // what torch writes for x.flatten(1) with a free batch: Reshape(x, Concat(Shape(x, 0, 1), [-1]))
    const model = plainModel('onnx', {
      input: ['x', [null, 3, 8, 8]],
      tensors: [ints('rest', -1), plainTensor('fc', [5, 192])],
      nodes: [
        plainNode('Shape', 'batch', ['x'], { attributes: { start: 0, end: 1 } }),
        plainNode('Concat', 'target', ['batch', 'rest'], { attributes: { axis: 0 } }),
        plainNode('Reshape', 'flat', ['x', 'target']),
        plainNode('Gemm', 'out', ['flat', 'fc'], { attributes: { transB: 1 } }),
      ],
    })
    const layers = await layersOf(model)
    expect(layers.map(({ outputShapes }) => outputShapes[0])).toEqual([[1], [2], [1, 192], [1, 5]])
    expect(layers[3]!.macs).toBe(960)
  })

  test('a class token expanded to the batch: Where(Equal(shape, -1), ones, shape)', async () => {
    const model = plainModel('onnx', {
      input: ['x', [null, 4, 8]],
      tensors: [ints('minus', -1), ints('given', 1, -1, -1), ints('three', 3), plainTensor('token', [1, 1, 8])],
      nodes: [
        plainNode('ConstantOfShape', 'ones', ['three'], {
          attributes: { value: { dtype: 'int64', shape: [1], values: [1] } },
        }),
        plainNode('Equal', 'isFree', ['given', 'minus']),
        plainNode('Where', 'target', ['isFree', 'ones', 'given']),
        plainNode('Expand', 'tokens', ['token', 'target']),
        plainNode('Concat', 'out', ['tokens', 'x'], { attributes: { axis: 1 } }),
      ],
    })
    expect((await layersOf(model)).at(-1)!.outputShapes).toEqual([[1, 5, 8]])
  })

  test('operators of other domains and bodies of control flow that multiply are said to be uncounted', async () => {
    const body = plainModel('onnx', { nodes: [plainNode('Conv', 'inner', ['x', 'w'])] }).graphs[0]!
    const model = plainModel('onnx', {
      input: ['x', [1, 8, 8, 8]],
      tensors: [plainTensor('w', [8, 8, 3, 3])],
      nodes: [
        plainNode('Conv', 'blocked', ['x', 'w'], { domain: 'com.microsoft.nchwc' }),
        plainNode('If', 'either', ['blocked'], { subgraphs: { then_branch: body } }),
        plainNode('Relu', 'out', ['either']),
      ],
    })
    const layers = await layersOf(model)
    expect(layers.map(({ name, isUncounted }) => [name, isUncounted])).toEqual([
      ['blocked', true],
      ['either', true],
      ['out', undefined],
    ])
  })

  test('a loop whose body is a function of TensorFlow that multiplies', async () => {
    const body = { ...plainModel('tf-graphdef', { nodes: [plainNode('MatMul', 'm', ['a', 'b'])] }).graphs[0]! }
    const model = plainModel('tf-graphdef', {
      input: ['x', [1, 4]],
      nodes: [plainNode('While', 'loop', ['x'], { attributes: { body: { function: 'body' } } })],
    })
    const graphs = [...model.graphs, { ...body, name: 'body', kind: 'function' as const }]
    expect((await layersOf({ ...model, graphs }))[0]!.isUncounted).toBe(true)
    expect((await layersOf(model))[0]!.isUncounted).toBeUndefined()
  })

  test('the gradients beside a network of TensorFlow 1 are not its work', async () => {
    const model = plainModel('tf-checkpoint', {
      input: ['x', [1, 4]],
      tensors: [plainTensor('w', [4, 3])],
      nodes: [
        plainNode('MatMul', 'out', ['x', 'w']),
        plainNode('MatMul', 'gradients/out_grad/MatMul_1', ['x', 'out'], { attributes: { transpose_a: true } }),
      ],
    })
    const outputs = ['out', 'gradients/out_grad/MatMul_1'].map((name) => ({ name }))
    const layers = await layersOf({ ...model, graphs: [{ ...model.graphs[0]!, outputs }] })
    expect(layers.map(({ name, macs }) => [name, macs])).toEqual([['out', 12]])
  })
})

test('quantised operators of ONNX Runtime pass shapes on', async () => {
  const scales = ['s', 'z'].map((name) => plainTensor(name, []))
  const model = plainModel('onnx', {
    input: ['x', [1, 4, 6, 6]],
    tensors: [...scales, plainTensor('b', [4, 1, 1]), plainTensor('w', [4, 8, 3, 3])],
    nodes: [
      plainNode('QLinearAdd', 'sum', ['x', 's', 'z', 'b', 's', 'z', 's', 'z'], { domain: 'com.microsoft' }),
      plainNode('QLinearSigmoid', 'bent', ['sum', 's', 'z', 's', 'z'], { domain: 'com.microsoft' }),
      plainNode('DequantizeLinear', 'real', ['bent', 's', 'z']),
      plainNode('ConvTranspose', 'out', ['real', 'w']),
    ],
  })
  const layers = await layersOf(model)
  expect(layers.map(({ outputShapes }) => outputShapes[0])).toEqual([
    [1, 4, 6, 6],
    [1, 4, 6, 6],
    [1, 4, 6, 6],
    [1, 8, 8, 8],
  ])
  expect(layers[3]!.macs).toBe(4 * 6 * 6 * 9 * 8)
})

test('Keras containers, crops, augmentation and resizing pass shapes on', async () => {
  const layer = (class_name: string, config: object) => ({ layer: { class_name, config: config as never } })
  const sequence = plainModel('keras-v3', {
    input: ['x', [null, 20, 16]],
    tensors: [
      ...['f', 'b'].flatMap((side) => [plainTensor(`${side}k`, [16, 32]), plainTensor(`${side}r`, [8, 32])]),
      plainTensor('k', [16, 4]),
    ],
    nodes: [
      plainNode('Bidirectional', 'both', ['x'], {
        attributes: { merge_mode: 'concat', ...layer('LSTM', { units: 8, return_sequences: true }) },
        parameters: ['forward_layer', 'backward_layer'].flatMap((side) => [
          param(`${side}/kernel`, `${side[0]}k`),
          param(`${side}/recurrent_kernel`, `${side[0]}r`),
        ]),
      }),
      plainNode('TimeDistributed', 'each', ['both'], {
        attributes: layer('Dense', { units: 4 }),
        parameters: [param('dense_1/kernel', 'k')],
      }),
    ],
  })
  const layers = await layersOf(sequence)
  expect(layers.map(({ op, kind, outputShapes, macs }) => [op, kind, outputShapes[0], macs])).toEqual([
    ['Bidirectional', 'recurrent', [1, 20, 16], 2 * 20 * (16 * 32 + 8 * 32)],
    ['TimeDistributed', 'dense', [1, 20, 4], 20 * 4 * 16],
  ])
  const pictures = plainModel('keras-h5', {
    input: ['x', [null, 28, 30, 3]],
    nodes: [
      plainNode('RandomFlip', 'flip', ['x']),
      plainNode('Cropping2D', 'crop', ['flip'], {
        attributes: {
          cropping: [
            [1, 2],
            [3, 4],
          ],
        },
      }),
      plainNode('Resizing', 'size', ['crop'], { attributes: { height: 8, width: 9 } }),
    ],
  })
  const shapes = (await layersOf(pictures)).map(({ outputShapes }) => outputShapes[0])
  expect(shapes).toEqual([
    [1, 28, 30, 3],
    [1, 25, 23, 3],
    [1, 8, 9, 3],
  ])
})

test('a state dict gives layers by name and rank', async () => {
  const model = plainModel('pytorch', {
    tensors: [
      plainTensor('stem.weight', [8, 3, 3, 3]),
      plainTensor('bn.weight', [8]),
      plainTensor('bn.bias', [8]),
      plainTensor('bn.running_mean', [8], { role: 'buffer' }),
      plainTensor('bn.running_var', [8], { role: 'buffer' }),
      plainTensor('head.fc.weight', [10, 8]),
      plainTensor('head.fc.bias', [10]),
      plainTensor('rnn.weight_ih_l0', [32, 8]),
      plainTensor('rnn.weight_hh_l0', [32, 8]),
    ],
  })
  expect((await layersOf(model)).map(({ name, kind }) => [name, kind])).toEqual([
    ['stem', 'conv'],
    ['bn', 'batch-norm'],
    ['head/fc', 'dense'],
    ['rnn', 'recurrent'],
  ])
})

const corpus = resolve(import.meta.dirname, '../../../shared/data/models')

describe.skipIf(!existsSync(corpus))(
  'multiply-accumulates of well-known networks (../shared/data/models is needed)',
  () => {
    // ResNet-50 (4.09 G), DenseNet-121 (2.83 G), VGG-19 (19.6 G), SqueezeNet 1.1 (0.35 G) as published with torchvision;
    // AlexNet with groups at 224: 101.6 + 207.7 + 127.4 + 95.6 + 63.7 M for convolutions, 58.6 M for dense layers;
    // ResNet-8 of MLPerf Tiny: 12.5 M
    test.each([
      ['onnx/light/light_resnet50.onnx', 4.089e9],
      ['onnx/light/light_densenet121.onnx', 2.834e9],
      ['onnx/light/light_vgg19.onnx', 19.632e9],
      ['onnx/light/light_squeezenet.onnx', 0.349e9],
      ['onnx/light/light_bvlc_alexnet.onnx', 0.6546e9],
      ['onnx/light/light_inception_v1.onnx', 1.4316e9],
      ['mlperf-tiny-resnet8/pretrainedResnet.h5', 12.5e6],
    ])('%s', async (file, expected) => {
      const input = await openInput(resolve(corpus, file))
      const layers = await layersOf(await readModel(input))
      await input.close()
      expect(Math.abs(total(layers) / expected - 1)).toBeLessThan(1e-3)
    })

    test('one detector counts the same in ONNX and Caffe', async () => {
      const work = async (file: string) => {
        const input = await openInput(resolve(corpus, 'ultraface-slim-320', file))
        const layers = await layersOf(await readModel(input))
        await input.close()
        return total(layers)
      }
      const onnx = await work('onnx/version-slim-320.onnx')
      expect(onnx).toBeGreaterThan(8e7)
      expect(await work('caffe/slim-320.caffemodel')).toBe(onnx)
    })
  },
)
