import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { decodeMessage } from '../../encoding/protobuf.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { NO_EXTERNAL_FILES } from './external.ts'
import { TensorProto } from './schema.ts'
import { tensorLayout, toTensor } from './tensor.ts'

/**
 * A single TensorProto, as in the `.pb` files of ONNX test data: the tensor that it holds, under its own name.
 * No model, so no Format recognises it.
 *
 * @throws {FormatError} when it is none; its values are read, and checked, when it is streamed
 */
export async function readTensorProto(source: ByteSource, limits: Limits): Promise<Tensor> {
  const proto = await decodeMessage<TensorProto>(TensorProto, source, limits)
  const name = proto.name ?? ''
  return toTensor(name, 'other', tensorLayout(proto, name, source, NO_EXTERNAL_FILES))
}
