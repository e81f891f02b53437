import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import type { JsonValue } from '../../encoding/json-value.ts'
import { readPickledScalar } from '../../encoding/numpy/pickled-array.ts'
import type { PickleResult } from '../../encoding/pickle/machine.ts'
import { JsonConverter } from '../../encoding/pickle/to-json.ts'
import { asDict, isContainer, type PickleContainer, type PickleValue } from '../../encoding/pickle/values.ts'
import { keyName, pathName, walkPickle } from '../../encoding/pickle/walk.ts'
import { FormatError } from '../../errors.ts'
import type { CodeListing, Metadata, Problem, TrainingState } from '../../model/model.ts'
import type { Tensor, TensorRole } from '../../tensor/tensor.ts'
import { readCheckpoint, type Section, sectionOf } from './checkpoint.ts'
import { define, isModule, isScriptObject, type ModuleTree, readModules, torchChildren } from './modules.ts'
import { type DenseTensor, TensorRebuilder, type TorchTensor } from './rebuild.ts'
import { readScriptClasses } from './script-code.ts'
import { type StorageTable, TensorMaker } from './tensors.ts'

/** A pickle of torch and the storages that it refers to. */
export interface TorchPickle extends PickleResult {
  readonly source: ByteSource
  readonly storages: StorageTable
}

/** What a saved object says, in the terms of a Model. */
export interface TorchContents {
  readonly tensors: readonly Tensor[]
  readonly warnings: readonly Problem[]
  readonly training?: TrainingState
  readonly name?: string
  readonly properties: NonNullable<Metadata['properties']>
  /** `state dict`, `checkpoint`, `whole module` ... for the variant */
  readonly kind: string
}

/**
 * Understands a saved object: finds its tensors, names and sorts them, and collects what else it says.
 *
 * @param constants of TorchScript: a tuple of tensors that its code uses, named `constants.N`
 * @param listings code of TorchScript, which states the options of its modules
 * @throws {FormatError}
 */
export async function readContents(
  pickle: TorchPickle,
  constants: TorchPickle | undefined,
  limits: Limits,
  listings: readonly CodeListing[] = [],
): Promise<TorchContents> {
  const rebuilder = new TensorRebuilder(pickle.source)
  const file = pickle.source.name
  const maker = new TensorMaker(file, pickle.storages, limits)
  const root = pickle.value
  const buffers = new Set<PickleContainer>()
  const found = tensorsOf(pickle, rebuilder, limits, (value) => buffers.add(value))
  const roles = new Roles(root)
  for (const { path, value, tensor } of found) {
    const isBuffer = buffers.has(value)
    await maker.add(pathName(path, root), tensor, (name, dense) => roles.of(path, name, dense, isBuffer))
  }
  const warnings = [...maker.warnings]
  const tensors = [...maker.tensors]
  if (constants) {
    const others = new TensorMaker(constants.source.name, constants.storages, limits)
    for (const { path, tensor } of tensorsOf(constants, new TensorRebuilder(constants.source), limits, () => {})) {
      await others.add(['constants', ...path].join('.'), tensor, () => 'constant')
    }
    tensors.push(...others.tensors)
    warnings.push(...others.warnings)
  }
  checkNames(tensors, file)
  const json = new JsonConverter((value) => {
    const scalar = readPickledScalar(value)
    if (scalar !== undefined)
      return { json: typeof scalar === 'number' && !Number.isFinite(scalar) ? String(scalar) : scalar }
    const isTensor = rebuilder.tensorOf(value) !== undefined
    return isTensor || isModule(value) || isScriptObject(value) ? {} : undefined
  })
  const { training, properties, name } = readCheckpoint(root, json)
  const modules = readModules(root)
  await addScriptOptions(modules, listings)
  if (json.shortened) {
    warnings.push({
      code: 'SETTINGS_SHORTENED',
      message: 'settings too long or nested to be given in full',
      subject: file,
    })
  }
  const hasModules = Object.keys(modules.classes).length > 0
  return {
    tensors,
    warnings,
    ...(training ? { training } : {}),
    ...(name === undefined ? {} : { name }),
    properties: {
      ...properties,
      ...(hasModules ? { modules: modules.classes } : {}),
      ...(Object.keys(modules.settings).length > 0
        ? { moduleSettings: modules.settings as Record<string, JsonValue> }
        : {}),
    },
    kind: kindOf(root, rebuilder, roles),
  }
}

/** What the code of TorchScript classes states joins what the objects keep. */
async function addScriptOptions(
  { scriptClasses, settings }: ModuleTree,
  listings: readonly CodeListing[],
): Promise<void> {
  const paths = Object.entries(scriptClasses)
  if (paths.length === 0) return
  const classes = await readScriptClasses(listings)
  for (const [path, name] of paths) {
    const options = classes.get(name)
    if (options) define(settings, path, { ...options, ...settings[path] })
  }
}

interface FoundTensor {
  readonly path: readonly string[]
  readonly value: PickleContainer
  readonly tensor: TorchTensor
}

function* tensorsOf(
  pickle: TorchPickle,
  rebuilder: TensorRebuilder,
  limits: Limits,
  onBuffer: (value: PickleContainer) => void,
): Generator<FoundTensor> {
  const rules = {
    leaf: (value: PickleContainer) => {
      const tensor = rebuilder.tensorOf(value)
      return tensor && { value, tensor }
    },
    children: (value: PickleContainer) => torchChildren(value, onBuffer),
  }
  const bounds = { file: pickle.source.name, opcodes: pickle.opcodes, limits }
  for (const { path, leaf } of walkPickle(pickle.value, rules, bounds)) yield { path, ...leaf }
}

/** Names of what BatchNorm and its relatives keep beside their parameters. */
const BUFFER_NAME = /(^|\.)(running_mean|running_var|num_batches_tracked)$/

/** What each tensor is for, by where it lies in the checkpoint. */
class Roles {
  /** the root is a dict of dicts rather than of tensors */
  readonly isNested: boolean
  readonly #sections = new Map<string, Section>()

  constructor(root: PickleValue) {
    const entries = asDict(root)?.entries ?? new Map<PickleValue, PickleValue>()
    let position = 0
    let nested = false
    for (const [key, value] of entries) {
      nested ||= isSection(key, value)
      this.#sections.set(keyName(key, position++), sectionOf(String(keyName(key, position)), value))
    }
    this.isNested = nested
  }

  of(path: readonly string[], name: string, tensor: DenseTensor | undefined, isBuffer: boolean): TensorRole {
    const [first, second] = path
    const section = this.isNested && first !== undefined ? this.#sections.get(first) : 'model'
    if (section === 'optimizer' || section === 'ema' || section === 'other') return section
    if (path.at(-1) === '_extra_state') return 'other'
    if (isBuffer || tensor?.isBuffer || BUFFER_NAME.test(name)) return 'buffer'
    if (tensor?.isParameter || tensor?.requiresGrad) return 'parameter'
    // beside the dicts of a checkpoint lie single tensors: a best score, a random state
    if (this.isNested && second === undefined && !first?.includes('.')) return 'other'
    const kind = tensor?.type.dtype
    const isWhole = kind !== undefined && /^(u?int(64|32|16)|bool)$/.test(kind)
    return isWhole && !tensor?.quantizer ? 'buffer' : 'parameter'
  }
}

/**
 * Whether an entry of the root is not one of a state dict. Quantised layers put settings between their tensors, under
 * their own path: `fc.scale`, `fc._packed_params.dtype`; such words and numbers prove nothing.
 */
function isSection(key: PickleValue, value: PickleValue): boolean {
  if (isContainer(value) && value.kind === 'object') return isModule(value)
  if (isContainer(value) && value.kind === 'dict') return true
  if (typeof key === 'string' && key.includes('.')) return false
  return value !== null
}

function kindOf(root: PickleValue, rebuilder: TensorRebuilder, roles: Roles): string {
  if (isModule(root)) return 'whole module'
  if (isScriptObject(root)) return 'script module'
  if (isContainer(root) && rebuilder.tensorOf(root)) return 'single tensor'
  if (asDict(root)) return roles.isNested ? 'checkpoint' : 'state dict'
  return isContainer(root) ? `${root.kind}` : 'object without tensors'
}

/** Data and constants are named apart; a model with a submodule `constants` would still clash. */
function checkNames(tensors: readonly Tensor[], file: string): void {
  const names = new Set<string>()
  for (const { name } of tensors) {
    if (names.has(name)) {
      throw new FormatError({
        code: 'INVALID_FIELD',
        file,
        what: 'tensor names',
        expected: 'each name once',
        found: name,
      })
    }
    names.add(name)
  }
}
