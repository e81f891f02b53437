import { FormatError } from '../errors.ts'
import { decodeValues } from '../tensor/decode.ts'
import { elementCount } from '../tensor/dtype.ts'
import { readTensor, type Tensor } from '../tensor/tensor.ts'

/** Shapes, axes, pads and scales have at most this many entries; Caffe-style box priors are longer and no shapes. */
const MAX_ELEMENTS = 64

/** Reading more small tensors than this would make opening slow; exporters write one or two per reshape. */
const MAX_CONSTANTS = 20_000

/**
 * Values of the small stored tensors that can be operands rather than weights: whole numbers of up to 64 elements, and
 * reals of up to 8 (clip bounds, resize scales). Needed for shapes, so they are read with the graph.
 */
export async function readConstants(tensors: readonly Tensor[]): Promise<Map<string, readonly number[]>> {
  const constants = new Map<string, readonly number[]>()
  for (const tensor of tensors) {
    if (constants.size >= MAX_CONSTANTS) break
    if (!isSmall(tensor)) continue
    const bytes = await readTensor(tensor).catch(unreadable)
    if (bytes === undefined) continue
    constants.set(tensor.name, [...decodeValues(tensor.dtype, bytes, elementCount(tensor.shape))])
  }
  return constants
}

/** A missing partner file leaves a shape unknown, as an operand that is computed does; reading the values reports it. */
function unreadable(error: unknown): undefined {
  if (!(error instanceof FormatError)) throw error
}

function isSmall({ dtype, shape, role }: Tensor): boolean {
  const count = elementCount(shape)
  // Pad and Resize of TFLite keep a [rank, 2] table
  if (shape.length > 2 || count > MAX_ELEMENTS) return false
  if (dtype === 'int64' || dtype === 'int32') return true
  return (dtype === 'float32' || dtype === 'float64' || dtype === 'float16') && count <= 8 && role !== 'optimizer'
}
