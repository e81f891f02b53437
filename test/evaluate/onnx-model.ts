import { DEFAULT_LIMITS } from '../../src/bytes/limits.ts'
import { kindOf } from '../../src/evaluate/call.ts'
import type { GivenNumbers } from '../../src/evaluate/evaluate.ts'
import { onnx } from '../../src/formats/onnx/onnx.ts'
import type { Graph } from '../../src/model/graph.ts'
import { type ArrayValue, numbersOf } from '../../src/tensor/array-value.ts'
import { DTYPES } from '../../src/tensor/dtype.ts'
import { readTensor } from '../../src/tensor/tensor.ts'
import { memoryInput } from '../memory-input.ts'

/** What the evaluator needs of an ONNX file. */
export interface OnnxModel {
  readonly graph: Graph
  readonly opsets: ReadonlyMap<string, number>
  /** every stored tensor that holds real numbers, by its own name and that of the value which nodes take */
  readonly constants: ReadonlyMap<string, GivenNumbers>
}

export async function readOnnxModel(bytes: Uint8Array): Promise<OnnxModel> {
  const model = await onnx.read(memoryInput({ 'model.onnx': bytes }, 'model.onnx'), DEFAULT_LIMITS)
  const constants = new Map<string, GivenNumbers>()
  for (const tensor of model.tensors) {
    const { kind } = DTYPES[tensor.dtype]
    if (kind === 'string' || kind === 'complex') continue
    constants.set(tensor.name, toNumbers({ ...tensor, bytes: await readTensor(tensor) }))
  }
  const graph = model.graphs[0]!
  for (const { op, outputs, attributes } of graph.nodes) {
    const stored = Object.values(attributes)[0]
    if (op !== 'Constant' || typeof stored !== 'object' || stored === null || !('tensor' in stored)) continue
    const value = constants.get(String(stored.tensor))
    if (value !== undefined) constants.set(outputs[0]!, value)
  }
  return { graph, opsets: new Map(Object.entries(model.metadata.opsets ?? {})), constants }
}

export function toNumbers(value: ArrayValue): GivenNumbers {
  return { shape: value.shape, values: numbersOf(value), kind: kindOf(value.dtype), dtype: value.dtype }
}
