import { type CreateHasher, hashSource } from '../bytes/hasher.ts'
import type { Limits } from '../bytes/limits.ts'
import { FormatError, ToolError } from '../errors.ts'
import type { ModelInput } from '../formats/format.ts'
import type { InputShapes } from '../layers/infer-shapes.ts'
import { layersOf } from '../layers/layers-of.ts'
import type { Model } from '../model/model.ts'
import { INSPECTION_SCHEMA_VERSION, type Inspection, type TensorReport } from '../report/inspection.ts'
import { elementCount } from '../tensor/dtype.ts'
import { type HealthFinding, judgeHealth } from '../tensor/health.ts'
import { computeHistogram } from '../tensor/histogram.ts'
import { collectStatistics } from '../tensor/statistics.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { describeModel, describeTensor, excerptOf } from './inspection-report.ts'
import { readModel } from './open-model.ts'

export interface InspectOptions {
  /** SHA-256 of the host; without it every digest is null or absent */
  readonly createHasher?: CreateHasher
  /** also the SHA-256 of every tensor and of every file */
  readonly digests?: boolean
  /** read every value and judge it; default true */
  readonly health?: boolean
  /** sizes for graph inputs, by name; the empty name stands for the only input */
  readonly inputShapes?: InputShapes
  readonly limits?: Limits
  /** called while values and files are read */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void
}

/**
 * Everything that a model file tells, as plain JSON data.
 *
 * Reads the structure, the values of small constants (shapes), then, as options ask, every value once for health and
 * digests, and the file once for its digest. Memory stays flat whatever the size.
 *
 * @throws {FormatError} when the file cannot be read
 * @throws {ToolError} NO_SUCH_INPUT when `inputShapes` names no input of the graph
 */
export async function inspect(input: ModelInput, options: InspectOptions = {}): Promise<Inspection> {
  const model = await readModel(input, options.limits)
  const layers = await layersOf(model, resolveInputShapes(model, options.inputShapes))
  const readsValues = options.health !== false || (options.digests === true && options.createHasher !== undefined)
  const progress = countBytes(input, model, readsValues, options)
  const values = readsValues ? await readValues(model, options, progress) : undefined
  const digests = options.createHasher ? await hashFiles(input, model, options, progress) : undefined
  return describeModel({
    path: input.path,
    model,
    layers,
    health: options.health === false && !values?.health.length ? null : (values?.health ?? null),
    tensorDigests: values?.digests ?? new Map(),
    sha256: digests?.whole ?? null,
    fileDigests: digests?.files ?? new Map(),
  })
}

/**
 * One tensor's statistics, histogram and first values.
 * @throws {ToolError} NO_SUCH_TENSOR naming the closest names
 */
export async function inspectTensor(
  input: ModelInput,
  name: string,
  options: Omit<InspectOptions, 'health' | 'inputShapes' | 'digests'> & {
    readonly bins?: number
    readonly excerptLength?: number
  } = {},
): Promise<TensorReport> {
  const model = await readModel(input, options.limits)
  const tensor = findTensor(model, name)
  const total = tensor.bytes * 2
  let done = 0
  const watched: Tensor = {
    ...tensor,
    async *stream() {
      for await (const chunk of tensor.stream()) {
        yield chunk
        done += chunk.length
        options.onProgress?.(done, total)
      }
    },
  }
  const hasher = options.createHasher?.()
  const collector = collectStatistics(tensor, options.excerptLength ?? 24)
  for await (const chunk of watched.stream()) {
    collector.add(chunk)
    hasher?.update(chunk)
  }
  const statistics = collector.finish()
  const { excerpt, ...numbers } = statistics
  return {
    schemaVersion: INSPECTION_SCHEMA_VERSION,
    path: input.path,
    format: model.format,
    tensor: describeTensor(tensor, hasher?.hex()),
    statistics: numbers,
    excerpt: excerptOf(excerpt),
    histogram: (await computeHistogram(watched, statistics, options.bins)) ?? null,
    health: judgeHealth(tensor, statistics),
  } as TensorReport
}

function findTensor(model: Model, name: string): Tensor {
  const exact = model.tensors.find((tensor) => tensor.name === name)
  if (exact) return exact
  const partial = model.tensors.filter((tensor) => tensor.name.includes(name))
  if (partial.length === 1) return partial[0]!
  const shown = (partial.length > 0 ? partial : model.tensors).slice(0, 8).map((tensor) => `"${tensor.name}"`)
  const found = partial.length > 0 ? `${partial.length} names contain it` : 'no name contains it'
  throw new ToolError(
    'NO_SUCH_TENSOR',
    `no tensor is called "${name}": ${found}. ${shown.length === 0 ? 'The file holds no tensors.' : `There are ${shown.join(', ')}${model.tensors.length > shown.length ? ' ...' : ''}`}`,
  )
}

function resolveInputShapes(model: Model, given: InputShapes = {}): InputShapes {
  const names = Object.keys(given)
  if (names.length === 0) return given
  const stored = new Set(model.tensors.map(({ name }) => name))
  const inputs = (model.graphs.find(({ kind }) => kind === 'main')?.inputs ?? []).filter(
    ({ name }) => !stored.has(name),
  )
  return Object.fromEntries(
    names.map((name) => {
      const input = name === '' && inputs.length === 1 ? inputs[0] : inputs.find((value) => value.name === name)
      if (input) return [input.name, given[name]!]
      const known = inputs.map((value) => `"${value.name}"`).join(', ') || 'none: it has no graph'
      throw new ToolError('NO_SUCH_INPUT', `the model has no input "${name}". Its inputs are ${known}`)
    }),
  )
}

interface Progress {
  add(bytes: number): void
}

function countBytes(input: ModelInput, model: Model, readsValues: boolean, options: InspectOptions): Progress {
  const values = readsValues ? model.tensors.reduce((sum, { bytes }) => sum + bytes, 0) : 0
  const files = hashedFiles(input, model, options).reduce((sum, { bytes }) => sum + bytes, 0)
  const total = values + (options.createHasher ? files : 0)
  let done = 0
  return {
    add(bytes) {
      done += bytes
      options.onProgress?.(Math.min(done, total), total)
    },
  }
}

async function readValues(
  model: Model,
  options: InspectOptions,
  progress: Progress,
): Promise<{ health: HealthFinding[]; digests: Map<string, string> }> {
  const health: HealthFinding[] = []
  const digests = new Map<string, string>()
  for (const tensor of model.tensors) {
    const collector = options.health === false ? undefined : collectStatistics(tensor, 0)
    const hasher = options.digests ? options.createHasher?.() : undefined
    try {
      for await (const chunk of tensor.stream()) {
        collector?.add(chunk)
        hasher?.update(chunk)
        progress.add(chunk.length)
      }
    } catch (error) {
      // a missing or short partner file is a fact about the model: everything else can still be told
      if (!(error instanceof FormatError)) throw error
      health.push(unreadable(tensor, error))
      continue
    }
    if (hasher) digests.set(tensor.name, hasher.hex())
    if (collector) health.push(...judgeHealth(tensor, collector.finish()))
  }
  return { health, digests }
}

function unreadable(tensor: Tensor, error: FormatError): HealthFinding {
  return {
    tensor: tensor.name,
    problem: 'unreadable',
    severity: 'error',
    count: elementCount(tensor.shape),
    detail: error.message,
  }
}

/** The opened file; all files of a folder, or with `digests`. */
function hashedFiles(input: ModelInput, model: Model, options: InspectOptions) {
  return input.isFolder || options.digests ? model.files : model.files.slice(0, 1)
}

async function hashFiles(input: ModelInput, model: Model, options: InspectOptions, progress: Progress) {
  const createHasher = options.createHasher!
  const files = new Map<string, string>()
  for (const file of hashedFiles(input, model, options)) {
    files.set(file.name, await hashSource(file.source, createHasher, progress.add))
  }
  if (!input.isFolder)
    return { whole: files.get(model.files[0]?.name ?? '') ?? null, files: options.digests ? files : new Map() }
  const list = [...files]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, sha256]) => `${sha256}  ${name}\n`)
  const hasher = createHasher()
  hasher.update(new TextEncoder().encode(list.join('')))
  return { whole: hasher.hex(), files }
}
