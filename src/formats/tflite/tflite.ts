import { startsWith } from '../../bytes/byte-reader.ts'
import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import type { JsonValue } from '../../encoding/json-value.ts'
import { FormatError } from '../../errors.ts'
import type { Metadata, Model, Problem } from '../../model/model.ts'
import { uniqueNames } from '../../model/unique-names.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { Format, ModelInput } from '../format.ts'
import { toConstant } from './constants.ts'
import { graphNames, tensorNames, toGraph } from './graph.ts'
import { readTables, type TfliteModel, type TfliteTensor } from './model-tables.ts'

const SCHEMA_VERSION = 3

/**
 * TensorFlow Lite (LiteRT): one flatbuffer with subgraphs, tensors and buffers.
 *
 * Tensors of the Model are the constants: those whose buffer has data, in file order; activations are values of the
 * graphs. Sparse constants come as stored, with a warning. The first subgraph is the main one, the others are called by
 * number (`IF`, `WHILE`, signatures).
 */
export const tflite: Format = {
  id: 'tflite',
  title: 'TensorFlow Lite',
  extensions: ['.tflite', '.lite'],
  spec: 'https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs',
  match: ({ head }) => (startsWith(head, 'TFL3', 4) ? 'yes' : 'no'),
  read: readTflite,
}

/** Reads a TFLite model. @throws {FormatError} */
async function readTflite({ main }: ModelInput, limits: Limits): Promise<Model> {
  const model = await readTables(main, limits)
  const warnings: Problem[] = []
  if (model.version !== SCHEMA_VERSION) {
    warnings.push({
      code: 'OTHER_VERSION',
      message: `schema version ${model.version}; ${SCHEMA_VERSION} is the one that is known here`,
    })
  }
  if (model.externalGroups.length > 0) {
    warnings.push({
      code: 'EXTERNAL_WEIGHTS',
      message: `weights in other files (${model.externalGroups.join(', ')}) are not read`,
    })
  }
  const unique = uniqueNames()
  const isConstant = (tensor: TfliteTensor) => (bufferOf(model, tensor, main)?.length ?? 0) > 0
  const names = model.subgraphs.map((subgraph) => tensorNames(subgraph, isConstant, unique))
  const tensors: Tensor[] = []
  for (const [index, subgraph] of model.subgraphs.entries()) {
    for (const [number, tensor] of subgraph.tensors.entries()) {
      const data = bufferOf(model, tensor, main)
      if (data === undefined || data.length === 0) continue
      const name = names[index]![number]!
      warnings.push(...remarks(tensor, name))
      tensors.push(await toConstant(tensor, name, data, main, `buffer ${tensor.buffer}`))
    }
  }
  const titles = graphNames(model)
  return {
    format: 'tflite',
    files: [{ name: main.name, bytes: main.size, role: 'main', source: main }],
    metadata: await describe(model, main),
    tensors,
    graphs: model.subgraphs.map((subgraph, index) => toGraph(subgraph, names[index]!, index, titles, main)),
    warnings,
  }
}

/** Where the data of `tensor` lie; undefined without a buffer (0 is the empty one by convention). */
function bufferOf(model: TfliteModel, tensor: TfliteTensor, main: ByteSource) {
  if (tensor.externalBuffer !== 0) return undefined
  const data = model.buffers[tensor.buffer]
  if (data !== undefined || (tensor.buffer === 0 && model.buffers.length === 0)) return data
  throw new FormatError({
    code: 'INVALID_FIELD',
    file: main.name,
    what: `buffer of tensor "${tensor.name}"`,
    expected: `less than ${model.buffers.length}`,
    found: String(tensor.buffer),
  })
}

function remarks({ isSparse, shape, quantization }: TfliteTensor, name: string): Problem[] {
  const found: Problem[] = []
  if (isSparse) {
    const message = `"${name}" [${shape.join(', ')}] is sparse: its stored values are given, one after the other`
    found.push({ code: 'SPARSE_TENSOR', message, subject: name })
  }
  if (quantization?.isBlockwise)
    found.push({ code: 'BLOCKED_QUANTIZATION', message: `"${name}" is quantised in blocks`, subject: name })
  else if (quantization && quantization.scales.length > 1 && quantization.scales.length !== shape[quantization.axis]) {
    const message = `"${name}" has ${quantization.scales.length} scales for axis ${quantization.axis} of [${shape.join(', ')}]`
    found.push({ code: 'ODD_QUANTIZATION', message, subject: name })
  }
  return found
}

/** Longer contents of metadata entries are given by length. */
const MAX_METADATA_TEXT = 64

async function describe(model: TfliteModel, main: ByteSource): Promise<Metadata> {
  const entries: [string, JsonValue][] = []
  for (const { name, buffer } of model.metadata) {
    const data = model.buffers[buffer]
    if (data === undefined) continue
    const text =
      data.length <= MAX_METADATA_TEXT
        ? new TextDecoder().decode(await main.read(data.offset, data.length)).replace(/\0+$/, '')
        : ''
    entries.push([name, /^[\x20-\x7e]+$/.test(text) ? text : { bytes: data.length }])
  }
  const properties = {
    ...(entries.length > 0 ? { metadata: Object.fromEntries(entries) } : {}),
    ...(model.signatures.length > 0 ? { signatures: model.signatures.map((signature) => signatureOf(signature)) } : {}),
  }
  return {
    framework: 'tensorflow',
    formatVersion: `schema ${model.version}`,
    ...(model.description ? { description: model.description } : {}),
    ...(Object.keys(properties).length > 0 ? { properties } : {}),
  }
}

function signatureOf({ key, subgraph, inputs, outputs }: TfliteModel['signatures'][number]): JsonValue {
  return { key, subgraph, inputs: inputs.map(({ name }) => name), outputs: outputs.map(({ name }) => name) }
}
