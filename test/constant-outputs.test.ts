import { expect, test } from 'vitest'
import { compare } from '../src/tasks/compare.ts'
import { concat, field, floats, number, packed } from './build/protobuf.ts'
import { memoryInput } from './memory-input.ts'

/** ONNX files with one output that follows the input and one that hangs on a constant alone, as prior boxes do. */
const value = (id: number, name: string, size: number) =>
  field(id, field(1, name), field(2, field(1, number(1, 1), field(2, field(1, number(1, size))))))
const node = (op: string, input: string, output: string) =>
  field(1, field(1, input), field(2, output), field(3, `${op} node`), field(4, op))
const model = (...priors: number[]) => {
  const stored = field(5, packed(1, [priors.length]), number(2, 1), field(8, 'stored'), field(9, floats(priors)))
  const ends = [value(11, 'x', 40), value(12, 'y', 40), value(12, 'priors', priors.length)]
  const graph = [node('Tanh', 'x', 'y'), node('Identity', 'stored', 'priors'), field(2, 'g'), stored, ...ends]
  return memoryInput({ 'net.onnx': concat(number(1, 8), field(7, ...graph), field(8, number(2, 17))) }, 'net.onnx')
}
const check = (title: string, candidate: readonly number[], expected: 'match' | 'mismatch') =>
  test(title, async () => {
    const { verdict, outputs } = await compare(model(1, 2, 3), model(...candidate))
    expect(verdict).toBe(expected)
    expect(outputs.find(({ reference }) => reference === 'priors')?.status).toBe(
      expected === 'match' ? 'equal' : 'different',
    )
  })

check('the same constant is the same', [1, 2, 3], 'match')
check('another constant differs', [1, 2, 4], 'mismatch')
check('a constant of another size differs', [1, 2, 3, 4], 'mismatch')
