import { expect, test } from 'vitest'
import { numbersOf } from '../tensor/array-value.ts'
import { generateInput } from './probe-inputs.ts'

const generated = (name: string) => [...numbersOf(generateInput('int64', [1, 10], 'natural', 1, name))]

test('what accompanies token ids has values that such inputs have', () => {
  expect(generated('attention_mask')).toEqual([1, 1, 1, 1, 1, 1, 1, 0, 0, 0])
  expect(generated('position_ids')).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  expect(generated('token_type_ids')).toEqual([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
  expect(new Set(generated('input_ids')).size).toBeGreaterThan(3)
})

test('channels and positions of a generated picture are unlike each other, and the same on every machine', () => {
  const picture = Float64Array.from(numbersOf(generateInput('float32', [1, 3, 8, 8], 'strong', 1)))
  const means = [0, 1, 2].map((at) => picture.slice(at * 64, at * 64 + 64).reduce((sum, value) => sum + value, 0) / 64)
  expect(new Set(means.map((mean) => mean.toFixed(2))).size).toBe(3)
  expect(Float64Array.from(numbersOf(generateInput('float32', [1, 3, 8, 8], 'strong', 1)))).toEqual(picture)
})
