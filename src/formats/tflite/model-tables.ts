import type { ByteRange, ByteSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { FlatBuffer, type FlatTable } from '../../encoding/flatbuffers.ts'
import { FormatError } from '../../errors.ts'
import { BUILTIN_OPERATORS, CUSTOM } from './operators.ts'
import { type Options, readOptions } from './options.ts'

/**
 * The tables of a TFLite file as plain data, field by field. Contents of buffers stay in the file.
 *
 * @source tensorflow/compiler/mlir/lite/schema/schema.fbs, version 3 (field numbers in the order of the schema)
 */
export interface TfliteModel {
  readonly version: number
  readonly description: string
  readonly subgraphs: readonly SubGraph[]
  /** where the data of each buffer lie; empty for a buffer that stands for "no data" */
  readonly buffers: readonly ByteRange[]
  readonly metadata: readonly { readonly name: string; readonly buffer: number }[]
  readonly signatures: readonly Signature[]
  /** names of weight files beside the model (LiteRT), which are not read */
  readonly externalGroups: readonly string[]
}

export interface SubGraph {
  readonly name: string
  readonly tensors: readonly TfliteTensor[]
  readonly inputs: readonly number[]
  readonly outputs: readonly number[]
  readonly operators: readonly Operator[]
}

export interface TfliteTensor {
  readonly name: string
  readonly shape: readonly number[]
  /** with -1 for sizes that are open */
  readonly shapeSignature?: readonly number[]
  readonly type: number
  readonly buffer: number
  readonly externalBuffer: number
  readonly isVariable: boolean
  readonly isSparse: boolean
  readonly quantization?: {
    readonly scales: readonly number[]
    readonly zeroPoints: readonly number[]
    readonly axis: number
    /** BlockwiseQuantization: scales lie in another tensor */
    readonly isBlockwise: boolean
  }
}

export interface Operator {
  /** builtin name, or the custom code */
  readonly op: string
  readonly isCustom: boolean
  readonly version: number
  /** tensor numbers; -1 for an optional one left out */
  readonly inputs: readonly number[]
  readonly outputs: readonly number[]
  readonly options: Options
}

interface Signature {
  readonly key: string
  readonly subgraph: number
  readonly inputs: readonly { readonly name: string; readonly tensor: number }[]
  readonly outputs: readonly { readonly name: string; readonly tensor: number }[]
}

/** Reads all tables of `source`. @throws {FormatError} at the first offset or number that leads nowhere */
export async function readTables(source: ByteSource, limits: Limits): Promise<TfliteModel> {
  const model = await new FlatBuffer(source, limits).root('tflite.Model')
  const codes: Code[] = []
  for (const table of await model.tables(1, 'tflite.OperatorCode')) codes.push(await readCode(table))
  const subgraphs: SubGraph[] = []
  for (const table of await model.tables(2, 'tflite.SubGraph')) subgraphs.push(await readSubGraph(table, codes, source))
  const buffers: ByteRange[] = []
  for (const table of await model.tables(4, 'tflite.Buffer')) buffers.push(await readBuffer(table, source))
  const metadata: { name: string; buffer: number }[] = []
  for (const table of await model.tables(6, 'tflite.Metadata'))
    metadata.push({ name: (await table.string(0)) ?? '', buffer: table.scalar(1, 'u32') })
  const signatures: Signature[] = []
  for (const table of await model.tables(7, 'tflite.SignatureDef')) signatures.push(await readSignature(table))
  const externalGroups: string[] = []
  for (const table of await model.tables(8, 'tflite.ExternalBufferGroup'))
    externalGroups.push((await table.string(0)) ?? '')
  return {
    version: model.scalar(0, 'u32'),
    description: (await model.string(3)) ?? '',
    subgraphs,
    buffers,
    metadata,
    signatures,
    externalGroups,
  }
}

interface Code {
  readonly op: string
  readonly isCustom: boolean
  readonly version: number
}

/** Codes above 127 do not fit the old byte: it then says 127, and the new field has the code. */
async function readCode(table: FlatTable): Promise<Code> {
  const code = Math.max(table.scalar(0, 'i8'), table.scalar(3, 'i32'))
  const version = table.scalar(2, 'i32', 1)
  if (code === CUSTOM) return { op: (await table.string(1)) || 'CUSTOM', isCustom: true, version }
  return { op: BUILTIN_OPERATORS[code] ?? `BUILTIN_${code}`, isCustom: false, version }
}

async function readSubGraph(table: FlatTable, codes: readonly Code[], source: ByteSource): Promise<SubGraph> {
  const tensors: TfliteTensor[] = []
  for (const tensor of await table.tables(0, 'tflite.Tensor')) tensors.push(await readTensorTable(tensor))
  const operators: Operator[] = []
  for (const operator of await table.tables(3, 'tflite.Operator')) {
    const index = operator.scalar(0, 'u32')
    const code = codes[index]
    if (code === undefined) {
      throw new FormatError({
        code: 'INVALID_FIELD',
        file: source.name,
        what: 'operator code',
        byteOffset: operator.position,
        expected: `less than ${codes.length}`,
        found: String(index),
      })
    }
    operators.push({
      ...code,
      inputs: (await operator.numbers(1, 'i32')) ?? [],
      outputs: (await operator.numbers(2, 'i32')) ?? [],
      options: await readOptions(operator),
    })
  }
  return {
    name: (await table.string(4)) ?? '',
    tensors,
    inputs: (await table.numbers(1, 'i32')) ?? [],
    outputs: (await table.numbers(2, 'i32')) ?? [],
    operators,
  }
}

async function readTensorTable(table: FlatTable): Promise<TfliteTensor> {
  const quantization = await readQuantization(await table.table(4, 'tflite.QuantizationParameters'))
  const shapeSignature = await table.numbers(7, 'i32')
  return {
    name: (await table.string(3)) ?? '',
    shape: (await table.numbers(0, 'i32')) ?? [],
    ...(shapeSignature ? { shapeSignature } : {}),
    type: table.scalar(1, 'i8'),
    buffer: table.scalar(2, 'u32'),
    externalBuffer: table.scalar(10, 'u32'),
    isVariable: table.flag(5),
    isSparse: (await table.table(6, 'tflite.SparsityParameters')) !== undefined,
    ...(quantization ? { quantization } : {}),
  }
}

async function readQuantization(table: FlatTable | undefined): Promise<TfliteTensor['quantization']> {
  if (table === undefined) return undefined
  const isBlockwise = table.scalar(4, 'u8') === 2
  const scales = (await table.numbers(2, 'f32')) ?? []
  if (scales.length === 0 && !isBlockwise) return undefined
  return { scales, zeroPoints: (await table.numbers(3, 'i64')) ?? [], axis: table.scalar(6, 'i32'), isBlockwise }
}

/** Data in the buffer's own vector, or beyond 2 GB behind the flatbuffer: `offset` from the begin of the file, `size`. */
async function readBuffer(table: FlatTable, source: ByteSource): Promise<ByteRange> {
  const offset = table.scalar(1, 'u64')
  const length = table.scalar(2, 'u64')
  if (offset <= 1) return (await table.range(0)) ?? { offset: table.position, length: 0 }
  if (Number.isSafeInteger(offset + length) && offset + length <= source.size) return { offset, length }
  throw new FormatError({
    code: 'TRUNCATED',
    file: source.name,
    what: 'tflite.Buffer',
    byteOffset: offset,
    expected: `${length} bytes`,
    found: `${Math.max(0, source.size - offset)} before the end of the file (${source.size} bytes)`,
    hint: 'The copy is incomplete; compare its size or sha256 with the source.',
  })
}

async function readSignature(table: FlatTable): Promise<Signature> {
  return {
    key: (await table.string(2)) ?? '',
    subgraph: table.scalar(4, 'u32'),
    inputs: await readMap(table, 0),
    outputs: await readMap(table, 1),
  }
}

async function readMap(signature: FlatTable, field: number): Promise<{ name: string; tensor: number }[]> {
  const map: { name: string; tensor: number }[] = []
  for (const table of await signature.tables(field, 'tflite.TensorMap'))
    map.push({ name: (await table.string(0)) ?? '', tensor: table.scalar(1, 'u32') })
  return map
}
