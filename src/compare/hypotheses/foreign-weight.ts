import { numbersOf } from '../../tensor/array-value.ts'
import { readTensor } from '../../tensor/tensor.ts'
import { distance } from '../distance.ts'
import type { CauseLabel } from '../vocabulary.ts'
import type { ConstantDifference } from './constant-differences.ts'
import type { RegionContext } from './region-context.ts'

/** Stored tensors that are read in search of one that equals another. */
const MAX_SEARCHED_BYTES = 256 * 2 ** 20

/**
 * Whose weights the candidate has here, when they are another layer's of the reference: exchanged when that layer of
 * the candidate has these.
 */
export async function foreignWeight(
  { faulty, reference }: RegionContext,
  { found, wanted }: ConstantDifference,
): Promise<{ label: CauseLabel; what: string } | undefined> {
  const other = await equalConstant(faulty.reference.constants, found)
  if (other === undefined) return undefined
  const users = faulty.reference.graph.nodes.filter(({ inputs }) => inputs.includes(other))
  const owner = users[0] ? `${users[0].op} "${users[0].name}"` : `"${other}"`
  const exchanged = (await equalConstant(faulty.candidate.constants, wanted)) !== undefined
  if (reference.constants.has(other) && !exchanged) return undefined
  return exchanged
    ? { label: 'weight-swapped', what: `it has the weights of the reference's ${owner}, and another layer has its own` }
    : { label: 'weight-swapped', what: `it has the weights of the reference's ${owner}` }
}

async function equalConstant(
  constants: RegionContext['faulty']['reference']['constants'],
  wanted: ConstantDifference['found'],
): Promise<string | undefined> {
  const numbers = numbersOf(wanted)
  if (numbers.length < 2 || numbers.every((value) => value === numbers[0])) return undefined
  let read = 0
  for (const [name, tensor] of constants) {
    if (tensor.dtype !== wanted.dtype || tensor.shape.join() !== wanted.shape.join()) continue
    read += tensor.bytes
    if (read > MAX_SEARCHED_BYTES) return undefined
    const bytes = await readTensor(tensor)
    if (distance(numbers, numbersOf({ ...wanted, bytes })).relL2 <= 1e-6) return name
  }
  return undefined
}
