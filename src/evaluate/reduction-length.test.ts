import { expect, test } from 'vitest'
import type { Node } from '../model/graph.ts'
import { reductionLength } from './reduction-length.ts'

const node = (op: string, attributes: Node['attributes'] = {}): Node => ({
  name: 'node',
  op,
  domain: 'ai.onnx',
  inputs: ['a', 'b'],
  outputs: ['y'],
  attributes,
})

test.each<[Node, (number[] | undefined)[], number, number[]?]>([
  [
    node('Conv'),
    [
      [1, 64, 56, 56],
      [128, 64, 3, 3],
    ],
    576,
  ],
  [
    node('Conv', { group: 64 }),
    [
      [1, 64, 56, 56],
      [64, 1, 3, 3],
    ],
    9,
  ],
  [
    node('ConvTranspose', { group: 2 }),
    [
      [1, 8, 5, 5],
      [8, 3, 2, 2],
    ],
    16,
  ],
  [
    node('MatMul'),
    [
      [2, 197, 768],
      [768, 10],
    ],
    768,
  ],
  [
    node('Gemm', { transA: 1 }),
    [
      [512, 4],
      [512, 10],
    ],
    512,
  ],
  [node('GlobalAveragePool'), [[1, 512, 7, 7]], 49],
  [node('LayerNormalization'), [[1, 197, 768]], 768],
  [node('ReduceMean', { axes: [-1, -2] }), [[1, 512, 7, 7]], 49],
  [node('ReduceMean'), [[1, 512, 7, 7], [1]], 512, [1]],
  [
    node('Einsum', { equation: 'bij,bjk->bik' }),
    [
      [2, 3, 40],
      [2, 40, 5],
    ],
    40,
  ],
  [
    node('LSTM'),
    [
      [7, 1, 12],
      [1, 32, 12],
      [1, 32, 8],
    ],
    20,
  ],
  [node('Relu'), [[1, 64, 56, 56]], 1],
  [node('MaxPool', { kernel_shape: [3, 3] }), [[1, 64, 56, 56]], 1],
  [node('MatMul'), [undefined, undefined], 1],
])('%o', (asked, shapes, expected, axes) => {
  expect(reductionLength(asked, shapes, [undefined, axes])).toBe(expected)
})
