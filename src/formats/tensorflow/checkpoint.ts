import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { endsAsTable, openTable } from '../../encoding/leveldb-table.ts'
import { allText, findText, parseTextProto, textOf } from '../../encoding/text-proto.ts'
import { FormatError } from '../../errors.ts'
import { readGraphDef } from '../../model/graph-def.ts'
import type { Model, ModelFile, Problem } from '../../model/model.ts'
import type { Format, ModelInput, Probe } from '../format.ts'
import { baseName } from '../partner.ts'
import { isBundleHeader, readBundle } from './bundle.ts'
import { readCheckpointV1 } from './checkpoint-v1.ts'
import { addConstants } from './constants.ts'
import { describeObjects, findTrainable } from './describe.ts'
import { recogniseTf, SHARD_NAME } from './match.ts'
import { MetaGraphType } from './meta-graph.ts'
import { readMessage } from './source-form.ts'
import { readTraining } from './training.ts'

/**
 * Checkpoints: `PREFIX.index` with `PREFIX.data-?????-of-?????`, opened by any of the files, by the small text file
 * `checkpoint` beside them, or as a folder; and the one-file form of TensorFlow before 0.12. A `PREFIX.meta` gives the
 * graph.
 */
export const tfCheckpoint: Format = {
  id: 'tf-checkpoint',
  title: 'TensorFlow checkpoint',
  extensions: ['.index', '.ckpt'],
  spec: 'https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/util/tensor_bundle/tensor_bundle.h',
  match,
  read,
}

const STATE_FILE = 'checkpoint'
const SAVED_MODELS = ['saved_model.pb', 'saved_model.pbtxt']

function match(probe: Probe): 'yes' | 'no' {
  if (!probe.isFolder) {
    const kind = recogniseTf(probe)
    return kind === 'table' || kind === 'shard' || kind === 'checkpoint-state' ? 'yes' : 'no'
  }
  const { siblings } = probe
  if (SAVED_MODELS.some((name) => siblings.includes(name))) return 'no'
  return findPrefixes(siblings).length > 0 ? 'yes' : 'no'
}

/** Bundles among file names: an index with at least one shard. */
function findPrefixes(names: readonly string[]): string[] {
  const sharded = new Set(names.map((name) => SHARD_NAME.exec(name)?.[1]))
  return names
    .filter((name) => name.endsWith('.index'))
    .map((name) => name.slice(0, -'.index'.length))
    .filter((prefix) => sharded.has(prefix))
}

async function read(input: ModelInput, limits: Limits): Promise<Model> {
  const { index, prefix, state } = await locate(input, limits)
  const { files, meta, known, warnings } = await readMeta(input, prefix, limits)
  const main: ModelFile = { name: index.name, bytes: index.size, role: 'main', source: index }
  const graphs = meta?.graphs ?? []
  const table = await openTable(index, limits)
  const first = await table.find(new Uint8Array(0))
  if (first && !isBundleHeader(first)) {
    const old = await readCheckpointV1(index, known, limits)
    const merged = addConstants(old.tensors, meta?.tensors ?? [])
    return {
      format: tfCheckpoint.id,
      variant: 'version 1 (before TensorFlow 0.12)',
      files: [main, ...files],
      metadata: { framework: 'tensorflow', formatVersion: '1', properties: { ...state } },
      tensors: merged.tensors,
      graphs,
      ...(await readTraining(old.tensors)),
      warnings: [...old.warnings, ...merged.warnings, ...warnings],
    }
  }
  const bundle = await readBundle(input, index, prefix, known, limits)
  const { objectGraph, configurations, header } = bundle
  const merged = addConstants(bundle.tensors, meta?.tensors ?? [])
  return {
    format: tfCheckpoint.id,
    variant: objectGraph ? 'object-based (TensorFlow 2)' : 'name-based (TensorFlow 1)',
    files: [main, ...bundle.shards, ...files],
    metadata: {
      framework: 'tensorflow',
      formatVersion: '2',
      properties: {
        ...state,
        shards: header.numShards ?? 0,
        byteOrder: header.endianness === 1 ? 'big' : 'little',
        ...describeObjects(objectGraph, configurations, index.name),
      },
    },
    tensors: merged.tensors,
    graphs,
    ...(await readTraining(bundle.tensors)),
    warnings: [...bundle.warnings, ...merged.warnings, ...warnings],
  }
}

interface Located {
  readonly index: ByteSource
  /** path without `.index`, in the folder of the input */
  readonly prefix: string
  /** what the file `checkpoint` says, where it was read */
  readonly state: { readonly latest?: string; readonly checkpoints?: readonly string[] }
}

/** The index that belongs to whatever was opened. */
async function locate(input: ModelInput, limits: Limits): Promise<Located> {
  if (input.isFolder) return locateInFolder(input, limits)
  const { main } = input
  const name = baseName(input.path)
  const head = await main.read(0, Math.min(main.size, 64))
  if (new TextDecoder('latin1').decode(head).startsWith('model_checkpoint_path')) return fromState(input, main, limits)
  const shard = SHARD_NAME.exec(name)
  const tail = await main.read(Math.max(0, main.size - 48), Math.min(48, main.size))
  if (shard && !endsAsTable(tail)) return { ...(await openIndex(input, shard[1]!)), state: {} }
  return { index: main, prefix: name.endsWith('.index') ? name.slice(0, -'.index'.length) : name, state: {} }
}

async function locateInFolder(input: ModelInput, limits: Limits): Promise<Located> {
  const names = await input.list()
  const state = names.includes(STATE_FILE) ? await input.open(STATE_FILE) : undefined
  const prefixes = findPrefixes(names)
  if (state) {
    const located = await fromState(input, state, limits, prefixes)
    if (located) return located
  }
  const [only] = prefixes
  if (only !== undefined && prefixes.length === 1) return { ...(await openIndex(input, only)), state: {} }
  throw new FormatError({
    code: 'INVALID_FIELD',
    file: input.path,
    what: 'folder',
    expected: 'one checkpoint',
    found: prefixes.slice(0, 8).join(', ') || 'none',
    hint: 'Open the .index file of the one that you mean.',
  })
}

async function openIndex(input: ModelInput, prefix: string): Promise<{ index: ByteSource; prefix: string }> {
  const path = `${prefix}.index`
  const index = await input.open(path)
  if (index) return { index, prefix }
  throw new FormatError({
    code: 'MISSING_FILE',
    file: input.path,
    what: 'index of the checkpoint',
    expected: `a file "${path}" beside it`,
    found: 'none',
    hint: 'The index says what the data are: copy it together with them.',
  })
}

/**
 * The newest checkpoint by the text file that a Saver keeps. Its paths are often those of the machine that trained:
 * only their last part is used, beside the file itself.
 */
async function fromState(input: ModelInput, source: ByteSource, limits: Limits): Promise<Located>
async function fromState(
  input: ModelInput,
  source: ByteSource,
  limits: Limits,
  among: readonly string[],
): Promise<Located | undefined>
async function fromState(
  input: ModelInput,
  source: ByteSource,
  limits: Limits,
  among?: readonly string[],
): Promise<Located | undefined> {
  if (source.size > limits.maxStringBytes) {
    const sizes = { expected: `at most ${limits.maxStringBytes} bytes`, found: String(source.size) }
    throw new FormatError({ code: 'LIMIT_EXCEEDED', file: source.name, what: 'list of checkpoints', ...sizes })
  }
  const text = parseTextProto(source.name, await source.read(0, source.size), limits)
  const latest = textOf(findText(text, 'model_checkpoint_path'))
  if (latest === undefined) {
    const parts = { what: 'list of checkpoints', expected: 'model_checkpoint_path', found: 'no such field' }
    throw new FormatError({ code: 'INVALID_FIELD', file: source.name, byteOffset: 0, ...parts })
  }
  const prefix = baseName(latest)
  if (among && !among.includes(prefix)) return undefined
  const checkpoints = allText(text, 'all_model_checkpoint_paths').flatMap((value) => textOf(value) ?? [])
  return { ...(await openIndex(input, prefix)), state: { latest, checkpoints } }
}

/** The graph beside the checkpoint, where there is one. It is no part of the weights: damage to it is a warning. */
async function readMeta(input: ModelInput, prefix: string, limits: Limits) {
  const warnings: Problem[] = []
  const known = { trainable: new Map<string, boolean>() }
  const source = await input.open(`${prefix}.meta`)
  if (source === undefined) return { files: [], warnings, known }
  const files: ModelFile[] = [{ name: source.name, bytes: source.size, role: 'config', source }]
  try {
    const { message, context } = await readMessage(MetaGraphType, source, 'binary', limits)
    const found = await findTrainable(message, context)
    warnings.push(...found.warnings)
    if (!message.graphDef) return { files, warnings, known: found }
    const meta = await readGraphDef(message.graphDef, { context, name: 'main', constants: 'large' })
    return { files, meta, warnings: [...warnings, ...meta.warnings], known: found }
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    const text = `the graph beside the checkpoint cannot be read: ${error.message}`
    return {
      files,
      warnings: [...warnings, { code: 'META_GRAPH_UNREADABLE', message: text, subject: source.name }],
      known,
    }
  }
}
