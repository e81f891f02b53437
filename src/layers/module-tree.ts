import type { Model } from '../model/model.ts'
import { countElements, type TensorRole } from '../tensor/tensor.ts'
import type { Layer } from './layer.ts'
import type { Shape } from './shape.ts'
import { splitName } from './tensor-path.ts'
import { repetitions, variableNames } from './variable-names.ts'

/** One module with what lies in it, its children included. */
export interface ModuleNode {
  /** last part of the path; the root's is empty */
  readonly name: string
  /** parts joined by `/`, or by `.` where the file's names are */
  readonly path: string
  /** kinds of the layers directly in it, each once, in order; the format's own operator name where the kind is `other` */
  readonly kinds: readonly string[]
  /** elements of the parameters (role `parameter`) in it; tied tensors count where they come first */
  readonly parameters: number
  /** stored bytes of all tensors in it, buffers included */
  readonly bytes: number
  /** multiply-accumulates; absent where no layer in it multiplies or a shape is unknown */
  readonly macs?: number | undefined
  /** of its last layer, where known */
  readonly outputShape?: readonly (number | null)[] | undefined
  readonly children: readonly ModuleNode[]
}

interface Building {
  readonly name: string
  readonly parts: readonly string[]
  readonly kinds: Set<string>
  parameters: number
  bytes: number
  macs: number | undefined
  isCounted: boolean
  outputShape: Shape
  readonly children: Map<string, Building>
}

/** Deeper paths are cut: no module hierarchy is so deep, but a file may hold a name of a million slashes. */
const MAX_PARTS = 32

/**
 * The hierarchy of modules, from the names of tensors and the scopes of nodes.
 *
 * A tensor belongs to its name without the last part (`conv1.weight` to `conv1`). A layer's work belongs to the module
 * of its kernel, or to its scope, or to its own name. Files whose names have no hierarchy (`gpu_0/conv1_w_0`, numbers)
 * give one module per layer, named after it.
 */
export function buildModuleTree(
  model: Pick<Model, 'tensors' | 'graphs' | 'metadata'>,
  layers: readonly Layer[],
): ModuleNode {
  const root = create('', [])
  const tensors = model.tensors.filter(({ role }) => !isBesideModel(role))
  const names = variableNames(model)
  const paths = new Map(tensors.map(({ name }) => [name, modulePath(names.get(name) ?? name)]))
  const constants = new Set(tensors.filter(({ role }) => role === 'constant').map(({ name }) => name))
  const usesNames = hasHierarchy(
    tensors.flatMap(({ name }) => (constants.has(name) ? [] : [paths.get(name)!])),
    layers,
  )
  const scopes = new Map(
    model.graphs.flatMap(({ nodes }) =>
      nodes.flatMap((node) => (node.scope ? [[node.name, node.scope] as const] : [])),
    ),
  )
  const moduleOf = new Map<string, string[]>()
  for (const layer of layers) {
    const owned = layer.weights.find(({ role }) => role !== 'other') ?? layer.weights[0]
    const ofTensor = owned && usesNames && !constants.has(owned.tensor) ? paths.get(owned.tensor) : undefined
    const path = ofTensor ?? layerPath(layer, usesNames, scopes.get(layer.name))
    for (const { tensor, role } of layer.weights) {
      // a bias belongs to its kernel, whatever a converter called it
      if ((!usesNames || role === 'bias') && !moduleOf.has(tensor)) moduleOf.set(tensor, path)
    }
    if (layer.weights.length > 0 || (layer.macs ?? 0) > 0)
      addLayer(
        enter(root, path, () => {}),
        root,
        path,
        layer,
      )
  }
  const isRepetition = repetitions(model)
  for (const tensor of tensors) {
    const path = moduleOf.get(tensor.name) ?? (usesNames ? paths.get(tensor.name)! : [])
    const isRepeated = isRepetition(tensor)
    const parameters = tensor.role === 'parameter' && !isRepeated ? countElements(tensor) : 0
    enter(root, path, (module) => {
      module.parameters += parameters
      module.bytes += isRepeated ? 0 : tensor.bytes
    })
  }
  const isDotted = tensors.some(({ name }) => name.includes('.') && !name.includes('/'))
  return finish(root, isDotted ? '.' : '/')
}

/** Optimizer state, averaged copies, best scores and random states lie beside the model, not in it. */
function isBesideModel(role: TensorRole): boolean {
  return role === 'optimizer' || role === 'ema' || role === 'other'
}

/** Whether at least half of the tensors lie in modules, of which there is more than one. */
function hasHierarchy(paths: readonly (readonly string[])[], layers: readonly Layer[]): boolean {
  const nested = paths.filter(({ length }) => length > 0)
  if (nested.length === 0 || nested.length < paths.length / 2) return false
  // one module for everything is a prefix, not a hierarchy
  const modules = new Set(nested.map((parts) => parts.join('/')))
  return modules.size > 1 || layers.filter(({ weights }) => weights.length > 0).length <= 1
}

/** Of a layer whose weights do not say where it belongs: its scope, or its own name. */
function layerPath(layer: Layer, usesNames: boolean, scope: string | undefined): string[] {
  if (scope !== undefined && scope !== '') return splitName(scope)
  // calls of functions, which TensorFlow wraps around every signature, are no modules
  const parts = splitName(layer.name).filter((part) => !/^(Stateful)?PartitionedCall(_\d+)?$/.test(part))
  return parts.length > 1 || usesNames ? parts.slice(0, Math.max(1, parts.length - 1)) : [layer.name]
}

/** The modules that a tensor lies in; Keras 3 keeps a layer's variables under `vars`. */
function modulePath(name: string): string[] {
  const parts = splitName(name).slice(0, -1)
  return parts.at(-1) === 'vars' ? parts.slice(0, -1) : parts
}

function create(name: string, parts: readonly string[]): Building {
  return {
    name,
    parts,
    kinds: new Set(),
    parameters: 0,
    bytes: 0,
    macs: undefined,
    isCounted: true,
    outputShape: undefined,
    children: new Map(),
  }
}

/** Walks down `parts`, making what is missing; `visit` sees every module on the way, the root too. */
function enter(root: Building, parts: readonly string[], visit: (module: Building) => void): Building {
  let module = root
  visit(module)
  for (const [i, part] of parts.slice(0, MAX_PARTS).entries()) {
    let child = module.children.get(part)
    if (child === undefined) {
      child = create(part, parts.slice(0, i + 1))
      module.children.set(part, child)
    }
    module = child
    visit(module)
  }
  return module
}

function addLayer(own: Building, root: Building, path: readonly string[], layer: Layer): void {
  own.kinds.add(layer.kind === 'other' ? layer.op || 'other' : layer.kind)
  enter(root, path, (module) => {
    if (layer.macs !== undefined) module.macs = (module.macs ?? 0) + layer.macs
    else if (layer.isUncounted) module.isCounted = false
    module.outputShape = layer.outputShapes[0] ?? module.outputShape
  })
}

function finish(module: Building, separator: string): ModuleNode {
  return {
    name: module.name,
    path: module.parts.join(separator),
    kinds: [...module.kinds],
    parameters: module.parameters,
    bytes: module.bytes,
    ...(module.macs !== undefined && module.isCounted ? { macs: module.macs } : {}),
    ...(module.outputShape === undefined ? {} : { outputShape: module.outputShape }),
    children: [...module.children.values()].map((child) => finish(child, separator)),
  }
}
