import { InternalError } from '../errors.ts'
import type { Model } from '../model/model.ts'
import type { Tensor, TensorRole } from '../tensor/tensor.ts'
import type { FilledTensor } from '../transfer/plan.ts'

/** A tensor to be written: raw little-endian bytes in C order. */
export type OutputTensor = Pick<Tensor, 'name' | 'dtype' | 'shape' | 'bytes' | 'stream'>

/**
 * The new values, checked for their length.
 * @throws {InternalError} when the mapping gave another number of bytes than the target's type and shape take
 */
export async function valuesOf({ target, values }: FilledTensor): Promise<Uint8Array> {
  const bytes = await values()
  if (bytes.length === target.bytes) return bytes
  throw new InternalError(`values for "${target.name}" have ${bytes.length} bytes, expected ${target.bytes}`)
}

/** A graph's constants and the state of an optimiser are no weights. */
const WEIGHTS: ReadonlySet<TensorRole> = new Set(['parameter', 'buffer', 'other', 'ema'])

/** The weights of `target` with new values where there are any: what a file of weights holds. */
export function weightsOf(target: Model, filled: readonly FilledTensor[]): OutputTensor[] {
  const replaced = new Map(filled.map((tensor) => [tensor.target.name, tensor]))
  return target.tensors
    .filter(({ name, role, dtype }) => replaced.has(name) || (WEIGHTS.has(role) && dtype !== 'string'))
    .map((tensor) => {
      const values = replaced.get(tensor.name)
      return values === undefined ? tensor : { ...tensor, stream: () => once(() => valuesOf(values)) }
    })
}

async function* once(values: () => Promise<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield await values()
}
