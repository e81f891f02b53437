import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { asObject, parseJson } from '../../encoding/json.ts'
import { refuseDuplicateKeys } from '../../encoding/json-keys.ts'
import type { JsonValue } from '../../encoding/json-value.ts'
import { FormatError } from '../../errors.ts'
import type { Model, ModelFile, Problem } from '../../model/model.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { ModelInput } from '../format.ts'
import { readHeader, type TensorEntry } from './header.ts'
import { describeMetadata, metadataWarnings, toTensor } from './tensor.ts'

/** Whether a file is called like the index of a sharded model. */
export function isIndexName(name: string): boolean {
  return name.toLowerCase().endsWith('.safetensors.index.json')
}

/**
 * A model in shards: the index says in which file each tensor is, and every one must be there. Tensors that a shard
 * holds beyond that are listed too, with a warning, as loaders that go through the shards see them.
 *
 * @throws {FormatError} MISSING_FILE for a shard that is not there; INVALID_FIELD when one lacks a tensor
 * @source https://huggingface.co/docs/transformers/big_models
 */
export async function readSharded(input: ModelInput, limits: Limits): Promise<Model> {
  const index = input.isFolder ? await findIndex(input) : input.main
  const { places, totalSize, properties } = await readIndex(index, limits)
  const warnings: Problem[] = []
  const files: ModelFile[] = [{ name: index.name, bytes: index.size, role: 'index', source: index }]
  const tensors = new Map<string, Tensor>()
  const extra: { source: ByteSource; entry: TensorEntry }[] = []
  let metadata: Readonly<Record<string, JsonValue>> = properties
  let bytes = 0
  for (const [shard, names] of byShard(places)) {
    const source = await input.open(shard)
    if (source === undefined) throw missingShard(index, shard)
    files.push({ name: source.name, bytes: source.size, role: 'shard', source })
    const header = await readHeader(source, limits)
    const entries = new Map(header.tensors.map((entry) => [entry.name, entry]))
    for (const name of names) {
      const entry = entries.get(name)
      if (entry === undefined) throw missingTensor(source, index, name)
      tensors.set(name, toTensor(source, entry))
      entries.delete(name)
    }
    for (const entry of entries.values()) extra.push({ source, entry })
    for (const { length } of header.tensors) bytes += length
    warnings.push(...metadataWarnings(header, source.name))
    metadata = { ...header.metadata, ...metadata }
  }
  for (const { source, entry } of extra) {
    const known = tensors.has(entry.name)
    warnings.push({
      code: known ? 'DUPLICATE_NAME' : 'NOT_IN_INDEX',
      message: known
        ? `"${entry.name}" is in ${source.name} as well, where the index does not look for it`
        : `"${entry.name}" in ${source.name} is not in the index`,
      subject: entry.name,
    })
    if (!known) tensors.set(entry.name, toTensor(source, entry))
  }
  if (totalSize !== undefined && totalSize !== bytes) {
    warnings.push({
      code: 'TOTAL_SIZE',
      message: `the index speaks of ${totalSize} bytes of tensors, the shards hold ${bytes}`,
      subject: index.name,
    })
  }
  return {
    format: 'safetensors',
    variant: 'sharded safetensors',
    files,
    metadata: describeMetadata(metadata),
    tensors: [...tensors.values()],
    graphs: [],
    warnings,
  }
}

function byShard(places: ReadonlyMap<string, string>): Map<string, string[]> {
  const shards = new Map<string, string[]>()
  for (const [name, shard] of places) {
    const names = shards.get(shard)
    if (names) names.push(name)
    else shards.set(shard, [name])
  }
  return shards
}

async function findIndex(input: ModelInput): Promise<ByteSource> {
  const names = (await input.list()).filter(isIndexName)
  const usual = names.find((name) => name.toLowerCase() === 'model.safetensors.index.json')
  const name = usual ?? (names.length === 1 ? names[0] : undefined)
  const source = name === undefined ? undefined : await input.open(name)
  if (source) return source
  throw new FormatError({
    code: 'MISSING_FILE',
    file: input.path,
    what: 'index of the shards',
    expected: 'model.safetensors.index.json, or one file *.safetensors.index.json',
    found: names.join(', ') || 'none',
    hint: 'Open the index file itself.',
  })
}

interface Index {
  /** name of the shard for each tensor */
  readonly places: ReadonlyMap<string, string>
  readonly totalSize?: number
  readonly properties: Readonly<Record<string, JsonValue>>
}

async function readIndex(source: ByteSource, limits: Limits): Promise<Index> {
  if (source.size > limits.maxHeaderBytes) {
    throw new FormatError({
      code: 'LIMIT_EXCEEDED',
      file: source.name,
      what: 'index',
      expected: `at most ${limits.maxHeaderBytes} bytes`,
      found: String(source.size),
    })
  }
  const json = await source.read(0, source.size)
  const root = asObject(parseJson(source.name, json))
  refuseDuplicateKeys(source.name, json)
  const map = asObject(root?.weight_map)
  const entries = Object.entries(map ?? {})
  const bad = entries.find(([, shard]) => typeof shard !== 'string' || shard === '')
  if (map === undefined || bad) {
    throw new FormatError({
      code: 'INVALID_FIELD',
      file: source.name,
      what: 'weight_map',
      expected: 'an object with the name of a file for each tensor',
      found: bad ? `${JSON.stringify(bad[0])}: ${JSON.stringify(bad[1])?.slice(0, 100)}` : 'none',
    })
  }
  const properties = asObject(root?.metadata) ?? {}
  const totalSize = properties.total_size
  return {
    places: new Map(entries as [string, string][]),
    ...(typeof totalSize === 'number' ? { totalSize } : {}),
    properties,
  }
}

function missingShard(index: ByteSource, shard: string): FormatError {
  return new FormatError({
    code: 'MISSING_FILE',
    file: index.name,
    what: 'shard',
    expected: `a file "${shard}" beside the index`,
    found: 'none',
    hint: 'Copy all shards into the folder of the index.',
  })
}

function missingTensor(shard: ByteSource, index: ByteSource, name: string): FormatError {
  return new FormatError({
    code: 'INVALID_FIELD',
    file: shard.name,
    what: `tensor "${name}"`,
    expected: `it in this shard, as ${index.name} says`,
    found: 'none',
    hint: 'Index and shards belong to different versions of the model.',
  })
}
