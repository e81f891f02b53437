import { expect, test } from 'vitest'
import { decodeFloat16, decodeValues } from './decode.ts'
import { encodeBfloat16, encodeFloat16, encodeValues } from './encode.ts'

test('every finite half goes there and back', () => {
  for (let code = 0; code < 65_536; code++) {
    const value = decodeFloat16(code)
    if (!Number.isNaN(value)) expect(encodeFloat16(value)).toBe(code)
  }
})

test.each([
  [1 + 2 ** -11, 0x3c00], // half way: to even
  [1 + 3 * 2 ** -11, 0x3c02],
  [65519.99, 0x7bff],
  [65520, 0x7c00],
  [-0, 0x8000],
  [2 ** -25, 0x0000],
  [1.5 * 2 ** -24, 0x0002],
])('%d as float16 is %d', (value, code) => {
  expect(encodeFloat16(value)).toBe(code)
})

test.each([
  [1, 0x3f80],
  [1 + 2 ** -8, 0x3f80],
  [1 + 3 * 2 ** -8, 0x3f82],
  [-2.5, 0xc020],
])('%d as bfloat16 is %d', (value, code) => {
  expect(encodeBfloat16(value)).toBe(code)
})

test.each(['float64', 'float32', 'float16', 'bfloat16', 'int64', 'int32', 'int16', 'int8'] as const)(
  '%s goes there and back',
  (dtype) => {
    const values = [0, 1, -2, 5, -100]
    expect([...decodeValues(dtype, encodeValues(dtype, values), values.length)]).toEqual(values)
  },
)
