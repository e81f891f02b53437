import type { JsonValue } from '../../encoding/json-value.ts'
import {
  asDict,
  callableName,
  isContainer,
  type PickleContainer,
  type PickleDict,
  type PickleObject,
  type PickleValue,
} from '../../encoding/pickle/values.ts'
import { childrenOf, keyName } from '../../encoding/pickle/walk.ts'
import { join } from './tensors.ts'

/** Dicts of a module whose entries the module shows as its own attributes. */
const FLATTENED = ['_parameters', '_buffers', '_modules'] as const

/** Whether an object is an `nn.Module`: its state has `_modules` and `_parameters`. */
export function isModule(value: PickleValue | undefined): value is PickleObject {
  if (!isContainer(value) || value.kind !== 'object') return false
  const state = asDict(value.state)
  return asDict(state?.entries.get('_modules')) !== undefined && asDict(state?.entries.get('_parameters')) !== undefined
}

/** Whether an object is an instance of a TorchScript class. */
export function isScriptObject(value: PickleValue | undefined): value is PickleObject {
  return isContainer(value) && (callableName(value)?.startsWith('__torch__.') ?? false)
}

/**
 * Children of a value under the names of a state dict: a module shows its parameters, buffers and submodules as
 * attributes, then whatever else it holds; hooks and other bookkeeping included, since a tensor may hide there.
 *
 * @param onBuffer told of every value that a module registers as a buffer
 */
export function* torchChildren(
  value: PickleContainer,
  onBuffer: (value: PickleContainer) => void,
): Generator<readonly [string, PickleValue]> {
  const state = isModule(value) ? asDict(value.state) : undefined
  if (!state) {
    yield* childrenOf(value)
    return
  }
  for (const part of FLATTENED) {
    const entries = asDict(state.entries.get(part))?.entries
    let position = 0
    for (const [key, item] of entries ?? []) {
      if (part === '_buffers' && isContainer(item)) onBuffer(item)
      yield [keyName(key, position++), item]
    }
  }
  let position = 0
  for (const [key, item] of state.entries) {
    const name = keyName(key, position++)
    if (!(FLATTENED as readonly string[]).includes(name)) yield [name, item]
  }
}

/** Classes of the modules of a saved model by path, and their plain settings (stride, padding, eps ...). */
export interface ModuleTree {
  readonly classes: Record<string, string>
  readonly settings: Record<string, Record<string, JsonValue>>
  /** qualified names of TorchScript classes by path, as its code spells them */
  readonly scriptClasses: Record<string, string>
}

/** A network of more modules than this, or deeper, is not one. */
const MAX_MODULES = 100_000
const MAX_NESTING = 64

/**
 * The module hierarchy of whatever modules lie at the root, or in the dicts at the root (`{'model': module}`), with
 * paths that fit the tensor names. Of classes that define no state (TorchScript) the attributes that are modules count.
 */
export function readModules(root: PickleValue): ModuleTree {
  const tree: ModuleTree = { classes: {}, settings: {}, scriptClasses: {} }
  const active = new Set<PickleContainer>()
  let count = 0
  const visit = (value: PickleValue, path: string, depth: number): void => {
    if (!isContainer(value) || depth > MAX_NESTING || active.has(value)) return
    const module = isModule(value) || isScriptObject(value)
    if (!module && !(value.kind === 'dict' && depth < 2)) return
    if (++count > MAX_MODULES) return
    active.add(value)
    if (module) record(tree, value, path)
    for (const [name, child] of submodules(value)) visit(child, join(path, name), depth + 1)
    active.delete(value)
  }
  visit(root, '', 0)
  return tree
}

function* submodules(value: PickleContainer): Generator<readonly [string, PickleValue]> {
  const state = value.kind === 'object' ? asDict(value.state) : value.kind === 'dict' ? value : undefined
  const children = isModule(value) ? asDict(state?.entries.get('_modules')) : state
  let position = 0
  for (const [key, child] of children?.entries ?? []) {
    const name = keyName(key, position++)
    if (isContainer(child)) yield [name, child]
  }
}

function record(tree: ModuleTree, module: PickleObject, path: string): void {
  define(
    tree.classes,
    path,
    (callableName(module) ?? 'unknown').replace(/^__torch__\./, '').replace(/\.___torch_mangle_\d+/, ''),
  )
  const name = callableName(module)
  if (name?.startsWith('__torch__.')) define(tree.scriptClasses, path, name)
  const settings: Record<string, JsonValue> = {}
  const state = asDict(module.state)
  if (state) collectSettings(state, settings)
  if (Object.keys(settings).length > 0) define(tree.settings, path, settings)
}

/** Attributes that are numbers, words, or short lists of them, as layers keep their options; private ones left out. */
function collectSettings(state: PickleDict, settings: Record<string, JsonValue>): void {
  let left = 64
  for (const [key, value] of state.entries) {
    if (typeof key !== 'string' || key.startsWith('_') || key === 'training' || key.length > 100) continue
    const plain = plainSetting(value)
    if (plain === undefined || left-- <= 0) continue
    define(settings, key, plain)
  }
}

function plainSetting(value: PickleValue): JsonValue | undefined {
  if (typeof value === 'boolean') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (typeof value === 'string') return value.length <= 200 ? value : undefined
  if (!isContainer(value) || (value.kind !== 'tuple' && value.kind !== 'list')) return undefined
  if (value.items.length === 0 || value.items.length > 16) return undefined
  const items = value.items.map((item) => (isContainer(item) ? undefined : plainSetting(item)))
  return items.every((item): item is JsonValue => item !== undefined) ? items : undefined
}

/** Sets a key that comes from a file: `__proto__` must become a key like any other. */
export function define<Value>(target: Record<string, Value>, key: string, value: Value): void {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
}
