import type { WeightComparison } from '../compare/weights/comparison.ts'
import type { OnnxProgram } from '../onnx/program.ts'
import { decodeBfloat16, decodeFloat16, decodeValues } from '../tensor/decode.ts'
import { encodeBfloat16, encodeFloat16 } from '../tensor/encode.ts'
import { countElements, readTensor } from '../tensor/tensor.ts'

/** Fewer values than this are representable by accident. */
const MIN_VALUES = 8

/**
 * Constants of the candidate that are rounded to half precision while the reference runs with other ones: a scale and a
 * shift worked out from a BatchNorm and then rounded, say. That rounding cannot be taken out of the comparison, so it
 * is allowed for where they are used.
 *
 * @returns the largest relative rounding, by constant
 */
export async function coarseConstants(
  program: OnnxProgram,
  { pairs }: WeightComparison,
  replaced: ReadonlyMap<string, unknown>,
): Promise<Map<string, number>> {
  const settled = new Set(
    pairs
      .filter(
        ({ relation, referenceTensors }) =>
          relation === 'exact' || relation === 'layout' || referenceTensors.some((name) => replaced.has(name)),
      )
      .flatMap(({ candidateTensors }) => candidateTensors),
  )
  const coarse = new Map<string, number>()
  for (const [name, tensor] of program.constants) {
    if (settled.has(name) || tensor.dtype !== 'float32' || countElements(tensor) < MIN_VALUES) continue
    const values = decodeValues('float32', await readTensor(tensor), countElements(tensor))
    if (new Set(values.slice(0, 64)).size < MIN_VALUES / 2) continue
    if (values.every((value) => decodeFloat16(encodeFloat16(value)) === value)) coarse.set(name, 2 ** -11)
    else if (values.every((value) => decodeBfloat16(encodeBfloat16(value)) === value)) coarse.set(name, 2 ** -8)
  }
  return coarse
}
