import type { Hdf5File, Hdf5Group } from '../../encoding/hdf5/open-hdf5.ts'
import type { NodeParameter } from '../../model/graph.ts'
import type { KerasLayer } from '../../model/keras-config.ts'
import { roleOfName } from '../../model/keras-weights.ts'
import type { Problem } from '../../model/model.ts'
import { readNames } from './group-names.ts'

/** Which stored tensor is which parameter of which layer. */
export interface LayerWeights {
  /** by path of the layer in the configuration; without one, by the layer's own name */
  readonly byLayer: ReadonlyMap<string, readonly NodeParameter[]>
  /** role by tensor name */
  readonly roles: ReadonlyMap<string, string>
  /** tensor names in the order of the layers and of their weights */
  readonly order: readonly string[]
  readonly warnings: readonly Problem[]
}

/**
 * Reads the layout of Keras 1 and 2 (and of `.h5` written by Keras 3): the weights' root has `layer_names`, each
 * layer's group `weight_names`, and a weight's dataset is at `root/layer/weight name`.
 *
 * @param root `model_weights` of a whole model, the empty path of a weights file
 * @source keras/src/legacy/saving/legacy_h5_format.py (save_weights_to_hdf5_group)
 */
export async function readNamedWeights(
  file: Hdf5File,
  root: string,
  layers: readonly KerasLayer[],
): Promise<LayerWeights> {
  const groups = new Map<string, Hdf5Group>()
  const stored = new Set<string>()
  for (const object of file.objects) {
    if (object.kind === 'group') groups.set(object.path, object)
    else stored.add(object.path)
  }
  const prefix = root === '' ? '' : `${root}/`
  const byLayer = new Map<string, NodeParameter[]>()
  const roles = new Map<string, string>()
  const warnings: Problem[] = []
  const rootGroup = groups.get(root)
  const names = (rootGroup && (await readNames(rootGroup.attributes, 'layer_names'))) ?? []
  const byName = new Map(layers.map((layer) => [layer.name, layer]))
  for (const name of names) {
    const group = groups.get(prefix + name)
    const weights = (group && (await readNames(group.attributes, 'weight_names'))) ?? []
    for (const weight of weights) {
      const tensor = `${prefix}${name}/${weight}`
      if (!stored.has(tensor)) {
        const message = `layer "${name}" names a weight "${weight}" that the file does not hold`
        warnings.push({ code: 'MISSING_WEIGHT', message, subject: tensor })
        continue
      }
      const { path, role } = findOwner(name, weight, byName.get(name))
      const list = byLayer.get(path) ?? []
      list.push({ role, tensor })
      byLayer.set(path, list)
      roles.set(tensor, role)
    }
  }
  return { byLayer, roles, order: [...roles.keys()], warnings }
}

/**
 * The layer that a weight belongs to, and its role there. A nested model's weights are all in its own group; their
 * names hold the inner layer's name (`conv/kernel:0`, `outer/conv/kernel`).
 */
function findOwner(top: string, weight: string, layer: KerasLayer | undefined): { path: string; role: string } {
  const parts = weight.split('/')
  if (layer?.layers) {
    const owner = findInner(layer, parts)
    if (owner) return { path: owner.path, role: roleOfName(parts.slice(parts.lastIndexOf(owner.name, -2) + 1)) }
  }
  const path = layer?.path ?? top
  // Keras 1 wrote `dense_1_W`.
  if (parts.length === 1) return { path, role: roleOfName([weight.replace(`${top}_`, '')]) }
  const at = parts.lastIndexOf(top, -2)
  // A layer that was renamed after it was made keeps its first name in its weights' names.
  return { path, role: roleOfName(parts.slice(at === -1 ? 1 : at + 1)) }
}

/** The leaf below `layer` whose name, and most of whose path, stand in the weight's name. */
function findInner(layer: KerasLayer, parts: readonly string[]): KerasLayer | undefined {
  const inName = new Set(parts.slice(0, -1))
  let best: KerasLayer | undefined
  let bestScore = 0
  const visit = (inner: KerasLayer, above: number) => {
    const score = above + (inName.has(inner.name) ? 1 : 0)
    if (inner.layers) for (const next of inner.layers) visit(next, score)
    else if (inName.has(inner.name) && score > bestScore) {
      best = inner
      bestScore = score
    }
  }
  for (const inner of layer.layers ?? []) visit(inner, 0)
  return best
}
