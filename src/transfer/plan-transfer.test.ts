import { expect, test } from 'vitest'
import type { Model } from '../model/model.ts'
import { elementCount } from '../tensor/dtype.ts'
import { encodeValues } from '../tensor/encode.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { printExpression } from './expression.ts'
import { computeTensor } from './fill.ts'
import type { Ledger } from './ledger.ts'
import { planTransfer } from './plan-transfer.ts'

type Shapes = Readonly<Record<string, readonly number[]>>

/** A file of weights without a graph; values count up. */
function weights(shapes: Shapes, framework?: 'pytorch' | 'keras'): Model {
  const tensors = Object.entries(shapes).map(([name, shape]): Tensor => {
    const values = Float64Array.from({ length: elementCount(shape) }, (_, at) => at + 1)
    const bytes = encodeValues('float32', values)
    return {
      name,
      dtype: 'float32',
      shape,
      bytes: bytes.length,
      role: 'parameter',
      async *stream() {
        yield bytes
      },
    }
  })
  return { format: 'npz', files: [], metadata: framework ? { framework } : {}, tensors, graphs: [], warnings: [] }
}

const TORCH: Shapes = {
  'conv.weight': [4, 3, 3, 3],
  'bn.weight': [4],
  'bn.bias': [4],
  'bn.running_mean': [4],
  'bn.running_var': [4],
  'fc.weight': [5, 24],
  'fc.bias': [5],
}
const KERAS: Shapes = {
  'conv2d/kernel': [3, 3, 3, 4],
  'batch_normalization/gamma': [4],
  'batch_normalization/beta': [4],
  'batch_normalization/moving_mean': [4],
  'batch_normalization/moving_variance': [4],
  'dense/kernel': [24, 5],
  'dense/bias': [5],
}

const entryOf = (ledger: Ledger, name: string) => ledger.targets.find(({ target }) => target.name === name)!
const textOf = (ledger: Ledger, name: string) => {
  const { expression, from } = entryOf(ledger, name)
  return expression ? `${printExpression(expression)} of ${from.map((tensor) => tensor.name).join(', ')}` : null
}

test('names and shapes of both frameworks, flatten order through the dense layer', async () => {
  const ledger = await planTransfer(weights(TORCH, 'pytorch'), weights(KERAS, 'keras'))
  expect(textOf(ledger, 'conv2d/kernel')).toBe('transpose($0, [2, 3, 1, 0]) of conv.weight')
  expect(textOf(ledger, 'batch_normalization/moving_variance')).toBe('$0 of bn.running_var')
  // 24 columns behind 4 channels: 6 places, channels first to channels last
  expect(textOf(ledger, 'dense/kernel')).toBe(
    'transpose(reshape(transpose(reshape($0, [5, 4, 6]), [0, 2, 1]), [5, 24]), [1, 0]) of fc.weight',
  )
  expect(ledger.targets.every(({ isMissing }) => !isMissing)).toBe(true)
  expect(ledger.sources.every(({ isLost }) => !isLost)).toBe(true)
})

test('BatchNorm is folded where the target has a bias in its place, and the assumed epsilon is said', async () => {
  const target = weights({ 'conv.weight': [4, 3, 3, 3], 'conv.bias': [4], 'fc.weight': [5, 24], 'fc.bias': [5] })
  const ledger = await planTransfer(weights(TORCH, 'pytorch'), target)
  expect(entryOf(ledger, 'conv.bias').state).toBe('folded')
  expect(textOf(ledger, 'conv.bias')).toBe(
    '(0 - $2) * ($0 / sqrt($3 + 0.00001)) + $1 of bn.weight, bn.bias, bn.running_mean, bn.running_var',
  )
  expect(ledger.notes[0]).toContain('epsilon 0.00001 was assumed')
  const given = await planTransfer(weights(TORCH, 'pytorch'), target, { epsilon: 0.001 })
  expect(given.notes).toEqual([])
  const { target: bias, from, expression } = entryOf(given, 'conv.bias')
  const values = new Float32Array((await computeTensor(bias, from, expression!)).buffer)
  expect(values[1]).toBeCloseTo((0 - 2) * (2 / Math.sqrt(2.001)) + 2, 6)
})

test('a parameter that nothing fills is missing, one without a place is lost', async () => {
  const source = weights({ 'conv.weight': [4, 3, 3, 3], 'aux.weight': [7, 9] })
  const target = weights({ 'conv.weight': [4, 3, 3, 3], 'conv.bias': [4], 'head.weight': [2, 6] })
  const ledger = await planTransfer(source, target)
  expect(entryOf(ledger, 'conv.bias')).toMatchObject({ state: 'no-counterpart', isMissing: false })
  expect(entryOf(ledger, 'head.weight')).toMatchObject({ state: 'no-counterpart', isMissing: true })
  expect(ledger.sources.find(({ source: tensor }) => tensor.name === 'aux.weight')?.isLost).toBe(true)
})

test('what only the order of two sorted lists could tell apart is ambiguous, and not chosen', async () => {
  const three = (names: readonly string[]) => weights(Object.fromEntries(names.map((name) => [name, [2, 3, 3, 3]])))
  const source = three(['a/kernel', 'b/kernel', 'c/kernel'])
  const target = three(['x/kernel', 'y/kernel', 'z/kernel'])
  const ledger = await planTransfer(source, target)
  expect(ledger.targets.map(({ state, isMissing }) => [state, isMissing])).toEqual(Array(3).fill(['ambiguous', true]))
  expect([...ledger.targets[0]!.candidates].sort()).toEqual(['a/kernel', 'b/kernel', 'c/kernel'])
  expect(ledger.targets[0]!.expression).toBeUndefined()
})

test('equal shapes in the order of the files, whatever they are called', async () => {
  const names = ['stem', 'mid', 'last', 'again']
  const source = weights(Object.fromEntries(names.map((name) => [`${name}.weight`, [4, 4, 3, 3]])))
  const target = weights(Object.fromEntries(['q', 'd', 'x', 'a'].map((name) => [`${name}/kernel`, [3, 3, 4, 4]])))
  const ledger = await planTransfer(source, target)
  expect(ledger.targets.map(({ from }) => from[0]?.name)).toEqual(names.map((name) => `${name}.weight`))
  expect(ledger.targets.every(({ foundBy }) => foundBy === 'order')).toBe(true)
})

test('two biases of an LSTM are summed, gates stay as they are between PyTorch and Keras', async () => {
  const source = weights({
    'rnn.weight_ih_l0': [28, 6],
    'rnn.weight_hh_l0': [28, 7],
    'rnn.bias_ih_l0': [28],
    'rnn.bias_hh_l0': [28],
  })
  const target = weights({ 'lstm/kernel': [6, 28], 'lstm/recurrent_kernel': [7, 28], 'lstm/bias': [28] }, 'keras')
  const ledger = await planTransfer(source, target)
  expect(textOf(ledger, 'lstm/kernel')).toBe('transpose($0, [1, 0]) of rnn.weight_ih_l0')
  expect(textOf(ledger, 'lstm/bias')).toBe('$0 + $1 of rnn.bias_ih_l0, rnn.bias_hh_l0')
  expect(entryOf(ledger, 'lstm/bias').state).toBe('merged')
})

test('the two biases of a GRU that resets behind the product have no sum', async () => {
  const source = weights({
    'rnn.weight_ih_l0': [21, 6],
    'rnn.weight_hh_l0': [21, 7],
    'rnn.bias_ih_l0': [21],
    'rnn.bias_hh_l0': [21],
  })
  const one = weights({ 'gru/kernel': [6, 21], 'gru/recurrent_kernel': [7, 21], 'gru/bias': [21] }, 'keras')
  const ledger = await planTransfer(source, one)
  expect(entryOf(ledger, 'gru/bias')).toMatchObject({ state: 'no-counterpart', isMissing: true })
  const two = weights({ 'gru/kernel': [6, 21], 'gru/recurrent_kernel': [7, 21], 'gru/bias': [2, 21] }, 'keras')
  expect(textOf(await planTransfer(source, two), 'gru/kernel')).toBe(
    'transpose(blocks($0, 0, [1, 0, 2]), [1, 0]) of rnn.weight_ih_l0',
  )
})

test('query, key and value in one kernel or in three', async () => {
  const fused = weights({
    'attn.in_proj_weight': [24, 8],
    'attn.in_proj_bias': [24],
    'attn.out_proj.weight': [8, 8],
    'attn.out_proj.bias': [8],
  })
  const parts = ['query', 'key', 'value', 'out_proj'].flatMap((name): [string, number[]][] => [
    [`attn.${name}.weight`, [8, 8]],
    [`attn.${name}.bias`, [8]],
  ])
  const apart = weights(Object.fromEntries(parts))
  const split = await planTransfer(fused, apart)
  expect(textOf(split, 'attn.key.weight')).toBe('slice($0, 0, 8, 16) of attn.in_proj_weight')
  expect(split.sources.find(({ source }) => source.name === 'attn.in_proj_weight')?.state).toBe('split')
  const merged = await planTransfer(apart, fused)
  expect(textOf(merged, 'attn.in_proj_bias')).toBe(
    'concat(0, $0, $1, $2) of attn.query.bias, attn.key.bias, attn.value.bias',
  )
})

test('entries of a mapping file replace what was found; wrong ones name their place', async () => {
  const [source, target] = [weights(TORCH, 'pytorch'), weights(KERAS, 'keras')]
  const edit = {
    target: 'dense/bias',
    from: ['fc.bias'],
    transform: 'flip($0, [0])',
    state: 'mapped' as const,
    reason: 'mine',
  }
  const ledger = await planTransfer(source, target, {}, [edit])
  expect(entryOf(ledger, 'dense/bias')).toMatchObject({ foundBy: 'map-file', reason: 'mine', confidence: 1 })
  const kept = await planTransfer(source, target, {}, [{ ...edit, from: [], transform: null, state: 'dropped' }])
  expect(entryOf(kept, 'dense/bias')).toMatchObject({ state: 'dropped', isMissing: false })
  expect(kept.sources.find(({ source: tensor }) => tensor.name === 'fc.bias')?.isLost).toBe(true)
  const refused = (change: object, message: string) =>
    expect(planTransfer(source, target, {}, [{ ...edit, ...change }])).rejects.toThrow(message)
  await refused({ target: 'dense/bais' }, 'entries[0].target: the target has no tensor "dense/bais"')
  await refused({ from: ['fc.bais'] }, 'entries[0].from[0]: the source has no tensor "fc.bais"')
  await refused({ transform: 'flip($0, [0]' }, 'entries[0].transform: column 13: expected ")"')
  await refused({ transform: '$1' }, 'entries[0].transform: $1 is used')
  await refused({ from: ['fc.weight'] }, 'entries[0].transform: gives shape [5, 24], "dense/bias" has [5]')
})
