import { type ByteSource, checkRange, memorySource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { openTable, type TableEntry } from '../../encoding/leveldb-table.ts'
import { decodeMessage } from '../../encoding/protobuf.ts'
import { FormatError } from '../../errors.ts'
import type { ModelFile, Problem } from '../../model/model.ts'
import { readShape } from '../../model/tensor-proto.ts'
import { findTfDtype, tfElementBytes, tfTypeName } from '../../model/tensorflow-dtype.ts'
import { byteLength, DTYPES, type Dtype, elementCount } from '../../tensor/dtype.ts'
import { readTensor, type Tensor } from '../../tensor/tensor.ts'
import type { ModelInput } from '../format.ts'
import { type BundleEntry, BundleEntryType, type BundleHeader, BundleHeaderType } from './bundle-entry.ts'
import { readTextLengths, type StoredValues, streamTexts, streamValues } from './bundle-values.ts'
import { decodeTf, TrackableGraphType, type TrackableObjectGraph } from './meta-graph.ts'
import { joinSlices } from './partitioned.ts'
import { type KnownVariables, roleOfKey } from './roles.ts'
import { boxOf, encodeSliceKey, isSliceKey, keyText } from './tensor-slice.ts'

/** A checkpoint in TensorFlow's present form: `PREFIX.index` and `PREFIX.data-00000-of-00001` ... */
export interface Bundle {
  readonly header: BundleHeader
  readonly tensors: readonly Tensor[]
  /** the data shards that hold something */
  readonly shards: readonly ModelFile[]
  /** TensorFlow 2 */
  readonly objectGraph?: TrackableObjectGraph
  /** JSON of Keras layers that were saved beside their variables, by key */
  readonly configurations: ReadonlyMap<string, string>
  readonly warnings: readonly Problem[]
}

export const OBJECT_GRAPH_KEY = '_CHECKPOINTABLE_OBJECT_GRAPH'
const CONFIGURATION_SUFFIX = '/.ATTRIBUTES/OBJECT_CONFIG_JSON'

/**
 * Reads a bundle: the whole index, nothing of the values but the object graph and the lengths of texts.
 *
 * @param prefix path of the bundle without `.index`, relative to the folder of `input`
 * @param known what other files say of the variables
 * @throws {FormatError} MISSING_FILE naming a shard that is not there; INVALID_FIELD, TRUNCATED, LIMIT_EXCEEDED
 * @source tensorflow/core/util/tensor_bundle/tensor_bundle.h
 */
export async function readBundle(
  input: ModelInput,
  index: ByteSource,
  prefix: string,
  known: KnownVariables,
  limits: Limits,
): Promise<Bundle> {
  const table = await openTable(index, limits)
  const entries: NamedEntry[] = []
  const parts = new Map<string, NamedEntry>()
  let header: BundleHeader | undefined
  for await (const { key, value, byteOffset } of table.entries()) {
    if (key.length === 0) header = await decodeMessage(BundleHeaderType, framed(index, value, byteOffset), limits)
    else {
      const entry = await decodeMessage(BundleEntryType, framed(index, value, byteOffset), limits)
      if (isSliceKey(key)) parts.set(keyText(key), { name: '', entry, byteOffset })
      else entries.push({ name: utf8.decode(key), entry, byteOffset })
    }
  }
  if (header === undefined) throw invalid(index, 'index', 0, 'a header under the empty key', 'none')
  const reader = new BundleReader(input, index, prefix, header, limits)
  return reader.read(entries, parts, known)
}

interface NamedEntry {
  readonly name: string
  readonly entry: BundleEntry
  readonly byteOffset: number
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

/** A value of the table as a source of its own; offsets in errors count from the entry that the name gives. */
function framed(index: ByteSource, value: Uint8Array, base: number): ByteSource {
  return memorySource(`${index.name} (entry at byte ${base})`, value)
}

class BundleReader {
  readonly #input: ModelInput
  readonly #index: ByteSource
  readonly #prefix: string
  readonly #header: BundleHeader
  readonly #limits: Limits
  readonly #shards = new Map<number, ModelFile>()
  readonly #ranges = new Map<number, { offset: number; end: number; byteOffset: number }[]>()
  readonly #warnings: Problem[] = []

  constructor(input: ModelInput, index: ByteSource, prefix: string, header: BundleHeader, limits: Limits) {
    this.#input = input
    this.#index = index
    this.#prefix = prefix
    this.#header = header
    this.#limits = limits
  }

  async read(
    entries: readonly NamedEntry[],
    parts: ReadonlyMap<string, NamedEntry>,
    known: KnownVariables,
  ): Promise<Bundle> {
    const tensors: Tensor[] = []
    const configurations = new Map<string, string>()
    let objectGraph: TrackableObjectGraph | undefined
    const names = new Set<string>()
    for (const named of entries) {
      // different bytes can be the same text, where they are no UTF-8
      if (names.has(named.name))
        throw invalid(this.#index, 'key of a tensor', named.byteOffset, 'another name', `"${named.name}" again`)
      names.add(named.name)
      const tensor = await this.#tensor(named, parts, known)
      if (tensor === undefined) continue
      if (tensor.name === OBJECT_GRAPH_KEY) objectGraph = await this.#objectGraph(tensor)
      else if (tensor.name.endsWith(CONFIGURATION_SUFFIX) && tensor.dtype === 'string')
        configurations.set(tensor.name, utf8.decode(await this.#text(tensor)))
      else tensors.push(tensor)
    }
    this.#checkOverlap()
    return {
      header: this.#header,
      tensors,
      shards: [...this.#shards.values()],
      ...(objectGraph ? { objectGraph } : {}),
      configurations,
      warnings: this.#warnings,
    }
  }

  async #tensor(
    { name, entry, byteOffset }: NamedEntry,
    parts: ReadonlyMap<string, NamedEntry>,
    known: KnownVariables,
  ): Promise<Tensor | undefined> {
    const dtype = findTfDtype(entry.dtype)
    if (dtype === undefined) {
      const message = `"${name}" is of type ${tfTypeName(entry.dtype)}, which is not read`
      this.#warnings.push({ code: 'ENTRY_NOT_AN_ARRAY', message, subject: name })
      return undefined
    }
    const shape = this.#shape(name, entry, byteOffset)
    const role = roleOfKey(name, dtype, known)
    if (entry.slices.length > 0) {
      const boxes = []
      for (const slice of entry.slices) {
        const part = parts.get(keyText(encodeSliceKey(name, slice)))
        const box = boxOf(slice, shape)
        if (part === undefined || box === undefined) {
          const found = part === undefined ? 'no entry for one of them' : 'one outside the shape'
          throw invalid(this.#index, `slices of "${name}"`, byteOffset, 'parts that are stored', found)
        }
        if (findTfDtype(part.entry.dtype) !== dtype)
          throw invalid(this.#index, `slices of "${name}"`, byteOffset, dtype, tfTypeName(part.entry.dtype))
        const values = await this.#values(name, part.entry, part.byteOffset)
        this.#checkSize(name, dtype, box.sizes, part)
        boxes.push({ box, values })
      }
      return joinSlices({ name, dtype, shape, role }, boxes, this.#index, this.#limits)
    }
    const values = await this.#values(name, entry, byteOffset)
    const count = elementCount(shape)
    if (dtype === 'string') {
      if (count > this.#limits.maxItems)
        throw this.#tooMuch(`texts in "${name}"`, byteOffset, `at most ${this.#limits.maxItems}`, String(count))
      const { texts } = await readTextLengths(values, count)
      const bytes = texts.length + 4 * count
      return { name, dtype, shape, role, bytes, stream: () => streamTexts(values, count) }
    }
    this.#checkSize(name, dtype, shape, { name, entry, byteOffset })
    const packed = byteLength(dtype, count)
    const swapUnit = tfElementBytes(dtype) / (DTYPES[dtype].kind === 'complex' ? 2 : 1)
    const swapped = values.bigEndian && swapUnit > 1 ? { swapUnit } : {}
    const storage =
      packed === values.range.length
        ? { storage: { file: values.source.name, byteOffset: values.range.offset, byteLength: packed, ...swapped } }
        : {}
    return { name, dtype, shape, role, bytes: packed, ...storage, stream: () => streamValues(values, dtype) }
  }

  #shape(name: string, entry: BundleEntry, byteOffset: number): number[] {
    const shape = readShape(entry.shape)
    if (shape === undefined)
      throw invalid(this.#index, `shape of "${name}"`, byteOffset, 'known sizes', 'an unknown one')
    const { maxRank } = this.#limits
    if (shape.length > maxRank)
      throw this.#tooMuch(`shape of "${name}"`, byteOffset, `at most ${maxRank} dimensions`, String(shape.length))
    if (!Number.isSafeInteger(elementCount(shape) * 16))
      throw this.#tooMuch(`shape of "${name}"`, byteOffset, 'a countable one', `[${shape.join(', ')}]`)
    return shape
  }

  #checkSize(name: string, dtype: Dtype, shape: readonly number[], { entry, byteOffset }: NamedEntry): void {
    const wanted = elementCount(shape) * tfElementBytes(dtype)
    const found = entry.size ?? 0
    if (wanted !== found)
      throw invalid(
        this.#index,
        `size of "${name}"`,
        byteOffset,
        `${wanted} bytes for ${dtype} [${shape.join(', ')}]`,
        `${found}`,
      )
  }

  /** Where an entry's bytes lie; the shard is opened when it is met first. */
  async #values(name: string, entry: BundleEntry, byteOffset: number): Promise<StoredValues> {
    const { shardId = 0, offset = 0, size = 0 } = entry
    const shard = await this.#shard(shardId, byteOffset)
    checkRange(shard.source, offset, size, `tensor "${name}"`)
    const ranges = this.#ranges.get(shardId) ?? []
    ranges.push({ offset, end: offset + size, byteOffset })
    this.#ranges.set(shardId, ranges)
    return {
      name,
      source: shard.source,
      range: { offset, length: size },
      crc32c: entry.crc32c,
      bigEndian: this.#header.endianness === 1,
    }
  }

  async #shard(id: number, byteOffset: number): Promise<ModelFile> {
    const known = this.#shards.get(id)
    if (known) return known
    const count = this.#header.numShards ?? 1
    if (id < 0 || id >= count || count > 99_999)
      throw invalid(this.#index, 'shard of a tensor', byteOffset, `one of ${count}`, String(id))
    const path = shardName(this.#prefix, id, count)
    const source = await this.#input.open(path)
    if (source === undefined) {
      throw new FormatError({
        code: 'MISSING_FILE',
        file: this.#index.name,
        what: 'data of the checkpoint',
        expected: `a file "${path}" beside the index`,
        found: 'none',
        hint: 'A checkpoint is its index and all its data files: copy them together.',
      })
    }
    const file: ModelFile = { name: source.name, bytes: source.size, role: 'shard', source }
    this.#shards.set(id, file)
    return file
  }

  /** No byte belongs to two tensors, so that reading all of them costs no more than the files are long. */
  #checkOverlap(): void {
    for (const ranges of this.#ranges.values()) {
      ranges.sort((left, right) => left.offset - right.offset || left.end - right.end)
      let end = 0
      for (const range of ranges) {
        if (range.offset < end && range.end > range.offset)
          throw invalid(this.#index, 'offset of a tensor', range.byteOffset, `${end} or more`, String(range.offset))
        end = Math.max(end, range.end)
      }
    }
  }

  async #objectGraph(tensor: Tensor): Promise<TrackableObjectGraph> {
    const text = await this.#text(tensor)
    return decodeTf(TrackableGraphType, memorySource(`${this.#index.name} (${OBJECT_GRAPH_KEY})`, text), this.#limits)
  }

  /** The one text of a scalar, without its length. */
  async #text(tensor: Tensor): Promise<Uint8Array> {
    const { maxHeaderBytes } = this.#limits
    if (tensor.dtype !== 'string' || tensor.shape.length > 0)
      throw invalid(this.#index, `"${tensor.name}"`, 0, 'one text', `${tensor.dtype} [${tensor.shape.join(', ')}]`)
    if (tensor.bytes > maxHeaderBytes)
      throw this.#tooMuch(`"${tensor.name}"`, 0, `at most ${maxHeaderBytes} bytes`, String(tensor.bytes))
    return (await readTensor(tensor)).subarray(4)
  }

  #tooMuch(what: string, byteOffset: number, expected: string, found: string): FormatError {
    return new FormatError({ code: 'LIMIT_EXCEEDED', file: this.#index.name, what, byteOffset, expected, found })
  }
}

/** Name of a data shard, e.g. `model.data-00000-of-00001`. */
export function shardName(prefix: string, id: number, count: number): string {
  const digits = (value: number) => String(value).padStart(5, '0')
  return `${prefix}.data-${digits(id)}-of-${digits(count)}`
}

function invalid(index: ByteSource, what: string, byteOffset: number, expected: string, found: string): FormatError {
  return new FormatError({ code: 'INVALID_FIELD', file: index.name, what, byteOffset, expected, found })
}

/** Whether the first entry of a table says that it is the index of a bundle (rather than a checkpoint of 2015). */
export function isBundleHeader({ key, value }: TableEntry): boolean {
  // field 1: the number of shards as varint in a bundle, a message in a SavedTensorSlices; all zeros are left out
  return key.length === 0 && value[0] !== 0x0a
}
