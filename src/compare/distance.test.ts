import { expect, test } from 'vitest'
import { distance, unravel } from './distance.ts'

const { NaN: nan, POSITIVE_INFINITY: inf } = Number

const check = (reference: number[], candidate: number[], expected: Partial<ReturnType<typeof distance>>) =>
  test(`[${reference}] against [${candidate}]`, () => expect(distance(reference, candidate)).toMatchObject(expected))

check([], [], { maxAbs: 0, maxRel: 0, relL2: 0, worst: -1, nonFinite: 0 })
check([0, 0], [0, 0], { maxAbs: 0, maxRel: 0, relL2: 0 })
check([0, 0], [0, 1], { maxAbs: 1, maxRel: inf, relL2: inf, worst: 1 })
check([3, -4], [3, -3], { maxAbs: 1, maxRel: 0.25, relL2: 0.2, worst: 1 })
check([nan, inf, 1], [nan, inf, 1], { maxAbs: 0, nonFinite: 0 })
check([nan, 1], [1, 1], { maxAbs: inf, nonFinite: 1, worst: 0 })
check([inf, 1], [-inf, 1], { relL2: inf, nonFinite: 1 })

test('a flat position as an index', () => {
  expect(unravel(23, [2, 3, 4])).toEqual([1, 2, 3])
  expect(unravel(0, [])).toEqual([])
})
