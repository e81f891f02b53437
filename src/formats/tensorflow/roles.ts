import type { Dtype } from '../../tensor/dtype.ts'
import type { TensorRole } from '../../tensor/tensor.ts'

/** What the object graph or the list of variables says of a stored tensor. */
export interface KnownVariables {
  /** by checkpoint key */
  readonly trainable: ReadonlyMap<string, boolean>
}

/** TensorFlow 2: slots of an optimizer, and what an optimizer object owns. */
const OPTIMIZER_PATH = /\/\.OPTIMIZER_SLOT\/|(?:^|\/)_?optimizer(?:\/|$)/
/** TensorFlow 1: slot variables are called after the optimizer, behind the variable's own name. */
const OPTIMIZER_NAME =
  /\/(?:Adam|Adam_1|Momentum|RMSProp|RMSProp_1|Adagrad|Adadelta|Adadelta_1|Ftrl|Ftrl_1|LAMB|AdamWeightDecay|adam_[mv])$|(?:^|\/)beta[12]_power(?:_\d+)?$/
const STEP_NAME = /(?:^|\/)(?:global_step|iter|iterations|step|save_counter|epoch)$/
const AVERAGE_NAME = /\/ExponentialMovingAverage$|(?:^|\/)ema(?:\/|$)/i
const STATISTICS_NAME = /(?:^|\/)_?(?:moving_mean|moving_variance|moving_avg|moving_var|running_mean|running_var)$/

/** Suffix of every variable's key in an object-based checkpoint. */
export const VARIABLE_SUFFIX = '/.ATTRIBUTES/VARIABLE_VALUE'

/** What a tensor of a checkpoint is for, by what is known of it or else by its name. */
export function roleOfKey(key: string, dtype: Dtype, known: KnownVariables): TensorRole {
  const name = key.endsWith(VARIABLE_SUFFIX) ? key.slice(0, -VARIABLE_SUFFIX.length) : key
  if (OPTIMIZER_PATH.test(key) || OPTIMIZER_NAME.test(name)) return 'optimizer'
  if (AVERAGE_NAME.test(name)) return 'ema'
  if (STEP_NAME.test(name)) return 'optimizer'
  const trainable = known.trainable.get(key)
  if (trainable !== undefined) return trainable ? 'parameter' : 'buffer'
  if (STATISTICS_NAME.test(name)) return 'buffer'
  return /float/.test(dtype) ? 'parameter' : 'other'
}

/** Optimizers by the names of their slots, where those leave no doubt. */
const OPTIMIZERS: readonly (readonly [RegExp, string])[] = [
  [/\/(?:Adam|Adam_1)$|\.OPTIMIZER_SLOT\/[^/]+\/(?:m|v|vhat)\/|(?:^|\/)beta[12]_power/, 'Adam family'],
  [/\/RMSProp(?:_1)?$|\.OPTIMIZER_SLOT\/[^/]+\/rms\//, 'RMSprop'],
  [/\/Momentum$|\.OPTIMIZER_SLOT\/[^/]+\/momentum\//, 'SGD with momentum'],
  [/\/Adagrad$|\.OPTIMIZER_SLOT\/[^/]+\/accumulator\//, 'Adagrad'],
  [/\/Ftrl(?:_1)?$/, 'Ftrl'],
  [/\/Adadelta(?:_1)?$/, 'Adadelta'],
]

/** The optimizer that the slots of a checkpoint point to. */
export function inferOptimizer(keys: readonly string[]): string | undefined {
  return OPTIMIZERS.find(([pattern]) => keys.some((key) => pattern.test(key)))?.[1]
}

/** Scalars whose value says where training stands. */
export const STEP_KEY = /(?:^|\/)(?:global_step|iter|iterations|step)$/
/** Hyperparameters that Keras optimizers keep as variables. */
export const HYPERPARAMETER_KEY =
  /(?:^|\/)_?optimizer\/_?(?:learning_rate|beta_1|beta_2|decay|momentum|rho|epsilon|current_learning_rate)$/
