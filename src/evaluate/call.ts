import type { AttributeValue, Node } from '../model/graph.ts'
import { DTYPES, type Dtype } from '../tensor/dtype.ts'
import { demand, NotCovered, type Numbers } from './numbers.ts'

/** One call of an operator: its node, its inputs, and what it may cost. */
export interface Call {
  readonly node: Node
  /** undefined for an optional input that is left out */
  readonly inputs: readonly (Numbers | undefined)[]
  /** version of the operator set of the node's domain */
  readonly opset: number
  /** how many multiply-adds, or steps of that size, the call may take */
  readonly maxOperations: number
  /** stored tensors that attributes refer to, by name */
  readonly constants?: ReadonlyMap<string, Numbers>
}

/** All outputs in order; those that the node does not name may be left out at the end. */
export type Operator = (call: Call) => readonly (Numbers | undefined)[]

/** Operator names of one domain. */
export type OperatorTable = Readonly<Record<string, Operator>>

/** @throws {NotCovered} when `operations` are more than the call may take */
export function charge({ maxOperations }: Call, operations: number): void {
  demand(operations <= maxOperations, `${operations} operations, more than ${maxOperations}`)
}

export function input({ inputs, node }: Call, index: number): Numbers {
  const found = inputs[index]
  demand(found !== undefined, `${node.op} without input ${index}`)
  return found
}

export function hasOutput({ node }: Call, index: number): boolean {
  return (node.outputs[index] ?? '') !== ''
}

/** A whole number. */
export function int({ node }: Call, name: string, standard: number): number {
  return findInt(node, name) ?? standard
}

export function findInt(node: Node, name: string): number | undefined {
  const value = node.attributes[name]
  if (value === undefined) return undefined
  if (typeof value === 'boolean') return value ? 1 : 0
  demand(typeof value === 'number' && Number.isInteger(value), `attribute ${name}`)
  return value
}

/** A real number as the file stores it: 32 bits wide, also where the neutral form shows fewer digits. */
export function real({ node }: Call, name: string, standard: number): number {
  const value = node.attributes[name]
  if (value === undefined) return Math.fround(standard)
  demand(typeof value === 'number', `attribute ${name}`)
  return Math.fround(value)
}

export function text({ node }: Call, name: string, standard: string): string {
  const value = node.attributes[name]
  if (value === undefined) return standard
  demand(typeof value === 'string', `attribute ${name}`)
  return value
}

/** A list of whole numbers; undefined when the attribute is absent. */
export function findInts({ node }: Call, name: string): number[] | undefined {
  const value = node.attributes[name]
  if (value === undefined) return undefined
  demand(Array.isArray(value), `attribute ${name}`)
  return value.map((item: AttributeValue) => {
    demand(typeof item === 'number', `attribute ${name}`)
    return item
  })
}

export function findReals(call: Call, name: string): number[] | undefined {
  return findInts(call, name)?.map(Math.fround)
}

export function findTexts({ node }: Call, name: string): string[] | undefined {
  const value = node.attributes[name]
  if (value === undefined) return undefined
  demand(Array.isArray(value) && value.every((item) => typeof item === 'string'), `attribute ${name}`)
  return value as string[]
}

/** A tensor attribute: written out, or a reference to a stored tensor. */
export function findTensor({ node, constants }: Call, name: string): Numbers | undefined {
  const value = node.attributes[name]
  if (value === undefined || value === null) return undefined
  demand(typeof value === 'object' && !Array.isArray(value), `attribute ${name}`)
  const record = value as { readonly [key: string]: AttributeValue }
  if (typeof record.tensor === 'string') {
    const stored = constants?.get(record.tensor)
    demand(stored !== undefined, `stored tensor ${record.tensor}`)
    return stored
  }
  const { dtype, shape, values } = record
  demand(typeof dtype === 'string' && Object.hasOwn(DTYPES, dtype), `attribute ${name}`)
  demand(Array.isArray(shape) && Array.isArray(values), `attribute ${name}`)
  const numbers = values.map((item) => {
    demand(typeof item === 'number', `attribute ${name}`)
    return dtype === 'float32' ? Math.fround(item) : item
  })
  return {
    shape: shape as number[],
    values: Float64Array.from(numbers),
    kind: kindOf(dtype as Dtype),
    dtype: dtype as Dtype,
  }
}

/** @throws {NotCovered} for complex numbers and text */
export function kindOf(dtype: Dtype): Numbers['kind'] {
  const { kind } = DTYPES[dtype]
  if (kind === 'complex' || kind === 'string') throw new NotCovered(dtype)
  return kind === 'uint' ? 'int' : kind
}
