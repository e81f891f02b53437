import type { Node } from '../../model/graph.ts'
import { findFlag, findNumber, findText } from '../attributes.ts'
import { type Dialect, type DraftParts, draftOf } from '../draft.ts'
import type { LayerAttributes, LayerKind, LayerWeight } from '../layer.ts'

/**
 * Darknet sections: channels first, kernels [O, I, H, W], dense [O, I]; BatchNorm and activation belong to the
 * convolution. The shape of every output is stated by the reader, which follows Darknet's own rules.
 * @source https://github.com/pjreddie/darknet (src/parser.c)
 */
export const darknetDialect: Dialect = {
  formats: ['darknet'],
  draft: (context) =>
    context.nodes.map((node) => {
      const reader = Object.hasOwn(READERS, node.op) ? READERS[node.op]! : undefined
      const parts = reader?.(node) ?? { kind: 'other' as const }
      const activation = findText(node.attributes, 'activation')
      const isFused = activation !== undefined && activation !== 'linear' && parts.kind !== 'activation'
      return draftOf(node, {
        ...parts,
        weights: weightsOf(node, parts.kernel?.layout),
        ...(isFused ? { fusedActivation: activationName(activation) } : {}),
      })
    }),
}

type Reader = (node: Node) => DraftParts

const ROLES: Readonly<Record<string, LayerWeight['role']>> = {
  weights: 'kernel',
  biases: 'bias',
  scales: 'gamma',
  rolling_mean: 'mean',
  rolling_variance: 'variance',
}

function weightsOf(node: Node, layout: string | undefined): LayerWeight[] {
  return (node.parameters ?? []).map(({ role, tensor }) => {
    const ours = ROLES[role] ?? 'other'
    return { role: ours, tensor, ...(ours === 'kernel' && layout !== undefined ? { layout } : {}) }
  })
}

/** Darknet's `leaky` has a slope of 0.1, `ramp` is relu(x) + 0.1 x, `logistic` the sigmoid. */
function activationName(name: string): string {
  return { leaky: 'leaky-relu', logistic: 'sigmoid' }[name] ?? name
}

function windowAttributes(node: Node): LayerAttributes {
  const { attributes } = node
  const size = findNumber(attributes, 'size') ?? 1
  const stride = findNumber(attributes, 'stride') ?? 1
  const pad = findFlag(attributes, 'pad') ? Math.floor(size / 2) : (findNumber(attributes, 'padding') ?? 0)
  return {
    kernelSize: [size, size],
    strides: [findNumber(attributes, 'stride_y') ?? stride, findNumber(attributes, 'stride_x') ?? stride],
    padding: { begin: [pad, pad], end: [pad, pad] },
    dataFormat: 'channels-first',
  }
}

function kernelOf(node: Node, layout: string) {
  const tensor = node.parameters?.find(({ role }) => role === 'weights')?.tensor
  return tensor === undefined ? {} : { kernel: { value: tensor, layout } }
}

/** Original Darknet adds 1e-6 beside the root of the variance; later forks 1e-5 under it. */
const EPSILON = 1e-6

const convolution =
  (kind: 'conv' | 'conv-transpose', layout: string): Reader =>
  (node) => {
    const { attributes } = node
    const filters = findNumber(attributes, 'filters')
    const isLeaky = findText(attributes, 'activation') === 'leaky'
    return {
      kind,
      ...kernelOf(node, layout),
      attributes: {
        ...windowAttributes(node),
        groups: findNumber(attributes, 'groups') ?? 1,
        ...(filters === undefined ? {} : { outputSize: filters }),
        ...(findFlag(attributes, 'batch_normalize') ? { epsilon: EPSILON } : {}),
        ...(isLeaky ? { alpha: 0.1 } : {}),
      },
    }
  }

const pool =
  (name: string): Reader =>
  (node) => {
    const size = findNumber(node.attributes, 'size') ?? findNumber(node.attributes, 'stride') ?? 1
    const padding = findNumber(node.attributes, 'padding') ?? size - 1
    const begin = Math.floor(padding / 2)
    return {
      kind: 'pool',
      attributes: {
        ...windowAttributes(node),
        kernelSize: [size, size],
        // all of `padding` counts once per axis, the smaller half before
        padding: { begin: [begin, begin], end: [padding - begin, padding - begin] },
        function: name,
        ceilMode: false,
      },
    }
  }

const plain =
  (kind: LayerKind, name?: string): Reader =>
  () => ({ kind, attributes: name === undefined ? {} : { function: name } })

const dense: Reader = (node) => ({ kind: 'dense', ...kernelOf(node, 'OI'), attributes: { axis: 1 } })

const READERS: Readonly<Record<string, Reader>> = {
  convolutional: convolution('conv', 'OIHW'),
  conv: convolution('conv', 'OIHW'),
  deconvolutional: convolution('conv-transpose', 'IOHW'),
  deconv: convolution('conv-transpose', 'IOHW'),
  connected: dense,
  conn: dense,
  maxpool: pool('max'),
  max: pool('max'),
  avgpool: () => ({ kind: 'global-pool', attributes: { function: 'average', dataFormat: 'channels-first' } }),
  avg: () => ({ kind: 'global-pool', attributes: { function: 'average', dataFormat: 'channels-first' } }),
  shortcut: plain('add'),
  route: () => ({ kind: 'concat', attributes: { axis: 1 } }),
  upsample: (node) => {
    const stride = findNumber(node.attributes, 'stride') ?? 2
    return {
      kind: 'resize',
      attributes: { scales: [stride, stride], resizeMode: 'nearest', dataFormat: 'channels-first' },
    }
  },
  batchnorm: () => ({ kind: 'batch-norm', attributes: { epsilon: EPSILON, dataFormat: 'channels-first' } }),
  softmax: plain('softmax'),
  soft: plain('softmax'),
  dropout: plain('dropout'),
  activation: (node) => ({
    kind: 'activation',
    attributes: { function: activationName(findText(node.attributes, 'activation') ?? 'linear') },
  }),
}
