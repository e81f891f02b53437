import type { Layer, LayerKind } from '../../layers/layer.ts'

/** What lies between a layer with weights and the layers with weights before it, nearest to it first. */
export interface Chain {
  readonly items: readonly ChainItem[]
  readonly end: ChainEnd
  /** operators that are not understood lie in between: what is absent may be hidden in them */
  readonly opaque: boolean
}

/** An activation, pool or the like; a fused activation names the layer that it is fused into. */
export interface ChainItem {
  readonly kind: 'activation' | 'pool' | 'global-pool' | 'resize' | 'softmax' | 'pad'
  readonly function: string
  readonly layer: Layer
}

/** Where a chain begins. */
export type ChainEnd =
  | { readonly kind: 'layer'; readonly layer: Layer }
  | { readonly kind: 'merge'; readonly layer: Layer; readonly values: readonly string[] }
  | { readonly kind: 'input' }

/** Finds producers of values; built once per side. */
export interface GraphView {
  readonly producers: ReadonlyMap<string, Layer>
  readonly layers: readonly Layer[]
  /** values that no input of the graph reaches: constants, variables, and what is made of them */
  readonly fixed: ReadonlySet<string>
}

export function viewOf(layers: readonly Layer[]): GraphView {
  const producers = new Map<string, Layer>()
  for (const layer of layers) for (const output of layer.outputs) producers.set(output, layer)
  const fixed = new Set<string>()
  for (const { kind, inputs, outputs } of layers)
    if (kind !== 'input' && inputs.every((name) => fixed.has(name))) for (const name of outputs) fixed.add(name)
  return { producers, layers, fixed }
}

const ANCHORS: ReadonlySet<LayerKind> = new Set([
  'conv',
  'conv-transpose',
  'dense',
  'embedding',
  'recurrent',
  'attention',
])
/** Nothing that an inference could notice, or judged elsewhere (flatten order, BatchNorm). */
const TRANSPARENT: ReadonlySet<LayerKind> = new Set([
  'batch-norm',
  'norm',
  'flatten',
  'reshape',
  'transpose',
  'dropout',
  'constant',
])

/** Longer chains are cut: no vision model has so many layers without weights in a row. */
const MAX_CHAIN = 64

/** Walks from a value towards the inputs, up to layers with kernels, merges of branches, or the graph's inputs. */
export function chainFrom(value: string, view: GraphView): Chain {
  const items: ChainItem[] = []
  let opaque = false
  let current = value
  for (let step = 0; step < MAX_CHAIN; step++) {
    const layer = view.producers.get(current)
    if (layer === undefined || layer.kind === 'input') return { items, end: { kind: 'input' }, opaque }
    if (layer.fusedActivation !== undefined) items.push(fusedItem(layer, normalActivation(layer.fusedActivation)))
    if (ANCHORS.has(layer.kind)) return { items, end: { kind: 'layer', layer }, opaque }
    const values = layer.inputs.filter((name) => !view.fixed.has(name))
    const gate = layer.kind === 'multiply' && values.length === 2 ? gateOf(values as [string, string], view) : undefined
    if (gate) {
      items.push({ kind: 'activation', function: gate.function, layer })
      if (gate.function === 'written-out') opaque = true
      current = gate.source
      continue
    }
    if (layer.kind === 'concat' || layer.kind === 'add' || layer.kind === 'multiply') {
      if (values.length > 1) return { items, end: { kind: 'merge', layer, values }, opaque }
      // one input: a scale or shift with constants, which the weights' comparison judges
    } else if (isItem(layer.kind)) {
      items.push(itemOf(layer, layer.kind))
    } else if (!TRANSPARENT.has(layer.kind) && !isHarmless(layer)) {
      opaque = true
      if (values.length > 1) return { items, end: { kind: 'merge', layer, values }, opaque }
    }
    const next = values[0]
    if (next === undefined) return { items, end: { kind: 'input' }, opaque }
    current = next
  }
  return { items, end: { kind: 'input' }, opaque: true }
}

/** `x * sigmoid(x)` and the like: an activation written as a product of a value with a function of itself. */
function gateOf(values: readonly [string, string], view: GraphView): { source: string; function: string } | undefined {
  for (const [source, other] of [values, [values[1], values[0]] as const]) {
    let current = other
    let steps = 0
    let last: Layer | undefined
    for (; steps < MAX_GATE && current !== source; steps++) {
      const layer = view.producers.get(current)
      const inputs = layer?.inputs.filter((name) => !view.fixed.has(name)) ?? []
      if (layer === undefined || inputs.length !== 1 || !ELEMENTWISE.has(layer.kind)) break
      last = layer
      current = inputs[0]!
    }
    if (current !== source || last === undefined) continue
    const name = steps === 1 ? GATES[normalActivation(last.attributes.function ?? '')] : undefined
    return { source, function: name ?? 'written-out' }
  }
  return undefined
}

/** The longest form known: GELU by tanh, x (1 + tanh(c (x + d x^3))). */
const MAX_GATE = 10
const ELEMENTWISE: ReadonlySet<LayerKind> = new Set(['activation', 'add', 'multiply', 'other'])
const GATES: Readonly<Record<string, string>> = { sigmoid: 'silu', 'hard-sigmoid': 'hard-swish' }

const ITEMS = ['activation', 'pool', 'global-pool', 'resize', 'softmax', 'pad'] as const

const isItem = (kind: LayerKind): kind is ChainItem['kind'] => (ITEMS as readonly string[]).includes(kind)

function fusedItem(layer: Layer, name: string): ChainItem {
  return { kind: name === 'softmax' ? 'softmax' : 'activation', function: name, layer }
}

function itemOf(layer: Layer, kind: ChainItem['kind']): ChainItem {
  const { attributes } = layer
  const name =
    kind === 'activation' && attributes.clipRange
      ? clipName(attributes.clipRange, attributes.function)
      : normalActivation(attributes.function ?? '')
  return { kind, function: name, layer }
}

/** A clip to 0..6 is ReLU6, one to 0.. is ReLU. */
function clipName([low, high]: readonly [number, number], name = 'clip'): string {
  if (low === 0 && high === 6) return 'relu6'
  if (low === 0 && !(high < 1e30)) return 'relu'
  return name
}

/** One spelling per activation; `swish` and `silu` are one function. */
export function normalActivation(name: string): string {
  const plain = name.toLowerCase().replaceAll('_', '-')
  if (plain === 'hard-silu') return 'hard-swish'
  return plain === 'swish' ? 'silu' : plain === 'linear' || plain === 'none' || plain === 'identity' ? '' : plain
}

function isHarmless({ op }: Layer): boolean {
  return /^(identity|cast|dequantize|quantize|quantizelinear|dequantizelinear|noop|stopgradient|ensureshape|split|input|inputlayer|placeholder|biasadd|squeeze|expanddims|unsqueeze|mul|sub|addv2)$/i.test(
    op,
  )
}
