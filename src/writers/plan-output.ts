import type { Limits } from '../bytes/limits.ts'
import { ToolError } from '../errors.ts'
import type { ModelInput } from '../formats/format.ts'
import { FORMATS } from '../formats/registry.ts'
import type { Model, ModelFile } from '../model/model.ts'
import type { FilledTensor } from '../transfer/plan.ts'
import { assetFiles } from './assets.ts'
import { PAIRED_BY_NAME } from './companions.ts'
import { copyWithValues, planPart } from './copy.ts'
import { npzFile } from './npz.ts'
import type { Output } from './output.ts'
import { weightsOf } from './output-tensor.ts'
import { safetensorsFile } from './safetensors.ts'

/** What is to be written. */
export interface OutputRequest {
  /** gives the layout: names, types, shapes, and the files that are copied */
  readonly target: Model
  /** where `target` was read from */
  readonly input: ModelInput
  /** new values; every other tensor keeps its own */
  readonly filled: readonly FilledTensor[]
  /** path that the user gave; its ending says which format */
  readonly out: string
  readonly limits: Limits
}

/**
 * Plans the files of a transfer; nothing is written yet, though places are checked against the target's bytes.
 *
 * An output named like the target's format is the target itself with other values, and so is a folder where the target
 * is one. One that ends in `.safetensors` or `.npz` is a new file with the target's weights, under its names and in its
 * layouts. `.weights.h5` is what a `.keras` archive holds under that name.
 *
 * @throws {ToolError} NOT_WRITABLE saying what can be written instead; TIED_TENSORS
 */
export async function planOutput({ target, input, filled, out, limits }: OutputRequest): Promise<Output> {
  const name = out.toLowerCase()
  const weights = name.endsWith(KERAS_3_WEIGHTS) ? kerasWeights(target) : undefined
  if (weights !== undefined) {
    const file = { path: '', ...(await planPart(target, weights, filled)) }
    return { format: 'keras-h5', kind: 'fresh', isFolder: false, files: [file] }
  }
  if (isOtherKerasLayout(name, target)) throw unknownEnding(out, target)
  const writer = FRESH.find(({ ending }) => name.endsWith(ending))
  const isFolder = input.isFolder && writer === undefined
  if (isFolder || isLikeTarget(name, target)) {
    const copies = await copyWithValues(target, filled, out, limits)
    const files = target.format === 'tf-saved-model' ? [...copies, ...(await assetFiles(input))] : copies
    const main = target.files[0]!.name.replace(/^.*[\\/]/, '')
    return {
      format: target.format,
      kind: 'copy',
      isFolder,
      files: isFolder ? files.map((file) => (file.path === '' ? { ...file, path: main } : file)) : files,
    }
  }
  if (writer === undefined) throw unknownEnding(out, target)
  const file = writer.write(weightsOf(target, filled))
  return { format: writer.format, kind: 'fresh', isFolder: false, files: [file] }
}

const FRESH = [
  {
    ending: '.safetensors',
    format: 'safetensors',
    // what PyTorch's loaders ask for; other frameworks do not look
    write: (tensors: Parameters<typeof npzFile>[0]) => safetensorsFile(tensors, { format: 'pt' }),
  },
  { ending: '.npz', format: 'npz', write: npzFile },
] as const

/** The weights of a `.keras` archive are a whole `.weights.h5` file. */
function kerasWeights({ format, files }: Model): ModelFile | undefined {
  return format === 'keras-v3' ? files.find(({ role }) => role === 'weights') : undefined
}

/** Formats in which several endings mean the same. */
const INTERCHANGEABLE: ReadonlySet<string> = new Set(['pytorch', 'keras-h5', 'onnx', 'tflite'])

/** Whether the name asks for the target with other values: one of its own endings, or one that means the same. */
function isLikeTarget(name: string, target: Model): boolean {
  const isPair = PAIRED_BY_NAME.has(target.format)
  const own = target.files.slice(0, isPair ? undefined : 1).map((file) => ending(file.name.toLowerCase()))
  if (own.some((one) => one !== '' && name.endsWith(one))) return true
  if (!INTERCHANGEABLE.has(target.format)) return false
  const usual = FORMATS.find(({ id }) => id === target.format)?.extensions ?? []
  return usual.some((extension) => name.endsWith(extension))
}

const KERAS_3_WEIGHTS = '.weights.h5'

/** Keras goes by the ending: what it looks for in a `.weights.h5` is laid out in another way than in any other `.h5`. */
function isOtherKerasLayout(name: string, { format, variant, files }: Model): boolean {
  const asked = name.endsWith(KERAS_3_WEIGHTS)
  if (format !== 'keras-h5' || !variant?.startsWith('Keras') || asked === files[0]!.name.endsWith(KERAS_3_WEIGHTS))
    return false
  return asked !== (variant === 'Keras 3 weights (HDF5)') && /\.(h5|hdf5)$/.test(name)
}

function ending(name: string): string {
  return name.endsWith(KERAS_3_WEIGHTS) ? KERAS_3_WEIGHTS : (/\.[^./\\]+$/.exec(name)?.[0] ?? '')
}

function unknownEnding(out: string, target: Model): ToolError {
  const own = ending(target.files[0]!.name)
  const choices = [
    ...(own === '' ? [] : [`${own} (the target with new values)`]),
    ...(kerasWeights(target) === undefined ? [] : [KERAS_3_WEIGHTS]),
    '.safetensors',
    '.npz',
  ]
  return new ToolError(
    'NOT_WRITABLE',
    `${out}: cannot tell what to write from its name: end it in ${choices.join(', ')}`,
  )
}
