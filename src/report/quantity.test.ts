import { expect, test } from 'vitest'
import { formatBytes, formatCount, formatShape } from './quantity.ts'

test.each([
  [0, '0'],
  [999, '999'],
  [1000, '1 k'],
  [999_600, '1 M'],
  [25_557_032, '25.6 M'],
  [4_089_184_256, '4.09 G'],
])('%d', (count, expected) => {
  expect(formatCount(count)).toBe(expected)
})

test('bytes and shapes', () => {
  expect(formatBytes(97_800_000)).toBe('97.8 MB')
  expect(formatBytes(12)).toBe('12 B')
  expect(formatShape([1, 'batch', null, 3])).toBe('1 x batch x ? x 3')
  expect(formatShape([])).toBe('scalar')
})
