import { expect, test } from 'vitest'
import type { LayerAttributes } from './layer.ts'
import { broadcastShapes, reshapeTo } from './shape.ts'
import { transposedWindowShape, windowShape } from './window.ts'

const check = (title: string, input: number[], attributes: LayerAttributes, expected: (number | null)[]) =>
  test(title, () => expect(windowShape(input, attributes, undefined)).toEqual(expected))

const explicit = (begin: number, end = begin) => ({ begin: [begin, begin], end: [end, end] })

check(
  '3 x 3, stride 2, pad 1: 224 to 112',
  [1, 3, 224, 224],
  { kernelSize: [3, 3], strides: [2, 2], padding: explicit(1) },
  [1, 3, 112, 112],
)
check(
  '11 x 11, stride 4, no pad: 227 to 55',
  [1, 3, 227, 227],
  { kernelSize: [11, 11], strides: [4, 4] },
  [1, 3, 55, 55],
)
check('a dilated 3 x 3 spans 5', [1, 1, 9, 9], { kernelSize: [3, 3], dilations: [2, 2] }, [1, 1, 5, 5])
check(
  'SAME with stride 2 rounds up',
  [1, 7, 7, 8],
  { kernelSize: [3, 3], strides: [2, 2], padding: 'same-upper', dataFormat: 'channels-last' },
  [1, 4, 4, 8],
)
check(
  'Caffe rounds a pool up: 112 with 3, stride 2 gives 56, not 55',
  [1, 64, 112, 112],
  { kernelSize: [3, 3], strides: [2, 2], ceilMode: true },
  [1, 64, 56, 56],
)
check(
  'a window that would begin in the end padding is left out',
  [1, 1, 3, 3],
  { kernelSize: [1, 1], strides: [2, 2], padding: explicit(0, 1), ceilMode: true },
  [1, 1, 2, 2],
)
check('a window larger than its input has no output', [1, 1, 2, 2], { kernelSize: [3, 3] }, [1, 1, null, null])
check('one spatial axis', [1, 8, 10], { kernelSize: [3] }, [1, 8, 8])

test('a transposed convolution undoes the sizes of a convolution', () => {
  const attributes: LayerAttributes = { kernelSize: [4, 4], strides: [2, 2], padding: explicit(1) }
  expect(transposedWindowShape([1, 8, 7, 7], attributes, 4)).toEqual([1, 4, 14, 14])
  expect(
    transposedWindowShape(
      [1, 7, 7, 8],
      { kernelSize: [3, 3], strides: [2, 2], padding: 'same-upper', dataFormat: 'channels-last' },
      4,
    ),
  ).toEqual([1, 14, 14, 4])
})

test('shapes broadcast as in numpy', () => {
  expect(
    broadcastShapes([
      [2, 1, 4],
      [3, 1],
    ]),
  ).toEqual([2, 3, 4])
  expect(broadcastShapes([[2], [3]])).toBeUndefined()
  expect(
    broadcastShapes([
      [1, null],
      [1, 5],
    ]),
  ).toEqual([1, 5])
})

test('a reshape keeps zeros and works out one open size', () => {
  expect(reshapeTo([2, 3, 4], [0, -1], true)).toEqual([2, 12])
  expect(reshapeTo([2, 3, 4], [5, -1], true)).toEqual([5, null])
})
