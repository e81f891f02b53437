import { expect, test } from 'vitest'
import { CAUSES } from '../vocabulary.ts'
import { CATALOGUE } from './catalogue.ts'

test.each(Object.keys(CAUSES).filter((label) => label !== 'unknown'))(
  '%s can be proved by some hypothesis',
  (label) => {
    expect(CATALOGUE.filter(({ labels }) => labels.some((each) => each === label))).not.toEqual([])
  },
)

test('hypotheses have names of their own', () => {
  const ids = CATALOGUE.map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
})
