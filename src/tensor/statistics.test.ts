import { expect, test } from 'vitest'
import type { Dtype } from './dtype.ts'
import { judgeHealth } from './health.ts'
import { computeHistogram } from './histogram.ts'
import { computeStatistics } from './statistics.ts'
import type { Tensor, TensorRole } from './tensor.ts'

const bytesOf = (view: ArrayBufferView) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength)

/** A tensor over bytes in memory, streamed in pieces of `pieceBytes`. */
function tensorOf(
  dtype: Dtype,
  shape: number[],
  bytes: Uint8Array,
  pieceBytes = 1 << 20,
  role: TensorRole = 'parameter',
): Tensor {
  return {
    name: 't',
    dtype,
    shape,
    bytes: bytes.length,
    role,
    async *stream() {
      for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
    },
  }
}

test('float32: extremes, mean and population deviation of 1..4', async () => {
  const statistics = await computeStatistics(tensorOf('float32', [2, 2], bytesOf(Float32Array.of(1, 2, 3, 4))))
  expect(statistics).toMatchObject({
    count: 4,
    min: 1,
    max: 4,
    mean: 2.5,
    nanCount: 0,
    zeroCount: 0,
    isConstant: false,
  })
  expect(statistics.std).toBeCloseTo(Math.sqrt(1.25), 15)
  expect(statistics.excerpt).toEqual([1, 2, 3, 4])
})

test('what is not finite is counted apart and does not spoil the rest', async () => {
  const values = Float32Array.of(Number.NaN, 1, Number.POSITIVE_INFINITY, -0, 3, Number.NEGATIVE_INFINITY, 1e-40)
  const statistics = await computeStatistics(tensorOf('float32', [7], bytesOf(values), 4))
  expect(statistics).toMatchObject({
    nanCount: 1,
    positiveInfinityCount: 1,
    negativeInfinityCount: 1,
    zeroCount: 1,
    denormalCount: 1,
    min: 0,
    max: 3,
    mean: 1,
  })
})

test('the deviation of a long tensor far from zero equals the two-pass value, whatever the pieces', async () => {
  const values = Float64Array.from({ length: 100_003 }, (_, i) => 1e6 + ((i * 7919) % 1000) / 1000)
  const mean = values.reduce((a, b) => a + b, 0) / values.length
  const std = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length)
  for (const piece of [8 * 1000, 8 * 65_536, 1 << 22]) {
    const statistics = await computeStatistics(tensorOf('float64', [values.length], bytesOf(values), piece))
    expect(statistics.mean!).toBeCloseTo(mean, 7)
    expect(Math.abs(statistics.std! / std - 1)).toBeLessThan(1e-9)
  }
})

test('bytes at an odd address are read all the same', async () => {
  const shifted = new Uint8Array(13)
  shifted.set(bytesOf(Float32Array.of(5, -6, 7)), 1)
  const statistics = await computeStatistics(tensorOf('float32', [3], shifted.subarray(1)))
  expect(statistics).toMatchObject({ min: -6, max: 7, mean: 2 })
})

test.each<[Dtype, number[], Uint8Array, object]>([
  [
    'float16',
    [3],
    bytesOf(Uint16Array.of(0x3c00, 0x0001, 0xfc00)),
    { min: 2 ** -24, max: 1, denormalCount: 1, negativeInfinityCount: 1 },
  ],
  ['bfloat16', [2], bytesOf(Uint16Array.of(0x3f80, 0xbf80)), { min: -1, max: 1, mean: 0, std: 1 }],
  ['int8', [3], Uint8Array.of(0x80, 0, 127), { min: -128, max: 127, zeroCount: 1 }],
  ['int64', [2], bytesOf(BigInt64Array.of(-5n, 2n ** 40n)), { min: -5, max: 2 ** 40 }],
  ['uint64', [1], bytesOf(BigUint64Array.of(2n ** 63n)), { min: 2 ** 63, max: 2 ** 63 }],
  ['int4', [3], Uint8Array.of(0x7f, 0x08), { count: 3, min: -8, max: 7 }],
  ['bool', [4], Uint8Array.of(0, 1, 1, 0), { min: 0, max: 1, mean: 0.5 }],
  ['complex64', [1], bytesOf(Float32Array.of(3, 4)), { count: 1, min: 5, max: 5 }],
  ['float64', [2], bytesOf(Float64Array.of(1e308, 1.5e308)), { min: 1e308, max: 1.5e308, nanCount: 0 }],
  ['float32', [0], new Uint8Array(0), { count: 0, min: null, mean: null, isConstant: false }],
])('%s %j', async (dtype, shape, bytes, expected) => {
  expect(await computeStatistics(tensorOf(dtype, shape, bytes))).toMatchObject(expected)
})

test('text has a count and nothing else', async () => {
  expect(await computeStatistics(tensorOf('string', [2], new Uint8Array(20)))).toMatchObject({ count: 2, min: null })
})

test('a histogram has equal bins, its last one closed', async () => {
  const tensor = tensorOf('float32', [5], bytesOf(Float32Array.of(0, 0.5, 1, 4, Number.NaN)))
  expect(await computeHistogram(tensor, { min: 0, max: 4 }, 4)).toEqual({ min: 0, max: 4, counts: [2, 1, 0, 1] })
  const constant = tensorOf('uint8', [3], Uint8Array.of(7, 7, 7))
  expect(await computeHistogram(constant, { min: 7, max: 7 })).toEqual({ min: 7, max: 7, counts: [3] })
})

const problems = async (tensor: Tensor) =>
  judgeHealth(tensor, await computeStatistics(tensor)).map(({ problem, severity }) => `${problem} ${severity}`)

test.each<[string, Tensor, string[]]>([
  ['a sound kernel', tensorOf('float32', [2, 2], bytesOf(Float32Array.of(1, -2, 3, 4))), []],
  ['a bias of zeros', tensorOf('float32', [3], bytesOf(new Float32Array(3))), ['all-zero note']],
  ['a kernel of zeros', tensorOf('float32', [2, 2], bytesOf(new Float32Array(4))), ['all-zero warning']],
  ['a kernel of ones', tensorOf('float32', [2, 2], bytesOf(Float32Array.of(1, 1, 1, 1))), ['constant warning']],
  ['a single number', tensorOf('float32', [], bytesOf(Float32Array.of(0))), []],
  ['NaN', tensorOf('float32', [1, 2], bytesOf(Float32Array.of(Number.NaN, 1))), ['nan error']],
  ['a huge kernel', tensorOf('float32', [2, 2], bytesOf(Float32Array.of(2e4, 1, 1, 1))), ['large-scale warning']],
  [
    'a dead kernel',
    tensorOf('float32', [2, 2], bytesOf(Float32Array.of(1e-10, 2e-10, 0, 1e-10))),
    ['small-scale warning'],
  ],
  ['denormals', tensorOf('float32', [2, 2], bytesOf(Float32Array.of(1e-40, 1, 1, 1))), ['denormal warning']],
  ['a dead channel', tensorOf('float32', [2], bytesOf(Float32Array.of(1e-40, 1))), ['denormal note']],
  [
    'an attention mask',
    tensorOf('float32', [2], bytesOf(Float32Array.of(Number.NEGATIVE_INFINITY, 0)), 8, 'constant'),
    ['infinity note'],
  ],
  [
    'a negative variance',
    { ...tensorOf('float32', [2], bytesOf(Float32Array.of(-1, 1))), name: 'bn.running_var' },
    ['negative-variance error'],
  ],
])('%s', async (_, tensor, expected) => {
  expect(await problems(tensor)).toEqual(expected)
})
