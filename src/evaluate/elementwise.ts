import { DTYPES } from '../tensor/dtype.ts'
import { type Call, input, int, type Operator, type OperatorTable, text } from './call.ts'
import {
  alike,
  axisOf,
  bools,
  broadcastShape,
  broadcastStrides,
  demand,
  forEachRow,
  type Numbers,
  zeros,
} from './numbers.ts'
import { erf, roundHalfEven } from './special-functions.ts'

/** Each value through `map`; the type stays, and integers wrap at its width. */
export function mapValues(x: Numbers, map: (value: number) => number): Numbers {
  const { values } = x
  const out = new Float64Array(values.length)
  for (let index = 0; index < out.length; index++) out[index] = map(values[index]!)
  return x.kind === 'int' ? wrapped(alike(x, x.shape, out)) : alike(x, x.shape, out)
}

/** Two arrays through `combine`, broadcast. The type is the first one's. */
export function combineValues(left: Numbers, right: Numbers, combine: (a: number, b: number) => number): Numbers {
  const shape = broadcastShape(left.shape, right.shape)
  const out = zeros(shape)
  const a = left.values
  const b = right.values
  if (a.length === out.length && b.length === out.length) {
    for (let index = 0; index < out.length; index++) out[index] = combine(a[index]!, b[index]!)
  } else if (a.length === out.length && b.length === 1) {
    const only = b[0]!
    for (let index = 0; index < out.length; index++) out[index] = combine(a[index]!, only)
  } else {
    let position = 0
    const strides = [broadcastStrides(left.shape, shape), broadcastStrides(right.shape, shape)]
    forEachRow(shape, strides, (length, starts, steps) => {
      let fromA = starts[0]!
      let fromB = starts[1]!
      const stepA = steps[0]!
      const stepB = steps[1]!
      for (let index = 0; index < length; index++, fromA += stepA, fromB += stepB) {
        out[position++] = combine(a[fromA]!, b[fromB]!)
      }
    })
  }
  return left.kind === 'int' ? wrapped(alike(left, shape, out)) : alike(left, shape, out)
}

/** Integers brought into the range of their type by dropping high bits, as every runtime does. */
export function wrapped(array: Numbers): Numbers {
  const { dtype, values } = array
  if (dtype === undefined || array.kind !== 'int' || DTYPES[dtype].bits >= 64) return array
  const { bits, kind } = DTYPES[dtype]
  const modulus = 2 ** bits
  const highest = kind === 'uint' ? modulus - 1 : modulus / 2 - 1
  const lowest = highest - modulus + 1
  for (let index = 0; index < values.length; index++) {
    const value = values[index]!
    if (value >= lowest && value <= highest) continue
    demand(Number.isSafeInteger(value), `integer ${value}`)
    values[index] = ((((value - lowest) % modulus) + modulus) % modulus) + lowest
  }
  return array
}

function unary(map: (value: number) => number): Operator {
  return (call) => [mapValues(input(call, 0), map)]
}

/** Before version 7 the second operand was aligned to the first at `axis`, and only with `broadcast`. */
function operands(call: Call): [Numbers, Numbers] {
  const [left, right] = [input(call, 0), input(call, 1)]
  if (call.opset >= 7 || call.node.domain === 'com.microsoft') return [left, right]
  if (int(call, 'broadcast', 0) === 0) {
    demand(left.shape.join() === right.shape.join(), 'operands of unlike shape without broadcast')
    return [left, right]
  }
  const rank = left.shape.length
  const axis = call.node.attributes.axis === undefined ? rank - right.shape.length : axisOf(int(call, 'axis', 0), rank)
  const trailing = rank - axis - right.shape.length
  demand(axis >= 0 && trailing >= 0, 'broadcast beyond the first operand')
  return [left, { ...right, shape: [...right.shape, ...new Array<number>(trailing).fill(1)] }]
}

function binary(combine: (a: number, b: number) => number, ints = combine): Operator {
  return (call) => {
    const [left, right] = operands(call)
    return [combineValues(left, right, left.kind === 'int' ? ints : combine)]
  }
}

function comparison(compare: (a: number, b: number) => boolean): Operator {
  return (call) => {
    const { shape, values } = combineValues(...asFloats(operands(call)), (a, b) => (compare(a, b) ? 1 : 0))
    return [bools(shape, values)]
  }
}

/** Comparisons give booleans: no wrapping of the operands' type. */
function asFloats([left, right]: [Numbers, Numbers]): [Numbers, Numbers] {
  return [{ shape: left.shape, values: left.values, kind: 'float' }, right]
}

function predicate(test: (value: number, call: Call) => boolean): Operator {
  return (call) => {
    const { shape, values } = input(call, 0)
    return [
      bools(
        shape,
        values.map((value) => (test(value, call) ? 1 : 0)),
      ),
    ]
  }
}

function variadic(combine: (a: number, b: number) => number): Operator {
  return (call) => {
    let sum = input(call, 0)
    for (let index = 1; index < call.inputs.length; index++) sum = combineValues(sum, input(call, index), combine)
    return [sum]
  }
}

function mean(call: Call) {
  const [sum] = variadic((a, b) => a + b)(call)
  const count = call.inputs.length
  return [mapValues(sum!, (value) => value / count)]
}

function divideInts(a: number, b: number): number {
  demand(b !== 0, 'integer division by zero')
  return Math.trunc(a / b) + 0
}

/** fmod has the dividend's sign, the other form the divisor's. */
function modulo(call: Call) {
  const [left, right] = operands(call)
  const fmod = int(call, 'fmod', 0) !== 0
  const combine = (a: number, b: number) => {
    demand(left.kind === 'float' || b !== 0, 'integer division by zero')
    // an infinite divisor has nothing to bring the rest nearer to
    const rest = a % b
    return fmod || rest === 0 || Number.isNaN(rest) || rest < 0 === b < 0 ? rest : rest + b
  }
  return [combineValues(left, right, combine)]
}

function power(call: Call) {
  const [base, exponent] = operands(call)
  if (base.kind === 'float') return [combineValues(base, exponent, Math.pow)]
  return [
    combineValues(base, exponent, (a, b) => {
      const result = Math.trunc(a ** b)
      demand(Number.isSafeInteger(result), 'integer power out of range')
      return result
    }),
  ]
}

/** Bits of integers of any width: through bigint, which is slow and exact. */
function bitwise(combine: (a: bigint, b: bigint) => bigint): Operator {
  return (call) => {
    const [left, right] = operands(call)
    demand(left.kind === 'int', 'bits of floats')
    return [combineValues(left, right, (a, b) => Number(combine(BigInt(a), BigInt(b))))]
  }
}

function bitwiseNot(call: Call) {
  const x = input(call, 0)
  demand(x.kind === 'int' && x.dtype !== undefined, 'bits of an unknown type')
  return [mapValues(x, (value) => -value - 1)]
}

function bitShift(call: Call) {
  const left = text(call, 'direction', '') === 'LEFT'
  const x = input(call, 0)
  const bits = x.dtype === undefined ? 64 : DTYPES[x.dtype].bits
  const shift = (a: bigint, b: bigint) => {
    demand(b >= 0n, 'a negative shift')
    return left ? BigInt.asUintN(bits, a << b) : a >> b
  }
  return bitwise(shift)(call)
}

function isInfinite(value: number, call: Call): boolean {
  if (value === Number.POSITIVE_INFINITY) return int(call, 'detect_positive', 1) !== 0
  return value === Number.NEGATIVE_INFINITY && int(call, 'detect_negative', 1) !== 0
}

function where(call: Call) {
  const [condition, yes, no] = [input(call, 0), input(call, 1), input(call, 2)]
  const shape = broadcastShape(condition.shape, broadcastShape(yes.shape, no.shape))
  const out = zeros(shape)
  const [c, a, b] = [condition.values, yes.values, no.values]
  let position = 0
  const strides = [condition, yes, no].map((array) => broadcastStrides(array.shape, shape))
  forEachRow(shape, strides, (length, starts, steps) => {
    for (let index = 0; index < length; index++) {
      const chosen = c[starts[0]! + index * steps[0]!]! !== 0
      out[position++] = chosen ? a[starts[1]! + index * steps[1]!]! : b[starts[2]! + index * steps[2]!]!
    }
  })
  return [alike(yes, shape, out)]
}

/** One slope per channel (axis 1) before version 7, any that broadcasts since. */
function prelu(call: Call) {
  const [x, slope] = [input(call, 0), input(call, 1)]
  const perChannel = call.opset < 7 && slope.values.length > 1 && slope.shape.length === 1
  const shape = perChannel ? [slope.values.length, ...x.shape.slice(2).map(() => 1)] : slope.shape
  return [combineValues(x, { ...slope, shape }, (value, factor) => (value < 0 ? value * factor : value))]
}

/** @source https://onnx.ai/onnx/operators/ */
export const ELEMENTWISE_OPERATORS: OperatorTable = {
  Add: binary((a, b) => a + b),
  Sub: binary((a, b) => a - b),
  Mul: binary((a, b) => a * b),
  Div: binary((a, b) => a / b, divideInts),
  Mod: modulo,
  Pow: power,
  Min: variadic(Math.min),
  Max: variadic(Math.max),
  Sum: variadic((a, b) => a + b),
  Mean: mean,
  Equal: comparison((a, b) => a === b),
  Greater: comparison((a, b) => a > b),
  GreaterOrEqual: comparison((a, b) => a >= b),
  Less: comparison((a, b) => a < b),
  LessOrEqual: comparison((a, b) => a <= b),
  And: comparison((a, b) => a !== 0 && b !== 0),
  Or: comparison((a, b) => a !== 0 || b !== 0),
  Xor: comparison((a, b) => (a !== 0) !== (b !== 0)),
  BitwiseAnd: bitwise((a, b) => a & b),
  BitwiseOr: bitwise((a, b) => a | b),
  BitwiseXor: bitwise((a, b) => a ^ b),
  BitwiseNot: bitwiseNot,
  BitShift: bitShift,
  Not: predicate((value) => value === 0),
  IsNaN: predicate(Number.isNaN),
  IsInf: predicate(isInfinite),
  Where: where,
  PRelu: prelu,
  Abs: unary(Math.abs),
  Neg: unary((value) => -value),
  Exp: unary(Math.exp),
  Log: unary(Math.log),
  Sqrt: unary(Math.sqrt),
  Reciprocal: unary((value) => 1 / value),
  Floor: unary(Math.floor),
  Ceil: unary(Math.ceil),
  Round: unary(roundHalfEven),
  Sign: unary(Math.sign),
  Erf: unary(erf),
  Sin: unary(Math.sin),
  Cos: unary(Math.cos),
  Tan: unary(Math.tan),
  Asin: unary(Math.asin),
  Acos: unary(Math.acos),
  Atan: unary(Math.atan),
  Sinh: unary(Math.sinh),
  Cosh: unary(Math.cosh),
  Asinh: unary(Math.asinh),
  Acosh: unary(Math.acosh),
  Atanh: unary(Math.atanh),
}
