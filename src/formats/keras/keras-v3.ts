import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { openHdf5 } from '../../encoding/hdf5/open-hdf5.ts'
import type { JsonValue } from '../../encoding/json-value.ts'
import { openZip, type ZipArchive } from '../../encoding/zip.ts'
import { FormatError } from '../../errors.ts'
import { isObject } from '../../model/keras-calls.ts'
import type { Model, Problem } from '../../model/model.ts'
import type { Format, ModelInput, Probe } from '../format.ts'
import { assemble, parseText, readConfig } from './assemble.ts'
import type { ConfigText } from './code-references.ts'
import { readNumberedWeights } from './numbered-weights.ts'
import { parseTraining } from './training.ts'

const METADATA = 'metadata.json'
const CONFIG = 'config.json'
const WEIGHTS = 'model.weights.h5'

/**
 * The `.keras` archive of Keras 3 (and of TensorFlow 2.12 and later): a zip file with `metadata.json` (versions),
 * `config.json` (architecture and compile arguments) and `model.weights.h5`. A tensor's name is the dataset's path inside
 * the weights.
 */
export const kerasV3: Format = {
  id: 'keras-v3',
  title: 'Keras archive (.keras)',
  extensions: ['.keras'],
  spec: 'https://keras.io/guides/serialization_and_saving/',
  match: ({ zipEntries }: Probe) => (zipEntries?.includes(METADATA) && zipEntries.includes(CONFIG) ? 'yes' : 'no'),
  read,
}

async function read({ main }: ModelInput, limits: Limits): Promise<Model> {
  const archive = await openZip(main, limits)
  const weightsSource = await openWeights(archive, main)
  const configSource = await archive.get(CONFIG).open()
  const config = readConfig(await readText(configSource, limits), limits)
  const metadata = parseText(await readText(await archive.get(METADATA).open(), limits))
  const file = await openHdf5(weightsSource, limits)
  const weights = await readNumberedWeights(file, config.architecture?.layers ?? [])
  const assembled = await assemble(file, config, { source: weightsSource.name, weights, fallback: 'parameter', limits })
  const facts = isObject(metadata.value) ? metadata.value : {}
  const version = typeof facts.keras_version === 'string' ? facts.keras_version : undefined
  const optimizerPaths = assembled.tensors.filter(({ role }) => role === 'optimizer').map(({ name }) => name)
  const compiled = isObject(config.value) ? config.value.compile_config : undefined
  const state = parseTraining(compiled, optimizerPaths)
  const { architecture, references } = config
  const { keras_version: _, ...otherFacts } = facts
  const assets = otherEntries(archive)
  return {
    format: 'keras-v3',
    files: [
      { name: main.name, bytes: main.size, role: 'main', source: main },
      { name: weightsSource.name, bytes: weightsSource.size, role: 'weights', source: weightsSource },
      { name: configSource.name, bytes: configSource.size, role: 'config', source: configSource },
    ],
    metadata: {
      framework: 'keras',
      producer: 'keras',
      ...(version === undefined ? {} : { frameworkVersion: version, producerVersion: version }),
      formatVersion: `HDF5 superblock ${file.superblockVersion}`,
      ...(architecture ? { name: architecture.name } : {}),
      properties: {
        ...otherFacts,
        ...(architecture ? { model_class: architecture.className } : {}),
        ...(assets.length > 0 ? { assets } : {}),
      },
    },
    tensors: assembled.tensors,
    graphs: assembled.graphs,
    ...(state ? { training: state } : {}),
    ...(references.length > 0 ? { references } : {}),
    warnings: [...assembled.warnings, ...metadata.warnings, ...describeAssets(assets)],
  }
}

/** @throws {FormatError} UNSUPPORTED_FEATURE for the layouts that Keras can write but hardly anybody does */
async function openWeights(archive: ZipArchive, main: ByteSource): Promise<ByteSource> {
  const other = ['model.weights.npz', 'model.weights.json'].find((name) => archive.entries.has(name))
  if (!archive.entries.has(WEIGHTS) && other !== undefined) {
    throw new FormatError({
      code: 'UNSUPPORTED_FEATURE',
      file: main.name,
      what: 'weights of a .keras archive',
      expected: WEIGHTS,
      found: other,
      hint: 'Load the model in Keras and save it again with model.save("name.keras").',
    })
  }
  return archive.get(WEIGHTS).open()
}

async function readText(source: ByteSource, limits: Limits): Promise<ConfigText> {
  if (source.size > limits.maxHeaderBytes) {
    throw new FormatError({
      code: 'LIMIT_EXCEEDED',
      file: source.name,
      what: 'JSON document',
      expected: `at most ${limits.maxHeaderBytes} bytes`,
      found: String(source.size),
    })
  }
  return { file: source.name, bytes: await source.read(0, source.size), base: 0 }
}

/** Vocabularies and the like, which some layers store beside the weights. */
function otherEntries({ entries }: ZipArchive): JsonValue[] {
  return [...entries.keys()].filter((name) => ![METADATA, CONFIG, WEIGHTS].includes(name) && !name.endsWith('/'))
}

function describeAssets(assets: readonly JsonValue[]): Problem[] {
  if (assets.length === 0) return []
  const named = assets.slice(0, 5).join(', ')
  const message = `the archive holds ${assets.length} more files, which are not read: ${named}`
  return [{ code: 'UNREAD_ENTRY', message }]
}
