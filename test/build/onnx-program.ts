import { editsOf } from '../../src/compare/hypotheses/attribute-meanings.ts'
import type { AttributeValue, Node } from '../../src/model/graph.ts'
import type { OnnxProgram } from '../../src/onnx/program.ts'
import { nodeMessage } from '../../src/onnx/write-node.ts'
import type { ArrayValue } from '../../src/tensor/array-value.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'

/** `Conv x,w,b -> y`, and its attributes. */
export type Line = readonly [string, Readonly<Record<string, AttributeValue>>?]

/** A program in memory: one line per node, constants by name, the last node's first result is the output. */
export function programOf(
  lines: readonly Line[],
  constants: Readonly<Record<string, ArrayValue>>,
  inputs: Readonly<Record<string, ArrayValue>>,
): OnnxProgram {
  const nodes = lines.map(([line, attributes = {}], index): Node => {
    const [, op, takes, gives] = /^(\S+) (\S*) -> (\S+)$/.exec(line)!
    return {
      name: `${op}_${index}`,
      op: op!.split(':').at(-1)!,
      domain: op!.includes(':') ? op!.split(':')[0]! : 'ai.onnx',
      inputs: takes!.split(','),
      outputs: gives!.split(','),
      attributes,
    }
  })
  const program: OnnxProgram = {
    irVersion: 8,
    opsets: new Map([
      ['ai.onnx', 17],
      ['com.microsoft', 1],
    ]),
    graph: {
      name: 'test',
      kind: 'main',
      inputs: Object.entries(inputs).map(([name, { dtype, shape }]) => ({ name, dtype, shape })),
      outputs: [{ name: nodes.at(-1)!.outputs[0]! }],
      nodes,
      values: new Map(),
    },
    constants: new Map(Object.entries(constants).map(([name, value]) => [name, stored(name, value)])),
    encoded: async (node) =>
      (
        await nodeMessage(program, {
          op: node.op,
          domain: node.domain,
          name: node.name,
          inputs: node.inputs,
          outputs: node.outputs,
          attributes: editsOf(node),
        })
      ).encode(),
    functions: [],
  }
  return program
}

const stored = (name: string, { dtype, shape, bytes }: ArrayValue): Tensor => ({
  name,
  dtype,
  shape,
  bytes: bytes.length,
  role: 'parameter',
  async *stream() {
    yield bytes
  },
})
