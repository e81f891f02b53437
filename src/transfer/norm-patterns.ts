import { elementCount } from '../tensor/dtype.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { LayerGraph } from './layer-graph.ts'
import type { Slot, SlotRole } from './units.ts'

/** A normalisation that the graph spells out, by the layers that it stands for. */
export interface NormPattern {
  /** `affine`: BatchNorm with stored statistics; `norm`: statistics are computed */
  readonly kind: 'affine' | 'norm'
  readonly slots: Slot[]
  readonly epsilonTensor?: Tensor
  /** the layer that the data enters first */
  readonly first: number
  /** the layer whose output is the result */
  readonly last: number
  readonly inner: readonly number[]
}

/**
 * TensorFlow's BatchNorm and LayerNorm where no fused operator stands for them:
 * `scale = rsqrt(variance + epsilon) * gamma`, `x * scale + (beta - mean * scale)`.
 */
export function normPatterns(
  graph: LayerGraph,
  tensors: ReadonlyMap<string, Tensor>,
  all: ReadonlyMap<string, Tensor>,
): NormPattern[] {
  return graph.layers.flatMap(({ op }, at) => {
    const found = op === 'Rsqrt' || op === 'RSQRT' ? patternAt(graph, tensors, all, at) : undefined
    return found ? [found] : []
  })
}

function patternAt(
  graph: LayerGraph,
  tensors: ReadonlyMap<string, Tensor>,
  all: ReadonlyMap<string, Tensor>,
  root: number,
): NormPattern | undefined {
  const { layers, sources, consumers } = graph
  const stored = (at: number) => layers[at]!.weights.flatMap(({ tensor }) => tensors.get(tensor) ?? [])
  const vector = (at: number) => stored(at).find(({ shape }) => elementCount(shape) > 1)
  const slots: Slot[] = []
  const inner = [root]
  const add = (role: SlotRole, tensor: Tensor | undefined, at: number) => {
    inner.push(at)
    if (tensor) slots.push({ role, tensor })
  }
  const sum = sources[root]?.[0]
  if (sum === undefined || layers[sum]!.kind !== 'add') return undefined
  const variance = vector(sum)
  const epsilonTensor = layers[sum]!.weights.map(({ tensor }) => all.get(tensor)).find(
    (tensor) => tensor !== undefined && elementCount(tensor.shape) === 1,
  )
  add('variance', variance, sum)
  // gamma, where there is one, multiplies the root before anything else uses it
  const scaled = consumers[root]!.length === 1 ? consumers[root]![0]! : undefined
  const gamma = scaled !== undefined && layers[scaled]!.kind === 'multiply' ? vector(scaled) : undefined
  const scale = gamma === undefined ? root : scaled!
  if (gamma) add('gamma', gamma, scale)
  let first: number | undefined
  for (const at of consumers[scale]!) {
    if (layers[at]!.kind !== 'multiply') return undefined
    const mean = vector(at)
    const then = consumers[at]!.length === 1 ? consumers[at]![0]! : undefined
    const beta = then === undefined ? undefined : vector(then)
    const isShift = mean !== undefined || beta !== undefined || layers[then ?? at]!.op.toLowerCase() === 'sub'
    if (!isShift) first = at
    else {
      add('mean', mean, at)
      if (then !== undefined) add('beta', beta, then)
    }
  }
  const last = first === undefined ? undefined : consumers[first]!.find((at) => layers[at]!.kind === 'add')
  if (first === undefined || last === undefined || slots.length === 0) return undefined
  const kind = variance === undefined ? 'norm' : 'affine'
  if (kind === 'affine' && !slots.some(({ role }) => role === 'mean')) return undefined
  return { kind, slots, ...(epsilonTensor ? { epsilonTensor } : {}), first, last, inner }
}
