import type { Tensor } from 'onnxruntime-node'
import { numbersOf } from '../tensor/array-value.ts'
import type { Dtype } from '../tensor/dtype.ts'
import { sketchOf, type ValueSketch } from '../tensor/sketch.ts'
import type { WireValue } from './protocol.ts'

/** onnxruntime-node as loaded in the thread. */
export type Runtime = typeof import('onnxruntime-node')

/** A value as the runtime takes it, over the same memory where that begins on an element's border. */
export function toTensor(ort: Runtime, value: WireValue): Tensor {
  if (value.dtype === 'string') return new ort.Tensor('string', [...(value.text ?? [])], value.shape)
  return new ort.Tensor(value.dtype as 'float32', typedArray(value) as Float32Array, value.shape)
}

function typedArray({ dtype, bytes }: WireValue): ArrayBufferView {
  // What crossed the thread border alone starts at the beginning of its own memory.
  const whole = bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength
  const { buffer } = whole ? bytes : bytes.slice()
  switch (dtype) {
    case 'float32':
      return new Float32Array(buffer)
    case 'float64':
      return new Float64Array(buffer)
    case 'int64':
      return new BigInt64Array(buffer)
    case 'uint64':
      return new BigUint64Array(buffer)
    case 'int32':
      return new Int32Array(buffer)
    case 'uint32':
      return new Uint32Array(buffer)
    case 'int16':
      return new Int16Array(buffer)
    case 'uint16':
      return new Uint16Array(buffer)
    case 'float16': {
      const half = (globalThis as { Float16Array?: new (buffer: ArrayBufferLike) => ArrayBufferView }).Float16Array
      return half === undefined ? new Uint16Array(buffer) : new half(buffer)
    }
    case 'int8':
      return new Int8Array(buffer)
    default:
      return new Uint8Array(buffer)
  }
}

/** A result as it is sent: over the runtime's copy of it, which belongs to this thread and can be given away. */
export function fromTensor(name: string, tensor: Tensor): WireValue {
  const shape = [...tensor.dims]
  if (tensor.type === 'string')
    return { name, dtype: 'string', shape, bytes: new Uint8Array(0), text: tensor.data as unknown as string[] }
  const { buffer, byteOffset, byteLength } = tensor.data as unknown as Uint8Array
  return { name, dtype: tensor.type as Dtype, shape, bytes: new Uint8Array(buffer, byteOffset, byteLength) }
}

/** undefined for text */
export function sketchTensor(tensor: Tensor): ValueSketch | undefined {
  if (tensor.type === 'string') return undefined
  return sketchOf(numbersOf(fromTensor('', tensor)), tensor.dims)
}
