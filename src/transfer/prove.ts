import type { Model } from '../model/model.ts'
import { readTensor, type Tensor } from '../tensor/tensor.ts'
import { computeTensor } from './fill.ts'
import type { TargetEntry } from './ledger.ts'

/** Whether a written file holds what the ledger says, tensor by tensor. */
export interface Proof {
  /** tensors that were to be filled */
  readonly tensors: number
  /** of these, found in the file bit for bit */
  readonly identical: number
  /** names of those that are not, and why */
  readonly problems: readonly string[]
}

/**
 * Reads what was written and computes every filled tensor again.
 * @param written the model in the file, opened afresh
 */
export async function proveTransfer(entries: readonly TargetEntry[], written: Model): Promise<Proof> {
  const byName = new Map(written.tensors.map((tensor) => [tensor.name, tensor]))
  const problems: string[] = []
  let tensors = 0
  for (const { target, from, expression } of entries) {
    if (expression === undefined) continue
    tensors++
    const found = byName.get(target.name)
    const problem =
      found === undefined
        ? 'is not in the file'
        : await differs(found, target, await computeTensor(target, from, expression))
    if (problem !== undefined) problems.push(`"${target.name}" ${problem}`)
  }
  return { tensors, identical: tensors - problems.length, problems }
}

async function differs(found: Tensor, target: Tensor, expected: Uint8Array): Promise<string | undefined> {
  if (found.dtype !== target.dtype || found.shape.join() !== target.shape.join())
    return `is ${found.dtype} [${found.shape.join(', ')}] in the file`
  const bytes = await readTensor(found)
  const at = bytes.findIndex((byte, index) => byte !== expected[index])
  return at < 0 && bytes.length === expected.length ? undefined : 'has other values in the file'
}
