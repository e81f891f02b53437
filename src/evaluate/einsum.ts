import { contiguousStrides } from '../tensor/array-value.ts'
import { elementCount } from '../tensor/dtype.ts'
import { type Call, charge, input, type OperatorTable, text } from './call.ts'
import { multiplyMatrices } from './multiply.ts'
import { alike, demand, type Numbers, zeros } from './numbers.ts'
import { transposed } from './shape.ts'

/** An array whose axes have labels, each once. */
interface Labelled {
  readonly array: Numbers
  readonly labels: readonly string[]
}

/**
 * Sums of products along labelled axes, two operands at a time.
 * @source https://onnx.ai/onnx/operators/onnx__Einsum.html
 */
function einsum(call: Call) {
  const equation = text(call, 'equation', '').replaceAll(' ', '')
  const [left = '', right] = equation.split('->')
  const terms = left.split(',')
  demand(terms.length === call.inputs.length, 'another number of operands')
  const operands = terms.map((term, index) =>
    diagonal(input(call, index), labelsOf(term, input(call, index).shape.length)),
  )
  const output = right === undefined ? implicit(left, operands) : outputLabels(right, operands)
  let whole = operands[0]!
  for (const [index, operand] of operands.entries()) {
    if (index === 0) continue
    const later = new Set([...output, ...operands.slice(index + 1).flatMap(({ labels }) => labels)])
    whole = contract(call, whole, operand, later)
  }
  whole = sumOut(whole, new Set(output))
  demand(
    output.every((label) => whole.labels.includes(label)),
    'a label of the result that no operand has',
  )
  return [
    transposed(
      whole.array,
      output.map((label) => whole.labels.indexOf(label)),
    ),
  ]
}

/** `...` becomes labels of its own, `.1` for the last of its axes. */
function labelsOf(term: string, rank: number): string[] {
  const [before = '', after] = term.split('...')
  if (after === undefined) {
    demand(before.length === rank, `"${term}" for rank ${rank}`)
    return [...before]
  }
  const hidden = rank - before.length - after.length
  demand(hidden >= 0, `"${term}" for rank ${rank}`)
  return [...before, ...Array.from({ length: hidden }, (_, index) => `.${hidden - index}`), ...after]
}

/** Labels of all ellipses together, outermost first. */
function ellipsisLabels(operands: readonly Labelled[]): string[] {
  const all = new Set(operands.flatMap(({ labels }) => labels.filter((label) => label.startsWith('.'))))
  return [...all].sort((a, b) => Number(b.slice(1)) - Number(a.slice(1)))
}

function outputLabels(term: string, operands: readonly Labelled[]): string[] {
  const [before = '', after] = term.split('...')
  return after === undefined ? [...before] : [...before, ...ellipsisLabels(operands), ...after]
}

/** Without `->`: labels that occur once, in alphabetical order. */
function implicit(left: string, operands: readonly Labelled[]): string[] {
  const letters = [...left.replaceAll(/[.,]/g, '')]
  const once = letters.filter((letter) => letters.indexOf(letter) === letters.lastIndexOf(letter)).sort()
  return [...ellipsisLabels(operands), ...once]
}

/** A label that an operand has twice takes its diagonal. */
function diagonal(array: Numbers, labels: readonly string[]): Labelled {
  const unique = [...new Set(labels)]
  if (unique.length === labels.length) return { array, labels }
  const strides = contiguousStrides(array.shape)
  const shape = unique.map((label) => array.shape[labels.indexOf(label)]!)
  const steps = unique.map((label) => {
    const axes = labels.flatMap((other, axis) => (other === label ? [axis] : []))
    demand(
      axes.every((axis) => array.shape[axis] === array.shape[axes[0]!]),
      'a diagonal of unequal axes',
    )
    return axes.reduce((sum, axis) => sum + strides[axis]!, 0)
  })
  const own = contiguousStrides(shape)
  const out = zeros(shape).map((_, at) => {
    let from = 0
    for (let axis = 0; axis < shape.length; axis++) from += (Math.floor(at / own[axis]!) % shape[axis]!) * steps[axis]!
    return array.values[from]!
  })
  return { array: alike(array, shape, out), labels: unique }
}

/** Adds up along labels that nobody needs. */
function sumOut({ array, labels }: Labelled, needed: ReadonlySet<string>): Labelled {
  const kept = labels.filter((label) => needed.has(label))
  if (kept.length === labels.length) return { array, labels }
  const lost = labels.filter((label) => !needed.has(label))
  const moved = transposed(
    array,
    [...kept, ...lost].map((label) => labels.indexOf(label)),
  )
  const shape = moved.shape.slice(0, kept.length)
  const length = elementCount(moved.shape.slice(kept.length))
  const out = zeros(shape)
  for (let at = 0; at < out.length; at++) {
    for (let index = 0; index < length; index++) out[at] = out[at]! + moved.values[at * length + index]!
  }
  return { array: alike(array, shape, out), labels: kept }
}

/** Two operands to one, as a batch of matrix products over the labels that both have and nobody needs later. */
function contract(call: Call, first: Labelled, second: Labelled, later: ReadonlySet<string>): Labelled {
  const left = sumOut(withoutOnes(first, second), new Set([...later, ...second.labels]))
  const right = sumOut(withoutOnes(second, first), new Set([...later, ...first.labels]))
  const shared = left.labels.filter((label) => right.labels.includes(label))
  const batch = shared.filter((label) => later.has(label))
  const inner = shared.filter((label) => !later.has(label))
  const rows = left.labels.filter((label) => !shared.includes(label))
  const columns = right.labels.filter((label) => !shared.includes(label))
  const a = arranged(left, [...batch, ...rows, ...inner])
  const b = arranged(right, [...batch, ...inner, ...columns])
  const sizeIn = ({ array, labels }: Labelled, list: readonly string[]) =>
    list.map((label) => array.shape[labels.indexOf(label)]!)
  demand(sizeIn(left, shared).join() === sizeIn(right, shared).join(), 'operands that do not fit')
  const [count, m, k, n] = [sizeIn(left, batch), sizeIn(left, rows), sizeIn(left, inner), sizeIn(right, columns)].map(
    elementCount,
  ) as [number, number, number, number]
  charge(call, count * m * k * n)
  const shape = [...sizeIn(left, batch), ...sizeIn(left, rows), ...sizeIn(right, columns)]
  const out = zeros(shape)
  for (let index = 0; index < count; index++) {
    multiplyMatrices(
      { out, outOffset: index * m * n, outStep: n },
      { rows: m, inner: k, columns: n },
      { values: a, offset: index * m * k, rowStep: k, columnStep: 1 },
      { values: b, offset: index * k * n, rowStep: n, columnStep: 1 },
    )
  }
  return { array: alike(first.array, shape, out), labels: [...batch, ...rows, ...columns] }
}

/** An axis of size 1 broadcasts against a longer one of the same label: it is dropped. */
function withoutOnes({ array, labels }: Labelled, other: Labelled): Labelled {
  const dropped = labels.map((label, axis) => {
    const there = other.labels.indexOf(label)
    return array.shape[axis] === 1 && there >= 0 && other.array.shape[there] !== 1
  })
  const keep = <T>(list: readonly T[]) => list.filter((_, axis) => !dropped[axis])
  return { array: alike(array, keep(array.shape), array.values), labels: keep(labels) }
}

function arranged({ array, labels }: Labelled, order: readonly string[]): Float64Array {
  return transposed(
    array,
    order.map((label) => labels.indexOf(label)),
  ).values
}

/** @source https://onnx.ai/onnx/operators/ */
export const EINSUM_OPERATORS: OperatorTable = { Einsum: einsum }
