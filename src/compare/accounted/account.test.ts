import { expect, test } from 'vitest'
import { accountDifferences } from './account.ts'
import type { ExpectedDifference, FoundDifference } from './expected.ts'
import { matchesPattern } from './glob.ts'

const matches = (name: string, pattern: string, expected: boolean) =>
  test(`"${pattern}" ${expected ? 'means' : 'does not mean'} "${name}"`, () =>
    expect(matchesPattern(name, pattern)).toBe(expected))
matches('head.fc.weight', 'head', true)
matches('/head/fc/Gemm', 'head', true)
matches('header.fc.weight', 'head', false)
matches('layer2.1.bn2', 'layer?.*.bn2', true)
matches('layer2.1.bn2.weight', '*.bn2', false)
matches('anything', '*', true)
matches('anything', '', false)
matches('a'.repeat(5000), `${'*a'.repeat(500)}b`, false)

const found = (more: Partial<FoundDifference>): FoundDifference => ({
  reference: ['stage1.bn'],
  candidate: ['batch_normalization'],
  kinds: ['bn-epsilon'],
  values: [1e-5, 0.0010000000474974513],
  decides: true,
  text: '',
  ...more,
})
const expected = (more: Partial<ExpectedDifference> = {}): ExpectedDifference => ({
  where: ['stage1.bn'],
  what: 'bn-epsilon',
  reason: "Keras' default",
  values: [1e-5, 1e-3],
  ...more,
})
const states = (entries: ExpectedDifference[], differences: FoundDifference[], names = ['stage1.bn', 'fc.weight']) =>
  accountDifferences(entries, differences, names).rows.map(({ state }) => state)

test('an epsilon as stated holds, also where float32 rounds it and where the candidate names it', () => {
  expect(states([expected()], [found({})])).toEqual(['holds'])
  expect(states([expected({ where: ['batch_norm*'] })], [found({})])).toEqual(['holds'])
})

test('an expected difference that went away, or is another one, does not hold', () => {
  expect(states([expected()], [])).toEqual(['gone'])
  expect(states([expected()], [found({ values: [1e-5, 1e-2] })])).toEqual(['other'])
  expect(states([expected()], [found({ kinds: ['padding'] })])).toEqual(['other'])
  expect(states([expected({ where: ['no.such'] })], [found({})])).toEqual(['no-such-place'])
})

test('what no entry names is not accounted for', () => {
  const [own, other] = [found({}), found({ reference: ['stage2.bn'], candidate: ['bn_2'] })]
  const { accounted } = accountDifferences([expected()], [own, other], [])
  expect([...accounted.keys()]).toEqual([own])
})

const head = (reference: number[], candidate: number[]) =>
  found({ reference: ['fc.weight'], candidate: ['head/kernel'], kinds: ['shape'], shapes: [reference, candidate] })
const classes = (from: number, to: number) => expected({ where: ['fc'], what: 'shape', values: [from, to] })

test('another class count: sizes differ by it and by nothing else, in any layout', () => {
  expect(states([classes(1000, 20)], [head([1000, 512], [512, 20])])).toEqual(['holds'])
  expect(states([classes(1000, 20)], [head([1000, 512], [256, 20])])).toEqual(['other'])
  expect(states([classes(1000, 20)], [head([1000, 512], [512, 21])])).toEqual(['other'])
  expect(states([classes(1000, 20)], [head([20, 512], [512, 20])])).toEqual(['other'])
  expect(states([expected({ where: ['fc'], what: 'replaced' })], [head([1000, 512], [256, 20])])).toEqual(['holds'])
})
