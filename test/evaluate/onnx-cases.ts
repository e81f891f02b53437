import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { kindOf } from '../../src/evaluate/call.ts'
import { evaluateRegion, type GivenNumbers, type Numbers } from '../../src/evaluate/evaluate.ts'
import { castTo } from '../../src/evaluate/shape.ts'
import { decodeValues } from '../../src/tensor/decode.ts'
import { byteLength, type Dtype, elementCount } from '../../src/tensor/dtype.ts'
import { readOnnxModel } from './onnx-model.ts'

/** What `scripts/evaluate/make_onnx_cases.py` writes. */
export interface OnnxCase {
  readonly name: string
  readonly rtol: number
  readonly atol: number
  readonly inputs: readonly StoredValue[]
  readonly outputs: readonly StoredValue[]
}

interface StoredValue {
  readonly name: string
  readonly dtype: Dtype
  /** as it lies in values.bin: types below 8 bits are unpacked */
  readonly stored: Dtype
  readonly shape: readonly number[]
  readonly offset: number
}

/** `not covered` is an answer; `differs` never may be. */
export interface Outcome {
  readonly name: string
  /** operators of the model, the first one first */
  readonly operators: readonly string[]
  readonly state: 'equal' | 'not covered' | 'differs'
  readonly why?: string
}

export function readCases(folder: string): { cases: readonly OnnxCase[]; run(row: OnnxCase): Promise<Outcome> } {
  const { cases } = JSON.parse(readFileSync(join(folder, 'cases.json'), 'utf8')) as { cases: OnnxCase[] }
  const bytes = new Uint8Array(readFileSync(join(folder, 'values.bin')))
  return { cases, run: (row) => runCase(folder, row, bytes) }
}

async function runCase(folder: string, row: OnnxCase, bytes: Uint8Array): Promise<Outcome> {
  const { graph, opsets, constants } = await readOnnxModel(
    new Uint8Array(readFileSync(join(folder, `${row.name}.onnx`))),
  )
  const given = new Map<string, GivenNumbers>(constants)
  for (const input of row.inputs) given.set(input.name, load(input, bytes))
  const operators = graph.nodes.map(({ op }) => op)
  const wanted = row.outputs.map(({ name }) => name)
  const results = evaluateRegion(graph.nodes, given, opsets, wanted)
  if ('unsupported' in results) return { name: row.name, operators, state: 'not covered', why: results.unsupported }
  for (const output of row.outputs) {
    const why = difference(load(output, bytes), results.get(output.name)!, row)
    if (why !== undefined) return { name: row.name, operators, state: 'differs', why: `${output.name}: ${why}` }
  }
  return { name: row.name, operators, state: 'equal' }
}

function load({ dtype, stored, shape, offset }: StoredValue, bytes: Uint8Array): GivenNumbers {
  const count = elementCount(shape)
  const values = decodeValues(stored, bytes.slice(offset, offset + byteLength(stored, count)), count)
  return { shape, values, kind: kindOf(dtype), dtype }
}

/** Units of rounding that a computation in the narrow type itself may lose. */
const NARROW: Readonly<Partial<Record<Dtype, number>>> = { float16: 4e-3, bfloat16: 3e-2 }

function difference(expected: GivenNumbers, found: Numbers, { rtol, atol }: OnnxCase): string | undefined {
  if (expected.shape.join() !== found.shape.join()) return `shape [${found.shape}], expected [${expected.shape}]`
  if (expected.kind !== found.kind) return `${found.kind}, expected ${expected.kind}`
  const dtype = expected.dtype!
  if (found.dtype !== undefined && found.dtype !== dtype) return `${found.dtype}, expected ${dtype}`
  const exact = expected.kind !== 'float'
  const values = exact ? found.values : castTo(found, dtype).values
  const slack = NARROW[dtype] ?? 0
  const scale = slack === 0 ? 0 : Math.max(...expected.values.filter(Number.isFinite).map(Math.abs), 0)
  for (let at = 0; at < values.length; at++) {
    const [a, b] = [values[at]!, expected.values[at]!]
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue
    if (exact || !(Math.abs(a - b) <= atol + rtol * Math.abs(b) + slack * scale)) return `${a} at ${at}, expected ${b}`
  }
  return undefined
}
