import { expect, test } from 'vitest'
import { judge, type Scored } from '../scripts/faults/scoring/judge.ts'
import type { Answer, BenignTruth, FaultyTruth, Pair, Planted } from '../scripts/faults/scoring/pair.ts'
import { renderTable } from '../scripts/faults/scoring/table.ts'
import { rowsOf, share, tally } from '../scripts/faults/scoring/tally.ts'

/** The scorer's arithmetic on answers made by hand: it decides what the published results mean. */
const pair: Pair = { id: 'p1', reference: 'r.onnx', candidate: 'c.onnx', inputs: [] }

const planted = (tensor: string, label: string): Planted => ({
  faultClass: label,
  causesAccepted: [label],
  subtle: false,
  first: { referenceTensor: tensor, candidateTensor: `c/${tensor}` },
  accept: { referenceTensors: [tensor], candidateTensors: [`c/${tensor}`] },
  near: { referenceTensors: [`${tensor}/next`], candidateTensors: [`c/${tensor}/next`] },
})
const faulty: FaultyTruth = {
  ...planted('conv', 'padding'),
  faulty: true,
  architecture: 'vgg',
  variant: 'renamed',
  split: 'held-out',
}
const benign: BenignTruth = {
  faulty: false,
  architecture: 'vgg',
  variant: 'renamed',
  split: 'held-out',
  change: 'renamed',
}

const place = (referenceTensor: string | null, candidateTensor: string | null, ...labels: string[]) => ({
  referenceTensor,
  candidateTensor,
  causes: labels.map((label) => ({ label: label.replace('!', ''), proved: label.endsWith('!') })),
})
const answer = (parts: Partial<Answer>): Answer => ({
  verdict: 'mismatch',
  summary: '',
  first: null,
  regions: [],
  coverage: { total: 9, compared: 7, skipped: 2 },
  listed: 2,
  milliseconds: 5,
  ...parts,
})

test('the first difference counts under either of its names', () => {
  const named = judge(pair, faulty, answer({ first: place('conv', null, 'padding!') }))
  expect(named.first).toEqual({
    exact: true,
    near: true,
    cause1: true,
    cause3: true,
    proved: true,
    wronglyProved: false,
  })
  const otherSide = judge(pair, faulty, answer({ first: place('elsewhere', 'c/conv', 'stride', 'padding!') }))
  expect(otherSide.first).toMatchObject({ exact: true, cause1: false, cause3: true, proved: false })
})

test('one operator away is near, not exact; a fourth cause is too late; a wrong cause called proved is counted', () => {
  const { first } = judge(
    pair,
    faulty,
    answer({ first: place('conv/next', null, 'stride!', 'dilation', 'groups', 'padding') }),
  )
  expect(first).toEqual({
    exact: false,
    near: true,
    cause1: false,
    cause3: false,
    proved: false,
    wronglyProved: true,
  })
})

test('no first difference is no hit', () => {
  expect(judge(pair, faulty, answer({})).first).toMatchObject({ exact: false, near: false, cause1: false })
})

test('verdicts: a benign pair must match, a faulty one must not; not compared is neither', () => {
  expect(judge(pair, benign, answer({ verdict: 'match' })).verdictRight).toBe(true)
  expect(judge(pair, benign, answer({ verdict: 'not-compared' })).verdictRight).toBe(false)
  expect(judge(pair, faulty, answer({ verdict: 'not-compared' })).verdictRight).toBe(false)
})

test('coverage must add up and name every skipped value', () => {
  const whole = { total: 9, compared: 7, skipped: 2 }
  expect(judge(pair, benign, answer({ coverage: whole, listed: 2 })).accountsForAll).toBe(true)
  expect(judge(pair, benign, answer({ coverage: whole, listed: 1 })).accountsForAll).toBe(false)
  expect(judge(pair, benign, answer({ coverage: { ...whole, skipped: 1 }, listed: 1 })).accountsForAll).toBe(false)
})

test('each of several faults is looked for among the regions', () => {
  const several = { ...faulty, further: [planted('fc', 'bias-missing'), planted('head', 'stride')] }
  const { each, first } = judge(
    pair,
    several,
    answer({
      first: place('conv', 'c/conv', 'weight-stale'),
      regions: [place('conv', 'c/conv', 'padding!'), place('fc/next', null, 'bias-missing')],
    }),
  )
  expect(first).toMatchObject({ exact: true, cause1: true, proved: true }) // by the causes of its own region
  expect(each.map(({ exact, near, cause1 }) => [exact, near, cause1])).toEqual([
    [true, true, true],
    [false, true, true],
    [false, false, false],
  ])
})

test('Wilson intervals', () => {
  // scipy 1.17.1: binomtest(hits, of).proportion_ci(method='wilson')
  const close = (hits: number, of: number, low: number, high: number) => {
    const { interval } = share(hits, of)
    expect(interval[0]).toBeCloseTo(low, 4)
    expect(interval[1]).toBeCloseTo(high, 4)
  }
  close(8, 10, 0.4902, 0.9433)
  close(0, 20, 0, 0.1611)
  close(50, 50, 0.9287, 1)
  expect(share(0, 0).interval).toEqual([0, 1])
})

test('rows: one per kind and variant, and the whole; empty kinds are left out', () => {
  const scored: Scored[] = [
    judge(pair, faulty, answer({ first: place('conv', null, 'padding'), milliseconds: 30 })),
    judge({ ...pair, id: 'p2' }, faulty, answer({ verdict: 'match', milliseconds: 10 })),
    judge({ ...pair, id: 'p3' }, benign, answer({ verdict: 'match', milliseconds: 20 })),
  ]
  const rows = rowsOf(scored)
  expect(rows.map(({ name, pairs }) => [name, pairs])).toEqual([
    ['faulty, renamed', 2],
    ['faulty, all', 2],
    ['benign, renamed', 1],
    ['benign, all', 1],
  ])
  expect(rows[0]).toMatchObject({ exact: { hits: 1, of: 2 }, verdict: { hits: 1, of: 2 }, maxMs: 30 })
  expect(rows[2]!.exact.of).toBe(0)
  const several = judge(pair, { ...faulty, further: [planted('fc', 'stride')] }, answer({}))
  expect(tally('several', [several])).toMatchObject({ exact: { of: 0 }, each: { hits: 0, of: 2 } })
  expect(renderTable(rows)).toContain('| 50.0% [9, 91]')
})
