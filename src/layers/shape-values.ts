import { normalizeAxis, type Shape } from './shape.ts'

/** Longer lists than this are data, not shapes. */
const MAX_LENGTH = 64

/** An operator as evaluation sees it. */
export interface ValueCall {
  readonly op: string
  /** known operand values, in order */
  readonly operands: readonly (readonly number[] | undefined)[]
  readonly operandShapes: readonly Shape[]
  /** the operator's axis, where it has one */
  readonly axis: number
  /** the part of the rank that ONNX `Shape` gives since version 15 */
  readonly start?: number | undefined
  readonly end?: number | undefined
  /** what ONNX `ConstantOfShape` repeats */
  readonly fill?: number | undefined
}

type Evaluate = (call: ValueCall) => readonly number[] | undefined

const same: Evaluate = ({ operands }) => operands[0]

const elementwise =
  (combine: (left: number, right: number) => number): Evaluate =>
  ({ operands: [left, right] }) => {
    if (left === undefined || right === undefined || left.length === 0 || right.length === 0) return undefined
    const length = Math.max(left.length, right.length)
    if ((left.length !== 1 && left.length !== length) || (right.length !== 1 && right.length !== length))
      return undefined
    return Array.from({ length }, (_, i) =>
      combine(left[left.length === 1 ? 0 : i]!, right[right.length === 1 ? 0 : i]!),
    )
  }

const join: Evaluate = ({ operands }) =>
  operands.every((list) => list !== undefined) ? operands.flatMap((list) => list ?? []) : undefined

/**
 * The arithmetic that exporters write between `Shape` and `Reshape`, on short lists of whole numbers (at most one
 * dimension). Everything else has no known value, which ends in an unknown shape and never in a wrong one.
 */
const EVALUATORS: Readonly<Record<string, Evaluate>> = {
  identity: same,
  cast: same,
  squeeze: same,
  unsqueeze: same,
  expanddims: same,
  reshape: ({ operands: [data, target] }) => (target === undefined || target.length <= 1 ? data : undefined),
  shape: ({ operandShapes: [shape], start, end }) => {
    const part = shape?.slice(start, end)
    return part?.every((size) => size !== null) ? (part as readonly number[]) : undefined
  },
  gather: ({ operands: [data, indices] }) => {
    const picked = indices?.map((index) => data?.[index < 0 ? index + data.length : index])
    return picked?.every((value) => value !== undefined) ? (picked as number[]) : undefined
  },
  concat: join,
  concatv2: ({ operands, ...rest }) => join({ ...rest, operands: operands.slice(0, -1) }),
  concatenation: join,
  pack: join,
  add: elementwise((left, right) => left + right),
  addv2: elementwise((left, right) => left + right),
  sub: elementwise((left, right) => left - right),
  mul: elementwise((left, right) => left * right),
  div: elementwise((left, right) => Math.trunc(left / right)),
  mod: elementwise((left, right) => left - right * Math.floor(left / right)),
  equal: elementwise((left, right) => (left === right ? 1 : 0)),
  where: ({ operands: [choice, left, right] }) => {
    if (choice === undefined || left === undefined || right === undefined) return undefined
    const length = Math.max(choice.length, left.length, right.length)
    const lists = [choice, left, right]
    if (lists.some((list) => list.length !== 1 && list.length !== length)) return undefined
    const at = (list: readonly number[], i: number) => list[list.length === 1 ? 0 : i]!
    return Array.from({ length }, (_, i) => (at(choice, i) === 0 ? at(right, i) : at(left, i)))
  },
  constantofshape: ({ operands: [shape], fill = 0 }) => {
    const count = shape?.length === 1 ? shape[0]! : Number.NaN
    return count >= 0 && count <= MAX_LENGTH ? new Array<number>(count).fill(fill) : undefined
  },
  floordiv: elementwise((left, right) => Math.floor(left / right)),
  floor: ({ operands: [list] }) => list?.map(Math.floor),
  ceil: ({ operands: [list] }) => list?.map(Math.ceil),
  reduceprod: ({ operands: [list] }) => list && [list.reduce((product, value) => product * value, 1)],
  prod: ({ operands: [list] }) => list && [list.reduce((product, value) => product * value, 1)],
  slice: ({ operands: [data, starts, ends, axes, steps] }) => {
    if (data === undefined || starts?.length !== 1 || ends?.length !== 1) return undefined
    if ((axes?.[0] ?? 0) !== 0 || (steps?.[0] ?? 1) !== 1) return undefined
    return data.slice(starts[0], Math.min(ends[0]!, MAX_LENGTH))
  },
  stridedslice: ({ operands: [data, begin, end, steps], operandShapes }) => {
    if (data === undefined || begin?.length !== 1 || end?.length !== 1 || (steps?.[0] ?? 1) !== 1) return undefined
    if (operandShapes[0]?.length !== 1) return undefined
    // `x[i]` is written as begin i, end i + 1; i = -1 has end 0
    return data.slice(begin[0], end[0] === 0 && begin[0] === -1 ? undefined : end[0])
  },
}

/** @returns the operator's single output as a flat list, where it can be known before running */
export function evaluateValue(call: ValueCall): readonly number[] | undefined {
  const key = call.op.toLowerCase().replaceAll('_', '')
  const result = Object.hasOwn(EVALUATORS, key) ? EVALUATORS[key]!(call) : undefined
  return result !== undefined && result.length <= MAX_LENGTH ? result : undefined
}

/** `data` without, or with, axes of size one; undefined where they do not fit. */
export function squeezeShape(shape: Shape, axes: readonly number[] | undefined): Shape {
  if (shape === undefined) return undefined
  if (axes === undefined || axes.length === 0)
    return shape.includes(null) ? undefined : shape.filter((size) => size !== 1)
  const dropped = axes.map((axis) => normalizeAxis(axis, shape.length))
  return shape.filter((_, i) => !dropped.includes(i))
}

export function unsqueezeShape(shape: Shape, axes: readonly number[]): Shape {
  if (shape === undefined) return undefined
  const rank = shape.length + axes.length
  const added = new Set(axes.map((axis) => normalizeAxis(axis, rank)))
  const rest = shape[Symbol.iterator]()
  return Array.from({ length: rank }, (_, i) => (added.has(i) ? 1 : (rest.next().value ?? null)))
}
