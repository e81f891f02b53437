import { expect, test } from 'vitest'
import {
  alongAxis,
  blocks,
  combine,
  concat,
  flip,
  full,
  input,
  reshape,
  slice,
  sqrt,
  transpose,
} from './build-expression.ts'
import { evaluate } from './evaluate-expression.ts'
import { onlyMoves, printExpression, shapeOf } from './expression.ts'
import { parseExpression } from './parse-expression.ts'

const text = (part: { expression: Parameters<typeof printExpression>[0] }) => printExpression(part.expression)

test('steps that do nothing vanish and neighbours join', () => {
  const kernel = input(0, [16, 3, 5, 7])
  const there = transpose(kernel, [2, 3, 1, 0])
  expect(text(there)).toBe('transpose($0, [2, 3, 1, 0])')
  expect(text(transpose(there, [3, 2, 0, 1]))).toBe('$0')
  expect(text(reshape(reshape(kernel, [48, 35]), [16, 3, 5, 7]))).toBe('$0')
  expect(text(transpose(input(0, [24, 1, 3, 3]), [1, 0, 2, 3]))).toBe('reshape($0, [1, 24, 3, 3])')
  expect(text(blocks(flip(slice(kernel, 0, 0, 16), [0]), 0, [0, 1]))).toBe('flip($0, [0])')
  expect(text(transpose(full(1, [2, 3]), [1, 0]))).toBe('full(1, [3, 2])')
})

test('what is printed is read back', () => {
  const scale = combine(input(1, [4]), '/', sqrt(combine(input(2, [4]), '+', 1e-5)))
  const parts = [
    combine(input(0, [4, 2, 1, 1]), '*', alongAxis(scale, 0, 4)),
    combine(combine(combine(input(0, [4]), '-', input(3, [4])), '*', scale), '+', input(4, [4])),
    combine(input(0, [4]), '-', combine(input(3, [4]), '-', input(4, [4]))),
    concat(0, [slice(input(0, [8]), 0, 2, 4), full(0.5, [2])]),
  ]
  for (const part of parts) expect(parseExpression(text(part))).toEqual(part.expression)
  expect(text(parts[1]!)).toBe('($0 - $3) * ($1 / sqrt($2 + 0.00001)) + $4')
})

test('values as numpy has them', () => {
  const run = (source: string, inputs: number[][], shapes: number[][]) => [
    ...evaluate(
      parseExpression(source),
      inputs.map((each) => Float64Array.from(each)),
      shapes,
    ),
  ]
  const six = [0, 1, 2, 3, 4, 5]
  expect(run('transpose($0, [1, 0])', [six], [[2, 3]])).toEqual([0, 3, 1, 4, 2, 5])
  expect(run('flip($0, [1])', [six], [[2, 3]])).toEqual([2, 1, 0, 5, 4, 3])
  expect(run('blocks($0, 0, [2, 0, 1])', [six], [[6]])).toEqual([4, 5, 0, 1, 2, 3])
  expect(run('slice(transpose($0, [1, 0]), 0, 1, 3)', [six], [[2, 3]])).toEqual([1, 4, 2, 5])
  expect(run('concat(1, $0, full(9, [2, 1]))', [six], [[2, 3]])).toEqual([0, 1, 2, 9, 3, 4, 5, 9])
  expect(run('$0 * reshape($1, [2, 1]) - 1', [six, [1, 2]], [[2, 3], [2]])).toEqual([-1, 0, 1, 5, 7, 9])
  expect(run('reshape(transpose(reshape($0, [1, 3, 2]), [0, 2, 1]), [1, 6])', [six], [[1, 6]])).toEqual([
    0, 2, 4, 1, 3, 5,
  ])
})

test('moves keep the words of any type', () => {
  const words = BigUint64Array.from([1n, 2n, 3n, 4n])
  const expression = parseExpression('concat(0, slice($0, 0, 2, 4), slice($0, 0, 0, 2))')
  expect(onlyMoves(expression)).toBe(true)
  expect(evaluate(expression, [words], [[4]])).toEqual(BigUint64Array.from([3n, 4n, 1n, 2n]))
  expect(onlyMoves(parseExpression('$0 + 0'))).toBe(false)
})

test.each([
  ['transpose($0, [1, 1])', 'no order of the 2 axes'],
  ['reshape($0, [4])', 'changes the number of elements'],
  ['$1', 'names 1 tensor'],
  ['slice($0, 0, 1, 9)', 'lies outside axis 0'],
  ['$0 + full(1, [5])', 'cannot be broadcast'],
  ['blocks($0, 1, [0, 1])', 'do not cut axis 1'],
])('%s does not fit [2, 3]', (source, message) => {
  expect(() => shapeOf(parseExpression(source), [[2, 3]])).toThrow(message)
})

test.each([
  ['transpse($0, [1, 0])', 'column 1: expected one of reshape, transpose'],
  ['transpose($0 [1, 0])', 'column 14: expected ","'],
  ['$0 $1', 'column 4: expected an operator or the end, found "$1"'],
  ['', 'column 1: expected $0'],
  ['('.repeat(100), 'nested deeper'],
])('%s is refused', (source, message) => {
  expect(() => parseExpression(source)).toThrow(message)
})
