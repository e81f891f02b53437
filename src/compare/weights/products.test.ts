import { expect, test } from 'vitest'
import { randomWeight, weightSet } from '../../../test/build/weight-set.ts'
import type { Layer } from '../../layers/layer.ts'
import { compareWeights } from './compare-weights.ts'

const layer = (name: string, kind: Layer['kind'], inputs: string[], kernel?: string): Layer => ({
  name,
  kind,
  op: kind === 'transpose' ? 'Transpose' : 'MatMul',
  weights: kernel === undefined ? [] : [{ role: 'kernel', tensor: kernel }],
  attributes: {},
  inputs,
  outputs: [`${name} out`],
  inputShapes: [],
  outputShapes: [],
})

/** Scores from queries and keys, each projected from `x` by the named kernel. */
const attention = (query: string, key: string) => [
  layer('query', 'dense', ['x'], query),
  layer('key', 'dense', ['x'], key),
  layer('turned', 'transpose', ['key out']),
  layer('scores', 'other', ['query out', 'turned out']),
]

const [a, b] = [randomWeight(1, 12, 12), randomWeight(2, 12, 12)]

test('queries and keys that have changed sides of their product are exchanged, whatever their names', async () => {
  const reference = { ...weightSet({ a, b }), layers: attention('a', 'b') }
  const right = { ...weightSet({ v1: b, v2: a }), layers: attention('v2', 'v1') }
  const wrong = { ...weightSet({ v1: b, v2: a }), layers: attention('v1', 'v2') }
  expect((await compareWeights(reference, right)).verdict).toBe('match')
  const { verdict, causes, layerPairs } = await compareWeights(reference, wrong)
  expect({ verdict, labels: causes.map(({ label }) => label) }).toEqual({
    verdict: 'mismatch',
    labels: ['weight-swapped'],
  })
  expect(layerPairs).toEqual([
    { reference: 'query', candidate: 'query' },
    { reference: 'key', candidate: 'key' },
  ])
})
