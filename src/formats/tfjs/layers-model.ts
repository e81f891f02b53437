import { asObject } from '../../encoding/json.ts'
import type { JsonValue } from '../../encoding/json-value.ts'
import type { Graph, NodeParameter } from '../../model/graph.ts'
import { findKerasCode } from '../../model/keras-code.ts'
import { attachParameters, type KerasLayer, parseKerasConfig } from '../../model/keras-config.ts'
import { roleOfName } from '../../model/keras-weights.ts'
import type { CodeReference, Problem } from '../../model/model.ts'
import type { Dtype } from '../../tensor/dtype.ts'
import type { TensorRole } from '../../tensor/tensor.ts'

/** What a layers model's topology tells beside the weights. */
export interface LayersTopology {
  readonly graphs: readonly Graph[]
  readonly references: readonly CodeReference[]
  readonly warnings: readonly Problem[]
}

/**
 * The topology of a layers model: Keras' `{class_name, config}`, on its own (made in the browser) or as
 * `model_config` (converted). A weight belongs to the layer that its name begins with, or that its name contains.
 */
export function readLayers(
  file: string,
  topology: JsonValue,
  weights: readonly string[],
  maxDepth: number,
): LayersTopology {
  const config = asObject(topology)?.model_config ?? topology
  const architecture = parseKerasConfig(config, { file, maxDepth })
  const layers = allLayers(architecture.layers)
  const byPath = new Map(layers.map((layer) => [layer.path, layer]))
  const byName = new Map(layers.map((layer) => [layer.name, layer]))
  const parameters = new Map<string, NodeParameter[]>()
  const unclaimed: Problem[] = []
  for (const tensor of weights) {
    const parts = tensor.split('/')
    const owner = findOwner(parts, byPath, byName)
    if (owner) {
      const list = parameters.get(owner.layer.path) ?? []
      list.push({ role: roleOfName(parts.slice(owner.used)), tensor })
      parameters.set(owner.layer.path, list)
    } else if (layers.length > 0) {
      const message = `no layer of the topology claims the weight "${tensor}"`
      unclaimed.push({ code: 'UNCLAIMED_WEIGHT', message, subject: tensor })
    }
  }
  const graph = attachParameters(architecture, parameters)
  const code = findKerasCode(config)
  return {
    graphs: graph ? [graph] : [],
    references: code.map(({ name, kind, count }) => ({ name, kind, count, file, byteOffset: 0 })),
    warnings: [
      ...architecture.warnings,
      ...unclaimed.slice(0, 100),
      ...code.map(({ name }) => ({
        code: 'CUSTOM_CODE',
        message: `${name} is not part of Keras: the model needs code that is not read here; nothing was executed`,
        subject: name,
      })),
    ],
  }
}

/** The layer whose path is the longest beginning of the name; else the innermost part that is a layer's name. */
function findOwner(
  parts: readonly string[],
  byPath: ReadonlyMap<string, KerasLayer>,
  byName: ReadonlyMap<string, KerasLayer>,
): { layer: KerasLayer; used: number } | undefined {
  // a model's path has as many parts as models lie in each other: more are not tried
  for (let used = Math.min(parts.length - 1, 32); used > 0; used--) {
    const layer = byPath.get(parts.slice(0, used).join('/')) ?? byName.get(parts[used - 1]!)
    if (layer) return { layer, used }
  }
  return undefined
}

function allLayers(layers: readonly KerasLayer[]): KerasLayer[] {
  return layers.flatMap((layer) => [layer, ...(layer.layers ? allLayers(layer.layers) : [])])
}

const STATISTICS = /(?:^|\/)(?:moving_mean|moving_variance|running_mean|running_var)$/

/** What a weight is for, by its name. */
export function roleOfWeight(name: string, dtype: Dtype): TensorRole {
  if (STATISTICS.test(name)) return 'buffer'
  return /float/.test(dtype) ? 'parameter' : 'other'
}
