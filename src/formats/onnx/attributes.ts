import type { JsonValue } from '../../encoding/json-value.ts'
import type { Payload } from '../../encoding/protobuf.ts'
import type { AttributeValue } from '../../model/graph.ts'
import { decodeValues } from '../../tensor/decode.ts'
import { elementCount } from '../../tensor/dtype.ts'
import { shortestFloat32 } from '../../tensor/shortest-float.ts'
import type { AttributeProto, GraphProto, SparseTensorProto, TensorProto } from './schema.ts'
import type { TensorLayout } from './tensor.ts'
import { describeType } from './types.ts'
import { keptBytes } from './values.ts'

/** A tensor attribute of at most so many elements is written out instead of becoming a tensor of the Model. */
const MAX_INLINE_ELEMENTS = 16

/** What an attribute can hold that is more than data: the graph walk takes it over and says how to refer to it. */
export interface AttributeSinks {
  tensor(proto: TensorProto, attribute: string): AttributeValue
  sparseTensor(proto: SparseTensorProto, attribute: string): AttributeValue
  graph(proto: GraphProto, key: string): void
}

/** AttributeProto.AttributeType, which old writers leave out. */
const TYPES = [
  'undefined',
  'float',
  'int',
  'string',
  'tensor',
  'graph',
  'floats',
  'ints',
  'strings',
  'tensors',
  'graphs',
  'sparse-tensor',
  'sparse-tensors',
  'type',
  'types',
] as const

/**
 * The value of an attribute; undefined for graphs, which become subgraphs of the node.
 *
 * 32-bit floats are given as the shortest decimal that is the same float; integers beyond 2^53 as bigint; text that is
 * not UTF-8 as `{hex}`, text of more than 64 KiB as `{bytes: length}`; a parameter of the enclosing function as `{ref}`.
 */
export function attributeValue(proto: AttributeProto, sinks: AttributeSinks): AttributeValue | undefined {
  const name = proto.name ?? ''
  if (proto.refAttrName) return { ref: proto.refAttrName }
  const type = TYPES[proto.type ?? 0] ?? 'undefined'
  switch (type === 'undefined' ? guessType(proto) : type) {
    case 'float':
      return shortestFloat32(proto.f ?? 0)
    case 'int':
      return toNumber(proto.i ?? 0n)
    case 'string':
      return text(proto.s.at(-1))
    case 'tensor':
      return proto.t ? sinks.tensor(proto.t, name) : null
    case 'graph':
      if (proto.g) sinks.graph(proto.g, name)
      return undefined
    case 'floats':
      return proto.floats.map(shortestFloat32)
    case 'ints':
      return proto.ints.map(toNumber)
    case 'strings':
      return proto.strings.map(text)
    case 'tensors':
      return proto.tensors.map((tensor, index) => sinks.tensor(tensor, `${name}[${index}]`))
    case 'graphs':
      for (const [index, graph] of proto.graphs.entries()) sinks.graph(graph, `${name}[${index}]`)
      return undefined
    case 'sparse-tensor':
      return proto.sparseTensor ? sinks.sparseTensor(proto.sparseTensor, name) : null
    case 'sparse-tensors':
      return proto.sparseTensors.map((tensor, index) => sinks.sparseTensor(tensor, `${name}[${index}]`))
    case 'type':
      return describeType(proto.tp)
    case 'types':
      return proto.typeProtos.map(describeType)
    default:
      return null
  }
}

function guessType(proto: AttributeProto): (typeof TYPES)[number] {
  if (proto.f !== undefined) return 'float'
  if (proto.i !== undefined) return 'int'
  if (proto.s.length > 0) return 'string'
  if (proto.t) return 'tensor'
  if (proto.g) return 'graph'
  if (proto.floats.length > 0) return 'floats'
  if (proto.ints.length > 0) return 'ints'
  if (proto.strings.length > 0) return 'strings'
  if (proto.tensors.length > 0) return 'tensors'
  return proto.graphs.length > 0 ? 'graphs' : 'undefined'
}

/**
 * `{dtype, shape, values}` of a tensor that has few elements, all at hand; undefined for any other. An element count of
 * 1 is typical: `value` of ConstantOfShape.
 */
export function inlineTensor({ dtype, shape, bytes, values }: TensorLayout): AttributeValue | undefined {
  const count = elementCount(shape)
  if (count > MAX_INLINE_ELEMENTS || dtype === 'string') return undefined
  const kept = keptBytes(values, dtype)
  if (kept === undefined || kept.length !== bytes) return undefined
  const numbers =
    dtype === 'int64' || dtype === 'uint64'
      ? Array.from(new (dtype === 'int64' ? BigInt64Array : BigUint64Array)(kept.slice().buffer), toNumber)
      : Array.from(decodeValues(dtype, kept, count), (value) => (dtype === 'float32' ? shortestFloat32(value) : value))
  return { dtype, shape: [...shape], values: numbers }
}

/** A 64-bit integer as number where that is exact. */
function toNumber(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function text(payload: Payload | undefined): AttributeValue {
  if (payload === undefined) return ''
  if (payload.bytes === undefined) return { bytes: payload.length }
  try {
    return strictUtf8.decode(payload.bytes)
  } catch {
    // bytes that are no text are shown as what they are
    return { hex: Array.from(payload.bytes, (byte) => byte.toString(16).padStart(2, '0')).join('') }
  }
}

/** An attribute as JSON: bigints as decimal text. */
export function attributeJson(value: AttributeValue): JsonValue {
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(attributeJson)
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, attributeJson(inner)]))
}
