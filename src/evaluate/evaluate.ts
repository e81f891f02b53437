import type { Node } from '../model/graph.ts'
import type { Call } from './call.ts'
import { type GivenNumbers, NotCovered, type Numbers } from './numbers.ts'
import { findOperator } from './operators.ts'

export type { GivenNumbers, Numbers } from './numbers.ts'

export interface EvaluationLimits {
  /** multiply-adds that one node may take; estimated before it begins. About 10^9 take a second */
  readonly maxOperations?: number
}

const MAX_OPERATIONS = 2e9

/**
 * The outputs of one ONNX node in float64, inputs and attributes as stored: the arbiter between rounding and defect.
 *
 * Intermediate results are not rounded to the declared type; only operators whose meaning is rounding (Cast to a type
 * of 16 or 8 bits, QuantizeLinear) round. Integers are exact up to 2^53 and wrap at the width of their `dtype`.
 *
 * @param inputs in the node's order; undefined where an optional one is left out
 * @param opset version of the operator set of the node's domain
 * @returns in the node's order of outputs; undefined when the operator, this form of it or its size is not covered, or
 *   when the inputs do not fit: "not judged", never a guess
 * @source https://onnx.ai/onnx/operators/
 */
export function evaluateNode(
  node: Node,
  inputs: readonly (GivenNumbers | undefined)[],
  opset: number,
  limits: EvaluationLimits = {},
): Numbers[] | undefined {
  const outcome = run(node, inputs.map(toNumbers), opset, limits)
  return outcome instanceof NotCovered ? undefined : (outcome as Numbers[])
}

/**
 * Several nodes in order, e.g. the reference's side of a region.
 *
 * @param given values at the region's cut, and constants, by name; a node whose outputs are all given is not run
 * @param opsets operator set versions by domain; `ai.onnx` for the default one
 * @param wanted names of the values to return
 * @returns the wanted values, or which node or value could not be had, and why
 */
export function evaluateRegion(
  nodes: readonly Node[],
  given: ReadonlyMap<string, GivenNumbers>,
  opsets: ReadonlyMap<string, number>,
  wanted: readonly string[],
  limits: EvaluationLimits = {},
): ReadonlyMap<string, Numbers> | { readonly unsupported: string } {
  const known = new Map<string, Numbers>()
  const find = (name: string): Numbers | undefined => {
    const value = known.get(name) ?? toNumbers(given.get(name))
    if (value !== undefined) known.set(name, value)
    return value
  }
  for (const node of nodes) {
    if (node.outputs.every((name) => name === '' || given.has(name))) continue
    const inputs: (Numbers | undefined)[] = []
    for (const name of node.inputs) {
      const value = name === '' ? undefined : find(name)
      if (name !== '' && value === undefined) return { unsupported: `${node.name}: value ${name} is not given` }
      inputs.push(value)
    }
    for (const reference of tensorNames(node)) find(reference)
    const outcome = run(node, inputs, opsets.get(node.domain) ?? 1, limits, known)
    if (outcome instanceof NotCovered) return { unsupported: `${node.name} (${node.op}): ${outcome.message}` }
    for (const [index, name] of node.outputs.entries()) {
      const value = outcome[index]
      if (name !== '' && value !== undefined && !given.has(name)) known.set(name, value)
    }
  }
  const results = new Map<string, Numbers>()
  for (const name of wanted) {
    const value = find(name)
    if (value === undefined) return { unsupported: `value ${name} is not computed` }
    results.set(name, value)
  }
  return results
}

function run(
  node: Node,
  inputs: readonly (Numbers | undefined)[],
  opset: number,
  limits: EvaluationLimits,
  constants?: ReadonlyMap<string, Numbers>,
): readonly (Numbers | undefined)[] | NotCovered {
  const operator = findOperator(node)
  if (operator === undefined) return new NotCovered('operator is not covered')
  const maxOperations = limits.maxOperations ?? MAX_OPERATIONS
  const call: Call = { node, inputs, opset, maxOperations, ...(constants ? { constants } : {}) }
  try {
    if (!operator.clampsIntegers) inputs.forEach(checkExact)
    const outputs = operator.run(call)
    outputs.forEach(checkExact)
    const dtype = inputs.find((array) => array?.kind === 'float')?.dtype
    return outputs.map((array) =>
      array?.kind === 'float' && array.dtype === undefined && dtype !== undefined ? { ...array, dtype } : array,
    )
  } catch (error) {
    if (error instanceof NotCovered) return error
    throw error
  }
}

function toNumbers(given: GivenNumbers | undefined): Numbers | undefined {
  if (given === undefined || given.values instanceof Float64Array) return given as Numbers | undefined
  return { ...given, values: new Float64Array(given.values) }
}

/** Integers beyond 2^53 may have been rounded on their way here. */
function checkExact(array: Numbers | undefined): void {
  if (array?.kind !== 'int') return
  for (const value of array.values) if (!Number.isSafeInteger(value)) throw new NotCovered(`integer ${value}`)
}

function tensorNames({ attributes }: Node): string[] {
  return Object.values(attributes).flatMap((value) =>
    value !== null && typeof value === 'object' && 'tensor' in value && typeof value.tensor === 'string'
      ? [value.tensor]
      : [],
  )
}
