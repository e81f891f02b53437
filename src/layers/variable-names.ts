import type { Model } from '../model/model.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { tieKey } from '../tensor/ties.ts'

/**
 * What the program called each stored variable, by tensor name, where the file says so: TensorFlow checkpoints name
 * their tensors by position (`variables/3/.ATTRIBUTES/VARIABLE_VALUE`) and the variables beside them
 * (`batch_normalization/moving_mean`).
 */
export function variableNames(model: Pick<Model, 'metadata'>): ReadonlyMap<string, string> {
  const record = model.metadata.properties?.variableNames
  if (record === null || typeof record !== 'object' || Array.isArray(record)) return new Map()
  return new Map(Object.entries(record).filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}

/**
 * Tells, tensor after tensor in file order, whether the same variable came before: tied memory, or one variable that a
 * checkpoint keeps under two keys (Keras exports do). Such a tensor is not counted again.
 */
export function repetitions(model: Pick<Model, 'metadata'>): (tensor: Tensor) => boolean {
  const names = variableNames(model)
  const seen = new Set<string>()
  return (tensor) => {
    const name = names.get(tensor.name)
    const keys = [tieKey(tensor), name === undefined ? undefined : `${name} ${tensor.role} ${tensor.shape.join(' ')}`]
    const known = keys.filter((key) => key !== undefined)
    const isRepeated = known.some((key) => seen.has(key))
    for (const key of known) seen.add(key)
    return isRepeated
  }
}
