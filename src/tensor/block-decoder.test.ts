import { expect, test } from 'vitest'
import { blockDecoder } from './block-decoder.ts'

// Found by the fuzzer: a deflated entry arrives as a Node Buffer, whose `slice` gives a view at the same odd address.
test.each([
  ['float64', new Float64Array([1.5, -2])],
  ['int32', new Int32Array([7, -9])],
  ['float16', new Uint16Array([0x3c00, 0xc000])],
  ['int64', new BigInt64Array([5n, -6n])],
] as const)('%s values at an odd address of a Node Buffer', (dtype, values) => {
  const stored = new Uint8Array(values.buffer)
  const shifted = Buffer.alloc(stored.length + 8)
  const start = 3 + ((8 - (shifted.byteOffset % 8)) % 8)
  shifted.set(stored, start)
  const out = new Float64Array(2)
  blockDecoder(dtype)(shifted.subarray(start), 0, 2, out)
  expect([...out]).toEqual(dtype === 'float16' ? [1, -2] : Array.from(values, Number))
})
