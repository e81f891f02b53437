import { InternalError, ToolError } from '../errors.ts'
import { byteLength, type Dtype, elementCount } from './dtype.ts'

/** Where a tensor's stored bytes lie, as the file has them (before any reordering of strides). */
export interface TensorStorage {
  /** name of the file among the model's `files`; for an archive followed by the entry: `a.pt!data/3` */
  readonly file: string
  /**
   * in bytes from the beginning of `file` (of an archive's entry: of its content, inflated or not); absent where the
   * bytes are not contiguous, or are packed or coded
   */
  readonly byteOffset?: number
  /** in bytes */
  readonly byteLength?: number
  /** instead of `byteOffset`, where the values go on in another place: the pieces, in order, which make up the whole */
  readonly parts?: readonly { readonly file: string; readonly byteOffset: number; readonly byteLength: number }[]
  /** instead of `byteOffset`, where the values are coded (one varint or field for each): where the first one lies */
  readonly codedAt?: number
  /** two tensors with the same key view the same memory: they are tied */
  readonly key?: string
  /** strides in elements, where the tensor is a view other than C-contiguous */
  readonly strides?: readonly number[]
  /** with `strides`: where the first element lies, in bytes from the beginning of `file` */
  readonly viewOffset?: number
  /** bytes per number that are stored in the other order (big-endian); absent where they are as in the stream */
  readonly swapUnit?: number
}

/**
 * How integers stand for real numbers: `real = scale * (stored - zeroPoint)`, per tensor or per slice of `axis`.
 * `offset` formats (TensorFlow.js) are given in the same form, with a zero point that need not be whole.
 */
export interface Quantization {
  /** one entry, or one per index of `axis` */
  readonly scales: readonly number[]
  readonly zeroPoints: readonly number[]
  readonly axis?: number
}

/**
 * What a tensor is for, as far as the file says.
 *
 * `parameter` trained; `buffer` saved with the model but not trained (BatchNorm statistics); `constant` part of the
 * graph; `optimizer` training state; `ema` averaged copy of the parameters; `other` unknown.
 */
export type TensorRole = 'parameter' | 'buffer' | 'constant' | 'optimizer' | 'ema' | 'other'

/** A stored array. Nothing of its values is read until `stream` is called. */
export interface Tensor {
  readonly name: string
  readonly dtype: Dtype
  /** C order: last dimension varies fastest; `[]` is a scalar */
  readonly shape: readonly number[]
  /** length of the stream in bytes: elements x bits, packed; for `string` the stored length */
  readonly bytes: number
  readonly role: TensorRole
  readonly storage?: TensorStorage
  readonly quantization?: Quantization
  /**
   * Raw values, little-endian, C order, in pieces that each hold whole elements.
   * @throws {FormatError} when the file does not hold what its header promised
   */
  stream(): AsyncIterable<Uint8Array>
  /**
   * The same into `target` of `bytes` bytes, where the values lie in one piece and need no memory on the way.
   * @throws {FormatError} as `stream`
   */
  readInto?(target: Uint8Array): Promise<void>
}

/** A tensor of more bytes than this is not read into memory as a whole without asking. */
export const MAX_WHOLE_TENSOR_BYTES = 2 ** 31 - 1

/**
 * All bytes of `tensor`, little-endian, C order.
 * @throws {ToolError} TENSOR_TOO_LARGE above `maxBytes`
 */
export async function readTensor(tensor: Tensor, maxBytes = MAX_WHOLE_TENSOR_BYTES): Promise<Uint8Array> {
  if (tensor.bytes > maxBytes) {
    throw new ToolError(
      'TENSOR_TOO_LARGE',
      `tensor "${tensor.name}" has ${tensor.bytes} bytes: more than ${maxBytes} are not read at once`,
    )
  }
  if (tensor.readInto) {
    const whole = new Uint8Array(tensor.bytes)
    await tensor.readInto(whole)
    return whole
  }
  let only: Uint8Array | undefined
  let all: Uint8Array | undefined
  let position = 0
  for await (const chunk of tensor.stream()) {
    if (position + chunk.length > tensor.bytes) throw streamLength(tensor, position + chunk.length)
    if (position === 0 && chunk.length === tensor.bytes) only = chunk
    else {
      all ??= new Uint8Array(tensor.bytes)
      all.set(chunk, position)
    }
    position += chunk.length
  }
  if (position !== tensor.bytes) throw streamLength(tensor, position)
  return all ?? only ?? new Uint8Array(0)
}

function streamLength(tensor: Tensor, found: number): InternalError {
  return new InternalError(`tensor "${tensor.name}" streams ${found} of ${tensor.bytes} bytes`)
}

/** Number of elements of `tensor`. */
export function countElements(tensor: Pick<Tensor, 'shape'>): number {
  return elementCount(tensor.shape)
}

/** Bytes that a tensor of this dtype and shape takes when stored densely; undefined for `string`. */
export function denseBytes(dtype: Dtype, shape: readonly number[]): number | undefined {
  return dtype === 'string' ? undefined : byteLength(dtype, elementCount(shape))
}
