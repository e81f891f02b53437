import type { Tensor } from '../tensor/tensor.ts'

/**
 * One parameter of the target with its new values: what the transfer hands to the writers.
 *
 * Bytes are computed on demand, so that a transfer never holds more than the tensors that are being written.
 */
export interface FilledTensor {
  /** a tensor of the target's Model, as its reader gave it */
  readonly target: Tensor
  /** raw little-endian C-order bytes in `target.dtype` and `target.shape`; `target.bytes` of them */
  values(): Promise<Uint8Array>
}
