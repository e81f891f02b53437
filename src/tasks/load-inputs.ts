import type { ByteSource } from '../bytes/byte-source.ts'
import { DEFAULT_LIMITS } from '../bytes/limits.ts'
import type { InputSpec } from '../compare/probe-inputs.ts'
import { ToolError } from '../errors.ts'
import type { ModelInput } from '../formats/format.ts'
import { readTensorProto } from '../formats/onnx/tensor-proto-file.ts'
import { type ImageLayout, imageToArray, type Pixels } from '../images/image.ts'
import type { ArrayValue } from '../tensor/array-value.ts'
import { readTensor, type Tensor } from '../tensor/tensor.ts'
import { readModel } from './open-model.ts'

/** Values for all inputs of a model, for one run. */
export interface InputSet {
  /** where it came from, for the report */
  readonly origin: string
  readonly values: ReadonlyMap<string, ArrayValue>
}

/** Decodes and resizes an image; the host gives one. */
export type DecodeImage = (
  source: ByteSource,
  layout: Pick<ImageLayout, 'width' | 'height' | 'channels'>,
) => Promise<Pixels>

const ARRAY_FILE = /\.(npy|npz|pb)$/i
const IMAGE_FILE = /\.(png|jpe?g|webp|bmp|gif|tiff?)$/i

/** More samples than this are refused rather than left out in silence: a comparison needs a few. */
const MAX_SETS = 64

/**
 * Reads what the user gave as inputs: `.npy` named after the graph input, `.npz`, ONNX TensorProto `.pb` (named inside,
 * or `input_N.pb` by position), images; or folders of these. Arrays that lie together form one run; each image is a
 * run of its own; each subfolder is a run.
 *
 * @throws {ToolError} INPUT_MISMATCH when an input of the model gets no values, or a file fits no input
 */
export async function loadInputs(
  places: readonly ModelInput[],
  specs: readonly InputSpec[],
  decodeImage: DecodeImage | undefined,
): Promise<InputSet[]> {
  const arrays: NamedSource[] = []
  const sets: InputSet[] = []
  for (const place of places) {
    if (!place.isFolder) {
      if (IMAGE_FILE.test(place.path)) sets.push(await imageSet(place.path, place.main, specs, decodeImage))
      else arrays.push({ path: place.path, source: place.main })
      continue
    }
    sets.push(...(await folderSets(place, specs, decodeImage)))
  }
  if (arrays.length > 0) sets.unshift(await arraySet(arrays, specs))
  if (sets.length === 0)
    throw new ToolError(
      'INPUT_MISMATCH',
      `${places.map(({ path }) => path).join(', ')}: expected .npy, .npz, .pb or image files, found none`,
    )
  if (sets.length > MAX_SETS)
    throw new ToolError(
      'INPUT_MISMATCH',
      `${places.map(({ path }) => path).join(', ')}: expected at most ${MAX_SETS} samples, found ${sets.length}. Give fewer: every value of the network is compared on each.`,
    )
  for (const set of sets) checkShapes(set, specs)
  return sets
}

/** The runtime would refuse them too, but as if the model were at fault. */
function checkShapes({ origin, values }: InputSet, specs: readonly InputSpec[]): void {
  for (const { name, shape } of specs) {
    const found = values.get(name)?.shape
    // no sizes at all: the model leaves even the rank open
    if (found === undefined || shape.length === 0) continue
    if (found.length === shape.length && shape.every((size, axis) => isFree(size) || size === found[axis])) continue
    throw new ToolError(
      'INPUT_MISMATCH',
      `${origin}: shape for input "${name}": expected [${shape.map((size) => (isFree(size) ? 'any' : size)).join(', ')}], found [${found.join(', ')}]. Give the values in the layout that this model takes.`,
    )
  }
}

const isFree = (size: number | string) => typeof size === 'string' || size <= 0

interface NamedSource {
  readonly path: string
  readonly source: ByteSource
}

async function folderSets(
  folder: ModelInput,
  specs: readonly InputSpec[],
  decodeImage: DecodeImage | undefined,
): Promise<InputSet[]> {
  const sets: InputSet[] = []
  const groups = new Map<string, NamedSource[]>()
  for (const name of await folder.list()) {
    const names = name.endsWith('/') ? (await folder.list(name)).map((inner) => `${name}${inner}`) : [name]
    for (const path of names) {
      const source = ARRAY_FILE.test(path) || IMAGE_FILE.test(path) ? await folder.open(path) : undefined
      if (source === undefined || /(^|\/)output_\d+\.pb$/.test(path)) continue
      if (IMAGE_FILE.test(path)) sets.push(await imageSet(path, source, specs, decodeImage))
      else {
        const group = path.includes('/') ? path.split('/')[0]! : ''
        groups.set(group, [...(groups.get(group) ?? []), { path, source }])
      }
    }
  }
  for (const files of groups.values()) sets.push(await arraySet(files, specs))
  return sets
}

async function arraySet(files: readonly NamedSource[], specs: readonly InputSpec[]): Promise<InputSet> {
  const values = new Map<string, ArrayValue>()
  const left: { name: string; path: string; tensor: Tensor }[] = []
  for (const { path, source } of files) {
    for (const [name, tensor] of await arraysIn(path, source)) {
      const position = /^input_(\d+)$/.exec(stem(path))?.[1]
      const spec =
        specs.find((wanted) => sameName(wanted.name, name)) ??
        (position === undefined ? undefined : specs[Number(position)])
      if (spec && !values.has(spec.name)) values.set(spec.name, await toArray(tensor))
      else left.push({ name, path, tensor })
    }
  }
  const open = specs.filter(({ name }) => !values.has(name))
  const [only] = open
  const [spare] = left
  if (only && spare && open.length === 1 && left.length === 1) values.set(only.name, await toArray(spare.tensor))
  else if (open.length > 0) {
    const found = left.map(({ name, path }) => `"${name}" (${path})`).join(', ') || 'nothing more'
    throw new ToolError(
      'INPUT_MISMATCH',
      `inputs: expected values for ${open.map(({ name }) => `"${name}"`).join(', ')}, found ${found}. Name each .npy after its graph input.`,
    )
  }
  return { origin: files.map(({ path }) => path).join(', '), values }
}

/** The arrays of one file with the names they go by. */
async function arraysIn(path: string, source: ByteSource): Promise<[string, Tensor][]> {
  if (/\.pb$/i.test(path)) {
    const tensor = await readTensorProto(source, DEFAULT_LIMITS)
    return [[tensor.name === '' ? stem(path) : tensor.name, tensor]]
  }
  const model = await readModel({
    path,
    isFolder: false,
    main: source,
    open: async () => undefined,
    list: async () => [],
  })
  const [first] = model.tensors
  return model.tensors.length === 1 && model.format === 'npy'
    ? [[stem(path), first!]]
    : model.tensors.map((tensor) => [tensor.name, tensor])
}

async function toArray(tensor: Tensor): Promise<ArrayValue> {
  return { dtype: tensor.dtype, shape: tensor.shape, bytes: await readTensor(tensor) }
}

async function imageSet(
  path: string,
  source: ByteSource,
  specs: readonly InputSpec[],
  decodeImage: DecodeImage | undefined,
): Promise<InputSet> {
  const [spec] = specs
  if (spec === undefined || specs.length !== 1 || spec.shape.length !== 4) {
    throw new ToolError(
      'INPUT_MISMATCH',
      `${path}: an image fits a model with one input of four dimensions; this one takes ${specs.map(({ name, shape }) => `"${name}" [${shape.join(', ')}]`).join(', ')}`,
    )
  }
  if (decodeImage === undefined) throw new ToolError('INPUT_MISMATCH', `${path}: no image decoder was given`)
  const channelsLast = isChannel(spec.shape[3]) && !isChannel(spec.shape[1])
  const size = (index: number) =>
    typeof spec.shape[index] === 'number' && (spec.shape[index] as number) > 0 ? (spec.shape[index] as number) : 224
  const layout: ImageLayout = {
    channelsLast,
    height: size(channelsLast ? 1 : 2),
    width: size(channelsLast ? 2 : 3),
    channels: channelsLast ? (spec.shape[3] as number) : isChannel(spec.shape[1]) ? (spec.shape[1] as number) : 3,
    dtype: spec.dtype === 'uint8' ? 'uint8' : 'float32',
  }
  const pixels = await decodeImage(source, layout)
  return { origin: path, values: new Map([[spec.name, imageToArray(pixels, layout)]]) }
}

const isChannel = (size: number | string | undefined) => size === 1 || size === 3 || size === 4

const stem = (path: string) =>
  path
    .split(/[\\/]/)
    .at(-1)!
    .replace(/\.[^.]+$/, '')

/** Graph inputs may hold characters that no file name can: `serving_default_x0:0`, `a/b`. */
const sameName = (input: string, name: string) =>
  input === name || input.replaceAll(/[^A-Za-z0-9._-]/g, '_') === name.replaceAll(/[^A-Za-z0-9._-]/g, '_')
