import type { ByteSource } from '../../bytes/byte-source.ts'
import type { AttributeValue, Graph, Node, Value } from '../../model/graph.ts'
import type { Problem } from '../../model/model.ts'
import { uniqueNames } from '../../model/unique-names.ts'
import type { TensorRole } from '../../tensor/tensor.ts'
import { attributeValue, inlineTensor } from './attributes.ts'
import { constantContent } from './constant.ts'
import { NO_EXTERNAL_FILES } from './external.ts'
import { annotatedUses, type QuantizedUse, quantizedUses } from './quantization.ts'
import type { AttributeProto, FunctionProto, GraphProto, NodeProto, SparseTensorProto, TensorProto } from './schema.ts'
import { nodeScope } from './scope.ts'
import { type MemoryTensor, type StoredTensor, tensorLayout } from './tensor.ts'
import { toValue } from './types.ts'

/**
 * The walk through the graphs of a model: nodes to the neutral form, and every stored tensor under a unique name.
 *
 * A tensor keeps the name of the value that it is. Where a subgraph or function repeats a name that is taken, its
 * tensor is called `PATH/NAME`, PATH being the nodes and attributes that lead there (`If_3.then_branch/W`), and the
 * nodes that take it refer to it so. The value of a `Constant` node is called `const:OUTPUT`; a larger tensor among
 * the attributes of another node `attr:NODE.ATTRIBUTE`; of a sparse tensor the stored parts are given, `NAME.values`
 * and `NAME.indices`.
 */
export interface Walk {
  readonly main: ByteSource
  readonly tensors: StoredTensor[]
  readonly warnings: Problem[]
  readonly quantizedUses: QuantizedUse[]
  /** what uses of a tensor say about it, by tensor name */
  readonly roles: Map<string, TensorRole>
  readonly takenNames: Set<string>
  readonly uniqueName: (name: string) => string
}

export function beginWalk(main: ByteSource): Walk {
  return {
    main,
    tensors: [],
    warnings: [],
    quantizedUses: [],
    roles: new Map(),
    takenNames: new Set(),
    uniqueName: uniqueNames(),
  }
}

/** Value names that are stored tensors, as seen from one graph: its own, then those of the graphs around it. */
interface Scope {
  /** where the graph is, e.g. `If_3.then_branch`; empty for the main graph */
  readonly path: string
  readonly tensors: Map<string, string>
  /** initializers whose tensor had to be called other than their value */
  readonly renames: Map<string, string>
  readonly outer?: Scope
}

/** The main graph, or with `outer` the body of a control-flow node. */
export function walkGraph(walk: Walk, proto: GraphProto, kind: Graph['kind'], path = '', outer?: Scope): Graph {
  const scope: Scope = { path, tensors: new Map(), renames: new Map(), ...(outer ? { outer } : {}) }
  const stored = new Set<string>()
  for (const [index, tensor] of proto.initializer.entries()) {
    const value = tensor.name || `initializer_${index}`
    if (stored.has(value)) {
      walk.warnings.push({
        code: 'DUPLICATE_NAME',
        message: `two initializers of one graph are called "${value}"`,
        subject: value,
      })
    }
    stored.add(value)
    const { tensor: name } = addTensor(walk, scope, value, value, tensor)
    if (name !== value) scope.renames.set(value, name)
  }
  for (const [index, tensor] of proto.sparseInitializer.entries()) {
    const value = tensor.values?.name || `sparse_initializer_${index}`
    stored.add(value)
    addSparse(walk, scope, value, tensor)
  }
  walk.quantizedUses.push(...annotatedUses(proto.quantizationAnnotation, (value) => lookUp(scope, value)))
  const values = new Map<string, Value>()
  // IR version 3 lists initializers as inputs too: they have a value, so nobody has to give one.
  for (const info of proto.input) if (stored.has(info.name ?? '')) values.set(info.name!, toValue(info))
  for (const info of proto.valueInfo) values.set(info.name ?? '', toValue(info))
  return {
    name: proto.name ?? '',
    kind,
    inputs: proto.input.filter(({ name }) => !stored.has(name ?? '')).map(toValue),
    outputs: proto.output.map(toValue),
    nodes: walkNodes(walk, proto.node, scope),
    values,
  }
}

/** A function of the model: a graph whose inputs and outputs have names only. */
export function walkFunction(walk: Walk, proto: FunctionProto): Graph {
  const name = functionName(proto)
  const scope: Scope = { path: name, tensors: new Map(), renames: new Map() }
  const types = new Map(proto.valueInfo.map((info) => [info.name ?? '', toValue(info)]))
  return {
    name,
    kind: 'function',
    inputs: proto.input.map((input) => types.get(input) ?? { name: input }),
    outputs: proto.output.map((output) => types.get(output) ?? { name: output }),
    nodes: walkNodes(walk, proto.node, scope),
    values: types,
  }
}

/** `DOMAIN::NAME`, with `:OVERLOAD` where there is one: what a node with this domain and operator calls. */
export function functionName({ domain, name, overload }: FunctionProto): string {
  return `${domain ? `${domain}::` : ''}${name ?? ''}${overload ? `:${overload}` : ''}`
}

function walkNodes(walk: Walk, protos: readonly NodeProto[], scope: Scope): Node[] {
  const names = nodeNames(protos)
  warnUnsorted(walk, protos, scope)
  return protos.map((proto, index) => walkNode(walk, proto, names[index]!, scope))
}

/** The file's names; nodes without one are called after operator and position. */
function nodeNames(protos: readonly NodeProto[]): string[] {
  const unique = uniqueNames()
  const names = protos.map(({ name }) => (name ? unique(name) : ''))
  return names.map((name, index) => name || unique(`${protos[index]!.opType ?? 'node'}_${index}`))
}

function walkNode(walk: Walk, proto: NodeProto, name: string, scope: Scope): Node {
  const op = proto.opType ?? ''
  const domain = proto.domain || 'ai.onnx'
  const subgraphs: [string, Graph][] = []
  const here = scope.path === '' ? name : `${scope.path}/${name}`
  const isConstant = op === 'Constant' && domain === 'ai.onnx'
  const sinks = {
    tensor: (tensor: TensorProto, attribute: string): AttributeValue => {
      const title = `attr:${here}.${attribute}`
      return (
        inlineTensor(tensorLayout(tensor, title, walk.main, NO_EXTERNAL_FILES)) ??
        addLoose(walk, title, tensor, 'constant')
      )
    },
    sparseTensor: (tensor: SparseTensorProto, attribute: string): AttributeValue =>
      addSparse(walk, undefined, `attr:${here}.${attribute}`, tensor),
    graph: (graph: GraphProto, key: string): void => {
      subgraphs.push([key, walkGraph(walk, graph, 'subgraph', `${here}.${key}`, scope)])
    },
  }
  const attributes: [string, AttributeValue][] = []
  for (const attribute of proto.attribute) {
    const constant = isConstant ? addConstant(walk, scope, proto, attribute) : undefined
    const value = constant ?? attributeValue(attribute, sinks)
    if (value !== undefined) attributes.push([attribute.name ?? '', value])
  }
  const node: Node = {
    name,
    op,
    domain,
    inputs: proto.input.map((input) => reference(scope, input)),
    outputs: proto.output,
    attributes: Object.fromEntries(attributes),
    ...(subgraphs.length > 0 ? { subgraphs: Object.fromEntries(subgraphs) } : {}),
    ...nodeScope(proto),
  }
  noteUses(walk, node, proto, scope)
  return node
}

/** What a node says about the stored tensors that it takes. */
function noteUses(walk: Walk, node: Node, proto: NodeProto, scope: Scope): void {
  if (node.op === 'BatchNormalization') {
    for (const statistic of proto.input.slice(3, 5)) {
      const tensor = lookUp(scope, statistic)
      if (tensor !== undefined) walk.roles.set(tensor, 'buffer')
    }
  }
  walk.quantizedUses.push(...quantizedUses(node, proto.input, (value) => lookUp(scope, value)))
}

function addTensor(
  walk: Walk,
  scope: Scope,
  value: string,
  title: string,
  content: TensorProto | MemoryTensor,
  role?: TensorRole,
): { tensor: string } {
  const wanted = walk.takenNames.has(title) && scope.path !== '' ? `${scope.path}/${title}` : title
  const made = addLoose(walk, wanted, content, role)
  scope.tensors.set(value, made.tensor)
  return made
}

function addLoose(
  walk: Walk,
  title: string,
  content: TensorProto | MemoryTensor,
  role?: TensorRole,
): { tensor: string } {
  const name = walk.uniqueName(title)
  walk.takenNames.add(name)
  walk.tensors.push({ name, content, ...(role ? { role } : {}) })
  return { tensor: name }
}

function addConstant(walk: Walk, scope: Scope, node: NodeProto, attribute: AttributeProto): AttributeValue | undefined {
  const content = constantContent(attribute)
  if (content === undefined) return undefined
  const output = node.output[0] ?? ''
  if ('values' in content || 'indices' in content) return addSparse(walk, scope, `const:${output}`, content)
  return addTensor(walk, scope, output, `const:${output}`, content as TensorProto | MemoryTensor, 'constant')
}

/** The stored parts of a sparse tensor: making it dense could take any amount of memory. */
function addSparse(walk: Walk, scope: Scope | undefined, title: string, sparse: SparseTensorProto): AttributeValue {
  const prefix = scope && scope.path !== '' && walk.takenNames.has(`${title}.values`) ? `${scope.path}/${title}` : title
  const shape = [...sparse.dims]
  walk.warnings.push({
    code: 'SPARSE_TENSOR',
    message: `sparse tensor "${title}" [${shape.join(', ')}] is given as stored: its values and their indices`,
    subject: title,
  })
  return {
    dims: shape,
    ...(sparse.values ? { values: addLoose(walk, `${prefix}.values`, sparse.values) } : {}),
    ...(sparse.indices ? { indices: addLoose(walk, `${prefix}.indices`, sparse.indices) } : {}),
  }
}

function lookUp(scope: Scope, value: string): string | undefined {
  for (let here: Scope | undefined = scope; here; here = here.outer) {
    const tensor = here.tensors.get(value)
    if (tensor !== undefined) return tensor
  }
  return undefined
}

/** The name under which a node refers to `value`: that of the tensor for an initializer that had to be renamed. */
function reference(scope: Scope, value: string): string {
  for (let here: Scope | undefined = scope; here; here = here.outer) {
    const renamed = here.renames.get(value)
    if (renamed !== undefined) return renamed
    if (here.tensors.has(value)) return value
  }
  return value
}

/** ONNX demands an order in which every value is made before it is used; files do not always keep to it. */
function warnUnsorted(walk: Walk, protos: readonly NodeProto[], scope: Scope): void {
  const later = new Set(protos.flatMap(({ output }) => output))
  for (const { input, output, opType, name } of protos) {
    const early = input.find((value) => value !== '' && later.has(value))
    if (early !== undefined) {
      walk.warnings.push({
        code: 'UNSORTED_NODES',
        message: `nodes are not in order of execution: ${name || opType || 'a node'} takes "${early}" before it is made`,
        subject: scope.path || 'main graph',
      })
      return
    }
    for (const value of output) later.delete(value)
  }
}

/** `metadata_props` as one object. */
export function propertiesOf(proto: Pick<NodeProto, 'metadataProps'>): Record<string, string> {
  return Object.fromEntries(proto.metadataProps.map(({ key, value }) => [key ?? '', value ?? '']))
}
