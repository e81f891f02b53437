import type {
  ArgDef,
  AttrList,
  AttrValue,
  Entry,
  FunctionDef,
  GraphDef,
  NodeDef,
  TensorProto,
} from '../encoding/graph-def.ts'
import { readText } from '../encoding/length-prefixed.ts'
import type { Payload } from '../encoding/protobuf.ts'
import { decodeValues } from '../tensor/decode.ts'
import { type Dtype, elementCount } from '../tensor/dtype.ts'
import { readTensor, type Tensor, type TensorRole } from '../tensor/tensor.ts'
import type { AttributeValue, Graph, Node, Value } from './graph.ts'
import type { Problem } from './model.ts'
import { orderNodes } from './order-nodes.ts'
import { describeShape, hasValues, type ProtoContext, readTensorProto, typeOfProto } from './tensor-proto.ts'
import { findTfDtype, tfTypeName } from './tensorflow-dtype.ts'

/**
 * A GraphDef with its functions as Graphs.
 *
 * Value names are TensorFlow's own short ones: `node` is its first output, `node:1` the second; inside functions
 * `node:output_name:0`. Since GraphDefs do not say how many outputs a node has, a node lists those that somebody
 * uses, and its first. Control dependencies are the attribute `_control_inputs`, the device is `_device`.
 *
 * Constants: those of a frozen graph are its weights, so every `Const` of the main graph is a tensor under the node's
 * name. Elsewhere only those of more than 64 elements are: `const:NODE` in a main graph with `constants: 'large'`,
 * `FUNCTION/NODE` in functions. Smaller ones are the attribute itself: `{dtype, shape, values}`. Nothing is left out
 * of both.
 */
export interface GraphDefOptions {
  readonly context: ProtoContext
  readonly name: string
  readonly constants: 'all' | 'large'
  /** of the main graph, where a signature states them; otherwise placeholders and unused results */
  readonly inputs?: readonly Value[]
  readonly outputs?: readonly Value[]
  /** weights that are stored elsewhere under the name of their `Const` node (TensorFlow.js) */
  readonly stored?: ReadonlySet<string>
}

export interface GraphDefResult {
  /** main graph first */
  readonly graphs: readonly Graph[]
  readonly tensors: readonly Tensor[]
  readonly warnings: readonly Problem[]
}

/** Constants of at most so many elements are written out in the attributes: shapes, axes, paddings, permutations. */
const INLINE_ELEMENTS = 64
const INLINE_TEXT_BYTES = 4096

/** @throws {FormatError} for constants whose values do not fit their shape */
export async function readGraphDef(def: GraphDef, options: GraphDefOptions): Promise<GraphDefResult> {
  const reader = new GraphReader(options)
  const main = await reader.main(def)
  const functions: Graph[] = []
  for (const body of def.library?.function ?? []) functions.push(await reader.function(body))
  return { graphs: [main, ...functions], tensors: reader.tensors, warnings: reader.warnings }
}

class GraphReader {
  readonly tensors: Tensor[] = []
  readonly warnings: Problem[] = []
  readonly #options: GraphDefOptions
  readonly #names = new Set<string>()

  constructor(options: GraphDefOptions) {
    this.#options = options
    for (const name of options.stored ?? []) this.#names.add(name)
  }

  async main(def: GraphDef): Promise<Graph> {
    const { name, inputs, outputs, constants } = this.#options
    const nodes = this.#ordered(def.node, name)
    const used = new UsedOutputs(
      nodes,
      (outputs ?? []).map((value) => value.name),
    )
    const statistics = findStatistics(def)
    const values = new Map<string, Value>()
    const made: Node[] = []
    for (const node of nodes) {
      const own = node.name ?? ''
      const constant: ConstantPlace = {
        name: constants === 'all' ? own : `const:${own}`,
        node: own,
        all: constants === 'all',
        role: (dtype, rank) => {
          // what a variable of TensorFlow 1 begins with is no weight
          if (/(^|\/)Initializer\//.test(own)) return 'constant'
          return statistics.has(own) ? 'buffer' : roleOfConstant(dtype, rank)
        },
      }
      made.push(await this.#node(node, used, constant, values))
    }
    return {
      name,
      kind: 'main',
      inputs: inputs ?? nodes.filter(isPlaceholder).map((node) => placeholderValue(node)),
      outputs: outputs ?? findResults(nodes, used),
      nodes: made,
      values,
    }
  }

  async function(def: FunctionDef): Promise<Graph> {
    const name = def.signature?.name ?? ''
    const nodes = this.#ordered(def.nodeDef, name)
    const returned = new Map(def.ret.map(({ key, value }) => [key ?? '', value ?? '']))
    const used = new UsedOutputs(nodes, [...returned.values()])
    const values = new Map<string, Value>()
    const made: Node[] = []
    for (const node of nodes) {
      const own = node.name ?? ''
      const place: ConstantPlace = { name: `${name}/${own}`, node: own, all: false, role: () => 'constant' }
      made.push(await this.#node(node, used, place, values))
    }
    return {
      name,
      kind: 'function',
      inputs: (def.signature?.inputArg ?? []).map((argument) => argumentValue(argument, argument.name ?? '')),
      outputs: (def.signature?.outputArg ?? []).map((argument) =>
        argumentValue(argument, returned.get(argument.name ?? '') ?? argument.name ?? ''),
      ),
      nodes: made,
      values,
    }
  }

  #ordered(nodes: readonly NodeDef[], graph: string): readonly NodeDef[] {
    const { ordered, cyclic } = orderNodes(nodes)
    if (cyclic) {
      const message = `graph "${graph}" has a loop; its nodes are in file order, which is no order of execution`
      this.warnings.push({ code: 'GRAPH_HAS_CYCLE', message, subject: graph })
    }
    return ordered
  }

  async #node(node: NodeDef, used: UsedOutputs, place: ConstantPlace, values: Map<string, Value>): Promise<Node> {
    const name = node.name ?? ''
    const attributes: Record<string, AttributeValue> = {}
    for (const { key, value } of node.attr) {
      if (key === '_output_shapes') addShapes(values, node, value)
      else if (key !== undefined && value !== undefined) {
        const isValue = key === 'value' && isConstant(node)
        const own = isValue ? place : { ...place, name: `${place.name}/${key}`, node: '', all: false }
        defineAttribute(attributes, key, await this.#attribute(value, own))
      }
    }
    const control = node.input.filter((input) => input.startsWith('^')).map((input) => input.slice(1))
    if (control.length > 0) attributes._control_inputs = control
    if (node.device) attributes._device = node.device
    const slash = name.lastIndexOf('/')
    return {
      name,
      op: node.op ?? '',
      domain: '',
      inputs: node.input.filter((input) => !input.startsWith('^')).map(shortName),
      outputs: used.of(node),
      attributes,
      ...(slash > 0 ? { scope: name.slice(0, slash) } : {}),
    }
  }

  async #attribute(value: AttrValue, place: ConstantPlace): Promise<AttributeValue> {
    if (value.list) return this.#list(value.list, place)
    const text = value.s.at(-1)
    if (text) return textValue(text)
    if (value.i !== undefined) return integer(value.i)
    if (value.f !== undefined) return value.f
    if (value.b !== undefined) return value.b
    if (value.type !== undefined) return typeValue(value.type)
    if (value.shape) return describeShape(value.shape) ?? null
    if (value.tensor) return this.#tensor(value.tensor, place)
    if (value.func) return this.#function(value.func, place)
    return value.placeholder === undefined ? null : { placeholder: value.placeholder }
  }

  /** A list holds one kind of values; an empty one does not say which. */
  async #list(list: AttrList, place: ConstantPlace): Promise<AttributeValue> {
    const made: AttributeValue[] = [
      ...list.s.map(textValue),
      ...list.i.map(integer),
      ...list.f,
      ...list.b,
      ...list.type.map(typeValue),
      ...list.shape.map((shape) => describeShape(shape) ?? null),
    ]
    for (const [index, tensor] of list.tensor.entries())
      made.push(await this.#tensor(tensor, { ...place, name: `${place.name}/${index}`, node: '' }))
    for (const func of list.func) made.push(await this.#function(func, place))
    return made
  }

  async #function(func: { name?: string; attr: Entry<AttrValue>[] }, place: ConstantPlace): Promise<AttributeValue> {
    const attributes: Record<string, AttributeValue> = {}
    for (const { key, value } of func.attr)
      if (key !== undefined && value !== undefined)
        defineAttribute(
          attributes,
          key,
          await this.#attribute(value, { ...place, name: `${place.name}/${key}`, node: '' }),
        )
    return { function: func.name ?? '', ...(func.attr.length > 0 ? { attributes } : {}) }
  }

  async #tensor(proto: TensorProto, place: ConstantPlace): Promise<AttributeValue> {
    const { context, stored } = this.#options
    const elsewhere = [place.name, place.node].find((name) => stored?.has(name))
    if (elsewhere !== undefined) return { tensor: elsewhere }
    const dtype = findTfDtype(proto.dtype)
    const shape = describeShape(proto.tensorShape) ?? []
    const tensor = readTensorProto(
      proto,
      { name: place.name, role: place.role(dtype ?? 'string', shape.length) },
      context,
    )
    if (stored && tensor && tensor.bytes > 0 && !hasValues(proto)) {
      const message = `the values of the constant "${place.name}" are neither in the graph nor among the weights`
      this.warnings.push({ code: 'MISSING_VALUES', message, subject: place.name })
      return { dtype: tensor.dtype, shape: [...tensor.shape] }
    }
    if (tensor === undefined) {
      const type = typeOfProto(proto)
      this.warnings.push({
        code: 'CONSTANT_NOT_AN_ARRAY',
        message: `constant "${place.name}" is of type ${type}, which is not read`,
        subject: place.name,
      })
      return { dtype: type, shape }
    }
    const small = elementCount(tensor.shape) <= INLINE_ELEMENTS && tensor.bytes <= INLINE_TEXT_BYTES
    if (place.all || !small) {
      if (this.#names.has(tensor.name)) return this.#twice(tensor)
      this.#names.add(tensor.name)
      this.tensors.push(tensor)
      const inline = small && (tensor.dtype === 'int32' || tensor.dtype === 'int64')
      return inline ? { tensor: tensor.name, values: await inlineValues(tensor) } : { tensor: tensor.name }
    }
    return { dtype: tensor.dtype, shape: [...tensor.shape], values: await inlineValues(tensor) }
  }

  #twice({ name, dtype, shape }: Tensor): AttributeValue {
    const message = `"${name}" names two constants; the second is not among the tensors`
    this.warnings.push({ code: 'DUPLICATE_NAME', message, subject: name })
    return { dtype, shape: [...shape] }
  }
}

/** What a constant met here is called and for. */
interface ConstantPlace {
  /** of the tensor that it may become */
  readonly name: string
  /** of the node whose value it is */
  readonly node: string
  /** whether small ones are tensors too */
  readonly all: boolean
  readonly role: (dtype: Dtype, rank: number) => TensorRole
}

/** Which outputs of each node something asks for. */
class UsedOutputs {
  readonly #names = new Map<string, Set<string>>()

  constructor(nodes: readonly NodeDef[], results: readonly string[]) {
    for (const node of nodes) for (const input of node.input) if (!input.startsWith('^')) this.#add(input)
    for (const result of results) this.#add(result)
  }

  #add(input: string): void {
    const value = shortName(input)
    const node = nodeOf(value)
    const known = this.#names.get(node)
    if (known) known.add(value)
    else this.#names.set(node, new Set([value]))
  }

  of(node: NodeDef): string[] {
    const name = node.name ?? ''
    const used = this.#names.get(name)
    if (used === undefined) return node.op === 'NoOp' ? [] : [name]
    const isFunctionBody = [...used].some((value) => value.split(':').length > 2)
    if (!isFunctionBody) used.add(name)
    return [...used].sort((left, right) => outputIndex(left) - outputIndex(right))
  }

  has(node: NodeDef): boolean {
    return this.#names.has(node.name ?? '')
  }
}

/** `node:0` is `node`. */
export function shortName(input: string): string {
  return /^[^:]+:0$/.test(input) ? input.slice(0, -2) : input
}

function nodeOf(value: string): string {
  const colon = value.indexOf(':')
  return colon < 0 ? value : value.slice(0, colon)
}

function outputIndex(value: string): number {
  const index = Number(value.slice(value.lastIndexOf(':') + 1))
  return value.includes(':') && Number.isInteger(index) ? index : 0
}

const isConstant = ({ op }: NodeDef) => op === 'Const' || op === 'HostConst'
const isPlaceholder = ({ op }: NodeDef) => op?.startsWith('Placeholder') === true || op === '_Arg'
const hasNoResult = new Set(['NoOp', 'Assert', 'Const', 'Placeholder', 'SaveV2', 'ControlTrigger'])

const attributeOf = (node: NodeDef, key: string) => node.attr.find((entry) => entry.key === key)?.value

function placeholderValue(node: NodeDef): Value {
  const dtype = findTfDtype((attributeOf(node, 'dtype') ?? attributeOf(node, 'T'))?.type)
  return makeValue(node.name ?? '', dtype, describeShape(attributeOf(node, 'shape')?.shape))
}

function findResults(nodes: readonly NodeDef[], used: UsedOutputs): Value[] {
  return nodes
    .filter((node) => !used.has(node) && !hasNoResult.has(node.op ?? ''))
    .map((node) => makeValue(node.name ?? '', findTfDtype(attributeOf(node, 'T')?.type), undefined))
}

function argumentValue(argument: ArgDef, name: string): Value {
  const resource = argument.type === 20
  const dtype = findTfDtype(argument.type)
  return { name, ...(dtype ? { dtype } : {}), ...(resource ? { container: 'resource' } : {}) }
}

function makeValue(name: string, dtype: Dtype | undefined, shape: Value['shape'] | undefined): Value {
  return { name, ...(dtype === undefined ? {} : { dtype }), ...(shape === undefined ? {} : { shape }) }
}

function addShapes(values: Map<string, Value>, node: NodeDef, attribute: AttrValue | undefined): void {
  for (const [index, proto] of (attribute?.list?.shape ?? []).entries()) {
    const name = index === 0 ? (node.name ?? '') : `${node.name ?? ''}:${index}`
    const dtype = index === 0 ? findTfDtype((attributeOf(node, 'dtype') ?? attributeOf(node, 'T'))?.type) : undefined
    values.set(name, makeValue(name, dtype, describeShape(proto)))
  }
}

/** Constants that feed mean and variance of a batch normalisation, directly or through an Identity. */
export function findStatistics({ node: nodes }: Pick<GraphDef, 'node'>): ReadonlySet<string> {
  const source = new Map(nodes.filter(({ op }) => op === 'Identity').map((node) => [node.name ?? '', node.input[0]]))
  const found = new Set<string>()
  for (const node of nodes) {
    if (!node.op?.startsWith('FusedBatchNorm')) continue
    for (const input of node.input.slice(3, 5)) {
      const name = shortName(input)
      found.add(shortName(source.get(name) ?? name))
    }
  }
  return found
}

/** Floating-point arrays among constants are taken for weights. */
export function roleOfConstant(dtype: Dtype, rank: number): TensorRole {
  return /float/.test(dtype) && rank > 0 ? 'parameter' : 'constant'
}

/** An attribute may be called `__proto__`: it must be data, too. */
function defineAttribute(into: Record<string, AttributeValue>, key: string, value: AttributeValue): void {
  Object.defineProperty(into, key, { value, enumerable: true, configurable: true, writable: true })
}

function integer(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

function typeValue(type: number): string {
  return findTfDtype(type) ?? tfTypeName(type)
}

/** Bytes as text where they are UTF-8, otherwise as `{bytes: hexadecimal}`; long ones by their length only. */
function textValue({ bytes, length }: Payload): AttributeValue {
  if (bytes === undefined) return { byteLength: length }
  try {
    return strictUtf8.decode(bytes)
  } catch {
    // not text, which is allowed: these are `bytes` fields
    return { bytes: Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('') }
  }
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

async function inlineValues(tensor: Tensor): Promise<AttributeValue[]> {
  const bytes = await readTensor(tensor)
  const count = elementCount(tensor.shape)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (tensor.dtype === 'string') return readText(bytes)
  if (tensor.dtype === 'int64')
    return Array.from({ length: count }, (_, index) => integer(view.getBigInt64(index * 8, true)))
  if (tensor.dtype === 'uint64')
    return Array.from({ length: count }, (_, index) => integer(view.getBigUint64(index * 8, true)))
  const values = Array.from(decodeValues(tensor.dtype, bytes, count))
  return tensor.dtype === 'bool' ? values.map((value) => value !== 0) : values
}
