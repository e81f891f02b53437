import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openInput } from '../src/host/open-input.ts'
import type { Comparison } from '../src/report/comparison.ts'
import { parseSettings } from '../src/settings/parse-settings.ts'
import { compare } from '../src/tasks/compare.ts'

/** Differences that modelwright.yaml expects, from file to verdict. */
const digits = join(import.meta.dirname, '../examples/digits')

async function compared(candidate: string, expected: string, reference = 'reference/digits.onnx'): Promise<Comparison> {
  const settings = parseSettings(`compare:\n  expected:\n${expected.replaceAll(/^/gm, '    ')}`, 'modelwright.yaml')
  const opened = await Promise.all([reference, candidate].map((path) => openInput(join(digits, path))))
  try {
    return await compare(opened[0]!, opened[1]!, { settings })
  } finally {
    await Promise.all(opened.map((input) => input.close()))
  }
}

const KERAS_DEFAULT = "- where: '*'\n  what: bn-epsilon\n  values: [1e-5, 1e-3]\n  reason: Keras' default"

describe('an epsilon that is another on purpose', () => {
  test('is accounted for where both run: regions, and outputs behind them', async () => {
    const report = await compared('mistakes/bn-epsilon/digits.onnx', KERAS_DEFAULT)
    expect(report.verdict).toBe('match')
    expect(report.summary).toMatch(/^Match with 1 accounted difference/)
    expect(report.accounted).toMatchObject([{ state: 'holds', what: 'bn-epsilon' }])
    expect(report.regions.filter(({ state }) => state === 'accounted').length).toBeGreaterThanOrEqual(4)
    expect(report.outputs.map(({ status }) => status)).toEqual(['accounted'])
    expect(report.firstDivergence).toBeNull()
  })

  test('is accounted for in the files alone', async () => {
    const report = await compared('mistakes/bn-epsilon/digits.h5', KERAS_DEFAULT, 'reference/digits-module.pt')
    expect(report.verdict).toBe('match')
  })

  test('does not hold in a port that has the right one: take it out of the file', async () => {
    const report = await compared('candidate/digits.onnx', KERAS_DEFAULT)
    expect(report.verdict).toBe('mismatch')
    expect(report.accounted).toMatchObject([{ state: 'gone' }])
    expect(report.summary).toMatch(/^1 expected difference does not hold/)
  })

  test('does not hold when it is another one still', async () => {
    const other = KERAS_DEFAULT.replace('1e-3]', '1e-2]')
    const report = await compared('mistakes/bn-epsilon/digits.onnx', other)
    expect(report.verdict).toBe('mismatch')
    expect(report.regions.filter(({ state }) => state === 'different').length).toBeGreaterThanOrEqual(4)
  })

  test('hides no other fault', async () => {
    const report = await compared(
      'mistakes/same-padding/digits.onnx',
      `${KERAS_DEFAULT}\n- where: fc1\n  what: replaced\n  reason: not so`,
    )
    expect(report.verdict).toBe('mismatch')
    expect(report.firstDivergence?.referenceTensor).toBe('/down/Conv_output_0')
    expect(report.accounted.map(({ state }) => state)).toEqual(['other', 'gone'])
  })
})

test('a weight trained anew is accounted for by its module', async () => {
  const entry = '- where: block.pointwise\n  what: weight-stale\n  reason: trained on our pictures'
  const report = await compared('mistakes/unloaded-weight/digits.h5', entry, 'reference/digits.pt')
  expect(report).toMatchObject({ verdict: 'match', weights: { verdict: 'match' }, firstDivergence: null, causes: [] })
  const pair = report.parameters.find(({ reference }) => reference === 'block.pointwise.weight')
  expect(pair).toMatchObject({ relation: 'different', accepted: true })
  expect(pair?.detail).toContain('accounted: trained on our pictures')
})
