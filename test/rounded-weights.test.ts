import { expect, test } from 'vitest'
import { normal, seededRandom } from '../src/compare/random.ts'
import { compare } from '../src/tasks/compare.ts'
import { decodeFloat16 } from '../src/tensor/decode.ts'
import { elementCount } from '../src/tensor/dtype.ts'
import { encodeFloat16 } from '../src/tensor/encode.ts'
import { concat, field, floats, number, packed } from './build/protobuf.ts'
import { memoryInput } from './memory-input.ts'

/** ONNX files of a convolution, one with its BatchNorm, one with it folded in and rounded to half precision. */
const random = seededRandom(3)
const vector = (count: number, scale = 1, offset = 0) =>
  Array.from({ length: count }, () => offset + scale * normal(random))
const [OUT, IN] = [8, 3]
const kernel = vector(OUT * IN * 9, 0.3)
const norm = {
  gamma: vector(OUT, 0.2, 1),
  beta: vector(OUT, 0.3),
  mean: vector(OUT, 0.3),
  variance: vector(OUT).map((value) => 0.5 + value * value),
}
const scale = norm.gamma.map((gamma, channel) => gamma / Math.sqrt(norm.variance[channel]! + 1e-5))
const half = (values: readonly number[]) => values.map((value) => decodeFloat16(encodeFloat16(value)))

const tensor = (name: string, dims: readonly number[], values: readonly number[]) =>
  field(5, packed(1, dims), number(2, 1), field(8, name), field(9, floats(values)))
const node = (op: string, inputs: readonly string[], output: string) =>
  field(1, ...inputs.map((name) => field(1, name)), field(2, output), field(3, `${op} node`), field(4, op))
const value = (id: number, name: string, ...dims: number[]) =>
  field(
    id,
    field(1, name),
    field(2, field(1, number(1, 1), field(2, ...dims.map((size) => field(1, number(1, size)))))),
  )
const model = (...graph: Uint8Array[]) => {
  const ends = [value(11, 'x', 1, IN, 12, 10), value(12, 'y', 1, OUT, 10, 8)]
  const file = concat(number(1, 8), field(7, ...graph, field(2, 'g'), ...ends), field(8, number(2, 17)))
  return memoryInput({ 'net.onnx': file }, 'net.onnx')
}

const reference = model(
  node('Conv', ['x', 'w'], 'c'),
  node('BatchNormalization', ['c', 'gamma', 'beta', 'mean', 'variance'], 'y'),
  tensor('w', [OUT, IN, 3, 3], kernel),
  ...Object.entries(norm).map(([name, values]) => tensor(name, [OUT], values)),
)

/** @param change what is done to the folded bias before it is rounded */
const folded = (change: (value: number) => number = (same) => same) => {
  const weights = kernel.map((each, at) => each * scale[Math.floor(at / elementCount([IN, 3, 3]))]!)
  const bias = norm.beta.map((beta, channel) => change(beta - norm.mean[channel]! * scale[channel]!))
  return model(
    node('Conv', ['x', 'k', 'b'], 'y'),
    tensor('k', [OUT, IN, 3, 3], half(weights)),
    tensor('b', [OUT], half(bias)),
  )
}

test('a folded copy in half precision matches: its rounding is taken out of the comparison', async () => {
  const { verdict, parameters, outputs } = await compare(reference, folded())
  expect(parameters.map(({ relation }) => relation)).toEqual(['rounded', 'rounded'])
  expect(verdict).toBe('match')
  expect(outputs[0]!.relL2).toBeLessThan(1e-6)
})

test('a bias that is off by more than rounding does not', async () => {
  expect(
    (
      await compare(
        reference,
        folded((value) => value + 0.01),
      )
    ).verdict,
  ).toBe('mismatch')
})
