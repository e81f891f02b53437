import type { Hdf5File } from '../../encoding/hdf5/open-hdf5.ts'
import type { NodeParameter } from '../../model/graph.ts'
import type { KerasLayer } from '../../model/keras-config.ts'
import { countedNames, roleOfVariable } from '../../model/keras-weights.ts'
import { readText } from './group-names.ts'
import type { LayerWeights } from './named-weights.ts'

/** Folders in which Keras keeps a model's layers; the second by TensorFlow 2.12. */
const CONTAINERS: ReadonlySet<string> = new Set(['layers', '_layer_checkpoint_dependencies'])

/**
 * Reads the layout of Keras 3 (`model.weights.h5`, `.weights.h5`): a layer's variables are numbered under
 * `layers/FOLDER/vars`, where FOLDER is the layer's class in snake case, counted in the order of the layers (`conv2d`,
 * `conv2d_1`), and not its name. The name stands in the attribute `name` of `vars` in newer files; where it is there and
 * known it decides, otherwise the counting does.
 *
 * @source keras/src/saving/saving_lib.py (_save_state, _save_container_state)
 */
export async function readNumberedWeights(file: Hdf5File, layers: readonly KerasLayer[]): Promise<LayerWeights> {
  const storedNames = new Map<string, string>()
  for (const object of file.objects) {
    if (object.kind !== 'group' || !object.path.endsWith('/vars')) continue
    const name = await readText(object.attributes, 'name')
    if (name !== undefined) storedNames.set(object.path.slice(0, -'/vars'.length), name)
  }
  const folders = new Map<string, ReadonlyMap<string, KerasLayer>>()
  const foldersOf = (prefix: string, inside: readonly KerasLayer[]): ReadonlyMap<string, KerasLayer> => {
    let known = folders.get(prefix)
    if (known === undefined) {
      known = nameFolders(prefix, inside, storedNames)
      folders.set(prefix, known)
    }
    return known
  }
  const byLayer = new Map<string, NodeParameter[]>()
  const roles = new Map<string, string>()
  for (const object of file.objects) {
    if (object.kind !== 'dataset') continue
    const found = locate(object.path.split('/'), layers, foldersOf)
    if (found === undefined) continue
    const role = roleOfVariable(found.layer, found.rest)
    const list = byLayer.get(found.layer.path) ?? []
    list.push({ role, tensor: object.path })
    byLayer.set(found.layer.path, list)
    roles.set(object.path, role)
  }
  // Groups list their members by text, which puts 10 before 2.
  for (const list of byLayer.values()) list.sort((left, right) => byNumber.compare(left.tensor, right.tensor))
  const order = inLayerOrder(layers).flatMap((path) => byLayer.get(path)?.map(({ tensor }) => tensor) ?? [])
  return { byLayer, roles, order, warnings: [] }
}

const byNumber = new Intl.Collator('en', { numeric: true })

type FoldersOf = (prefix: string, inside: readonly KerasLayer[]) => ReadonlyMap<string, KerasLayer>

function nameFolders(
  prefix: string,
  layers: readonly KerasLayer[],
  storedNames: ReadonlyMap<string, string>,
): ReadonlyMap<string, KerasLayer> {
  const byName = new Map(layers.map((layer) => [layer.name, layer]))
  const folders = new Map<string, KerasLayer>()
  for (const [index, folder] of countedNames(layers.map(({ className }) => className)).entries()) {
    folders.set(folder, layers[index]!)
  }
  for (const [path, name] of storedNames) {
    const layer = byName.get(name)
    if (layer && path.startsWith(prefix) && !path.includes('/', prefix.length)) {
      folders.set(path.slice(prefix.length), layer)
    }
  }
  return folders
}

/** The layer that owns the dataset at `parts`, and what is left of the path behind the layer's folder. */
function locate(
  parts: readonly string[],
  layers: readonly KerasLayer[],
  foldersOf: FoldersOf,
): { layer: KerasLayer; rest: readonly string[] } | undefined {
  let inside = layers
  for (let at = 0; at + 1 < parts.length; at += 2) {
    if (!CONTAINERS.has(parts[at]!)) return undefined
    const prefix = `${parts.slice(0, at + 1).join('/')}/`
    const layer = foldersOf(prefix, inside).get(parts[at + 1]!)
    if (layer === undefined) return undefined
    if (layer.layers === undefined || !CONTAINERS.has(parts[at + 2] ?? '')) return { layer, rest: parts.slice(at + 2) }
    inside = layer.layers
  }
  return undefined
}

function inLayerOrder(layers: readonly KerasLayer[]): string[] {
  return layers.flatMap((layer) => [layer.path, ...(layer.layers ? inLayerOrder(layer.layers) : [])])
}
