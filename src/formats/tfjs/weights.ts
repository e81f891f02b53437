import { type ByteRange, type ByteSource, checkRange, streamRange } from '../../bytes/byte-source.ts'
import { concatSources, partAt } from '../../bytes/concat-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { asObject } from '../../encoding/json.ts'
import type { JsonValue } from '../../encoding/json-value.ts'
import { FormatError } from '../../errors.ts'
import type { ModelFile, Problem } from '../../model/model.ts'
import { byteLength, type Dtype, elementCount } from '../../tensor/dtype.ts'
import type { Quantization, Tensor, TensorRole } from '../../tensor/tensor.ts'
import type { ModelInput } from '../format.ts'

/** Types of the weights manifest; the last ones are written by no released converter but cost nothing. */
const DTYPES: Readonly<Record<string, Dtype>> = {
  float32: 'float32',
  int32: 'int32',
  bool: 'bool',
  string: 'string',
  complex64: 'complex64',
  uint8: 'uint8',
  uint16: 'uint16',
  float16: 'float16',
  int8: 'int8',
  int16: 'int16',
  int64: 'int64',
}

/** What the manifest's weights are, with their shards. */
export interface ManifestWeights {
  readonly tensors: readonly Tensor[]
  readonly shards: readonly ModelFile[]
  readonly warnings: readonly Problem[]
}

/**
 * Reads a weights manifest: groups of shards that follow each other, and in them the weights, without padding.
 *
 * A weight that was quantised stays as it is stored: `uint8` or `uint16` with `value = min + scale * stored` given as
 * Quantization (the zero point, -min / scale, need not be whole); `float16` values that stand for float32 are float16.
 *
 * @param roleOf what a weight is for
 * @throws {FormatError} MISSING_FILE naming a shard; TRUNCATED when shards end too soon; INVALID_FIELD, UNSAFE
 * @source https://github.com/tensorflow/tfjs/blob/master/tfjs-core/src/io/io_utils.ts (decodeWeights), types.ts
 */
export async function readManifest(
  input: ModelInput,
  manifest: readonly JsonValue[],
  roleOf: (name: string, dtype: Dtype, rank: number) => TensorRole,
  limits: Limits,
): Promise<ManifestWeights> {
  const file = input.main.name
  const tensors = new Map<string, Tensor>()
  const shards = new Map<string, ModelFile>()
  const warnings: Problem[] = []
  for (const [index, value] of manifest.entries()) {
    const place = `weights group ${index}`
    const group = asObject(value)
    if (!Array.isArray(group?.paths) || !Array.isArray(group.weights))
      throw invalid(file, place, 'lists "paths" and "weights"', 'something else')
    const parts: ByteSource[] = []
    for (const path of group.paths as readonly JsonValue[]) parts.push(await openShard(input, path, shards))
    const data = concatSources(parts.length === 1 ? parts[0]!.name : `${file} (${place})`, parts)
    let offset = 0
    for (const entry of group.weights as readonly JsonValue[]) {
      const weight = readEntry(file, `${place}, weight ${tensors.size}`, entry, limits)
      if (tensors.has(weight.name)) throw invalid(file, place, 'every name once', `"${weight.name}" twice`)
      const bytes = await weightBytes(weight, data, offset)
      checkRange(data, offset, bytes, `weight "${weight.name}"`)
      tensors.set(weight.name, makeTensor(weight, { data, parts, range: { offset, length: bytes } }, roleOf))
      if (weight.warning) warnings.push(weight.warning)
      offset += bytes
    }
    if (offset < data.size) {
      const message = `${data.size - offset} bytes at the end of ${place} belong to no weight`
      warnings.push({ code: 'TRAILING_BYTES', message })
    }
  }
  return { tensors: [...tensors.values()], shards: [...shards.values()], warnings }
}

async function openShard(input: ModelInput, path: JsonValue, shards: Map<string, ModelFile>): Promise<ByteSource> {
  const file = input.main.name
  if (typeof path !== 'string') throw invalid(file, 'path of a shard', 'text', typeof path)
  // Shards belong to one place each, so that reading all weights costs no more than the files are long.
  if (shards.has(path)) throw invalid(file, 'path of a shard', 'every shard once', `"${path}" twice`)
  const source = await input.open(path)
  if (source === undefined) {
    throw new FormatError({
      code: 'MISSING_FILE',
      file,
      what: 'weights',
      expected: `a file "${path}" beside it`,
      found: 'none',
      hint: 'Download all shards that the manifest names into its folder.',
    })
  }
  shards.set(path, { name: source.name, bytes: source.size, role: 'shard', source })
  return source
}

interface Weight {
  readonly name: string
  readonly dtype: Dtype
  readonly shape: readonly number[]
  readonly count: number
  readonly quantization?: Quantization
  readonly warning?: Problem
}

function readEntry(file: string, place: string, value: JsonValue, limits: Limits): Weight {
  const entry = asObject(value) ?? {}
  const { name, shape, dtype } = entry
  if (typeof name !== 'string') throw invalid(file, place, 'a name', typeof name)
  const what = `weight "${name}"`
  const numbers = Array.isArray(shape) ? (shape as readonly JsonValue[]) : undefined
  if (!numbers?.every((size) => Number.isSafeInteger(size) && (size as number) >= 0))
    throw invalid(file, what, 'a shape of whole numbers', JSON.stringify(shape)?.slice(0, 100) ?? 'none')
  const sizes = numbers as readonly number[]
  const count = elementCount(sizes)
  if (sizes.length > limits.maxRank || !Number.isSafeInteger(count * 16))
    throw invalid(file, what, 'a countable shape', `[${sizes.slice(0, 8).join(', ')}]`)
  const quantized = asObject(entry.quantization)
  const stored = quantized?.dtype ?? dtype
  const known = typeof stored === 'string' && Object.hasOwn(DTYPES, stored) ? DTYPES[stored] : undefined
  if (known === undefined) {
    const parts = { what, expected: `one of ${Object.keys(DTYPES).join(', ')}`, found: String(stored) }
    throw new FormatError({ code: 'UNSUPPORTED_FEATURE', file, ...parts })
  }
  const weight = { name, dtype: known, shape: sizes, count }
  if (quantized === undefined || known === 'float16') return weight
  const { min, scale } = quantized
  if (typeof min !== 'number' || typeof scale !== 'number')
    throw invalid(file, `quantization of ${what}`, 'numbers "min" and "scale"', 'something else')
  if (scale !== 0) return { ...weight, quantization: { scales: [scale], zeroPoints: [-min / scale] } }
  const message = `${what} is quantised with a scale of 0: every value is ${min}`
  return { ...weight, warning: { code: 'ZERO_SCALE', message, subject: name } }
}

/** Length in the file; texts say theirs themselves: u32 length before each. */
async function weightBytes({ dtype, count, name }: Weight, data: ByteSource, offset: number): Promise<number> {
  if (dtype !== 'string') return byteLength(dtype, count)
  let position = offset
  let window: { start: number; bytes: Uint8Array } = { start: 0, bytes: new Uint8Array(0) }
  for (let index = 0; index < count; index++) {
    checkRange(data, position, 4, `length of a text in weight "${name}"`)
    if (position < window.start || position + 4 > window.start + window.bytes.length)
      window = { start: position, bytes: await data.read(position, Math.min(65_536, data.size - position)) }
    const { bytes, start } = window
    position += 4 + new DataView(bytes.buffer, bytes.byteOffset + position - start, 4).getUint32(0, true)
  }
  return position - offset
}

function makeTensor(
  { name, dtype, shape, quantization }: Weight,
  { data, parts, range }: { data: ByteSource; parts: readonly ByteSource[]; range: ByteRange },
  roleOf: (name: string, dtype: Dtype, rank: number) => TensorRole,
): Tensor {
  const starts: number[] = []
  for (let index = 0, at = 0; index < parts.length; at += parts[index++]!.size) starts.push(at)
  const first = partAt(starts, range.offset)
  const shard = parts[first]
  const byteOffset = range.offset - (starts[first] ?? 0)
  const inside = shard !== undefined && byteOffset + range.length <= shard.size
  return {
    name,
    dtype,
    shape,
    bytes: range.length,
    role: roleOf(name, dtype, shape.length),
    ...(inside
      ? { storage: { file: shard.name, byteOffset, byteLength: range.length } }
      : shard !== undefined
        ? { storage: { file: shard.name, parts: partsOf(parts, starts, range) } }
        : {}),
    ...(quantization ? { quantization } : {}),
    // texts differ in length: only the whole of them is sure to be made of whole elements
    stream: () => streamRange(data, range, dtype === 'string' ? Math.max(1, range.length) : WHOLE_ELEMENTS),
  }
}

/** The ranges of the shards that a weight lies across. */
function partsOf(shards: readonly ByteSource[], starts: readonly number[], { offset, length }: ByteRange) {
  return shards.flatMap(({ name, size }, index) => {
    const from = Math.max(offset, starts[index]!)
    const byteLength = Math.min(offset + length, starts[index]! + size) - from
    return byteLength > 0 ? [{ file: name, byteOffset: from - starts[index]!, byteLength }] : []
  })
}

/** A multiple of every element's width. */
const WHOLE_ELEMENTS = 1 << 20

function invalid(file: string, what: string, expected: string, found: string): FormatError {
  return new FormatError({ code: 'INVALID_FIELD', file, what, expected, found })
}
