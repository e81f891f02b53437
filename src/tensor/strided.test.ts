import { describe, expect, test } from 'vitest'
import { memorySource } from '../bytes/byte-source.ts'
import { contiguousStrides, isContiguous, type StridedLayout, spanBytes, streamStrided } from './strided.ts'

const source = (count: number) =>
  memorySource(
    'x',
    Uint8Array.from({ length: count }, (_, index) => index & 0xff),
  )

async function gather(count: number, layout: StridedLayout): Promise<number[]> {
  const out: number[] = []
  for await (const chunk of streamStrided(source(count), layout)) out.push(...chunk)
  return out
}

/** Element by element, as the definition says. */
function slowly({ offset, shape, strides, itemBytes }: StridedLayout): number[] {
  const visit = (at: number, dimension: number): number[] =>
    dimension === shape.length
      ? Array.from({ length: itemBytes }, (_, index) => (at + index) & 0xff)
      : Array.from({ length: shape[dimension]! }, (_, index) =>
          visit(at + index * strides[dimension]!, dimension + 1),
        ).flat()
  return visit(offset, 0)
}

describe('elements come in C order', () => {
  test.each<[string, StridedLayout]>([
    ['contiguous', { offset: 3, shape: [2, 3], strides: [6, 2], itemBytes: 2 }],
    ['transposed', { offset: 0, shape: [3, 2], strides: [2, 6], itemBytes: 2 }],
    ['channels last', { offset: 1, shape: [2, 3, 2, 2], strides: [12, 1, 6, 3], itemBytes: 1 }],
    ['repeated', { offset: 5, shape: [3, 2], strides: [0, 4], itemBytes: 4 }],
    ['a field of records', { offset: 2, shape: [4], strides: [7], itemBytes: 3 }],
    ['scalar', { offset: 9, shape: [], strides: [], itemBytes: 8 }],
    ['empty', { offset: 9, shape: [2, 0], strides: [4, 4], itemBytes: 4 }],
  ])('%s', async (_, layout) => {
    expect(await gather(64, layout)).toEqual(slowly(layout))
  })
})

test('an array larger than a window is gathered in blocks', async () => {
  const [rows, columns] = [2100, 2100]
  const bytes = new Uint32Array(rows * columns)
  for (let index = 0; index < bytes.length; index++) bytes[index] = index
  const layout = { offset: 0, shape: [columns, rows], strides: [4, 4 * columns], itemBytes: 4 }
  let position = 0
  let wrong = 0
  for await (const chunk of streamStrided(memorySource('x', new Uint8Array(bytes.buffer)), layout)) {
    for (const value of new Uint32Array(chunk.slice().buffer)) {
      const [column, row] = [Math.floor(position / rows), position % rows]
      if (value !== row * columns + column) wrong++
      position++
    }
  }
  expect({ position, wrong }).toEqual({ position: rows * columns, wrong: 0 })
})

test('strides of size-1 dimensions do not matter', () => {
  expect(isContiguous({ offset: 0, shape: [1, 4], strides: [999, 2], itemBytes: 2 })).toBe(true)
  expect(isContiguous({ offset: 0, shape: [2, 4], strides: [999, 2], itemBytes: 2 })).toBe(false)
})

test('span and strides', () => {
  expect(contiguousStrides([2, 3, 4], 2)).toEqual([24, 8, 2])
  expect(spanBytes({ shape: [2, 3], strides: [100, 10], itemBytes: 4 })).toBe(124)
  expect(spanBytes({ shape: [2, 0], strides: [100, 10], itemBytes: 4 })).toBe(0)
})
