import type { AttributeProto, SparseTensorProto, TensorProto } from './schema.ts'
import type { MemoryTensor } from './tensor.ts'
import { encodeText } from './values.ts'

/**
 * What a Constant node holds in one of its attributes `value`, `sparse_value`, `value_float(s)`, `value_int(s)`,
 * `value_string(s)`; undefined for any other attribute, and for text that is too long to be kept in memory.
 *
 * @source https://onnx.ai/onnx/operators/onnx__Constant.html
 */
export function constantContent(attribute: AttributeProto): TensorProto | SparseTensorProto | MemoryTensor | undefined {
  if (attribute.refAttrName) return undefined
  switch (attribute.name) {
    case 'value':
      return attribute.t
    case 'sparse_value':
      return attribute.sparseTensor
    case 'value_float':
      return inMemory('float32', [attribute.f ?? 0], [])
    case 'value_floats':
      return inMemory('float32', attribute.floats)
    case 'value_int':
      return inMemory('int64', [attribute.i ?? 0n], [])
    case 'value_ints':
      return inMemory('int64', attribute.ints)
    case 'value_string':
      return texts(attribute.s.slice(-1), [])
    case 'value_strings':
      return texts(attribute.strings, [attribute.strings.length])
    default:
      return undefined
  }
}

function inMemory(
  dtype: 'float32' | 'int64',
  values: readonly (number | bigint)[],
  dims: readonly number[] = [values.length],
): MemoryTensor {
  const width = dtype === 'int64' ? 8 : 4
  const memory = new Uint8Array(values.length * width)
  const view = new DataView(memory.buffer)
  for (const [index, value] of values.entries()) {
    if (typeof value === 'bigint') view.setBigInt64(index * width, value, true)
    else view.setFloat32(index * width, value, true)
  }
  return { dtype, dims, memory }
}

function texts(payloads: AttributeProto['strings'], dims: readonly number[]): MemoryTensor | undefined {
  const parts: number[] = []
  for (const { bytes } of payloads) {
    if (bytes === undefined) return undefined
    parts.push(...encodeText(bytes))
  }
  if (payloads.length === 0 && dims.length === 0) parts.push(0, 0, 0, 0)
  return { dtype: 'string', dims, memory: Uint8Array.from(parts) }
}
