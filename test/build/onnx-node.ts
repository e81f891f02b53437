import type { Dtype } from '../../src/tensor/dtype.ts'
import { concat, field, float, floats, number, packed } from './protobuf.ts'

/** An attribute as a test states it; numbers that are whole are ints unless wrapped in `{ float }`. */
export type TestAttribute =
  | number
  | string
  | readonly number[]
  | readonly string[]
  | { float: number }
  | { floats: readonly number[] }

/** A value that a model takes: its type and shape. */
export interface TestInput {
  readonly dtype: Dtype
  readonly shape: readonly number[]
}

export interface TestNode {
  readonly op: string
  readonly domain?: string
  readonly opset: number
  readonly attributes?: Readonly<Record<string, TestAttribute>>
  /** undefined leaves an optional input out */
  readonly inputs: readonly (TestInput | undefined)[]
  /** types of the outputs; null leaves an optional one out */
  readonly outputs: readonly (Dtype | null)[]
}

/** TensorProto.DataType */
const TYPES: Readonly<Partial<Record<Dtype, number>>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
}

/** An ONNX model of one node: inputs `x0`, `x1` ..., outputs `y0`, `y1` .... */
export function oneNodeModel({ op, domain = '', opset, attributes = {}, inputs, outputs }: TestNode): Uint8Array {
  const node = concat(
    ...inputs.map((input, index) => field(1, input === undefined ? '' : `x${index}`)),
    ...outputs.map((output, index) => field(2, output === null ? '' : `y${index}`)),
    field(3, 'node'),
    field(4, op),
    ...Object.entries(attributes).map(([name, value]) => field(5, attribute(name, value))),
    field(7, domain),
  )
  const graph = concat(
    field(1, node),
    field(2, 'graph'),
    ...inputs.flatMap((input, index) => (input ? [field(11, valueInfo(`x${index}`, input.dtype, input.shape))] : [])),
    ...outputs.flatMap((dtype, index) => (dtype === null ? [] : [field(12, valueInfo(`y${index}`, dtype))])),
  )
  const main = domain === '' || domain === 'ai.onnx' ? opset : 17
  const imports = [field(8, field(1, ''), number(2, main))]
  if (main !== opset || domain === 'com.microsoft') imports.push(field(8, field(1, domain), number(2, opset)))
  return concat(number(1, opset > 21 ? 10 : 8), ...imports, field(7, graph))
}

function valueInfo(name: string, dtype: Dtype, shape?: readonly number[]): Uint8Array {
  const sizes = shape === undefined ? [] : [field(2, ...shape.map((size) => field(1, number(1, size))))]
  return concat(field(1, name), field(2, field(1, number(1, TYPES[dtype]!), ...sizes)))
}

function attribute(name: string, value: TestAttribute): Uint8Array {
  const typed = (type: number, content: Uint8Array) => concat(field(1, name), content, number(20, type))
  if (typeof value === 'number') return typed(2, number(3, value))
  if (typeof value === 'string') return typed(3, field(4, value))
  if ('float' in value) return typed(1, float(2, value.float))
  if ('floats' in value) return typed(6, field(7, floats(value.floats)))
  const list = value as readonly (number | string)[]
  if (typeof list[0] === 'string') return typed(8, concat(...list.map((text) => field(9, String(text)))))
  return typed(7, packed(8, list as readonly number[]))
}
