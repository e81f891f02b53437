import { expect, test } from 'vitest'
import { interner } from './interner.ts'

const array = (last: number) => new Uint8Array(20_001).fill(7).with(20_000, last)

test('equal arrays become one, others stay themselves, down to the last byte', () => {
  const intern = interner()
  const [first, equal, other] = [array(1), array(1), array(2)]
  expect(intern(first)).toBe(first)
  expect(intern(equal)).toBe(first)
  expect(intern(other)).toBe(other)
  expect(intern(new Uint8Array(3))).not.toBe(intern(new Uint8Array(3)))
})
