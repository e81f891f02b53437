import { elementCount } from '../tensor/dtype.ts'
import { type Expression, shapeOf } from './expression.ts'

/** Elements of any fixed size: real values, or raw words that are only moved. */
export type Items = Float64Array | Uint8Array | Uint16Array | Uint32Array | BigUint64Array

/** An array as a strided view: transposing, flipping and slicing move nothing. */
interface View {
  readonly data: Items
  readonly shape: readonly number[]
  readonly strides: readonly number[]
  readonly offset: number
}

/**
 * Values of an expression, C order.
 *
 * @param inputs all of one element type; Float64Array where the expression calculates
 * @param shapes of the inputs
 * @returns elements in the expression's shape; may be an input itself
 * @throws {ToolError} INVALID_TRANSFORM
 */
export function evaluate(
  expression: Expression,
  inputs: readonly Items[],
  shapes: readonly (readonly number[])[],
): Items {
  shapeOf(expression, shapes)
  const make = (length: number): Items => {
    const [first] = inputs
    return first === undefined
      ? new Float64Array(length)
      : new (first.constructor as new (length: number) => Items)(length)
  }
  const view = (each: Expression): View => {
    switch (each.op) {
      case 'input':
        return contiguous(inputs[each.index]!, shapes[each.index]!)
      case 'number':
        return contiguous(Float64Array.of(each.value), [])
      case 'full':
        return contiguous(new Float64Array(elementCount(each.shape)).fill(each.value), each.shape)
      case 'reshape':
        return contiguous(pack(view(each.of), make), each.shape)
      case 'transpose': {
        const { data, shape, strides, offset } = view(each.of)
        return {
          data,
          shape: each.order.map((axis) => shape[axis]!),
          strides: each.order.map((axis) => strides[axis]!),
          offset,
        }
      }
      case 'flip': {
        const { data, shape, strides, offset } = view(each.of)
        const flipped = new Set(each.axes)
        return {
          data,
          shape,
          strides: strides.map((stride, axis) => (flipped.has(axis) ? -stride : stride)),
          offset: [...flipped].reduce((sum, axis) => sum + (shape[axis]! - 1) * strides[axis]!, offset),
        }
      }
      case 'slice': {
        const { data, shape, strides, offset } = view(each.of)
        return {
          data,
          shape: shape.map((size, axis) => (axis === each.axis ? each.stop - each.start : size)),
          strides,
          offset: offset + each.start * strides[each.axis]!,
        }
      }
      case 'blocks': {
        const inner = view(each.of)
        const size = inner.shape[each.axis]! / each.order.length
        const parts = each.order.map((block) => cut(inner, each.axis, block * size, size))
        return join(parts, each.axis, make)
      }
      case 'concat':
        return join(each.parts.map(view), each.axis, make)
      case 'sqrt':
        return map(view(each.of), Math.sqrt)
      default:
        return combine(each.op, view(each.left), view(each.right))
    }
  }
  return pack(view(expression), make)
}

function contiguous(data: Items, shape: readonly number[]): View {
  const strides: number[] = new Array(shape.length)
  let stride = 1
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride
    stride *= shape[axis]!
  }
  return { data, shape, strides, offset: 0 }
}

function isContiguous({ data, shape, strides, offset }: View): boolean {
  const plain = contiguous(data, shape).strides
  return (
    offset === 0 &&
    elementCount(shape) === data.length &&
    shape.every((size, axis) => size === 1 || strides[axis] === plain[axis])
  )
}

const cut = ({ data, shape, strides, offset }: View, axis: number, start: number, size: number): View => ({
  data,
  shape: shape.map((each, at) => (at === axis ? size : each)),
  strides,
  offset: offset + start * strides[axis]!,
})

/** Calls `run` with the offset of every element, in C order of the view. */
function walk({ shape, strides, offset }: View, run: (offset: number) => void): void {
  const last = shape.length - 1
  if (last < 0) {
    run(offset)
    return
  }
  const descend = (axis: number, base: number): void => {
    const size = shape[axis]!
    const stride = strides[axis]!
    if (axis === last) for (let k = 0, at = base; k < size; k++, at += stride) run(at)
    else for (let k = 0; k < size; k++) descend(axis + 1, base + k * stride)
  }
  descend(0, offset)
}

function pack(view: View, make: (length: number) => Items): Items {
  if (isContiguous(view)) return view.data
  const { data } = view
  const out = data instanceof Float64Array ? new Float64Array(elementCount(view.shape)) : make(elementCount(view.shape))
  let next = 0
  walk(view, (at) => {
    out[next++] = data[at]!
  })
  return out
}

function join(parts: readonly View[], axis: number, make: (length: number) => Items): View {
  const total = parts.reduce((sum, { shape }) => sum + shape[axis]!, 0)
  const shape = parts[0]!.shape.map((size, at) => (at === axis ? total : size))
  const isReal = parts.some(({ data }) => data instanceof Float64Array)
  const out = contiguous(isReal ? new Float64Array(elementCount(shape)) : make(elementCount(shape)), shape)
  let start = 0
  for (const part of parts) {
    const size = part.shape[axis]!
    const values = pack(part, make)
    let next = 0
    walk(cut(out, axis, start, size), (at) => {
      out.data[at] = values[next++]!
    })
    start += size
  }
  return out
}

function map(view: View, f: (value: number) => number): View {
  const out = new Float64Array(elementCount(view.shape))
  let next = 0
  walk(view, (at) => {
    out[next++] = f(Number(view.data[at]))
  })
  return contiguous(out, view.shape)
}

const OPERATIONS = {
  '+': (l: number, r: number) => l + r,
  '-': (l: number, r: number) => l - r,
  '*': (l: number, r: number) => l * r,
  '/': (l: number, r: number) => l / r,
} as const

function combine(op: keyof typeof OPERATIONS, left: View, right: View): View {
  const operation = OPERATIONS[op]
  const rank = Math.max(left.shape.length, right.shape.length)
  const sizeAt = ({ shape }: View, at: number) => shape[shape.length - rank + at] ?? 1
  const shape = Array.from({ length: rank }, (_, at) => (sizeAt(left, at) === 1 ? sizeAt(right, at) : sizeAt(left, at)))
  const wide = (view: View): View => ({
    data: view.data,
    shape,
    strides: shape.map((_, at) => (sizeAt(view, at) === 1 ? 0 : view.strides[view.shape.length - rank + at]!)),
    offset: view.offset,
  })
  const out = new Float64Array(elementCount(shape))
  let next = 0
  walk(wide(left), (at) => {
    out[next++] = left.data[at] as number
  })
  next = 0
  walk(wide(right), (at) => {
    out[next] = operation(out[next]!, right.data[at] as number)
    next++
  })
  return contiguous(out, shape)
}
