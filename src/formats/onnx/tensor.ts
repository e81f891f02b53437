import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Payload } from '../../encoding/protobuf.ts'
import { FormatError } from '../../errors.ts'
import { byteLength, type Dtype, elementCount } from '../../tensor/dtype.ts'
import type { Tensor, TensorRole, TensorStorage } from '../../tensor/tensor.ts'
import { dtypeFromOnnx, typedField } from './data-types.ts'
import { type ExternalFiles, locateExternal } from './external.ts'
import type { TensorProto } from './schema.ts'
import { streamValues, type Values } from './values.ts'

const EXTERNAL = 1

/** A tensor that the walk through the graphs has met: its final name, and where the file describes it. */
export interface StoredTensor {
  readonly name: string
  /** where its place says so; else dtype and uses decide */
  readonly role?: TensorRole
  readonly content: TensorProto | MemoryTensor
}

/** Values that stand in attributes, not in a TensorProto (`value_floats` of a Constant). */
export interface MemoryTensor {
  readonly dtype: Dtype
  readonly dims: readonly number[]
  readonly memory: Uint8Array
}

/** dtype, shape, size and place of a stored tensor, checked against each other. */
export interface TensorLayout {
  readonly dtype: Dtype
  readonly shape: readonly number[]
  readonly bytes: number
  readonly values: Values
  readonly storage?: TensorStorage
}

/**
 * Reads what a TensorProto says of itself, without its values.
 *
 * @throws {FormatError} UNSUPPORTED_FEATURE for an unknown element type; INVALID_FIELD when shape and number of stored
 *   bytes contradict each other
 */
export function tensorLayout(
  content: TensorProto | MemoryTensor,
  name: string,
  main: ByteSource,
  external: ExternalFiles,
): TensorLayout {
  if ('memory' in content) {
    const { dtype, dims, memory } = content
    return { dtype, shape: dims, bytes: memory.length, values: { kind: 'memory', bytes: memory } }
  }
  const what = `tensor "${name}"`
  const dtype = dtypeFromOnnx(content.dataType)
  if (dtype === undefined) {
    throw new FormatError({
      code: 'UNSUPPORTED_FEATURE',
      file: main.name,
      what,
      expected: 'an element type of TensorProto.DataType, 1 to 28',
      found: `type ${content.dataType ?? 0}`,
    })
  }
  const shape = checkDims(content.dims, what, main)
  const count = elementCount(shape)
  const dense = byteLength(dtype, count)
  if (content.dataLocation === EXTERNAL) {
    return { dtype, shape, bytes: dense, ...locateExternal(content, dense, dtype, what, main, external) }
  }
  const raw = content.rawData.at(-1)
  const field = typedField(content.dataType)!
  const typed = content[field]
  if (dtype === 'string') {
    checkSize(typed.length, count, 'texts', what, main, typed[0])
    const bytes = typed.reduce((sum, { length }) => sum + 4 + length, 0)
    return { dtype, shape, bytes, values: { kind: 'strings', source: main, ranges: typed } }
  }
  if (raw && (raw.length > 0 || typed.length === 0)) {
    if (raw.length === 0 && count > 0) return { dtype, shape, bytes: dense, values: missing(what, main) }
    checkSize(raw.length, dense, 'bytes of raw_data', what, main, raw)
    return { dtype, shape, bytes: dense, ...inline(main, [raw]) }
  }
  if (typed.length === 0 && count > 0) return { dtype, shape, bytes: dense, values: missing(what, main) }
  if (field === 'floatData' || field === 'doubleData') {
    const stored = typed.reduce((sum, { length }) => sum + length, 0)
    checkSize(stored, dense, 'bytes of values', what, main, typed[0])
    return { dtype, shape, bytes: dense, ...inline(main, typed) }
  }
  const storage = typed[0] === undefined ? {} : { storage: { file: main.name, codedAt: typed[0].offset } }
  return { dtype, shape, bytes: dense, values: { kind: 'varints', source: main, ranges: typed }, ...storage }
}

/** The Tensor of the Model for a stored one. */
export function toTensor(name: string, role: TensorRole, layout: TensorLayout): Tensor {
  const { dtype, shape, bytes, values, storage } = layout
  return {
    name,
    dtype,
    shape,
    bytes,
    role,
    ...(storage ? { storage } : {}),
    stream: () => streamValues(values, dtype, bytes, `tensor "${name}"`),
    ...inOnePiece(values, bytes),
  }
}

function inOnePiece(values: Values, bytes: number): Pick<Tensor, 'readInto'> {
  if (values.kind !== 'raw' || values.ranges.length !== 1 || values.ranges[0]!.length !== bytes) return {}
  const { source, ranges } = values
  return source.readInto ? { readInto: (target) => source.readInto!(ranges[0]!.offset, target) } : {}
}

function inline(main: ByteSource, ranges: readonly Payload[]): { values: Values; storage?: TensorStorage } {
  const values: Values = { kind: 'raw', source: main, ranges }
  const [only] = ranges
  if (only === undefined) return { values }
  if (ranges.length > 1) return { values, storage: { file: main.name, codedAt: only.offset } }
  return { values, storage: { file: main.name, byteOffset: only.offset, byteLength: only.length } }
}

function missing(what: string, main: ByteSource): Values {
  return {
    kind: 'missing',
    error: () =>
      new FormatError({
        code: 'INVALID_FIELD',
        file: main.name,
        what,
        expected: 'values',
        found: 'none',
        hint: 'The weights were stripped from this file; its graph and shapes can be read.',
      }),
  }
}

function checkDims(dims: readonly number[], what: string, main: ByteSource): readonly number[] {
  if (dims.every((size) => size >= 0) && Number.isSafeInteger(elementCount(dims) * 16)) return dims
  throw new FormatError({
    code: 'INVALID_FIELD',
    file: main.name,
    what,
    expected: 'dimensions that are not negative and countable',
    found: `[${dims.slice(0, 16).join(', ')}]`,
  })
}

function checkSize(
  found: number,
  expected: number,
  unit: string,
  what: string,
  main: ByteSource,
  at: Payload | undefined,
): void {
  if (found === expected) return
  throw new FormatError({
    code: 'INVALID_FIELD',
    file: main.name,
    what,
    byteOffset: at?.offset,
    expected: `${expected} ${unit}, as its shape and type say`,
    found: String(found),
  })
}
