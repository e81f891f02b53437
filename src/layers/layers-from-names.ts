import type { Model } from '../model/model.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { Layer, LayerKind, LayerWeight } from './layer.ts'
import { splitName } from './tensor-path.ts'

/**
 * Layers of a file without a graph (state dict, safetensors, NPZ), from the names and shapes of its tensors: what lies
 * under one module is one layer. Kinds follow from roles and ranks, so they are a good guess and no more; order is
 * that of the file, and there are no attributes, inputs or activations.
 */
export function layersFromNames(model: Pick<Model, 'tensors'>): Layer[] {
  const groups = new Map<string, Tensor[]>()
  for (const tensor of model.tensors) {
    if (tensor.role === 'optimizer' || tensor.role === 'ema' || tensor.role === 'other') continue
    const path = splitName(tensor.name).slice(0, -1).join('/')
    const group = groups.get(path)
    if (group) group.push(tensor)
    else groups.set(path, [tensor])
  }
  return [...groups].flatMap(([path, tensors]) =>
    path === '' && !isOneLayer(tensors) ? tensors.map((tensor) => layerOf('', [tensor])) : [layerOf(path, tensors)],
  )
}

type Role = LayerWeight['role']

/** Tensors under no module are one layer where each has a role of its own (`weight`, `bias`), not a bag of arrays. */
function isOneLayer(tensors: readonly Tensor[]): boolean {
  const roles = tensors.map(roleOf)
  return !roles.includes('other') && new Set(roles).size === roles.length
}

/** Last parts of tensor names, in the spelling of the frameworks, `:0` and case taken off. */
const ROLES: Readonly<Record<string, Role>> = {
  weight: 'kernel',
  weights: 'kernel',
  kernel: 'kernel',
  depthwise_kernel: 'kernel',
  depthwise_weights: 'kernel',
  pointwise_kernel: 'kernel',
  w: 'kernel',
  bias: 'bias',
  biases: 'bias',
  b: 'bias',
  gamma: 'gamma',
  scale: 'gamma',
  beta: 'beta',
  offset: 'beta',
  running_mean: 'mean',
  moving_mean: 'mean',
  rolling_mean: 'mean',
  running_var: 'variance',
  moving_variance: 'variance',
  rolling_variance: 'variance',
  recurrent_kernel: 'recurrent-kernel',
  embeddings: 'table',
  alpha: 'slope',
}

function layerOf(path: string, tensors: readonly Tensor[]): Layer {
  const found = tensors.map((tensor) => ({ tensor, role: roleOf(tensor) }))
  const has = (role: Role) => found.some((entry) => entry.role === role)
  const kernel = found.find(({ role }) => role === 'kernel')?.tensor
  const kind = kindOf(found, kernel, has)
  const isNorm = kind === 'batch-norm' || kind === 'norm'
  const channels = kernel?.shape[0]
  return {
    name: path || (tensors[0]?.name ?? ''),
    kind,
    op: '',
    weights: found.map(({ tensor, role }): LayerWeight => {
      if (isNorm && role === 'kernel') return { role: 'gamma', tensor: tensor.name }
      if (isNorm && role === 'bias') return { role: 'beta', tensor: tensor.name }
      return { role, tensor: tensor.name }
    }),
    attributes:
      (kind === 'dense' || kind === 'conv') && channels !== undefined && isTorchName(kernel)
        ? { outputSize: channels }
        : {},
    inputs: [],
    outputs: [],
    inputShapes: [],
    outputShapes: [],
  }
}

/** PyTorch calls kernels `weight` and keeps outputs first; `kernel` is Keras', outputs last. */
const isTorchName = (tensor: Tensor | undefined) => /(^|[./])weight$/.test(tensor?.name ?? '')

function roleOf(tensor: Tensor): Role {
  const last = (splitName(tensor.name).at(-1) ?? '').toLowerCase()
  if (/^weight_ih/.test(last)) return 'kernel'
  if (/^weight_hh/.test(last)) return 'recurrent-kernel'
  if (/^bias_(ih|hh)/.test(last)) return 'bias'
  return ROLES[last] ?? 'other'
}

function kindOf(
  found: readonly { tensor: Tensor; role: Role }[],
  kernel: Tensor | undefined,
  has: (role: Role) => boolean,
): LayerKind {
  if (has('mean') && has('variance')) return 'batch-norm'
  if (has('recurrent-kernel')) return 'recurrent'
  if (has('table')) return 'embedding'
  if (has('slope')) return 'activation'
  if (kernel === undefined) return has('gamma') || has('beta') ? 'norm' : 'other'
  const rank = kernel.shape.length
  if (rank >= 3) return 'conv'
  if (rank === 2) {
    // an embedding has no bias either, but nothing in name or shape proves it
    return /embed/i.test(kernel.name) && !has('bias') ? 'embedding' : 'dense'
  }
  // a vector called weight: gamma of a norm beside a bias, slope of a PReLU alone
  if (rank === 1) return found.length > 1 ? 'norm' : 'activation'
  return 'other'
}
