import { decodeValues } from '../src/tensor/decode.ts'
import { DTYPES, elementCount } from '../src/tensor/dtype.ts'
import { encodeValues } from '../src/tensor/encode.ts'
import { readTensor, type Tensor } from '../src/tensor/tensor.ts'
import { tieKey } from '../src/tensor/ties.ts'
import type { FilledTensor } from '../src/transfer/plan.ts'

/**
 * New values for every float tensor of a model, all different from the old ones and harmless to run a network with:
 * half of the old value and a little more. Tied tensors get the same.
 */
export async function rewritten(tensors: readonly Tensor[]): Promise<FilledTensor[]> {
  const known = new Map<string, Uint8Array>()
  const filled: FilledTensor[] = []
  for (const target of tensors) {
    if (DTYPES[target.dtype].kind !== 'float' || target.bytes === 0) continue
    const key = tieKey(target) ?? target.name
    const bytes = known.get(key) ?? newValues(target, await readTensor(target))
    known.set(key, bytes)
    filled.push({ target, values: async () => bytes })
  }
  return filled
}

function newValues({ dtype, shape }: Tensor, old: Uint8Array): Uint8Array {
  // of types below two bytes the lowest bit changes
  if (DTYPES[dtype].bits < 16) return old.map((byte) => byte ^ 1)
  const values = decodeValues(dtype, old, elementCount(shape))
  return encodeValues(
    dtype,
    Float64Array.from(values, (value, index) => (Number.isFinite(value) ? value / 2 : 0.5) + 0.01 * ((index % 7) + 1)),
  )
}
