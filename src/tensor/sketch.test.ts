import { expect, test } from 'vitest'
import { QUANTILES, sketchDistance, sketchOf } from './sketch.ts'

/** Seeded noise of about unit size. */
function noise(count: number, seed: number): Float32Array {
  let state = seed
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return (state / 2 ** 31 - 1) * 1.7
  })
}

function relL2(reference: ArrayLike<number>, candidate: ArrayLike<number>): number {
  let gap = 0
  let size = 0
  for (let i = 0; i < reference.length; i++) {
    gap += (reference[i]! - candidate[i]!) ** 2
    size += reference[i]! ** 2
  }
  return Math.sqrt(gap / size)
}

test.each([
  ['rounding', 1e-7, 40_000],
  ['a small fault', 1e-3, 40_000],
  ['another value', 1.5, 40_000],
  ['few elements', 1e-2, 300],
])('%s: the estimated distance is within 15 % of the true one', (_, size, count) => {
  const shape = [count]
  for (let seed = 1; seed <= 20; seed++) {
    const reference = Float64Array.from(noise(count, seed))
    const moved = noise(count, seed + 100).map((value) => value * size)
    const candidate = reference.map((value, index) => value + moved[index]!)
    const estimate = sketchDistance(sketchOf(reference, shape), sketchOf(candidate, shape))
    const truth = relL2(reference, candidate)
    expect(Math.abs(estimate / truth - 1)).toBeLessThan(0.15)
  }
})

test('a value with channels last is known as the same one', () => {
  const [n, c, h, w] = [2, 5, 7, 6] as const
  const first = noise(n * c * h * w, 3)
  const last = new Float32Array(first.length)
  for (let i = 0; i < first.length; i++) {
    const s = i % (h * w)
    const ch = Math.floor(i / (h * w)) % c
    const b = Math.floor(i / (h * w * c))
    last[(b * h * w + s) * c + ch] = first[i]!
  }
  const [one, other] = [sketchOf(first, [n, c, h, w]), sketchOf(last, [n, h, w, c])]
  expect(sketchDistance(one, other)).toBeGreaterThan(0.5)
  expect(sketchDistance(one, other, 'reference-channels-last')).toBe(0)
  expect(sketchDistance(other, one, 'candidate-channels-last')).toBe(0)
  expect(one.quantiles).toEqual(other.quantiles)
  expect(sketchOf(first, [n, c * h * w]).channelsLast).toBeUndefined()
})

test.each([1000, 100_000])('quantiles of %d elements, whatever their order', (count) => {
  const values = noise(count, 9)
  const sorted = Float64Array.from(values).sort()
  const { quantiles, min, max } = sketchOf(values, [count])
  for (let step = 0; step < QUANTILES; step++) {
    const truth = sorted[Math.round((step / (QUANTILES - 1)) * (count - 1))]!
    expect(Math.abs(quantiles[step]! - truth)).toBeLessThanOrEqual(4e-3 * Math.abs(truth) + 1e-6)
  }
  expect([quantiles[0], quantiles[QUANTILES - 1]]).toEqual([min, max])
})

test('what is not finite is counted and never hides a difference', () => {
  const plain = sketchOf([1, 2, 3, 4], [4])
  const broken = sketchOf([1, Number.NaN, Number.POSITIVE_INFINITY, 4], [4])
  expect(broken).toMatchObject({ nan: 1, infinite: 1, min: 1, max: 4 })
  expect(sketchDistance(plain, broken)).toBe(Number.POSITIVE_INFINITY)
  expect(sketchDistance(sketchOf([0], [1]), sketchOf([1], [1]))).toBe(Number.POSITIVE_INFINITY)
  expect(sketchDistance(sketchOf([], [0]), sketchOf([], [0]))).toBe(0)
})
