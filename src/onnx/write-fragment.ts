import { ToolError } from '../errors.ts'
import type { Node } from '../model/graph.ts'
import { onnxDataType } from './data-types.ts'
import { inputsOf, outputsOf } from './fragment-node.ts'
import { Message } from './message.ts'
import type { Fragment, FragmentInput, FragmentNode, OnnxProgram } from './program.ts'
import { capturedValues } from './read-program.ts'
import { nodeMessage } from './write-node.ts'
import { storedTensorMessage, tensorMessage } from './write-tensor.ts'

/** One protocol buffer holds no more (its lengths are signed 32-bit numbers in every implementation). */
const MAX_MODEL_BYTES = 2 ** 31 - 1

/** Since this IR version constants need not be inputs as well. */
const FREE_INITIALIZERS_IR = 4

/** ModelProto and GraphProto fields. @source onnx.proto */
const MODEL = { irVersion: 1, producerName: 2, graph: 7, opsetImport: 8, functions: 25 }
const GRAPH = { node: 1, name: 2, initializer: 5, input: 11, output: 12 }

/**
 * A fragment as an ONNX model of its own: its nodes, the constants that they need with their values inside, the
 * functions of the program. Types of outputs are left to the runtime, which infers them.
 *
 * @param memory is written to, and shared with the result, where it is large enough
 * @throws {ToolError} CANNOT_RUN when a value that a node takes, or an output, comes from nowhere; when the model would
 *   be larger than a protocol buffer may be
 */
export async function fragmentBytes(
  program: OnnxProgram,
  fragment: Fragment,
  memory?: ArrayBuffer,
): Promise<Uint8Array<ArrayBuffer>> {
  const message = new Message()
    .varint(MODEL.irVersion, Math.max(program.irVersion, FREE_INITIALIZERS_IR))
    .text(MODEL.producerName, 'modelwright')
  for (const [domain, version] of operatorSets(program, fragment.nodes))
    message.message(MODEL.opsetImport, new Message().text(1, domain === 'ai.onnx' ? '' : domain).varint(2, version))
  message.message(MODEL.graph, await graphMessage(program, fragment))
  for (const body of program.functions) message.payload(MODEL.functions, body)
  if (message.bytes > MAX_MODEL_BYTES)
    throw new ToolError(
      'CANNOT_RUN',
      `a part of ${fragment.nodes.length} nodes with their weights takes ${message.bytes} bytes, more than ONNX can hold in one piece`,
    )
  return message.encode(memory)
}

async function graphMessage(program: OnnxProgram, fragment: Fragment): Promise<Message> {
  const graph = new Message()
  for (const node of fragment.nodes) graph.message(GRAPH.node, await nodeMessage(program, node))
  graph.text(GRAPH.name, 'fragment')
  for (const name of await neededConstants(program, fragment)) {
    const own = fragment.constants?.get(name)
    graph.message(
      GRAPH.initializer,
      own ? tensorMessage(name, own) : await storedTensorMessage(name, program.constants.get(name)!),
    )
  }
  for (const input of fragment.inputs) graph.message(GRAPH.input, valueMessage(input))
  for (const name of fragment.outputs) {
    const type = fragment.outputTypes?.find((each) => each.name === name)
    graph.message(GRAPH.output, type ? valueMessage(type) : new Message().text(1, name))
  }
  return graph
}

/** Constants that nodes take, each once. @throws {ToolError} CANNOT_RUN naming what is neither given nor made */
async function neededConstants(program: OnnxProgram, fragment: Fragment): Promise<readonly string[]> {
  const given = new Set(fragment.inputs.map(({ name }) => name))
  const made = new Set(fragment.nodes.flatMap(outputsOf))
  const constants = new Set<string>()
  const missing = new Set<string>()
  const need = (name: string) => {
    if (name === '' || given.has(name) || made.has(name)) return
    if (fragment.constants?.has(name) || program.constants.has(name)) constants.add(name)
    else missing.add(name)
  }
  for (const node of fragment.nodes) {
    for (const name of inputsOf(node)) need(name)
    if ('from' in node) for (const name of await capturedValues(program, node.from)) need(name)
  }
  for (const name of fragment.outputs) if (!made.has(name)) missing.add(name)
  if (missing.size > 0) {
    const names = [...missing].slice(0, 8).map((name) => `"${name}"`)
    const more = missing.size > names.length ? ` and ${missing.size - names.length} more` : ''
    throw new ToolError(
      'CANNOT_RUN',
      `${names.join(', ')}${more}: taken or wanted by a part of the graph that neither makes nor is given ${missing.size === 1 ? 'it' : 'them'}`,
    )
  }
  return [...constants]
}

/** The program's operator sets, and version 1 of any domain that only new nodes use. */
function operatorSets(program: OnnxProgram, nodes: readonly FragmentNode[]): ReadonlyMap<string, number> {
  const sets = new Map(program.opsets)
  for (const node of nodes) {
    const domain = ('from' in node ? node.from.domain : node.domain) || 'ai.onnx'
    if (!sets.has(domain)) sets.set(domain, 1)
  }
  return sets
}

/** ValueInfoProto of a tensor: name = 1, type = 2; TypeProto.tensor_type = 1: elem_type = 1, shape = 2. */
function valueMessage({ name, dtype, shape }: FragmentInput): Message {
  const type = new Message().varint(1, onnxDataType(dtype))
  if (shape) {
    const dims = new Message()
    for (const size of shape)
      dims.message(1, typeof size === 'number' ? new Message().varint(1, size) : new Message().text(2, size))
    type.message(2, dims)
  }
  return new Message().text(1, name).message(2, new Message().message(1, type))
}

/**
 * The whole program as a fragment: what repairs and repros change a part of. Results of `Constant` nodes are constants
 * like all others.
 */
export function wholeProgram({ graph, constants }: OnnxProgram): Fragment {
  const results = new Set(graph.outputs.map(({ name }) => name))
  const isStored = ({ op, outputs: [name = ''] }: Node) =>
    op === 'Constant' && constants.has(name) && !results.has(name)
  return {
    nodes: graph.nodes.filter((node) => !isStored(node)).map((node) => ({ from: node })),
    inputs: graph.inputs.map(({ name, dtype, shape }) => {
      if (dtype === undefined)
        throw new ToolError('CANNOT_RUN', `input "${name}" is not a tensor; only tensors can be given`)
      return { name, dtype, ...(shape ? { shape: shape.map((size, axis) => size ?? `${name}_${axis}`) } : {}) }
    }),
    outputs: graph.outputs.map(({ name }) => name),
  }
}
