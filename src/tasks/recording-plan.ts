import { dependentValues } from '../compare/behaviour/recording.ts'
import { ToolError } from '../errors.ts'
import type { FragmentRunner } from '../execute/run-fragment.ts'
import type { ModelInput } from '../formats/format.ts'
import type { Node } from '../model/graph.ts'
import { planCourse } from '../onnx/chunks.ts'
import { outputsOf } from '../onnx/fragment-node.ts'
import type { OnnxProgram } from '../onnx/program.ts'
import { estimateBytes } from '../onnx/size-estimate.ts'
import { wholeProgram } from '../onnx/write-fragment.ts'
import type { ArrayValue } from '../tensor/array-value.ts'
import { byteLength, elementCount } from '../tensor/dtype.ts'

/** What of two models is recorded, so that memory stays within bounds however large they are. */
export interface RecordingPlan {
  /** inputs on which values are recorded, from the first on */
  readonly inputs: number
  /** whether a node's results are recorded; outputs of the model always are */
  readonly keeps: (node: Node) => boolean
  /** what is left out, for a person */
  readonly note?: string
}

interface PlannedProgram {
  readonly input: ModelInput
  readonly program: OnnxProgram
  /** values of the first input */
  readonly feed: ReadonlyMap<string, ArrayValue>
}

/**
 * Bytes of values that a comparison may hold. It has four copies of each: the reference's, the candidate's, what the
 * candidate makes of the reference's, and the same disturbed (on the first input only).
 */
const RECORDED_BYTES = 384 * 2 ** 20

const copies = (inputs: number) => 3 * inputs + 1

/**
 * Results of these operators are recorded first where not all can be: they end what optimisers and exporters fuse, so
 * both sides have them. Operators that are not named follow, the smallest first.
 */
const PREFERRED = [
  'Add',
  'Relu',
  'Clip',
  'LeakyRelu',
  'Gelu',
  'Sum',
  'Concat',
  'LayerNormalization',
  'Conv',
  'Gemm',
  'MatMul',
]

/**
 * Everything on all inputs, where that fits; everything on the first input; else the results of some operators only.
 * Regions between recorded values are longer then, and judged all the same.
 *
 * @param inputs how many there are
 * @throws {ToolError} CANNOT_RUN, MISSING_PEER
 */
export async function planRecording(
  runner: FragmentRunner,
  programs: readonly PlannedProgram[],
  inputs: number,
): Promise<RecordingPlan> {
  const all = { inputs, keeps: () => true }
  const estimates = await Promise.all(programs.map(({ program, feed }) => estimatedBytes(program, feed)))
  if (copies(inputs) * Math.max(...estimates) <= RECORDED_BYTES) return all
  const byOperator = new Map<string, number>()
  for (const program of programs) {
    for (const [op, bytes] of await bytesByOperator(runner, program))
      byOperator.set(op, Math.max(byOperator.get(op) ?? 0, bytes))
  }
  const total = [...byOperator.values()].reduce((sum, bytes) => sum + bytes, 0)
  if (copies(inputs) * total <= RECORDED_BYTES) return all
  const note = `values take ${megabytes(total)} MB for each input`
  const first = inputs > 1 ? `: they were compared on the first of ${inputs} inputs` : ''
  if (copies(1) * total <= RECORDED_BYTES) return { inputs: 1, keeps: () => true, note: `${note}${first}` }
  const kept = chosenOperators(byOperator, RECORDED_BYTES / copies(1))
  return {
    inputs: 1,
    keeps: ({ op }) => kept.has(op),
    note: `${note}${first}, and only at results of ${[...kept].join(', ') || 'the model'}: regions are longer`,
  }
}

function chosenOperators(byOperator: ReadonlyMap<string, number>, limit: number): Set<string> {
  const place = (op: string) => (PREFERRED.includes(op) ? PREFERRED.indexOf(op) : PREFERRED.length)
  const order = [...byOperator].sort(([left, bytes], [right, others]) => place(left) - place(right) || bytes - others)
  const kept = new Set<string>()
  let used = 0
  for (const [op, bytes] of order) {
    if (used + bytes > limit) continue
    kept.add(op)
    used += bytes
  }
  return kept
}

async function estimatedBytes(program: OnnxProgram, feed: ReadonlyMap<string, ArrayValue>): Promise<number> {
  const { nodes } = await planCourse(program, wholeProgram(program))
  const sizes = new Map([...feed].map(([name, { bytes }]) => [name, bytes.length]))
  let total = 0
  for (const node of nodes) {
    const bytes = estimateBytes(program, node, sizes)
    for (const name of outputsOf(node)) {
      sizes.set(name, bytes)
      total += bytes
    }
  }
  return total
}

/** Exactly, by running the program once. */
async function bytesByOperator(
  runner: FragmentRunner,
  { input, program, feed }: PlannedProgram,
): Promise<ReadonlyMap<string, number>> {
  const dependent = new Set(dependentValues(program.graph, [...feed.keys()]))
  const options = { wanted: (name: string) => dependent.has(name), sketch: false }
  const { runs } = await runner.observe(program, wholeProgram(program), [feed], options).catch((error) => {
    throw refusedBy(input, error)
  })
  const bytes = new Map<string, number>()
  for (const { op, outputs } of program.graph.nodes) {
    for (const name of outputs) {
      const seen = runs[0]!.get(name)
      if (seen) bytes.set(op, (bytes.get(op) ?? 0) + byteLength(seen.dtype, elementCount(seen.shape)))
    }
  }
  return bytes
}

/** What the runtime refuses, with the model that it refuses. */
export function refusedBy({ path }: ModelInput, error: unknown): unknown {
  if (!(error instanceof ToolError) || error.code !== 'CANNOT_RUN') return error
  return new ToolError('CANNOT_RUN', `${path}: ${error.message}`, { cause: error })
}

const megabytes = (bytes: number) => Math.round(bytes / 1e6)
