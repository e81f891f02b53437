import { startsWith } from '../../bytes/byte-reader.ts'
import type { Limits } from '../../bytes/limits.ts'
import { type Attributes, type Hdf5File, openHdf5 } from '../../encoding/hdf5/open-hdf5.ts'
import { HDF5_SIGNATURE } from '../../encoding/hdf5/superblock.ts'
import type { Model } from '../../model/model.ts'
import type { Format, ModelInput, Probe } from '../format.ts'
import { assemble, parseText, readConfig } from './assemble.ts'
import type { ConfigText } from './code-references.ts'
import { readText } from './group-names.ts'
import { type LayerWeights, readNamedWeights } from './named-weights.ts'
import { readNumberedWeights } from './numbered-weights.ts'
import { parseTraining } from './training.ts'

/**
 * HDF5 files: whole Keras models and weights in the layouts of Keras 1, 2 and 3, and any other HDF5 file as the list of
 * its datasets. A tensor's name is the dataset's path.
 *
 *     whole model   attributes model_config, training_config, keras_version, backend; group model_weights with
 *                   layer_names, weight_names; group optimizer_weights
 *     weights       the same at the root, without the configuration
 *     Keras 3       layers/FOLDER/vars/N (`.weights.h5`)
 */
export const kerasH5: Format = {
  id: 'keras-h5',
  title: 'Keras HDF5',
  extensions: ['.h5', '.hdf5'],
  spec: 'https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html',
  match: ({ head }: Probe) => (hasSignature(head) ? 'yes' : 'no'),
  read,
}

/** At byte 0, 512, 1024 ...: a user block may come first. */
function hasSignature(head: Uint8Array): boolean {
  for (let at = 0; at < head.length; at = at === 0 ? 512 : at * 2) if (startsWith(head, HDF5_SIGNATURE, at)) return true
  return false
}

async function read({ main }: ModelInput, limits: Limits): Promise<Model> {
  const file = await openHdf5(main, limits)
  const root = file.objects[0]!.attributes
  const kind = await classify(file, root)
  const config = readConfig(await configText(root, 'model_config', main.name), limits)
  const layers = config.architecture?.layers ?? []
  const weightsRoot = kind.layout === 'named' ? kind.root : ''
  const weights =
    kind.layout === 'named' ? await readNamedWeights(file, weightsRoot, layers) : await numbered(file, config)
  const fallback = kind.layout === 'none' ? 'other' : 'parameter'
  const assembled = await assemble(file, config, { source: main.name, weights, fallback, limits })
  const weightsGroup = file.objects.find(({ kind: type, path }) => type === 'group' && path === weightsRoot)
  const version = (await readText(root, 'keras_version')) ?? (await fromGroup(weightsGroup, 'keras_version'))
  const backend = (await readText(root, 'backend')) ?? (await fromGroup(weightsGroup, 'backend'))
  const trainingText = await configText(root, 'training_config', main.name)
  const training = trainingText && parseText(trainingText)
  const optimizerPaths = assembled.tensors.filter(({ role }) => role === 'optimizer').map(({ name }) => name)
  const state = parseTraining(training?.value, optimizerPaths)
  const { architecture, references } = config
  return {
    format: 'keras-h5',
    variant: kind.variant,
    files: [{ name: main.name, bytes: main.size, role: 'main', source: main }],
    metadata: {
      ...(kind.layout === 'none' ? {} : { framework: 'keras', producer: 'keras' }),
      ...(version === undefined ? {} : { frameworkVersion: version, producerVersion: version }),
      formatVersion: `HDF5 superblock ${file.superblockVersion}`,
      ...(architecture ? { name: architecture.name } : {}),
      properties: {
        ...(backend === undefined ? {} : { backend }),
        ...(architecture ? { model_class: architecture.className } : {}),
      },
    },
    tensors: assembled.tensors,
    graphs: assembled.graphs,
    ...(state ? { training: state } : {}),
    ...(references.length > 0 ? { references } : {}),
    warnings: [...assembled.warnings, ...(training?.warnings ?? [])],
  }
}

type Kind =
  | { readonly layout: 'named'; readonly root: string; readonly variant: string }
  | { readonly layout: 'numbered' | 'none'; readonly variant: string }

async function classify(file: Hdf5File, root: Attributes): Promise<Kind> {
  const names = new Set(await root.names())
  const folders = new Set(file.objects.map(({ path }) => path))
  if (folders.has('model_weights')) return { layout: 'named', root: 'model_weights', variant: 'Keras model (HDF5)' }
  if (names.has('layer_names') || names.has('layer_names0')) {
    return { layout: 'named', root: '', variant: 'Keras weights (HDF5)' }
  }
  if (file.objects.some(({ kind, path }) => kind === 'dataset' && /(^|\/)vars\/\d+$/.test(path))) {
    return { layout: 'numbered', variant: 'Keras 3 weights (HDF5)' }
  }
  const keras = ['keras_version', 'model_config', 'backend'].some((name) => names.has(name))
  return keras
    ? { layout: 'named', root: '', variant: 'Keras model (HDF5)' }
    : { layout: 'none', variant: 'HDF5 (not Keras)' }
}

/** Numbered weights have no configuration beside them, unless somebody put one into the root's attributes. */
function numbered(file: Hdf5File, config: ReturnType<typeof readConfig>): Promise<LayerWeights> {
  return readNumberedWeights(file, config.architecture?.layers ?? [])
}

async function configText(root: Attributes, name: string, file: string): Promise<ConfigText | undefined> {
  const text = await readText(root, name)
  if (text === undefined) return undefined
  return { file, bytes: new TextEncoder().encode(text), base: (await root.offsetOf(name)) ?? 0 }
}

async function fromGroup(group: { attributes: Attributes } | undefined, name: string): Promise<string | undefined> {
  return group && readText(group.attributes, name)
}
