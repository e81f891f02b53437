import type { Limits } from '../../bytes/limits.ts'
import type { Hdf5File } from '../../encoding/hdf5/open-hdf5.ts'
import { parseJson } from '../../encoding/json.ts'
import type { JsonValue } from '../../encoding/json-value.ts'
import { FormatError } from '../../errors.ts'
import type { Graph } from '../../model/graph.ts'
import {
  attachParameters,
  type KerasArchitecture,
  type KerasLayer,
  parseKerasConfig,
} from '../../model/keras-config.ts'
import type { CodeReference, Problem } from '../../model/model.ts'
import type { Tensor, TensorRole } from '../../tensor/tensor.ts'
import { type ConfigText, referencesOf } from './code-references.ts'
import { readDatasetTensors } from './dataset-tensors.ts'
import type { LayerWeights } from './named-weights.ts'

/** A model configuration with all that could be learnt from it. */
export interface ReadConfig {
  readonly value: JsonValue | undefined
  readonly architecture: KerasArchitecture | undefined
  readonly references: readonly CodeReference[]
  readonly warnings: readonly Problem[]
}

/** Parses a configuration; one that is not JSON is a warning, since the weights can be read without it. */
export function readConfig(text: ConfigText | undefined, limits: Limits): ReadConfig {
  if (text === undefined) return { value: undefined, architecture: undefined, references: [], warnings: [] }
  const { value, warnings } = parseText(text)
  if (value === undefined) return { value, architecture: undefined, references: [], warnings }
  const architecture = parseKerasConfig(value, { file: text.file, maxDepth: limits.maxDepth })
  const code = referencesOf(value, text)
  return {
    value,
    architecture,
    references: code.references,
    warnings: [...warnings, ...architecture.warnings, ...code.warnings],
  }
}

/** JSON as Python writes it; what is not JSON (NaN, Infinity, damage) becomes a warning. */
export function parseText(text: ConfigText): { value: JsonValue | undefined; warnings: readonly Problem[] } {
  try {
    return { value: parseJson(text.file, text.bytes, text.base), warnings: [] }
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    return { value: undefined, warnings: [{ code: 'UNREADABLE_CONFIG', message: error.message }] }
  }
}

/** The parts of a Model that HDF5 weights and a configuration give together. */
export interface Assembled {
  readonly tensors: readonly Tensor[]
  readonly graphs: readonly Graph[]
  readonly warnings: readonly Problem[]
}

/**
 * Puts stored tensors and configuration together: parameters at their nodes, roles at the tensors, tensors in the order
 * of the layers, then the others as the file has them.
 *
 * @param options `fallback` is the role of a tensor that no layer claims and whose path does not say
 */
export async function assemble(
  file: Hdf5File,
  config: ReadConfig,
  options: { source: string; weights: LayerWeights; fallback: TensorRole; limits: Limits },
): Promise<Assembled> {
  const { source, weights, fallback, limits } = options
  const roleOf = (path: string): TensorRole => roleOfPath(path, weights.roles.get(path)) ?? fallback
  const stored = await readDatasetTensors(file, { source, roleOf, limits })
  const rank = new Map(weights.order.map((name, index) => [name, index]))
  const tensors = withStatistics(stored.tensors, weights.roles).sort(
    (left, right) => (rank.get(left.name) ?? rank.size) - (rank.get(right.name) ?? rank.size),
  )
  const graph = config.architecture && attachParameters(config.architecture, weights.byLayer)
  return {
    tensors,
    graphs: graph ? [graph] : [],
    warnings: [...config.warnings, ...weights.warnings, ...stored.warnings, ...unclaimed(config, weights, tensors)],
  }
}

/** Weight files of Keras 3 name folders after classes: the last two of a BatchNormalization's four variables. */
const STATISTICS = /^(.*(?:^|\/)(?:sync_)?batch_normalization(?:_\d+)?\/vars\/)[23]$/

/** Without a configuration no role says which variables a BatchNormalization keeps but does not train. */
function withStatistics(tensors: readonly Tensor[], roles: ReadonlyMap<string, string>): Tensor[] {
  const names = new Set(tensors.map(({ name }) => name))
  return tensors.map((tensor) => {
    const folder = roles.has(tensor.name) ? undefined : STATISTICS.exec(tensor.name)?.[1]
    const hasFour = folder !== undefined && names.has(`${folder}3`) && !names.has(`${folder}4`)
    return hasFour && tensor.role === 'parameter' ? { ...tensor, role: 'buffer' } : tensor
  })
}

/** Values that are kept with a model but not trained. */
const BUFFER =
  /(^|\/)(moving_mean|moving_variance|running_mean|running_std|mean|variance|count|state|seed_generator_state)$/

function roleOfPath(path: string, role: string | undefined): TensorRole | undefined {
  if (/^(optimizer|optimizer_weights)\//.test(path)) return 'optimizer'
  // Totals of metrics, which TensorFlow 2 keeps in its `.keras` files.
  if (path.startsWith('metrics/')) return 'other'
  if (/(^|\/)seed_generator\//.test(path)) return 'buffer'
  const word = role ?? path.replace(/:\d+$/, '')
  if (BUFFER.test(word)) return 'buffer'
  return role === undefined ? undefined : 'parameter'
}

/** A configuration whose layers leave weights unclaimed does not fit them: worth a word, not an error. */
function unclaimed({ architecture }: ReadConfig, weights: LayerWeights, tensors: readonly Tensor[]): Problem[] {
  if (architecture?.graph === undefined) return []
  const paths = new Set(allLayers(architecture.layers).map(({ path }) => path))
  const claimed = new Set<string>()
  for (const [path, list] of weights.byLayer) {
    if (paths.has(path)) for (const { tensor } of list) claimed.add(tensor)
  }
  return tensors
    .filter(({ name, role }) => role !== 'optimizer' && role !== 'other' && !claimed.has(name))
    .slice(0, 100)
    .map(({ name }) => ({
      code: 'UNCLAIMED_WEIGHT',
      message: `no layer of the configuration claims the tensor "${name}"`,
      subject: name,
    }))
}

function allLayers(layers: readonly KerasLayer[]): KerasLayer[] {
  return layers.flatMap((layer) => [layer, ...(layer.layers ? allLayers(layer.layers) : [])])
}
