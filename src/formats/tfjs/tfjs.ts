import type { Limits } from '../../bytes/limits.ts'
import { asObject, readJson } from '../../encoding/json.ts'
import type { JsonValue } from '../../encoding/json-value.ts'
import { FormatError } from '../../errors.ts'
import { findStatistics, readGraphDef, roleOfConstant } from '../../model/graph-def.ts'
import type { Metadata, Model, ModelFile } from '../../model/model.ts'
import type { Format, Match, ModelInput, Probe } from '../format.ts'
import { readTopology, signatureValues } from './graph-model.ts'
import { readLayers, roleOfWeight } from './layers-model.ts'
import { readManifest } from './weights.ts'

/**
 * TensorFlow.js: `model.json` with a graph (converted from TensorFlow) or layers (Keras), or a bare weights manifest;
 * each with binary shards beside it.
 */
export const tfjs: Format = {
  id: 'tfjs',
  title: 'TensorFlow.js model',
  extensions: ['model.json', 'weights_manifest.json', '.json'],
  spec: 'https://github.com/tensorflow/tfjs/blob/master/tfjs-core/src/io/types.ts',
  match,
  read,
}

const MODEL_FILE = 'model.json'

function match({ head, tail, isFolder, siblings }: Probe): Match {
  // a folder shows names only, and other programs have a model.json, too
  if (isFolder) return siblings.includes(MODEL_FILE) && siblings.some((name) => name.endsWith('.bin')) ? 'maybe' : 'no'
  const text = new TextDecoder('latin1').decode(head)
  if (/^(?:\xef\xbb\xbf)?\s*\{/.test(text)) return /"(?:modelTopology|weightsManifest)"\s*:/.test(text) ? 'yes' : 'no'
  if (!/^(?:\xef\xbb\xbf)?\s*\[\s*\{\s*"(?:paths|weights)"\s*:\s*\[/.test(text)) return 'no'
  const ends = text + new TextDecoder('latin1').decode(tail)
  return /"paths"\s*:/.test(ends) && /"weights"\s*:/.test(ends) && /"(?:dtype|shape)"\s*:/.test(ends) ? 'yes' : 'no'
}

async function read(input: ModelInput, limits: Limits): Promise<Model> {
  const source = input.isFolder ? await input.open(MODEL_FILE) : input.main
  if (source === undefined) {
    const parts = { what: 'folder', expected: `a file "${MODEL_FILE}"`, found: 'none' }
    throw new FormatError({ code: 'MISSING_FILE', file: input.path, ...parts })
  }
  const opened = { ...input, main: source }
  const json = await readJson(source, limits)
  const main: ModelFile = { name: source.name, bytes: source.size, role: 'main', source }
  if (Array.isArray(json)) return readBareManifest(opened, json, main, limits)
  const document = asObject(json)
  if (document?.modelTopology === undefined && !Array.isArray(document?.weightsManifest)) {
    const parts = { what: 'document', expected: '"modelTopology" or "weightsManifest"', found: 'neither' }
    throw new FormatError({ code: 'INVALID_FIELD', file: source.name, byteOffset: 0, ...parts })
  }
  const topology = asObject(document.modelTopology)
  return topology && Array.isArray(topology.node)
    ? readGraphModel(opened, document, topology, main, limits)
    : readLayersModel(opened, document, main, limits)
}

type Document = Readonly<Record<string, JsonValue>>

async function readBareManifest(
  input: ModelInput,
  manifest: readonly JsonValue[],
  main: ModelFile,
  limits: Limits,
): Promise<Model> {
  const weights = await readManifest(input, manifest, roleOfWeight, limits)
  return {
    format: tfjs.id,
    variant: 'weights manifest',
    files: [main, ...weights.shards],
    metadata: { framework: 'tensorflow' },
    tensors: weights.tensors,
    graphs: [],
    warnings: weights.warnings,
  }
}

async function readGraphModel(
  input: ModelInput,
  document: Document,
  topology: JsonValue,
  main: ModelFile,
  limits: Limits,
): Promise<Model> {
  const { graph, context } = await readTopology(main.name, topology, limits)
  const statistics = findStatistics(graph)
  const weights = await readManifest(
    input,
    manifestOf(document, main.name),
    (name, dtype, rank) => (statistics.has(name) ? 'buffer' : roleOfConstant(dtype, rank)),
    limits,
  )
  const signature = document.signature ?? asObject(document.userDefinedMetadata)?.signature
  const stored = new Set(weights.tensors.map(({ name }) => name))
  const read = await readGraphDef(graph, {
    context,
    name: 'main',
    constants: 'all',
    stored,
    ...signatureValues(signature),
  })
  const { producer } = graph.versions ?? {}
  return {
    format: tfjs.id,
    variant: 'graph model',
    files: [main, ...weights.shards],
    metadata: {
      framework: 'tensorflow',
      ...describeMakers(document),
      ...(producer === undefined ? {} : { formatVersion: `GraphDef producer ${producer}` }),
      properties: propertiesOf(document),
    },
    tensors: [...weights.tensors, ...read.tensors],
    graphs: read.graphs,
    warnings: [...weights.warnings, ...read.warnings],
  }
}

async function readLayersModel(input: ModelInput, document: Document, main: ModelFile, limits: Limits): Promise<Model> {
  const weights = await readManifest(input, manifestOf(document, main.name), roleOfWeight, limits)
  const { modelTopology = null } = document
  const names = weights.tensors.map(({ name }) => name)
  const layers = readLayers(main.name, modelTopology, names, limits.maxDepth)
  const topology = asObject(modelTopology)
  const training = asObject(document.trainingConfig) ?? asObject(topology?.training_config)
  const version = topology?.keras_version
  return {
    format: tfjs.id,
    variant: 'layers model',
    files: [main, ...weights.shards],
    metadata: {
      framework: 'keras',
      ...describeMakers(document),
      ...(typeof version === 'string' ? { frameworkVersion: version } : {}),
      properties: propertiesOf(document),
    },
    tensors: weights.tensors,
    graphs: layers.graphs,
    ...(training ? { training: { other: training } } : {}),
    ...(layers.references.length > 0 ? { references: layers.references } : {}),
    warnings: [...weights.warnings, ...layers.warnings],
  }
}

/** A model without weights of its own has no manifest; one that is no list is damage. */
function manifestOf({ weightsManifest = [] }: Document, file: string): readonly JsonValue[] {
  if (Array.isArray(weightsManifest)) return weightsManifest as readonly JsonValue[]
  throw new FormatError({
    code: 'INVALID_FIELD',
    file,
    what: 'weightsManifest',
    expected: 'a list',
    found: 'another value',
  })
}

/** `TensorFlow.js Converter v4.22.0` wrote it from what `2.11.0` (TensorFlow) or `keras v2.11.0` made. */
function describeMakers({ generatedBy, convertedBy }: Document): Metadata {
  const writer = typeof convertedBy === 'string' ? convertedBy : generatedBy
  const [, producer, producerVersion] = /^(.*?)\s*v?(\d\S*)?$/.exec(typeof writer === 'string' ? writer : '') ?? []
  const made = typeof generatedBy === 'string' ? /^(?:keras\s+v?)?(\d\S*)$/.exec(generatedBy)?.[1] : undefined
  return {
    ...(producer ? { producer } : {}),
    ...(producerVersion ? { producerVersion } : {}),
    ...(made ? { frameworkVersion: made } : {}),
  }
}

/** Everything but topology and weights, under the file's own names. */
function propertiesOf(document: Document): Record<string, JsonValue> {
  const { modelTopology: _topology, weightsManifest: _weights, modelInitializer, ...rest } = document
  const initializer = asObject(modelInitializer)?.node
  return { ...rest, ...(Array.isArray(initializer) ? { modelInitializerNodes: initializer.length } : {}) }
}
