import { type Call, charge, input, int, type OperatorTable, real } from './call.ts'
import { combineValues } from './elementwise.ts'
import { multiplyMatrices } from './multiply.ts'
import {
  alike,
  broadcastShape,
  broadcastStrides,
  broadcastTo,
  demand,
  forEachRow,
  type Numbers,
  zeros,
} from './numbers.ts'

/**
 * Product over the last two axes, the others broadcast (numpy.matmul).
 * @source https://onnx.ai/onnx/operators/onnx__MatMul.html
 */
export function multiplyArrays(call: Call, left: Numbers, right: Numbers): Numbers {
  demand(left.shape.length > 0 && right.shape.length > 0, 'MatMul of a scalar')
  const a = left.shape.length === 1 ? [1, ...left.shape] : left.shape
  const b = right.shape.length === 1 ? [...right.shape, 1] : right.shape
  const [rows, inner, columns] = [a.at(-2)!, a.at(-1)!, b.at(-1)!]
  demand(b.at(-2) === inner, `[${left.shape}] x [${right.shape}]`)
  const [outerA, outerB] = [a.slice(0, -2), b.slice(0, -2)]
  const outer = broadcastShape(outerA, outerB)
  const whole = [...outer, rows, columns]
  const out = zeros(whole)
  charge(call, out.length * inner)
  let outOffset = 0
  forEachRow(outer, [broadcastStrides(outerA, outer), broadcastStrides(outerB, outer)], (count, starts, steps) => {
    for (let index = 0; index < count; index++, outOffset += rows * columns) {
      const offsetA = (starts[0]! + index * steps[0]!) * rows * inner
      const offsetB = (starts[1]! + index * steps[1]!) * inner * columns
      multiplyMatrices(
        { out, outOffset, outStep: columns },
        { rows, inner, columns },
        { values: left.values, offset: offsetA, rowStep: inner, columnStep: 1 },
        { values: right.values, offset: offsetB, rowStep: columns, columnStep: 1 },
      )
    }
  })
  const shape = [...outer, ...(left.shape.length === 1 ? [] : [rows]), ...(right.shape.length === 1 ? [] : [columns])]
  return alike(left, shape, out)
}

/** alpha A' B' + beta C. @source https://onnx.ai/onnx/operators/onnx__Gemm.html */
export function gemm(call: Call): Numbers {
  const [left, right, addend] = [input(call, 0), input(call, 1), call.inputs[2]]
  demand(left.shape.length === 2 && right.shape.length === 2, 'Gemm of another rank than 2')
  const transA = int(call, 'transA', 0) !== 0
  const transB = int(call, 'transB', 0) !== 0
  const [rows, inner] = transA ? [left.shape[1]!, left.shape[0]!] : [left.shape[0]!, left.shape[1]!]
  const columns = right.shape[transB ? 0 : 1]!
  demand(right.shape[transB ? 1 : 0] === inner, `[${left.shape}] x [${right.shape}]`)
  charge(call, rows * inner * columns)
  const product = zeros([rows, columns])
  multiplyMatrices(
    { out: product, outOffset: 0, outStep: columns },
    { rows, inner, columns },
    { values: left.values, offset: 0, rowStep: transA ? 1 : inner, columnStep: transA ? rows : 1 },
    { values: right.values, offset: 0, rowStep: transB ? 1 : columns, columnStep: transB ? inner : 1 },
  )
  const [alpha, beta] = [real(call, 'alpha', 1), real(call, 'beta', 1)]
  const scaled = alike(left, [rows, columns], alpha === 1 ? product : product.map((value) => alpha * value))
  if (addend === undefined || beta === 0) return scaled
  const full = alike(left, [rows, columns], broadcastTo(addend, [rows, columns]))
  return combineValues(scaled, full, (a, b) => a + beta * b)
}

/** @source https://onnx.ai/onnx/operators/ */
export const MATMUL_OPERATORS: OperatorTable = {
  MatMul: (call) => [multiplyArrays(call, input(call, 0), input(call, 1))],
  Gemm: (call) => [gemm(call)],
}
