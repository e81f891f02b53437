import type { Node } from '../model/graph.ts'
import { ACTIVATION_OPERATORS } from './activations.ts'
import { ATTENTION_OPERATORS, FUSED_ATTENTION_OPERATORS } from './attention.ts'
import type { Operator, OperatorTable } from './call.ts'
import { CONV_OPERATORS } from './conv.ts'
import { EINSUM_OPERATORS } from './einsum.ts'
import { ELEMENTWISE_OPERATORS } from './elementwise.ts'
import { FUSED_OPERATORS } from './fused.ts'
import { GATHER_OPERATORS } from './gather.ts'
import { GRID_OPERATORS } from './grid-sample.ts'
import { MATMUL_OPERATORS } from './matmul.ts'
import { NORMALISE_OPERATORS } from './normalise.ts'
import { PATCH_OPERATORS } from './patches.ts'
import { POOL_OPERATORS } from './pool.ts'
import { QUANTISE_OPERATORS } from './quantise.ts'
import { QUANTISED_FUSED_OPERATORS } from './quantised-fused.ts'
import { RECURRENT_OPERATORS } from './recurrent.ts'
import { REDUCE_OPERATORS } from './reduce.ts'
import { REGION_OPERATORS } from './regions-of-interest.ts'
import { RESIZE_OPERATORS } from './resize.ts'
import { SHAPE_OPERATORS } from './shape.ts'

/** Operators by domain. A new family needs a row here. */
const TABLES: Readonly<Record<string, OperatorTable>> = {
  'ai.onnx': {
    ...CONV_OPERATORS,
    ...MATMUL_OPERATORS,
    ...POOL_OPERATORS,
    ...NORMALISE_OPERATORS,
    ...ACTIVATION_OPERATORS,
    ...ELEMENTWISE_OPERATORS,
    ...REDUCE_OPERATORS,
    ...SHAPE_OPERATORS,
    ...GATHER_OPERATORS,
    ...RESIZE_OPERATORS,
    ...GRID_OPERATORS,
    ...RECURRENT_OPERATORS,
    ...EINSUM_OPERATORS,
    ...ATTENTION_OPERATORS,
    ...PATCH_OPERATORS,
    ...QUANTISE_OPERATORS,
    ...REGION_OPERATORS,
  },
  'com.microsoft': {
    ...FUSED_OPERATORS,
    ...FUSED_ATTENTION_OPERATORS,
    ...QUANTISED_FUSED_OPERATORS,
    QuantizeLinear: QUANTISE_OPERATORS.QuantizeLinear!,
    DequantizeLinear: QUANTISE_OPERATORS.DequantizeLinear!,
  },
}

/** Operators that clamp positions, so that 2^63 - 1 in them means "to the end". */
const CLAMPS: ReadonlySet<string> = new Set(['Slice'])

/** The operator that a node calls; undefined when it is not covered. */
export function findOperator({ op, domain }: Node): { run: Operator; clampsIntegers: boolean } | undefined {
  const table = TABLES[domain || 'ai.onnx']
  if (table === undefined || !Object.hasOwn(table, op)) return undefined
  return { run: table[op]!, clampsIntegers: CLAMPS.has(op) }
}
