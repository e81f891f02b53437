import { ToolError } from '../errors.ts'
import { elementCount } from '../tensor/dtype.ts'

/**
 * How one tensor of the target is made from tensors of the source, in numpy's terms, so that a person can check it in
 * a Python prompt and edit it in the mapping file: `transpose($0, [2, 3, 1, 0])`, `($0 - $1) * $2 / sqrt($3 + 1e-05)`.
 *
 * `$n` is the n-th tensor of the entry's `from`. Arithmetic broadcasts from the last axis on, as numpy's does.
 */
export type Expression =
  | { readonly op: 'input'; readonly index: number }
  | { readonly op: 'number'; readonly value: number }
  | { readonly op: 'reshape'; readonly of: Expression; readonly shape: readonly number[] }
  | { readonly op: 'transpose'; readonly of: Expression; readonly order: readonly number[] }
  /** axes walked backwards */
  | { readonly op: 'flip'; readonly of: Expression; readonly axes: readonly number[] }
  /** the axis cut into as many equal blocks as `order` has entries; block i of the result is block `order[i]` */
  | { readonly op: 'blocks'; readonly of: Expression; readonly axis: number; readonly order: readonly number[] }
  | {
      readonly op: 'slice'
      readonly of: Expression
      readonly axis: number
      readonly start: number
      readonly stop: number
    }
  | { readonly op: 'concat'; readonly axis: number; readonly parts: readonly Expression[] }
  | { readonly op: 'full'; readonly value: number; readonly shape: readonly number[] }
  | { readonly op: 'sqrt'; readonly of: Expression }
  | { readonly op: '+' | '-' | '*' | '/'; readonly left: Expression; readonly right: Expression }

/** As it stands in the mapping file; `parseExpression` reads it back. */
export function printExpression(expression: Expression): string {
  return print(expression, 0)
}

/** Binding strength of an operator: a weaker one inside a stronger one takes parentheses. */
const STRENGTH = { '+': 1, '-': 1, '*': 2, '/': 2 } as const

function print(expression: Expression, outer: number): string {
  const list = (numbers: readonly number[]) => `[${numbers.join(', ')}]`
  switch (expression.op) {
    case 'input':
      return `$${expression.index}`
    case 'number':
      return String(expression.value)
    case 'reshape':
      return `reshape(${print(expression.of, 0)}, ${list(expression.shape)})`
    case 'transpose':
      return `transpose(${print(expression.of, 0)}, ${list(expression.order)})`
    case 'flip':
      return `flip(${print(expression.of, 0)}, ${list(expression.axes)})`
    case 'blocks':
      return `blocks(${print(expression.of, 0)}, ${expression.axis}, ${list(expression.order)})`
    case 'slice':
      return `slice(${print(expression.of, 0)}, ${expression.axis}, ${expression.start}, ${expression.stop})`
    case 'concat':
      return `concat(${expression.axis}, ${expression.parts.map((part) => print(part, 0)).join(', ')})`
    case 'full':
      return `full(${expression.value}, ${list(expression.shape)})`
    case 'sqrt':
      return `sqrt(${print(expression.of, 0)})`
    default: {
      const strength = STRENGTH[expression.op]
      const text = `${print(expression.left, strength)} ${expression.op} ${print(expression.right, strength + 1)}`
      return strength < outer ? `(${text})` : text
    }
  }
}

/**
 * Shape of the result.
 * @param shapes of the inputs, by index
 * @throws {ToolError} INVALID_TRANSFORM naming the step that does not fit
 */
export function shapeOf(expression: Expression, shapes: readonly (readonly number[])[]): readonly number[] {
  switch (expression.op) {
    case 'input': {
      const shape = shapes[expression.index]
      if (shape === undefined)
        throw invalid(`$${expression.index} is used, but "from" names ${shapes.length} tensor${plural(shapes.length)}`)
      return shape
    }
    case 'number':
      return []
    case 'full':
      return checkSizes(expression.shape, 'full')
    case 'sqrt':
      return shapeOf(expression.of, shapes)
    case 'reshape': {
      const from = shapeOf(expression.of, shapes)
      if (elementCount(from) !== elementCount(checkSizes(expression.shape, 'reshape')))
        throw invalid(`reshape from ${sizes(from)} to ${sizes(expression.shape)} changes the number of elements`)
      return expression.shape
    }
    case 'transpose': {
      const from = shapeOf(expression.of, shapes)
      if (!isOrder(expression.order, from.length))
        throw invalid(`transpose ${sizes(expression.order)} is no order of the ${from.length} axes of ${sizes(from)}`)
      return expression.order.map((axis) => from[axis]!)
    }
    case 'flip': {
      const from = shapeOf(expression.of, shapes)
      for (const axis of expression.axes) checkAxis(axis, from, 'flip')
      return from
    }
    case 'blocks': {
      const from = shapeOf(expression.of, shapes)
      checkAxis(expression.axis, from, 'blocks')
      const { length } = expression.order
      if (!isOrder(expression.order, length) || length === 0 || from[expression.axis]! % length !== 0)
        throw invalid(`blocks ${sizes(expression.order)} do not cut axis ${expression.axis} of ${sizes(from)} evenly`)
      return from
    }
    case 'slice': {
      const from = shapeOf(expression.of, shapes)
      const { axis, start, stop } = expression
      checkAxis(axis, from, 'slice')
      if (!(start >= 0 && start < stop && stop <= from[axis]!))
        throw invalid(`slice ${start} to ${stop} lies outside axis ${axis} of ${sizes(from)}`)
      return from.map((size, at) => (at === axis ? stop - start : size))
    }
    case 'concat': {
      const parts = expression.parts.map((part) => shapeOf(part, shapes))
      const [first] = parts
      if (first === undefined) throw invalid('concat needs at least one part')
      checkAxis(expression.axis, first, 'concat')
      for (const part of parts)
        if (part.length !== first.length || part.some((size, at) => at !== expression.axis && size !== first[at]))
          throw invalid(`concat of ${sizes(first)} and ${sizes(part)} along axis ${expression.axis} does not fit`)
      return first.map((size, at) => (at === expression.axis ? parts.reduce((sum, part) => sum + part[at]!, 0) : size))
    }
    default: {
      const left = shapeOf(expression.left, shapes)
      const right = shapeOf(expression.right, shapes)
      const rank = Math.max(left.length, right.length)
      return Array.from({ length: rank }, (_, at) => {
        const l = left[left.length - rank + at] ?? 1
        const r = right[right.length - rank + at] ?? 1
        if (l !== r && l !== 1 && r !== 1)
          throw invalid(`${sizes(left)} ${expression.op} ${sizes(right)} cannot be broadcast`)
        return l === 1 ? r : l
      })
    }
  }
}

/** Whether the values only move: then they are copied bit for bit whatever their type. */
export function onlyMoves(expression: Expression): boolean {
  switch (expression.op) {
    case 'input':
      return true
    case 'reshape':
    case 'transpose':
    case 'flip':
    case 'blocks':
    case 'slice':
      return onlyMoves(expression.of)
    case 'concat':
      return expression.parts.every(onlyMoves)
    default:
      return false
  }
}

/** Indices of the inputs that the expression reads. */
export function inputsOf(expression: Expression): ReadonlySet<number> {
  const found = new Set<number>()
  const visit = (each: Expression): void => {
    if (each.op === 'input') found.add(each.index)
    else if ('of' in each) visit(each.of)
    else if ('parts' in each) each.parts.forEach(visit)
    else if ('left' in each) {
      visit(each.left)
      visit(each.right)
    }
  }
  visit(expression)
  return found
}

/** The same expression with its inputs counted anew: input i becomes `numbers.get(i)`. */
export function renumber(expression: Expression, numbers: ReadonlyMap<number, number>): Expression {
  const inner = (each: Expression): Expression => renumber(each, numbers)
  if (expression.op === 'input') return { op: 'input', index: numbers.get(expression.index) ?? expression.index }
  if ('of' in expression) return { ...expression, of: inner(expression.of) }
  if ('parts' in expression) return { ...expression, parts: expression.parts.map(inner) }
  if ('left' in expression) return { ...expression, left: inner(expression.left), right: inner(expression.right) }
  return expression
}

export function invalid(message: string): ToolError {
  return new ToolError('INVALID_TRANSFORM', message)
}

const plural = (count: number) => (count === 1 ? '' : 's')
const sizes = (shape: readonly number[]) => `[${shape.join(', ')}]`

/** More than this in one result is no tensor of a model, but a slip in a mapping file. */
const MAX_ELEMENTS = 2 ** 31

function checkSizes(shape: readonly number[], what: string): readonly number[] {
  if (shape.some((size) => !Number.isInteger(size) || size < 0) || elementCount(shape) > MAX_ELEMENTS)
    throw invalid(`${what} ${sizes(shape)}: expected whole sizes of at most ${MAX_ELEMENTS} elements in all`)
  return shape
}

function isOrder(order: readonly number[], length: number): boolean {
  return order.length === length && new Set(order).size === length && order.every((axis) => axis >= 0 && axis < length)
}

function checkAxis(axis: number, shape: readonly number[], what: string): void {
  if (!(Number.isInteger(axis) && axis >= 0 && axis < shape.length))
    throw invalid(`${what}: ${sizes(shape)} has no axis ${axis}`)
}
