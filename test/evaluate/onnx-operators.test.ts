import { afterAll, describe, expect, test } from 'vitest'
import { type Outcome, readCases } from './onnx-cases.ts'

/**
 * The operator cases of the onnx package, written by
 * `python scripts/evaluate/make_onnx_cases.py FOLDER`; the folder's name comes in `MODELWRIGHT_ONNX_CASES`.
 */
const folder = process.env.MODELWRIGHT_ONNX_CASES

/** Cases that give another result, each with its reason. */
const KNOWN: Readonly<Record<string, string>> = {
  test_dynamicquantizelinear_expanded:
    'written out as float32 steps: at a half their rounding decides, which float64 does not repeat',
}

/**
 * Of the operators that we cover: cases that must be computed, not left out. Those that are left out (version 1.23):
 * training modes 8, shifts by a negative number 4, inner values of Attention whose place versions disagree on 2,
 * rounding to float8_e8m0fnu 2, MaxUnpool to another size 1.
 */
const SHARE = 0.98

describe.skipIf(folder === undefined)('operator cases of the onnx package (set MODELWRIGHT_ONNX_CASES)', () => {
  const { cases, run } = folder === undefined ? { cases: [], run: undefined } : readCases(folder)
  const outcomes: Outcome[] = []

  test.each(cases)('$name', async (row) => {
    const outcome = await run!(row)
    outcomes.push(outcome)
    if (row.name in KNOWN) expect(outcome.state, KNOWN[row.name]).toBe('differs')
    else expect(outcome.state, outcome.why).not.toBe('differs')
  })

  test('hardly any case of an operator that we cover is left out', () => {
    const equal = outcomes.filter(({ state }) => state === 'equal')
    const covered = new Set(equal.flatMap(({ operators }) => operators))
    const left = outcomes.filter(
      ({ state, operators }) => state !== 'equal' && operators.every((op) => covered.has(op)),
    )
    expect(equal.length / (equal.length + left.length)).toBeGreaterThan(SHARE)
  })

  afterAll(() => {
    if (outcomes.length === 0) return
    const count = (state: Outcome['state']) => outcomes.filter((outcome) => outcome.state === state).length
    console.log(`${count('equal')} equal, ${count('differs')} differ, ${count('not covered')} not covered`)
  })
})
