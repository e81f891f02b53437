import { squeeze } from '../compare/weights/transform.ts'
import type { Layer, LayerKind, LayerWeight } from '../layers/layer.ts'
import { elementCount } from '../tensor/dtype.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { directSource, type LayerGraph } from './layer-graph.ts'
import { type NormPattern, normPatterns } from './norm-patterns.ts'
import { isLinear, type Slot, type Unit, type UnitKind } from './units.ts'

const KINDS: Readonly<Partial<Record<LayerKind, UnitKind>>> = {
  conv: 'conv',
  'conv-transpose': 'conv-transpose',
  dense: 'dense',
  'batch-norm': 'affine',
  norm: 'norm',
  embedding: 'embedding',
  recurrent: 'recurrent',
  attention: 'attention',
}

/**
 * Units of a model with a graph. What formats keep in operators of their own joins the layer it belongs to: a bias
 * behind a matrix product, the scale layer behind Caffe's BatchNorm, the shift behind a scale.
 *
 * @param tensors parameters by name
 * @param all every stored tensor, single numbers included
 */
export function unitsOfGraph(
  graph: LayerGraph,
  tensors: ReadonlyMap<string, Tensor>,
  all: ReadonlyMap<string, Tensor>,
): { readonly units: Unit[]; readonly beginnings: ReadonlySet<Tensor> } {
  const beginnings = new Set<Tensor>()
  const units: Unit[] = []
  const owner = new Map<number, Unit>()
  const taken = new Set<string>()
  const add = (at: number, kind: UnitKind, slots: Slot[], name = graph.layers[at]!.name): void => {
    const layer = graph.layers[at]!
    const unit: Unit = { name, kind, slots, attributes: layer.attributes, layers: [layer], index: at }
    units.push(unit)
    owner.set(at, unit)
    for (const { tensor } of slots) taken.add(tensor.name)
  }
  const join = (at: number, unit: Unit, slots: readonly Slot[]): void => {
    unit.slots.push(...slots)
    unit.layers.push(graph.layers[at]!)
    owner.set(at, unit)
    for (const { tensor } of slots) taken.add(tensor.name)
  }
  /** the unit that this layer's only input comes from, where nothing else reads it */
  const before = (at: number): Unit | undefined => {
    const source = directSource(graph, at)
    return source === undefined || graph.consumers[source]!.length > 1 ? undefined : owner.get(source)
  }

  /** a dense layer whose outputs are cut into heads before the bias is added */
  const behindReshape = (at: number, values: readonly Slot[]): Unit | undefined => {
    const source = directSource(graph, at)
    if (source === undefined || values.length !== 1 || graph.layers[source]!.kind !== 'reshape') return undefined
    const unit = before(source)
    return unit !== undefined && isLinear(unit) && graph.consumers[source]!.length === 1 ? unit : undefined
  }

  const patterns = new Map(normPatterns(graph, tensors, all).map((pattern) => [pattern.first, pattern]))
  const inPattern = new Set([...patterns.values()].flatMap(({ inner, last }) => [...inner, last]))
  const addPattern = ({ kind, slots, epsilonTensor, first, last }: NormPattern): void => {
    add(first, kind, slots)
    const unit = units.at(-1)!
    unit.layers.push(graph.layers[last]!)
    if (epsilonTensor) Object.assign(unit, { epsilonTensor })
    owner.set(last, unit)
  }

  for (const [at, layer] of graph.layers.entries()) {
    const pattern = patterns.get(at)
    if (pattern !== undefined) addPattern(pattern)
    if (pattern !== undefined || inPattern.has(at)) continue
    const slots = slotsOf(layer, tensors)
    if (slots.length === 0) continue
    const kind = KINDS[layer.kind]
    if (kind === 'attention' && slots.length > 0) {
      const projections = projectionsOf(slots)
      for (const [name, part] of projections) add(at, 'dense', part, `${layer.name}/${name}`)
      if (projections.size > 0) continue
    }
    if (kind !== undefined) {
      for (const part of partsOf(kind, slots)) add(at, kind, part)
      continue
    }
    if (layer.kind === 'activation') {
      const slopes = slots.filter(({ role }) => role === 'slope')
      if (slopes.length > 0) add(at, 'slope', slopes)
      continue
    }
    const values = slots.filter(({ tensor }) => isParameter(tensor))
    if (STARTING.has(layer.op)) {
      // what a loop begins with is no parameter; the readers of loops find theirs by name
      for (const { tensor } of values) beginnings.add(tensor)
      continue
    }
    if (GATHERING.has(layer.op)) {
      for (const { tensor } of values.filter((each) => each.tensor.shape.length === 2).slice(0, 1))
        add(at, 'embedding', [{ role: 'table', tensor }])
      continue
    }
    if (layer.kind === 'add' || layer.kind === 'multiply') {
      const previous = before(at) ?? behindReshape(at, values)
      const isBias = layer.kind === 'add' && previous !== undefined && fits(layer, values, previous)
      const vectors = values.filter(({ tensor }) => isBias || squeeze(tensor.shape).length <= 1)
      if (vectors.length > 0 && vectors.length === values.length) {
        if (previous !== undefined && fits(layer, vectors, previous))
          join(at, previous, asJoined(layer, vectors, previous))
        else
          add(
            at,
            'affine',
            vectors.map((slot) => asAffine(layer, slot)),
          )
        continue
      }
    }
    // what hangs on an operator that we give no role is a parameter of its own
    for (const slot of values)
      if (!taken.has(slot.tensor.name)) add(at, 'other', [{ role: 'other', tensor: slot.tensor }])
  }
  return { units, beginnings }
}

/** Operators whose stored operands are values to begin with: zeros of a state, shapes filled in. */
const STARTING: ReadonlySet<string> = new Set([
  'WHILE',
  'While',
  'StatelessWhile',
  'Loop',
  'Scan',
  'IF',
  'If',
  'Expand',
  'Fill',
  'FILL',
])

/** A row of a stored table per token. */
const GATHERING: ReadonlySet<string> = new Set(['Gather', 'GATHER', 'GatherV2', 'ResourceGather'])

/** Numbers that could have been trained: floats of more than one element. */
function isParameter({ dtype, shape, quantization }: Tensor): boolean {
  return (dtype.includes('float') || quantization !== undefined) && elementCount(shape) > 1
}

function slotsOf(layer: Layer, tensors: ReadonlyMap<string, Tensor>): Slot[] {
  return layer.weights.flatMap(({ role, tensor, layout }: LayerWeight): Slot[] => {
    const found = tensors.get(tensor)
    return found === undefined ? [] : [{ role, tensor: found, layout }]
  })
}

/** Names of Keras' projections, in the order of PyTorch's fused kernel. */
const PROJECTIONS = {
  query: /(^|[./])query(_dense)?([./]|$)/,
  key: /(^|[./])key(_dense)?([./]|$)/,
  value: /(^|[./])value(_dense)?([./]|$)/,
  output: /(^|[./])(attention_output|output_dense)([./]|$)/,
} as const

/**
 * Keras' MultiHeadAttention as four dense layers: query, key and value (E, heads, d), output (heads, d, E).
 * @source https://github.com/keras-team/keras/blob/master/keras/src/layers/attention/multi_head_attention.py
 */
function projectionsOf(slots: readonly Slot[]): Map<string, Slot[]> {
  const found = new Map<string, Slot[]>()
  for (const [name, pattern] of Object.entries(PROJECTIONS)) {
    const own = slots.filter(({ tensor }) => pattern.test(tensor.name))
    const kernel = own.find(({ tensor }) => tensor.shape.length === 3)
    if (kernel === undefined) continue
    const bias = own.find((slot) => slot !== kernel)
    const layout = name === 'output' ? 'JKO' : 'ICM'
    found.set(name, [
      { role: 'kernel', tensor: kernel.tensor, layout },
      ...(bias ? [{ role: 'bias' as const, tensor: bias.tensor }] : []),
    ])
  }
  return found
}

/** A separable convolution is two: the depthwise kernel, then the 1 x 1 kernel with the bias. */
function partsOf(kind: UnitKind, slots: Slot[]): Slot[][] {
  const kernels = slots.filter(({ role }) => role === 'kernel')
  if (kind !== 'conv' || kernels.length !== 2) return [slots]
  return [[kernels[0]!], slots.filter((slot) => slot !== kernels[0])]
}

const roleIn = (unit: Unit, ...roles: Slot['role'][]) => unit.slots.some(({ role }) => roles.includes(role))

/** A shift completes a kernel without bias or a scale without shift; Caffe's scale completes its BatchNorm. */
function fits({ kind }: Layer, vectors: readonly Slot[], unit: Unit): boolean {
  const count = elementCount(vectors[0]!.tensor.shape)
  if (kind === 'add') {
    if (vectors.length > 1) return false
    if (isLinear(unit)) return !roleIn(unit, 'bias') && outputCount(unit) === count
    return unit.kind === 'affine' && !roleIn(unit, 'beta') && elementCount(unit.slots[0]!.tensor.shape) === count
  }
  const isCaffe = roleIn(unit, 'mean') && !roleIn(unit, 'gamma')
  return unit.kind === 'affine' && isCaffe && vectors.some(({ role }) => role === 'gamma')
}

function asJoined(layer: Layer, vectors: readonly Slot[], unit: Unit): Slot[] {
  if (layer.kind === 'add') return [{ role: isLinear(unit) ? 'bias' : 'beta', tensor: vectors[0]!.tensor }]
  return [...vectors]
}

/** In a scale and shift that stand alone, scale is gamma and shift is beta. */
function asAffine(layer: Layer, { role, tensor }: Slot): Slot {
  const isShift = layer.kind === 'add' || role === 'beta' || role === 'bias'
  return { role: isShift ? 'beta' : 'gamma', tensor }
}

/** Outputs of a kernel, by its layout. */
function outputCount(unit: Unit): number | undefined {
  const kernel = unit.slots.find(({ role }) => role === 'kernel')
  if (kernel?.layout === undefined) return undefined
  const { layout, tensor } = kernel
  if (layout.length !== tensor.shape.length) return undefined
  const sizeOf = (letter: string) => tensor.shape[layout.indexOf(letter)] ?? 1
  if (layout.includes('O')) return sizeOf('O') * (unit.kind === 'conv-transpose' ? (unit.attributes.groups ?? 1) : 1)
  return sizeOf('C') * (layout.includes('M') ? sizeOf('M') : 1)
}
