import type { WeightComparison } from '../compare/weights/comparison.ts'
import type { Model } from '../model/model.ts'
import { decodeValues } from '../tensor/decode.ts'
import { encodeValues } from '../tensor/encode.ts'
import { countElements, readTensor } from '../tensor/tensor.ts'

/** Stored bytes to replace in a file, of equal length. */
export interface Patch {
  readonly byteOffset: number
  readonly bytes: Uint8Array
}

/**
 * The reference's weights as the candidate stores them, where the candidate rounds them to a narrower float type.
 *
 * Running the reference with these takes the declared rounding out of the comparison: what still differs is a fault.
 * Without it a benign half-precision copy and a small fault look alike.
 */
export async function roundedWeights(reference: Model, { pairs }: WeightComparison): Promise<Patch[]> {
  const [main] = reference.files
  const byName = new Map(reference.tensors.map((tensor) => [tensor.name, tensor]))
  const patches: Patch[] = []
  for (const { relation, storage, reference: name } of pairs) {
    const tensor = byName.get(name)
    if (relation !== 'rounded' || storage === undefined || tensor?.dtype !== 'float32') continue
    const { storage: place } = tensor
    if (place?.byteOffset === undefined || place.file !== main?.name || place.byteLength !== tensor.bytes) continue
    const count = countElements(tensor)
    const values = decodeValues('float32', await readTensor(tensor), count)
    const rounded = decodeValues(storage, encodeValues(storage, values), count)
    patches.push({ byteOffset: place.byteOffset, bytes: encodeValues('float32', rounded) })
  }
  return patches
}
