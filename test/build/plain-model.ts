import type { Graph, Node } from '../../src/model/graph.ts'
import type { Model } from '../../src/model/model.ts'
import { byteLength, type Dtype, elementCount } from '../../src/tensor/dtype.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'

/** A stored tensor of zeros, or of the given values (float32, int32 or int64). */
export function plainTensor(
  name: string,
  shape: readonly number[],
  given: Partial<Tensor> & { values?: readonly number[] } = {},
): Tensor {
  const { values, dtype = 'float32', ...rest } = given
  const data = values === undefined ? new Uint8Array(byteLength(dtype, elementCount(shape))) : encode(dtype, values)
  return {
    name,
    dtype,
    shape,
    bytes: data.length,
    role: 'parameter',
    async *stream() {
      yield data
    },
    ...rest,
  }
}

function encode(dtype: Dtype, values: readonly number[]): Uint8Array {
  const array =
    dtype === 'int64'
      ? BigInt64Array.from(values.map(BigInt))
      : dtype === 'int32'
        ? Int32Array.from(values)
        : Float32Array.from(values)
  return new Uint8Array(array.buffer)
}

/** A node with what matters; its output is called after it. */
export function plainNode(op: string, name: string, inputs: readonly string[], more: Partial<Node> = {}): Node {
  return { name, op, domain: '', inputs, outputs: [name], attributes: {}, ...more }
}

/** A model with one graph, whose outputs are those of its last node. */
export function plainModel(
  format: string,
  parts: {
    input?: readonly [name: string, shape: readonly (number | null)[]]
    nodes?: readonly Node[]
    tensors?: readonly Tensor[]
  },
): Model {
  const { input, nodes = [], tensors = [] } = parts
  const graph: Graph = {
    name: 'main',
    kind: 'main',
    inputs: input ? [{ name: input[0], shape: input[1], dtype: 'float32' }] : [],
    outputs: (nodes.at(-1)?.outputs ?? []).map((name) => ({ name })),
    nodes,
    values: new Map(),
  }
  return {
    format,
    files: [],
    metadata: {},
    tensors,
    graphs: nodes.length === 0 ? [] : [graph],
    warnings: [],
  }
}
