import { expect, test } from 'vitest'
import { plainModel, plainNode, plainTensor } from '../../test/build/plain-model.ts'
import { foldModules } from './fold-modules.ts'
import { layersOf } from './layers-of.ts'
import { buildModuleTree } from './module-tree.ts'
import { splitName } from './tensor-path.ts'

test.each([
  ['layer1.0.conv1.weight', ['layer1', '0', 'conv1', 'weight']],
  ['conv1/conv1/kernel:0', ['conv1', 'conv1', 'kernel']],
  ['/layer1/layer1.0/conv1/Conv', ['layer1', '0', 'conv1', 'Conv']],
  ['const:value', ['value']],
  ['net/a/Relu;net/a/BiasAdd;net/b', ['net', 'a', 'Relu']],
])('%s', (name, expected) => {
  expect(splitName(name)).toEqual(expected)
})

const rowsOf = async (model: ReturnType<typeof plainModel>, maxDepth = 3) =>
  foldModules(buildModuleTree(model, await layersOf(model)), { maxDepth, maxChildren: 20 }).map(
    ({ label, depth, parameters, kinds }) => `${'  '.repeat(depth)}${label} ${parameters} ${kinds.join('+')}`,
  )

test('arrays under no module are seen one by one; what lies beside the model is not seen', async () => {
  const bag = plainModel('npz', { tensors: [plainTensor('arr_a', [3, 4]), plainTensor('arr_b', [5])] })
  expect(await rowsOf(bag)).toEqual(['arr_a 12 other', 'arr_b 5 other'])
  const checkpoint = plainModel('pytorch', {
    tensors: [
      plainTensor('state_dict.fc.weight', [2, 3]),
      plainTensor('state_dict.fc2.weight', [2, 2]),
      plainTensor('callbacks.best.score', [], { role: 'other' }),
    ],
  })
  expect(await rowsOf(checkpoint)).toEqual(['fc 6 dense', 'fc2 4 dense'])
})

test('blocks that are the same fold into a range with the sum of their parameters, others stay', async () => {
  const block = (i: number, width = 4) => [
    plainTensor(`module.encoder.${i}.conv.weight`, [width, width, 3, 3]),
    plainTensor(`module.encoder.${i}.bn.running_mean`, [width], { role: 'buffer' }),
    plainTensor(`module.encoder.${i}.bn.running_var`, [width], { role: 'buffer' }),
  ]
  const model = plainModel('pytorch', {
    tensors: [...block(0), ...block(1), ...block(2), ...block(3, 8), plainTensor('module.head.weight', [10, 8])],
  })
  expect(await rowsOf(model)).toEqual([
    'encoder 1008 ',
    '  [0-2] 432 ',
    '    conv 432 conv',
    '    bn 0 batch-norm',
    '  3 576 ',
    '    conv 576 conv',
    '    bn 0 batch-norm',
    'head 80 dense',
  ])
  expect(await rowsOf(model, 1)).toEqual(['encoder 1008 conv+batch-norm', 'head 80 dense'])
})

test('names without hierarchy give one module per layer, with its work', async () => {
  const model = plainModel('onnx', {
    input: ['x', [1, 4]],
    tensors: [plainTensor('gpu_0/a', [4, 3]), plainTensor('gpu_0/b', [3, 2])],
    nodes: [plainNode('MatMul', 'first', ['x', 'gpu_0/a']), plainNode('MatMul', 'second', ['first', 'gpu_0/b'])],
  })
  const tree = buildModuleTree(model, await layersOf(model))
  expect(tree).toMatchObject({ parameters: 18, macs: 18, outputShape: [1, 2] })
  expect(tree.children.map(({ name, parameters, macs }) => [name, parameters, macs])).toEqual([
    ['first', 12, 12],
    ['second', 6, 6],
  ])
})

test('tied tensors and variables kept under two keys count once; training state is no module', async () => {
  const storage = { file: 'f', key: 's0', byteOffset: 64 }
  const tied = plainModel('pytorch', {
    tensors: [
      plainTensor('in.weight', [5, 4], { storage }),
      plainTensor('out.weight', [5, 4], { storage }),
      // a slice of the same storage that begins elsewhere is not tied
      plainTensor('slice.weight', [5, 4], { storage: { ...storage, byteOffset: 0 } }),
      plainTensor('optimizer.0.exp_avg', [5, 4], { role: 'optimizer' }),
    ],
  })
  expect(buildModuleTree(tied, [])).toMatchObject({ parameters: 40, bytes: 160 })
  const twice = {
    ...plainModel('tf-checkpoint', { tensors: [plainTensor('v/0', [3]), plainTensor('all/7', [3])] }),
    metadata: { properties: { variableNames: { 'v/0': 'conv/bias', 'all/7': 'conv/bias' } } },
  }
  expect(buildModuleTree(twice, [])).toMatchObject({ parameters: 3, children: [{ name: 'conv' }] })
})
