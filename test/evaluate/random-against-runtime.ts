import { env, InferenceSession, Tensor } from 'onnxruntime-node'
import { kindOf } from '../../src/evaluate/call.ts'
import { evaluateNode, type GivenNumbers, type Numbers } from '../../src/evaluate/evaluate.ts'
import { oneNodeModel } from '../build/onnx-node.ts'
import type { RandomNode } from './random-nodes.ts'

// RoiAlign warns of its own maximum, once per session
env.logLevel = 'error'

/** How a node's float64 results and ONNX Runtime's lie to one another. */
export interface RuntimeOutcome {
  /** `refused`: ONNX Runtime does not run this form; `not covered`: we do not */
  readonly state: 'near' | 'refused' | 'not covered' | 'differs'
  readonly why?: string
  /** the largest of the outputs' relative distances, float results only */
  readonly distance: number
}

/** Runs the node on both. Floats are near when relL2 <= `limit`; integers and booleans must be equal. */
export async function againstRuntime(node: RandomNode, limit: number): Promise<RuntimeOutcome> {
  const names = node.outputs.map((_, index) => `y${index}`)
  let expected: InferenceSession.OnnxValueMapType
  try {
    const session = await InferenceSession.create(oneNodeModel(node), {
      graphOptimizationLevel: 'disabled',
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      logSeverityLevel: 4,
    })
    expected = await session.run(feedsOf(node), names)
    await session.release()
  } catch (error) {
    return { state: 'refused', why: (error as Error).message, distance: 0 }
  }
  const attributes = Object.fromEntries(
    Object.entries(node.attributes ?? {}).map(([name, value]) => {
      if (typeof value === 'object' && 'float' in value) return [name, value.float]
      return [name, typeof value === 'object' && 'floats' in value ? value.floats : value]
    }),
  )
  const results = evaluateNode(
    {
      name: 'node',
      op: node.op,
      domain: node.domain ?? 'ai.onnx',
      inputs: node.inputs.map((given, index) => (given === undefined ? '' : `x${index}`)),
      outputs: names,
      attributes,
    },
    node.inputs.map(
      (given, index): GivenNumbers | undefined =>
        given && {
          shape: given.shape,
          kind: kindOf(given.dtype),
          dtype: given.dtype,
          values: Float64Array.from(node.values[index]!),
        },
    ),
    node.opset,
  )
  if (results === undefined) return { state: 'not covered', distance: 0 }
  let distance = 0
  for (const [index, name] of names.entries()) {
    const judged = compare(results[index], expected[name] as Tensor)
    if (typeof judged === 'string') return { state: 'differs', why: `${name}: ${judged}`, distance: Number.NaN }
    distance = Math.max(distance, judged)
  }
  return distance <= limit ? { state: 'near', distance } : { state: 'differs', why: `relL2 ${distance}`, distance }
}

function feedsOf({ inputs, values }: RandomNode): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {}
  for (const [index, given] of inputs.entries()) {
    if (given === undefined) continue
    const list = values[index]!
    const shape = [...given.shape]
    if (given.dtype === 'int64') feeds[`x${index}`] = new Tensor('int64', BigInt64Array.from(list, BigInt), shape)
    else if (given.dtype === 'int32') feeds[`x${index}`] = new Tensor('int32', Int32Array.from(list), shape)
    else if (given.dtype === 'uint8') feeds[`x${index}`] = new Tensor('uint8', Uint8Array.from(list), shape)
    else if (given.dtype === 'int8') feeds[`x${index}`] = new Tensor('int8', Int8Array.from(list), shape)
    else feeds[`x${index}`] = new Tensor('float32', Float32Array.from(list), shape)
  }
  return feeds
}

/** Values of all makers are of the order of 1: runtimes approximate what is far below that only absolutely. */
const SMALL = 0.1

/** relL2 of floats; a sentence where type, shape, or integers differ. */
function compare(found: Numbers | undefined, expected: Tensor): number | string {
  if (found === undefined) return 'no result'
  if (found.shape.join() !== expected.dims.join()) return `shape [${found.shape}], runtime [${expected.dims}]`
  const values = Float64Array.from(expected.data as ArrayLike<number | bigint>, Number)
  let squares = 0
  let total = 0
  for (let at = 0; at < values.length; at++) {
    const [a, b] = [found.values[at]!, values[at]!]
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) {
      total += Number.isFinite(b) ? b * b : 0
      continue
    }
    // at a half, one rounding of the scale more or less decides which of two neighbours a quantised value is
    if (found.kind === 'int' && expected.type === 'uint8' && Math.abs(a - b) === 1) continue
    if (found.kind !== 'float' || !Number.isFinite(a - b)) return `${a} at ${at}, runtime ${b}`
    squares += (a - b) ** 2
    total += b * b
  }
  return squares === 0 ? 0 : Math.sqrt(squares / (total + values.length * SMALL ** 2))
}
