import type { Limits } from '../../bytes/limits.ts'
import type { JsonValue } from '../../encoding/json-value.ts'
import { FormatError } from '../../errors.ts'
import type { Graph, Node } from '../../model/graph.ts'
import { readGraphDef } from '../../model/graph-def.ts'
import type { Model, ModelFile, Problem } from '../../model/model.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { Format, ModelInput, Probe } from '../format.ts'
import { type Bundle, readBundle } from './bundle.ts'
import { addConstants } from './constants.ts'
import { describeKeras, describeObjects, describeSignatures, findServed, findTrainable } from './describe.ts'
import { recogniseTf } from './match.ts'
import {
  decodeTf,
  type Fingerprint,
  FingerprintType,
  KerasMetadataType,
  type MetaGraphDef,
  SavedModelType,
} from './meta-graph.ts'
import { bindArguments, findRestored } from './restored.ts'
import { readMessage } from './source-form.ts'
import { readTraining } from './training.ts'

/**
 * SavedModel: a folder with `saved_model.pb` (or `.pbtxt`), `variables/` and assets; opened as the folder or by the
 * file. Tensors are the variables under their checkpoint keys, and constants of more than 64 elements.
 */
export const tfSavedModel: Format = {
  id: 'tf-saved-model',
  title: 'TensorFlow SavedModel',
  extensions: ['saved_model.pb', 'saved_model.pbtxt'],
  spec: 'https://www.tensorflow.org/guide/saved_model',
  match,
  read,
}

const BINARY = 'saved_model.pb'
const TEXT = 'saved_model.pbtxt'
const VARIABLES = 'variables/variables'

function match(probe: Probe): 'yes' | 'no' {
  if (probe.isFolder) return probe.siblings.includes(BINARY) || probe.siblings.includes(TEXT) ? 'yes' : 'no'
  const kind = recogniseTf(probe)
  return kind === 'saved-model' || kind === 'saved-model-text' ? 'yes' : 'no'
}

async function read(input: ModelInput, limits: Limits): Promise<Model> {
  const source = input.isFolder ? ((await input.open(BINARY)) ?? (await input.open(TEXT))) : input.main
  if (source === undefined) {
    const parts = { what: 'folder', expected: `${BINARY} or ${TEXT}`, found: 'neither' }
    throw new FormatError({ code: 'MISSING_FILE', file: input.path, ...parts })
  }
  const [first] = await source.read(0, Math.min(1, source.size))
  const form = first === 0x08 || first === 0x12 ? 'binary' : 'text'
  const { message, context } = await readMessage(SavedModelType, source, form, limits)
  const meta =
    message.metaGraphs.find(({ metaInfoDef }) => metaInfoDef?.tags.includes('serve')) ?? message.metaGraphs[0]
  if (meta?.graphDef === undefined) {
    const parts = { what: 'SavedModel', byteOffset: 0, expected: 'a graph', found: 'none' }
    throw new FormatError({ code: 'INVALID_FIELD', file: source.name, ...parts })
  }
  const known = await findTrainable(meta, context)
  const weights = await readVariables(input, known, limits)
  const graph = await readGraphDef(meta.graphDef, {
    context,
    name: 'main',
    constants: 'large',
    ...findServed(meta.signatureDef),
  })
  const variables = weights?.bundle.tensors ?? []
  const merged = addConstants(variables, graph.tensors)
  const extra = await readExtra(input, limits)
  const keras = describeKeras(meta.objectGraphDef, extra.keras, source.name)
  const info = meta.metaInfoDef
  const files: ModelFile[] = [{ name: source.name, bytes: source.size, role: 'main', source }]
  return {
    format: tfSavedModel.id,
    variant: form === 'text' ? 'SavedModel, text' : 'SavedModel',
    files: [...files, ...(weights?.files ?? []), ...extra.files],
    metadata: {
      framework: keras.layers.length > 0 ? 'keras' : 'tensorflow',
      ...(info?.tensorflowVersion
        ? { frameworkVersion: info.tensorflowVersion, producer: 'tensorflow', producerVersion: info.tensorflowVersion }
        : {}),
      formatVersion: `SavedModel schema ${message.savedModelSchemaVersion ?? 0}`,
      properties: {
        tags: info?.tags ?? [],
        signatures: describeSignatures(meta.signatureDef),
        ...(info?.tensorflowGitVersion ? { tensorflowGitVersion: info.tensorflowGitVersion } : {}),
        graphProducer: meta.graphDef.versions?.producer ?? 0,
        functions: meta.graphDef.library?.function.length ?? 0,
        assets: meta.assetFileDef.map(({ filename }) => filename ?? ''),
        ...(meta.collectionDef.length > 0 ? { collections: meta.collectionDef.map(({ key }) => key ?? '') } : {}),
        ...(keras.layers.length > 0 ? { keras: keras.layers } : {}),
        ...(extra.fingerprint ? { fingerprint: extra.fingerprint } : {}),
        ...describeObjects(weights?.bundle.objectGraph, weights?.bundle.configurations ?? new Map(), source.name),
      },
    },
    tensors: merged.tensors,
    graphs: await attachVariables(graph.graphs, merged.tensors, variables),
    ...(await readTraining(variables)),
    warnings: [
      ...graph.warnings,
      ...merged.warnings,
      ...known.warnings,
      ...keras.warnings,
      ...(weights?.bundle.warnings ?? [missingVariables(meta)]),
      ...otherMetaGraphs(message.metaGraphs, meta),
      ...extra.warnings,
    ],
  }
}

async function readVariables(
  input: ModelInput,
  known: { trainable: ReadonlyMap<string, boolean> },
  limits: Limits,
): Promise<{ bundle: Bundle; files: ModelFile[] } | undefined> {
  const index = await input.open(`${VARIABLES}.index`)
  if (index === undefined) return undefined
  const bundle = await readBundle(input, index, VARIABLES, known, limits)
  return { bundle, files: [{ name: index.name, bytes: index.size, role: 'index', source: index }, ...bundle.shards] }
}

function missingVariables({ graphDef, objectGraphDef }: MetaGraphDef): Problem {
  const inGraph = graphDef?.node.filter(({ op }) => op === 'VarHandleOp' || op === 'VariableV2' || op === 'Variable')
  const count = Math.max(inGraph?.length ?? 0, objectGraphDef?.nodes.filter(({ variable }) => variable).length ?? 0)
  const state = count === 0 ? 'the graph has no variables' : `the values of ${count} variables are not there`
  return { code: 'VARIABLES_MISSING', message: `there is no ${VARIABLES}.index: ${state}`, subject: VARIABLES }
}

function otherMetaGraphs(all: readonly MetaGraphDef[], chosen: MetaGraphDef): Problem[] {
  return all
    .filter((meta) => meta !== chosen)
    .map(({ metaInfoDef }) => ({
      code: 'OTHER_META_GRAPH',
      message: `a further graph with the tags ${metaInfoDef?.tags.join(', ') || '(none)'} is not shown`,
    }))
}

/** Each variable node of the graph gets the stored tensor that it stands for. */
async function attachVariables(
  graphs: readonly Graph[],
  tensors: readonly Tensor[],
  variables: readonly Tensor[],
): Promise<Graph[]> {
  const stored = new Set(variables.map(({ name }) => name))
  const restored = await findRestored(graphs, tensors)
  const attached = new Map<string, string>()
  const attach = (node: Node): Node => {
    if (node.op !== 'VarHandleOp' && node.op !== 'VariableV2' && node.op !== 'Variable') return node
    const shared = node.attributes.shared_name
    // TensorFlow 1 stores a variable under its own name
    const names = [restored.get(node.name), typeof shared === 'string' ? shared : undefined, node.name]
    const tensor = names.find((name) => name !== undefined && stored.has(name))
    if (tensor === undefined) return node
    attached.set(node.name, tensor)
    return { ...node, parameters: [{ role: 'variable', tensor }] }
  }
  const [main, ...functions] = graphs
  return main === undefined ? [] : bindArguments([{ ...main, nodes: main.nodes.map(attach) }, ...functions], attached)
}

/** Small files beside the model; what cannot be read of them is a warning. */
async function readExtra(input: ModelInput, limits: Limits) {
  const files: ModelFile[] = []
  const warnings: Problem[] = []
  const attempt = async <T>(
    name: string,
    decode: (source: ModelInput['main']) => Promise<T>,
  ): Promise<T | undefined> => {
    const source = await input.open(name)
    if (source === undefined) return undefined
    files.push({ name: source.name, bytes: source.size, role: 'config', source })
    try {
      return await decode(source)
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      warnings.push({ code: 'EXTRA_FILE_UNREADABLE', message: error.message, subject: name })
      return undefined
    }
  }
  const fingerprint = await attempt('fingerprint.pb', (source) => decodeTf(FingerprintType, source, limits))
  const keras = await attempt('keras_metadata.pb', (source) => decodeTf(KerasMetadataType, source, limits))
  return { files, warnings, fingerprint: fingerprint && describeFingerprint(fingerprint), keras: keras?.nodes ?? [] }
}

/** 64-bit hashes as text, which JSON keeps exact. */
function describeFingerprint(fingerprint: Fingerprint): Record<string, JsonValue> {
  return Object.fromEntries(Object.entries(fingerprint).map(([key, value]) => [key, String(value)]))
}
