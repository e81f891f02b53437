import type { ByteSource } from '../bytes/byte-source.ts'
import { memorySource } from '../bytes/byte-source.ts'
import { DEFAULT_LIMITS } from '../bytes/limits.ts'
import { decodeMessage, defineMessage, type MessageType, type Payload } from '../encoding/protobuf.ts'
import { InternalError, ToolError } from '../errors.ts'
import type { AttributeValue, Graph, Node } from '../model/graph.ts'
import type { Model } from '../model/model.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { executionOrder } from './execution-order.ts'
import type { OnnxProgram } from './program.ts'

/** A node of at most so many bytes is kept from the first pass over the file; larger ones hold values. */
const KEEP_NODE_BYTES = 4096

interface Skeleton {
  irVersion?: number
  graph: Payload[]
  functions: Payload[]
}

interface GraphSkeleton {
  node: Payload[]
  initializer: Named[]
}

interface Named {
  name?: string
}

const Skeleton = defineMessage<Skeleton>('onnx.ModelProto', {
  irVersion: { id: 1, type: 'int' },
  graph: { id: 7, type: 'ranges' },
  functions: { id: 25, type: 'ranges' },
})

const Named = defineMessage<Named>('onnx.TensorProto', { name: { id: 8, type: 'string' } })

const GraphSkeleton = defineMessage<GraphSkeleton>('onnx.GraphProto', {
  node: { id: 1, type: 'ranges', keep: KEEP_NODE_BYTES },
  initializer: { id: 5, type: () => Named, repeated: true },
})

/**
 * The parts of an ONNX model. Nothing of its weights is read, nothing is run; `model` has been read from the same file
 * before, so that structure and sizes are known to be sound.
 *
 * @param model what the ONNX reader gave
 * @throws {ToolError} CANNOT_RUN for any other format
 * @throws {FormatError} when the file has changed since
 */
export async function readProgram(model: Model): Promise<OnnxProgram> {
  const source = model.files[0]?.source
  const [graph] = model.graphs
  if (model.format !== 'onnx' || source === undefined || graph === undefined)
    throw new ToolError('CANNOT_RUN', `${model.files[0]?.name ?? model.format}: only ONNX models are run`)
  const skeleton = await decodeMessage<Skeleton>(Skeleton, source, DEFAULT_LIMITS)
  // A second `graph` field is merged with the first, as protocol buffers demand.
  const parts = await Promise.all(
    skeleton.graph.map((range) => decodeMessage<GraphSkeleton>(GraphSkeleton, source, DEFAULT_LIMITS, range)),
  )
  const ranges = parts.flatMap(({ node }) => node)
  if (ranges.length !== graph.nodes.length)
    throw new InternalError(`${source.name}: ${ranges.length} nodes found, ${graph.nodes.length} known`)
  const places = new Map(graph.nodes.map((node, index) => [node, ranges[index]!]))
  return {
    irVersion: skeleton.irVersion ?? 0,
    opsets: new Map(Object.entries(model.metadata.opsets ?? {})),
    graph: { ...graph, nodes: executionOrder(graph.nodes) },
    constants: constantsOf(
      model,
      graph,
      parts.flatMap(({ initializer }) => initializer),
    ),
    encoded: (node) => {
      const place = places.get(node)
      if (place === undefined) throw new InternalError(`node "${node.name}" belongs to another program`)
      return bytesOf(source, place)
    },
    functions: await Promise.all(skeleton.functions.map((place) => bytesOf(source, place))),
  }
}

async function bytesOf(source: ByteSource, { offset, length, bytes }: Payload): Promise<Uint8Array> {
  return bytes ?? source.read(offset, length)
}

/** Initializers under their names, results of `Constant` nodes under those of their values. */
function constantsOf(model: Model, graph: Graph, initializers: readonly Named[]): ReadonlyMap<string, Tensor> {
  const stored = new Map(model.tensors.map((tensor) => [tensor.name, tensor]))
  const constants = new Map<string, Tensor>()
  const add = (value: string, title: string) => {
    const tensor = stored.get(title)
    if (tensor !== undefined) constants.set(value, tensor)
  }
  for (const { name } of initializers) if (name) add(name, name)
  for (const node of graph.nodes) {
    if (node.op !== 'Constant' || node.domain !== 'ai.onnx' || !node.outputs[0]) continue
    for (const value of Object.values(node.attributes)) {
      const title = tensorName(value)
      if (title !== undefined) add(node.outputs[0], title)
    }
  }
  return constants
}

function tensorName(value: AttributeValue): string | undefined {
  const named = typeof value === 'object' && value !== null && 'tensor' in value
  return named && typeof value.tensor === 'string' ? value.tensor : undefined
}

interface Body {
  node: BodyNode[]
  initializer: Named[]
  input: Named[]
}

interface BodyNode {
  input: string[]
  output: string[]
  attribute: BodyAttribute[]
}

interface BodyAttribute {
  g?: Body
  graphs: Body[]
}

const Info = defineMessage<Named>('onnx.ValueInfoProto', { name: { id: 1, type: 'string' } })

const BodyAttribute: MessageType<BodyAttribute> = defineMessage<BodyAttribute>('onnx.AttributeProto', {
  g: { id: 6, type: () => Body },
  graphs: { id: 11, type: () => Body, repeated: true },
})

const BodyNode: MessageType<BodyNode> = defineMessage<BodyNode>('onnx.NodeProto', {
  input: { id: 1, type: 'string', repeated: true },
  output: { id: 2, type: 'string', repeated: true },
  attribute: { id: 5, type: () => BodyAttribute, repeated: true },
})

const Body: MessageType<Body> = defineMessage<Body>('onnx.GraphProto', {
  node: { id: 1, type: () => BodyNode, repeated: true },
  initializer: { id: 5, type: () => Named, repeated: true },
  input: { id: 11, type: () => Info, repeated: true },
})

/** Values that the bodies of a control-flow node take from the graph around it; none for other nodes. */
export async function capturedValues(program: OnnxProgram, node: Node): Promise<readonly string[]> {
  if (node.subgraphs === undefined) return []
  const encoded = await program.encoded(node)
  const decoded = await decodeMessage<BodyNode>(BodyNode, memorySource(node.name, encoded), DEFAULT_LIMITS)
  const captured = new Set<string>()
  for (const body of decoded.attribute.flatMap(bodiesOf)) collectCaptured(body, new Set(), captured)
  return [...captured]
}

function bodiesOf({ g, graphs }: BodyAttribute): Body[] {
  return g === undefined ? graphs : [g, ...graphs]
}

function collectCaptured(body: Body, around: ReadonlySet<string>, captured: Set<string>): void {
  const known = new Set(around)
  for (const { name } of [...body.input, ...body.initializer]) known.add(name ?? '')
  // Bodies that refer to a value before it is made are still referring to their own.
  for (const { output } of body.node) for (const name of output) known.add(name)
  for (const { input, attribute } of body.node) {
    for (const name of input) if (name !== '' && !known.has(name)) captured.add(name)
    for (const inner of attribute.flatMap(bodiesOf)) collectCaptured(inner, known, captured)
  }
}
