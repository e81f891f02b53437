import type { JsonValue } from '../../encoding/json-value.ts'
import { isObject, type JsonObject } from '../../model/keras-calls.ts'
import type { OptimizerState, TrainingState } from '../../model/model.ts'

/**
 * What a model was compiled with: `training_config` of an HDF5 file (`optimizer_config`) or `compile_config` of a
 * `.keras` archive (`optimizer`). Loss, metrics and the rest are kept under Keras' own names.
 *
 * @param optimizerPaths paths of stored optimizer variables: where no configuration names the optimizer, they may
 * @returns undefined when the file says nothing of training
 */
export function parseTraining(
  config: JsonValue | undefined,
  optimizerPaths: readonly string[],
): TrainingState | undefined {
  const stated = isObject(config) ? config : {}
  const { optimizer_config: old, optimizer: current, ...other } = stated
  const optimizer = parseOptimizer(old ?? current) ?? inferOptimizer(optimizerPaths)
  const set = Object.entries(other).filter(([, value]) => value !== null)
  if (optimizer === undefined && set.length === 0) return undefined
  return { ...(optimizer ? { optimizer } : {}), ...(set.length > 0 ? { other: Object.fromEntries(set) } : {}) }
}

function parseOptimizer(value: JsonValue | undefined): OptimizerState | undefined {
  if (typeof value === 'string') return { name: value, groups: [] }
  if (!isObject(value)) return undefined
  const config: JsonObject = isObject(value.config) ? value.config : {}
  const name = typeof value.class_name === 'string' ? value.class_name : undefined
  return { ...(name === undefined ? {} : { name }), groups: [config] }
}

/** `optimizer_weights/Adam/dense/kernel/m:0` gives its optimizer away; `optimizer/vars/3` only that there is one. */
function inferOptimizer(paths: readonly string[]): OptimizerState | undefined {
  const [first] = paths
  if (first === undefined) return undefined
  const [folder, name] = first.split('/')
  return folder === 'optimizer_weights' && name !== undefined && first.split('/').length > 2
    ? { name, inferred: true, groups: [] }
    : { groups: [] }
}
