import { elementCount } from '../tensor/dtype.ts'
import type { Expression } from './expression.ts'

/**
 * An expression with the shape of its result, for putting transforms together. Steps that do nothing are left out and
 * neighbouring ones joined, so that what a person reads is the shortest form: OIHW through a canonical order to HWIO is
 * one transpose.
 */
export interface Part {
  readonly expression: Expression
  readonly shape: readonly number[]
  /** what a reshape, transpose or reordering was made of, for joining it with the next one */
  readonly of?: Part
}

/** The n-th input. */
export function input(index: number, shape: readonly number[]): Part {
  return { expression: { op: 'input', index }, shape }
}

export function full(value: number, shape: readonly number[]): Part {
  return { expression: { op: 'full', value, shape }, shape }
}

export function reshape(part: Part, shape: readonly number[]): Part {
  const { expression } = part
  if (isSame(part.shape, shape)) return part
  if (expression.op === 'full') return full(expression.value, shape)
  if (expression.op === 'reshape' && part.of) return reshape(part.of, shape)
  return { expression: { op: 'reshape', of: expression, shape }, shape, of: part }
}

export function transpose(part: Part, order: readonly number[]): Part {
  const { expression, shape } = part
  const moved = order.map((axis) => shape[axis]!)
  if (order.every((axis, at) => axis === at)) return part
  if (expression.op === 'full') return full(expression.value, moved)
  if (expression.op === 'transpose' && part.of)
    return transpose(
      part.of,
      order.map((axis) => expression.order[axis]!),
    )
  // only axes of size 1 change places: nothing moves
  const wide = order.filter((axis) => shape[axis] !== 1)
  if (wide.every((axis, at) => at === 0 || axis > wide[at - 1]!)) return reshape(part, moved)
  return { expression: { op: 'transpose', of: expression, order }, shape: moved, of: part }
}

export function flip({ expression, shape }: Part, axes: readonly number[]): Part {
  const wide = axes.filter((axis) => shape[axis]! > 1)
  return wide.length === 0 ? { expression, shape } : { expression: { op: 'flip', of: expression, axes: wide }, shape }
}

export function blocks(part: Part, axis: number, order: readonly number[]): Part {
  const { expression, shape } = part
  if (order.every((block, at) => block === at)) return part
  if (expression.op === 'full') return part
  if (expression.op === 'blocks' && expression.axis === axis && expression.order.length === order.length && part.of)
    return blocks(
      part.of,
      axis,
      order.map((block) => expression.order[block]!),
    )
  return { expression: { op: 'blocks', of: expression, axis, order }, shape, of: part }
}

export function slice({ expression, shape }: Part, axis: number, start: number, stop: number): Part {
  if (start === 0 && stop === shape[axis]) return { expression, shape }
  return {
    expression: { op: 'slice', of: expression, axis, start, stop },
    shape: shape.map((size, at) => (at === axis ? stop - start : size)),
  }
}

export function concat(axis: number, parts: readonly Part[]): Part {
  if (parts.length === 1) return parts[0]!
  const expression: Expression = { op: 'concat', axis, parts: parts.map((part) => part.expression) }
  const shape = parts[0]!.shape.map((size, at) =>
    at === axis ? parts.reduce((sum, part) => sum + part.shape[axis]!, 0) : size,
  )
  return { expression, shape }
}

export function sqrt(of: Part): Part {
  return { expression: { op: 'sqrt', of: of.expression }, shape: of.shape }
}

/** Arithmetic of two parts, or of a part and a number. */
export function combine(left: Part | number, op: '+' | '-' | '*' | '/', right: Part | number): Part {
  const [l, r] = [toPart(left), toPart(right)]
  const expression: Expression = { op, left: l.expression, right: r.expression }
  const longer = l.shape.length >= r.shape.length ? l.shape : r.shape
  const shorter = longer === l.shape ? r.shape : l.shape
  const shift = longer.length - shorter.length
  return { expression, shape: longer.map((size, at) => (size === 1 && at >= shift ? shorter[at - shift]! : size)) }
}

const toPart = (part: Part | number): Part =>
  typeof part === 'number' ? { expression: { op: 'number', value: part }, shape: [] } : part

/** A vector made to multiply axis `axis` of an array of `rank` axes: [C] as [C, 1, 1]. */
export function alongAxis(vector: Part, axis: number, rank: number): Part {
  const count = elementCount(vector.shape)
  return reshape(vector, [count, ...new Array<number>(rank - axis - 1).fill(1)])
}

const isSame = (a: readonly number[], b: readonly number[]) =>
  a.length === b.length && a.every((size, at) => size === b[at])
