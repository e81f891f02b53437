import type { ByteSource } from '../../bytes/byte-source.ts'
import { FormatError } from '../../errors.ts'
import type { AttributeValue, Graph, Node, Value } from '../../model/graph.ts'
import { uniqueNames } from '../../model/unique-names.ts'
import type { Operator, SubGraph, TfliteModel, TfliteTensor } from './model-tables.ts'
import { containerFromTflite, dtypeFromTflite } from './types.ts'

/**
 * A name for each tensor of a subgraph. Operators refer to tensors by number, so names need not be unique in the file:
 * constants get theirs first, unique in the model; then the activations, unique in the subgraph.
 */
export function tensorNames(
  { tensors }: SubGraph,
  isConstant: (tensor: TfliteTensor) => boolean,
  unique: (name: string) => string,
): string[] {
  const names = tensors.map((tensor, index) => (isConstant(tensor) ? unique(tensor.name || `tensor_${index}`) : ''))
  const local = uniqueNames()
  for (const name of names) if (name !== '') local(name)
  return names.map((name, index) => name || local(tensors[index]!.name || `tensor_${index}`))
}

/** A unique name for each subgraph. */
export function graphNames({ subgraphs }: TfliteModel): string[] {
  const unique = uniqueNames()
  return subgraphs.map(({ name }, index) => unique(name || (index === 0 ? 'main' : `subgraph_${index}`)))
}

/**
 * A subgraph in neutral form. Attributes that name another subgraph by number (`body_subgraph_index`) are joined by its
 * name (`body_subgraph`).
 * @throws {FormatError} INVALID_FIELD for a tensor number that is none
 */
export function toGraph(
  subgraph: SubGraph,
  names: readonly string[],
  index: number,
  titles: readonly string[],
  main: ByteSource,
): Graph {
  const nameOf = (number: number): string => {
    if (number === -1) return ''
    const name = names[number]
    if (name !== undefined) return name
    throw new FormatError({
      code: 'INVALID_FIELD',
      file: main.name,
      what: `tensor number in subgraph "${titles[index]}"`,
      expected: `-1 to ${names.length - 1}`,
      found: String(number),
    })
  }
  const valueAt = (number: number): Value => {
    const name = nameOf(number)
    const tensor = subgraph.tensors[number]
    return tensor ? toValue(tensor, name) : { name }
  }
  const produced = new Set(subgraph.operators.flatMap(({ outputs }) => outputs))
  return {
    name: titles[index]!,
    kind: index === 0 ? 'main' : 'function',
    inputs: subgraph.inputs.map(valueAt),
    outputs: subgraph.outputs.map(valueAt),
    nodes: subgraph.operators.map((operator, position) => toNode(operator, position, nameOf, titles)),
    values: new Map([...produced].filter((number) => number >= 0).map((number) => [nameOf(number), valueAt(number)])),
  }
}

function toNode(
  { op, isCustom, inputs, outputs, options }: Operator,
  position: number,
  nameOf: (number: number) => string,
  titles: readonly string[],
): Node {
  const outputNames = outputs.map(nameOf)
  const scope = scopeOf(op, outputNames[0] ?? '')
  return {
    name: `${op}_${position}`,
    op,
    domain: isCustom ? 'custom' : '',
    inputs: inputs.map(nameOf),
    outputs: outputNames,
    attributes: withSubgraphNames(options, titles),
    ...(scope ? { scope } : {}),
  }
}

function withSubgraphNames(options: Operator['options'], titles: readonly string[]): Node['attributes'] {
  const named: [string, AttributeValue][] = Object.entries(options).flatMap(([key, value]) => {
    const title = key.endsWith('subgraph_index') && typeof value === 'number' ? titles[value] : undefined
    return title === undefined ? [] : [[key.slice(0, -'_index'.length), title]]
  })
  return named.length > 0 ? { ...options, ...Object.fromEntries(named) } : options
}

function toValue({ type, shape, shapeSignature }: TfliteTensor, name: string): Value {
  const dtype = dtypeFromTflite(type)
  const container = containerFromTflite(type)
  const sizes = shapeSignature && shapeSignature.length === shape.length ? shapeSignature : shape
  return {
    name,
    ...(dtype ? { dtype } : {}),
    ...(container ? { container } : {}),
    shape: sizes.map((size) => (size < 0 ? null : size)),
  }
}

/** Last parts of the TensorFlow operators that make a layer, before the activation that is fused into it. */
const LAYER_PARTS = /\/(BiasAdd|Conv2D|Conv2DBackpropInput|conv2d_transpose|depthwise|MatMul)\d*$/

/**
 * The module that an operator came from. Its output is named after all TensorFlow operators that were fused, such as
 * `model/re_lu/Relu;model/conv/BiasAdd;model/conv/Conv2D`: the layer is the one that adds the bias.
 */
function scopeOf(op: string, output: string): string | undefined {
  const parts = output.split(';').slice(0, 50)
  const isLayer = /CONV|FULLY_CONNECTED/.test(op)
  const biased = isLayer ? parts.find((part) => part.endsWith('/BiasAdd')) : undefined
  const path = biased ?? (isLayer ? parts.find((part) => LAYER_PARTS.test(part)) : undefined) ?? parts[0] ?? ''
  const end = path.lastIndexOf('/')
  return end > 0 ? path.slice(0, end) : undefined
}
