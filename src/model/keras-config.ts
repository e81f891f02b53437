import type { JsonValue } from '../encoding/json-value.ts'
import { FormatError } from '../errors.ts'
import { DTYPES, type Dtype } from '../tensor/dtype.ts'
import type { AttributeValue, Graph, Node, NodeParameter, Value } from './graph.ts'
import { isObject, type JsonObject, type LayerCall, parseCall, parseShape, type TensorRef } from './keras-calls.ts'
import type { Problem } from './model.ts'

/**
 * Keras' own description of a model (`model_config`, `config.json`, `modelTopology.model_config`) as a Graph.
 *
 * Every call of a layer is a node: `op` is the layer's class, the attributes are its configuration, the outputs are
 * named after the layer. A layer called again gives `name@1`, `name@2`; its second output is `name:1`. Nested models
 * are expanded: their layers are `outer/inner`, with the outer path as scope. Input layers are the graph's inputs, not
 * nodes. A wrapped layer (TimeDistributed, Bidirectional) stays in the wrapper's attributes; a wrapped model becomes a
 * subgraph. Nothing is executed: Lambda code and custom classes are data, listed by `keras-code.ts`.
 *
 * @source keras/src/models/functional.py and sequential.py (get_config); https://keras.io/api/models/model_saving_apis/
 */
export interface KerasArchitecture {
  /** class of the model: `Sequential`, `Functional`, `Model`, or a custom one */
  readonly className: string
  readonly name: string
  /** undefined where the configuration does not list layers (subclassed models) */
  readonly graph?: Graph
  /** in the order of the configuration, which is the order of stored weights */
  readonly layers: readonly KerasLayer[]
  /** path of the layer that a node calls, by node name */
  readonly layerOfNode: ReadonlyMap<string, string>
  readonly warnings: readonly Problem[]
}

/** One layer as configured, whether called once, often or never. */
export interface KerasLayer {
  /** names of the models around it and its own, joined by `/` */
  readonly path: string
  readonly name: string
  readonly className: string
  readonly config: JsonObject
  /** layers of a nested model */
  readonly layers?: readonly KerasLayer[]
}

/** Nodes that nested, repeatedly called models may expand to. Largest real model known: some 5,000 layers. */
const MAX_NODES = 50_000

/**
 * @param config `{class_name, config}` of the model
 * @param options `file` is named in errors; `maxDepth` bounds the nesting of the JSON
 * @throws {FormatError} LIMIT_EXCEEDED for JSON nested too deeply or models that expand beyond 50,000 nodes
 */
export function parseKerasConfig(config: JsonValue, options: { file: string; maxDepth: number }): KerasArchitecture {
  checkDepth(config, options)
  const root = isObject(config) ? config : {}
  const className = text(root.class_name) ?? 'unknown'
  const name = nameOf(root) ?? className
  const layers = layersOf(root, '')
  const state: State = {
    file: options.file,
    nodes: [],
    values: new Map(),
    inputs: [],
    layerOfNode: new Map(),
    repeated: new Map(),
    warnings: [],
  }
  if (!isModel(root)) return { className, name, layers, layerOfNode: state.layerOfNode, warnings: [] }
  const outputs = expandModel(state, root, { prefix: '', path: '' })
  const graph: Graph = {
    name,
    kind: 'main',
    inputs: state.inputs,
    outputs: outputs.map((output) => state.values.get(output) ?? { name: output }),
    nodes: state.nodes,
    values: state.values,
  }
  return { className, name, graph, layers, layerOfNode: state.layerOfNode, warnings: state.warnings }
}

/** The graph with the stored tensors of each layer attached to every node that calls the layer. */
export function attachParameters(
  { graph, layerOfNode }: KerasArchitecture,
  parameters: ReadonlyMap<string, readonly NodeParameter[]>,
): Graph | undefined {
  if (graph === undefined) return undefined
  const nodes = graph.nodes.map((node) => {
    const own = parameters.get(layerOfNode.get(node.name) ?? '')
    return own === undefined || own.length === 0 ? node : { ...node, parameters: own }
  })
  return { ...graph, nodes }
}

interface State {
  readonly file: string
  readonly nodes: Node[]
  readonly values: Map<string, Value>
  readonly inputs: Value[]
  readonly layerOfNode: Map<string, string>
  /** how often a node name has been asked for again */
  readonly repeated: Map<string, number>
  readonly warnings: Problem[]
}

/** Where a model is expanded: what its names begin with, and what is fed into it when it is called by another. */
interface Place {
  /** of node and value names; differs from `path` where a nested model is called again */
  readonly prefix: string
  readonly path: string
  readonly fed?: readonly string[]
}

/** @returns names of the model's output values */
function expandModel(state: State, model: JsonObject, place: Place): readonly string[] {
  const layers = listLayers(model)
  const functional = layers.some((layer) => Array.isArray(layer.inbound_nodes) && layer.inbound_nodes.length > 0)
  return functional ? expandFunctional(state, model, layers, place) : expandSequential(state, model, layers, place)
}

function expandSequential(
  state: State,
  model: JsonObject,
  layers: readonly JsonObject[],
  place: Place,
): readonly string[] {
  let current = place.fed
  for (const [index, layer] of layers.entries()) {
    const name = nameOf(layer) ?? `layer_${index}`
    if (isInputLayer(layer)) {
      current ??= [addInput(state, layer, place.prefix + name)]
      continue
    }
    if (current === undefined && !isModel(layer)) {
      const shape = inputShape(layer) ?? parseShape(configOf(model).build_input_shape)
      const value: Value = { name: `${place.prefix}${name}_input`, ...(shape ? { shape } : {}) }
      state.inputs.push(value)
      state.values.set(value.name, value)
      current = [value.name]
    }
    current = emitCall(state, layer, name, 0, { place, inputs: current, kwargs: {} })(1)
  }
  return current ?? []
}

/** Names of the first `count` outputs of a call, at least one. */
type Outputs = (count: number) => readonly string[]

interface PlannedCall {
  readonly layer: JsonObject
  readonly name: string
  readonly index: number
  readonly call: LayerCall
}

function expandFunctional(
  state: State,
  model: JsonObject,
  layers: readonly JsonObject[],
  place: Place,
): readonly string[] {
  const byName = new Map(layers.map((layer, index) => [nameOf(layer) ?? `layer_${index}`, layer]))
  const isLayer = (name: string) => byName.has(name)
  const config = configOf(model)
  const ends = parseCall(config.output_layers, isLayer).refs
  const starts = parseCall(config.input_layers, isLayer).refs.map((ref) => ref.layer)
  const { calls, offsets, widths } = planCalls(byName, ends, isLayer)
  const done = new Map<string, Outputs>()
  const resolve = (ref: TensorRef): string => {
    const key = keyOf(ref.layer, ref.call - (offsets.get(ref.layer) ?? 0))
    const outputs = done.get(key)
    if (outputs === undefined) {
      warn(state, 'GRAPH_REFERENCE', `a call takes ${ref.layer}[${ref.call}], which is not computed before it`)
      return place.prefix + ref.layer
    }
    const name = outputs(ref.tensor + 1)[ref.tensor] ?? `${place.prefix}${ref.layer}:${ref.tensor}`
    if (ref.shape && !state.values.has(name)) {
      const dtype = dtypeOf(ref.dtype)
      state.values.set(name, { name, shape: ref.shape, ...(dtype ? { dtype } : {}) })
    }
    return name
  }
  for (const { layer, name, index, call } of inOrder(calls, offsets)) {
    if (isInputLayer(layer)) {
      const position = starts.indexOf(name)
      const fed = place.fed?.[position === -1 ? 0 : position]
      const value = fed ?? addInput(state, layer, place.prefix + name)
      done.set(keyOf(name, index), () => [value])
      continue
    }
    const inputs = call.refs.map(resolve)
    const width = widths.get(keyOf(name, index)) ?? 1
    done.set(keyOf(name, index), emitCall(state, layer, name, index, { place, inputs, kwargs: call.kwargs, width }))
  }
  sortInputs(state, place, starts)
  return ends.map(resolve)
}

/** All calls of all layers, how many outputs of each are used, and by how much references count too high. */
function planCalls(
  byName: ReadonlyMap<string, JsonObject>,
  ends: readonly TensorRef[],
  isLayer: (n: string) => boolean,
) {
  const calls: PlannedCall[] = []
  const counts = new Map<string, number>()
  for (const [name, layer] of byName) {
    const inbound: readonly JsonValue[] = Array.isArray(layer.inbound_nodes) ? layer.inbound_nodes : []
    counts.set(name, Math.max(1, inbound.length))
    if (inbound.length === 0) calls.push({ layer, name, index: 0, call: { refs: [], kwargs: {} } })
    for (const [index, entry] of inbound.entries()) calls.push({ layer, name, index, call: parseCall(entry, isLayer) })
  }
  // A nested model has had a call of its own before the one that counts, so Keras numbers its calls from 1.
  const offsets = new Map<string, number>()
  const refs = [...ends, ...calls.flatMap(({ call }) => call.refs)]
  for (const { layer, call } of refs) {
    const excess = call + 1 - (counts.get(layer) ?? 1)
    if (excess > (offsets.get(layer) ?? 0)) offsets.set(layer, excess)
  }
  const widths = new Map<string, number>()
  for (const ref of refs) {
    const key = keyOf(ref.layer, ref.call - (offsets.get(ref.layer) ?? 0))
    widths.set(key, Math.max(widths.get(key) ?? 1, ref.tensor + 1))
  }
  return { calls, offsets, widths }
}

const keyOf = (layer: string, call: number) => `${call} ${layer}`

/** The calls, each behind those whose outputs it takes; otherwise in file order. A cycle keeps its file order. */
function inOrder(calls: readonly PlannedCall[], offsets: ReadonlyMap<string, number>): PlannedCall[] {
  const byKey = new Map(calls.map((call) => [keyOf(call.name, call.index), call]))
  const ordered: PlannedCall[] = []
  const seen = new Set<PlannedCall>()
  for (const first of calls) {
    const stack: { call: PlannedCall; next: number }[] = []
    const enter = (call: PlannedCall | undefined) => {
      if (call === undefined || seen.has(call)) return
      seen.add(call)
      stack.push({ call, next: 0 })
    }
    enter(first)
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const ref = top.call.call.refs[top.next++]
      if (ref) enter(byKey.get(keyOf(ref.layer, ref.call - (offsets.get(ref.layer) ?? 0))))
      else ordered.push(stack.pop()!.call)
    }
  }
  return ordered
}

interface CallSite {
  readonly place: Place
  readonly inputs: readonly string[] | undefined
  readonly kwargs: JsonObject
  /** outputs that others take */
  readonly width?: number
}

/** Adds the node (or the nodes of the nested model) of one call. */
function emitCall(state: State, layer: JsonObject, name: string, index: number, site: CallSite): Outputs {
  const { place, inputs, kwargs, width = 1 } = site
  const call = index === 0 ? name : `${name}@${index}`
  const path = place.path + name
  if (isModel(layer)) {
    const inner: Place = { prefix: `${place.prefix}${call}/`, path: `${path}/` }
    const outputs = expandModel(state, layer, inputs === undefined ? inner : { ...inner, fed: inputs })
    return () => outputs
  }
  if (state.nodes.length >= MAX_NODES) {
    throw new FormatError({
      code: 'LIMIT_EXCEEDED',
      file: state.file,
      what: 'Keras model configuration',
      expected: `at most ${MAX_NODES} layer calls`,
      found: 'more',
    })
  }
  const node = uniqueName(state, place.prefix + call)
  const outputs = Array.from({ length: width }, (_, tensor) => (tensor === 0 ? node : `${node}:${tensor}`))
  const shape = inputShape(layer)
  const [first] = inputs ?? []
  if (shape && inputs?.length === 1 && first !== undefined && !state.values.has(first)) {
    state.values.set(first, { name: first, shape })
  }
  const subgraphs = wrappedModels(state, layer, path)
  state.layerOfNode.set(node, path)
  state.nodes.push({
    name: node,
    op: text(layer.class_name) ?? 'unknown',
    domain: text(layer.registered_name)?.includes('>') ? text(layer.registered_name)!.split('>')[0]! : '',
    inputs: inputs ?? [],
    outputs,
    attributes: {
      ...(configOf(layer) as Record<string, AttributeValue>),
      ...(Object.keys(kwargs).length > 0 ? { call_arguments: kwargs as AttributeValue } : {}),
    },
    ...(subgraphs ? { subgraphs } : {}),
    ...(place.prefix === '' ? {} : { scope: place.prefix.slice(0, -1) }),
  })
  return (count) =>
    count <= width ? outputs : [...outputs, ...Array.from({ length: count - width }, (_, i) => `${node}:${width + i}`)]
}

/** Keras keeps names unique within a model; a file that does not is still shown. */
function uniqueName({ layerOfNode, repeated }: State, name: string): string {
  let unique = name
  while (layerOfNode.has(unique)) {
    const count = (repeated.get(name) ?? 1) + 1
    repeated.set(name, count)
    unique = `${name}~${count}`
  }
  return unique
}

/** Models inside wrappers (`TimeDistributed(Model)`), by configuration key. */
function wrappedModels(state: State, layer: JsonObject, path: string): Record<string, Graph> | undefined {
  const found: Record<string, Graph> = {}
  for (const key of ['layer', 'forward_layer', 'backward_layer']) {
    const inner = configOf(layer)[key]
    if (!isObject(inner) || !isModel(inner)) continue
    const own: State = {
      ...state,
      nodes: [],
      values: new Map(),
      inputs: [],
      layerOfNode: new Map(),
      repeated: new Map(),
    }
    const outputs = expandModel(own, inner, { prefix: '', path: `${path}/` })
    found[key] = {
      name: nameOf(inner) ?? key,
      kind: 'subgraph',
      inputs: own.inputs,
      outputs: outputs.map((name) => own.values.get(name) ?? { name }),
      nodes: own.nodes,
      values: own.values,
    }
  }
  return Object.keys(found).length > 0 ? found : undefined
}

function addInput(state: State, layer: JsonObject, name: string): string {
  const shape = inputShape(layer)
  const dtype = dtypeOf(configOf(layer).dtype)
  const value: Value = { name, ...(dtype ? { dtype } : {}), ...(shape ? { shape } : {}) }
  state.inputs.push(value)
  state.values.set(name, value)
  return name
}

/** Graph inputs in the order of `input_layers`, not of the layers. */
function sortInputs(state: State, { prefix, fed }: Place, starts: readonly string[]): void {
  if (fed !== undefined || prefix !== '') return
  const rank = new Map(starts.map((name, index) => [name, index]))
  state.inputs.sort((left, right) => (rank.get(left.name) ?? starts.length) - (rank.get(right.name) ?? starts.length))
}

function warn(state: State, code: string, message: string): void {
  if (state.warnings.length < 100) state.warnings.push({ code, message })
}

/** The layers of a model, nested ones included. */
function layersOf(model: JsonObject, prefix: string): readonly KerasLayer[] {
  return listLayers(model).map((layer, index) => {
    const name = nameOf(layer) ?? `layer_${index}`
    const path = prefix + name
    const inner = isModel(layer) ? layersOf(layer, `${path}/`) : undefined
    const className = text(layer.class_name) ?? 'unknown'
    return { path, name, className, config: configOf(layer), ...(inner ? { layers: inner } : {}) }
  })
}

function listLayers(model: JsonObject): readonly JsonObject[] {
  // Keras 1 wrote a Sequential's configuration as the bare list of its layers.
  const list = Array.isArray(model.config) ? model.config : configOf(model).layers
  return Array.isArray(list) ? (list as readonly JsonValue[]).filter(isObject) : []
}

const isModel = (layer: JsonObject): boolean => listLayers(layer).some((inner) => typeof inner.class_name === 'string')

const isInputLayer = (layer: JsonObject): boolean => layer.class_name === 'InputLayer'

const configOf = ({ config }: JsonObject): JsonObject => (isObject(config) ? config : {})

function inputShape(layer: JsonObject): readonly (number | null)[] | undefined {
  const config = configOf(layer)
  const build = isObject(layer.build_config) ? layer.build_config.input_shape : undefined
  return parseShape(config.batch_input_shape) ?? parseShape(config.batch_shape) ?? parseShape(build)
}

/** Keras 2 and 3 name a layer beside its class too; Keras 1 inside its configuration only. */
function nameOf(layer: JsonObject): string | undefined {
  return text(layer.name) ?? text(configOf(layer).name)
}

function dtypeOf(value: JsonValue | undefined): Dtype | undefined {
  const name = isObject(value) ? configOf(value).name : value
  return typeof name === 'string' && Object.hasOwn(DTYPES, name) ? (name as Dtype) : undefined
}

const text = (value: JsonValue | undefined): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined

/** Deeply nested JSON would exhaust the stack of whoever walks it, here and later: refused once, without recursion. */
function checkDepth(value: JsonValue, { file, maxDepth }: { file: string; maxDepth: number }): void {
  let level: JsonValue[] = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > maxDepth) {
      throw new FormatError({
        code: 'LIMIT_EXCEEDED',
        file,
        what: 'Keras model configuration',
        expected: `JSON nested at most ${maxDepth} deep`,
        found: 'deeper',
      })
    }
    level = level.flatMap((part) =>
      typeof part === 'object' && part !== null ? (Object.values(part) as JsonValue[]) : [],
    )
  }
}
