import { FormatError } from '../../errors.ts'
import type { TrainingState } from '../../model/model.ts'
import { decodeValues } from '../../tensor/decode.ts'
import { readTensor, type Tensor } from '../../tensor/tensor.ts'
import { HYPERPARAMETER_KEY, inferOptimizer, STEP_KEY, VARIABLE_SUFFIX } from './roles.ts'

/** Scalars that are read on opening: a hostile file could name millions. */
const MAX_SCALARS = 32

/** What a checkpoint says of training: steps, the optimizer that its slots belong to, its hyperparameters. */
export async function readTraining(tensors: readonly Tensor[]): Promise<{ training?: TrainingState }> {
  const scalars = tensors.filter(({ shape, dtype }) => shape.length === 0 && dtype !== 'string')
  const find = (pattern: RegExp) => scalars.filter(({ name }) => pattern.test(bareName(name))).slice(0, MAX_SCALARS)
  let step: number | undefined
  for (const tensor of find(STEP_KEY)) step ??= await scalarOf(tensor)
  const hyperparameters: Record<string, number> = {}
  for (const tensor of find(HYPERPARAMETER_KEY)) {
    const value = await scalarOf(tensor)
    if (value !== undefined) hyperparameters[bareName(tensor.name).replace(/^.*\/_?/, '')] = value
  }
  const name = inferOptimizer(tensors.map((tensor) => tensor.name))
  const hasOptimizer = name !== undefined || Object.keys(hyperparameters).length > 0
  if (step === undefined && !hasOptimizer) return {}
  const groups = Object.keys(hyperparameters).length > 0 ? [hyperparameters] : []
  return {
    training: {
      ...(step === undefined ? {} : { step }),
      ...(hasOptimizer ? { optimizer: { ...(name ? { name, inferred: true } : {}), groups } } : {}),
    },
  }
}

function bareName(key: string): string {
  return key.endsWith(VARIABLE_SUFFIX) ? key.slice(0, -VARIABLE_SUFFIX.length) : key
}

/** A damaged scalar is reported when its tensor is read; here it only leaves the training state unknown. */
async function scalarOf(tensor: Tensor): Promise<number | undefined> {
  try {
    return decodeValues(tensor.dtype, await readTensor(tensor), 1)[0]
  } catch (error) {
    if (error instanceof FormatError) return undefined
    throw error
  }
}
