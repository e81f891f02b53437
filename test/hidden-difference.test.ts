import { expect, test } from 'vitest'
import { compare } from '../src/tasks/compare.ts'
import { concat, field, float, floats, number, packed } from './build/protobuf.ts'
import { memoryInput } from './memory-input.ts'

const CHANNELS = 4

const tensor = (name: string, values: readonly number[]) =>
  field(5, packed(1, [values.length]), number(2, 1), field(8, name), field(9, floats(values)))
const value = (id: number, name: string) =>
  field(
    id,
    field(1, name),
    field(2, field(1, number(1, 1), field(2, ...[1, CHANNELS, 6, 5].map((size) => field(1, number(1, size)))))),
  )

/** One BatchNorm of large variances, whose epsilon moves results by 5e-8 of their size. */
const batchNorm = (epsilon: number) => {
  const file = concat(
    number(1, 8),
    field(
      7,
      field(
        1,
        ...['x', 'gamma', 'beta', 'mean', 'variance'].map((name) => field(1, name)),
        field(2, 'y'),
        field(3, 'norm'),
        field(4, 'BatchNormalization'),
        field(5, field(1, 'epsilon'), float(2, epsilon), number(20, 1)),
      ),
      field(2, 'g'),
      tensor('gamma', [1.5, 0.5, -0.75, 1.25]),
      tensor('beta', [0.5, -0.25, 0.125, 1]),
      tensor('mean', [0.25, 2, -1, 0.75]),
      tensor('variance', [12_000, 9_000, 15_000, 11_000]),
      value(11, 'x'),
      value(12, 'y'),
    ),
    field(8, number(2, 17)),
  )
  return memoryInput({ 'net.onnx': file }, 'net.onnx')
}

test('an epsilon whose effect is below rounding is a mismatch all the same, with its place', async () => {
  const { verdict, behaviour, weights, firstDivergence, causes, summary } = await compare(
    batchNorm(1e-5),
    batchNorm(1e-3),
  )
  expect([verdict, behaviour.verdict, weights.verdict]).toEqual(['mismatch', 'match', 'mismatch'])
  expect(firstDivergence).toMatchObject({
    referenceTensor: 'y',
    candidateTensor: 'y',
    referenceNode: 'norm',
    maxAbs: null,
  })
  expect(causes.map(({ label }) => label)).toEqual(['bn-epsilon'])
  expect(summary).toBe(
    'The output agrees on 2 inputs, and the region by itself, but epsilon 0.001 in the candidate, 1e-5 in the reference. On these inputs its effect stays below rounding; on others it need not.',
  )
})

test('the same epsilon is a match', async () => {
  expect((await compare(batchNorm(1e-3), batchNorm(1e-3))).verdict).toBe('match')
})
