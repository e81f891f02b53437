import type { Node } from '../model/graph.ts'
import type { Operator, OperatorTable } from './call.ts'

/** Operators by domain. */
const TABLES: Readonly<Record<string, readonly OperatorTable[]>> = { 'ai.onnx': [], 'com.microsoft': [] }

/** Operators that clamp positions, so that 2^63 - 1 in them means "to the end". */
const CLAMPS: ReadonlySet<string> = new Set(['Slice'])

/** The operator that a node calls; undefined when it is not covered. */
export function findOperator(
  { op, domain }: Node,
  _opset: number,
): { run: Operator; clampsIntegers: boolean } | undefined {
  for (const table of TABLES[domain || 'ai.onnx'] ?? []) {
    if (Object.hasOwn(table, op)) return { run: table[op]!, clampsIntegers: CLAMPS.has(op) }
  }
  return undefined
}
