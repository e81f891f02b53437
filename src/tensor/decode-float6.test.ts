import { expect, test } from 'vitest'
import { decodeValues } from './decode.ts'

test('6-bit floats lie four in three bytes, first in the low bits', () => {
  // codes 1, 2, 31, 63: as ml_dtypes decodes them
  const bytes = Uint8Array.of(1 | ((2 & 3) << 6), (2 >> 2) | ((31 & 15) << 4), (31 >> 4) | (63 << 2))
  expect([...decodeValues('float6_e2m3fn', bytes, 4)]).toEqual([0.125, 0.25, 7.5, -7.5])
  expect([...decodeValues('float6_e3m2fn', bytes, 4)]).toEqual([0.0625, 0.125, 28, -28])
})

test('a last group that is not full', () => {
  expect([...decodeValues('float6_e2m3fn', Uint8Array.of(8), 1)]).toEqual([1])
})
