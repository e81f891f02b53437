import type { ArrayValue } from '../tensor/array-value.ts'
import { readTensor, type Tensor } from '../tensor/tensor.ts'
import { onnxDataType } from './data-types.ts'
import { Message } from './message.ts'

/** TensorProto fields. @source onnx.proto */
const DIMS = 1
const DATA_TYPE = 2
const STRING_DATA = 6
const NAME = 8
const RAW_DATA = 9

/** A tensor as TensorProto with its values inside: `raw_data`, little-endian. Texts are read at once. */
export async function storedTensorMessage(name: string, tensor: Tensor): Promise<Message> {
  if (tensor.dtype !== 'string') return head(name, tensor).payload(RAW_DATA, tensor)
  return tensorMessage(name, { dtype: 'string', shape: tensor.shape, bytes: await readTensor(tensor) })
}

/** Values in memory as TensorProto; texts in the form in which tensors hold them, each after its length. */
export function tensorMessage(name: string, value: ArrayValue): Message {
  const message = head(name, value)
  if (value.dtype !== 'string') return message.payload(RAW_DATA, value.bytes)
  const view = new DataView(value.bytes.buffer, value.bytes.byteOffset, value.bytes.byteLength)
  for (let at = 0; at < view.byteLength; ) {
    const end = at + 4 + view.getUint32(at, true)
    message.payload(STRING_DATA, value.bytes.subarray(at + 4, end))
    at = end
  }
  return message
}

function head(name: string, { dtype, shape }: Pick<ArrayValue, 'dtype' | 'shape'>): Message {
  const message = new Message()
  for (const size of shape) message.varint(DIMS, size)
  message.varint(DATA_TYPE, onnxDataType(dtype))
  return name === '' ? message : message.text(NAME, name)
}

/** One TensorProto as a file: what the `.pb` files of ONNX test data hold. */
export const tensorFileBytes = (name: string, value: ArrayValue): Promise<Uint8Array<ArrayBuffer>> =>
  tensorMessage(name, value).encode()
