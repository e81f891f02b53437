import { isObject, type JsonObject } from './keras-calls.ts'

/** A layer class with its configuration. */
export interface LayerClass {
  readonly className: string
  readonly config: JsonObject
}

/** Roles of a layer's variables in the order in which the layer creates them; undefined for classes not known here. */
export function weightRoles({ className, config }: LayerClass): readonly string[] | undefined {
  const roles = Object.hasOwn(ROLES, className) ? ROLES[className] : undefined
  return roles?.flatMap(([role, flag]) =>
    flag !== undefined && (config[flag] === false || config[flag] === null) ? [] : [role],
  )
}

type Role = readonly [role: string, flag?: string]

const BIAS: Role = ['bias', 'use_bias']
const KERNEL: readonly Role[] = [['kernel'], BIAS]
const SEPARABLE: readonly Role[] = [['depthwise_kernel'], ['pointwise_kernel'], BIAS]
const SCALE_SHIFT: readonly Role[] = [
  ['gamma', 'scale'],
  ['beta', 'center'],
]
const RECURRENT: readonly Role[] = [['kernel'], ['recurrent_kernel'], BIAS]

/**
 * Variables per layer class, in order; the second entry names the flag of the configuration that drops a variable
 * when it is false or null.
 * @source `build` of each class under keras/src/layers
 */
const ROLES: Readonly<Record<string, readonly Role[]>> = {
  Dense: KERNEL,
  EinsumDense: [['kernel'], ['bias', 'bias_axes']],
  Conv1D: KERNEL,
  Conv2D: KERNEL,
  Conv3D: KERNEL,
  Conv1DTranspose: KERNEL,
  Conv2DTranspose: KERNEL,
  Conv3DTranspose: KERNEL,
  DepthwiseConv1D: KERNEL,
  DepthwiseConv2D: KERNEL,
  SeparableConv1D: SEPARABLE,
  SeparableConv2D: SEPARABLE,
  BatchNormalization: [...SCALE_SHIFT, ['moving_mean'], ['moving_variance']],
  SyncBatchNormalization: [...SCALE_SHIFT, ['moving_mean'], ['moving_variance']],
  LayerNormalization: SCALE_SHIFT,
  GroupNormalization: SCALE_SHIFT,
  RMSNormalization: [['scale']],
  Normalization: [['mean'], ['variance'], ['count']],
  Embedding: [['embeddings']],
  PReLU: [['alpha']],
  SimpleRNN: RECURRENT,
  SimpleRNNCell: RECURRENT,
  GRU: RECURRENT,
  GRUCell: RECURRENT,
  LSTM: RECURRENT,
  LSTMCell: RECURRENT,
  ConvLSTM1D: RECURRENT,
  ConvLSTM2D: RECURRENT,
  ConvLSTM3D: RECURRENT,
}

/** Parts of composite layers that are layers themselves but stand in no configuration, by the attribute's name. */
const PARTS: readonly (readonly [pattern: RegExp, className: string])[] = [
  [/^_?(query|key|value|output)_dense$/, 'EinsumDense'],
  [/^seed_generator$/, 'SeedGenerator'],
]

/**
 * What the variable `parts` of a layer is, in the layout that Keras 3 (and the `.keras` files of Keras 2.12 to 2.15)
 * gives its weight files: `["vars", "0"]` of a Conv2D is `kernel`, `["cell", "vars", "1"]` of an LSTM is
 * `recurrent_kernel`, `["query_dense", "vars", "0"]` of an attention layer `query_dense/kernel`. What is not known
 * keeps its path, e.g. `vars/3`.
 */
export function roleOfVariable(layer: LayerClass, parts: readonly string[]): string {
  let current: LayerClass | undefined = layer
  const kept: string[] = []
  const varsAt = parts.indexOf('vars')
  if (varsAt === -1) return parts.join('/')
  for (const part of parts.slice(0, varsAt)) {
    current = partOf(current, part)
    // A cell and a wrapped layer are the layer itself to whoever reads it.
    if (part !== 'cell' && part !== 'layer') kept.push(part)
  }
  const index = parts.slice(varsAt + 1).join('/')
  const role = current && /^\d+$/.test(index) ? rolesOf(current)[Number(index)] : undefined
  return [...kept, role ?? `vars/${index}`].join('/')
}

function rolesOf(layer: LayerClass): readonly string[] {
  if (layer.className === 'SeedGenerator') return ['state']
  return weightRoles(layer) ?? []
}

function partOf(layer: LayerClass | undefined, part: string): LayerClass | undefined {
  const named = PARTS.find(([pattern]) => pattern.test(part))
  if (named) return { className: named[1], config: {} }
  if (layer === undefined) return undefined
  const { config } = layer
  const inner = config[part] ?? (part === 'forward_layer' || part === 'backward_layer' ? config.layer : undefined)
  if (isObject(inner) && typeof inner.class_name === 'string') {
    return { className: inner.class_name, config: isObject(inner.config) ? inner.config : {} }
  }
  return part === 'cell' ? layer : undefined
}

/**
 * The role that a variable name of an HDF5 weight file ends in: `conv2d/kernel:0` of layer `conv2d` is `kernel`,
 * `lstm/lstm_cell/bias:0` is `bias`, `attention/query/kernel:0` is `query/kernel`.
 *
 * @param parts of the name behind the layer's own name
 */
export function roleOfName(parts: readonly string[]): string {
  const kept = parts.filter((part) => !/_cell(_\d+)?$/.test(part))
  return kept.join('/').replace(/:\d+$/, '') || 'weight'
}

/** `Conv2D` is `conv2d`, `ReLU` is `re_lu`: how Keras 3 names a layer's folder in a weight file. */
export function snakeCase(className: string): string {
  return className
    .replaceAll(/\W+/g, '')
    .replaceAll(/(.)([A-Z][a-z]+)/g, '$1_$2')
    .replaceAll(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase()
}

/** Gives the folders of a container their names: the first of a class bare, then `_1`, `_2`, as Keras counts them. */
export function countedNames(classNames: readonly string[]): readonly string[] {
  const used = new Map<string, number>()
  return classNames.map((className) => {
    const name = snakeCase(className)
    const count = used.get(name) ?? 0
    used.set(name, count + 1)
    return count === 0 ? name : `${name}_${count}`
  })
}
