import { layoutsBetween } from '../compare/behaviour/layout.ts'
import type { Recording } from '../compare/behaviour/recording.ts'
import { dependentValues } from '../compare/behaviour/recording.ts'
import { generateInput, type InputSpec, type ProbeKind, resolveShape } from '../compare/probe-inputs.ts'
import { seededRandom } from '../compare/random.ts'
import { ToolError } from '../errors.ts'
import { withOutputs, withPatches } from '../execute/onnx-bytes.ts'
import { openSession, type Session } from '../execute/session.ts'
import type { ModelInput } from '../formats/format.ts'
import type { Model } from '../model/model.ts'
import { type ArrayValue, numbersOf, transpose } from '../tensor/array-value.ts'
import { decodeValues } from '../tensor/decode.ts'
import { DTYPES, type Dtype, elementCount, isFloat } from '../tensor/dtype.ts'
import { encodeValues } from '../tensor/encode.ts'
import { type DecodeImage, type InputSet, loadInputs } from './load-inputs.ts'

/** A model with the place it was read from. */
export interface OpenedModel {
  readonly input: ModelInput
  readonly model: Model
}

export interface RunOptions {
  /** values for the reference's inputs; generated when empty */
  readonly inputs: readonly ModelInput[]
  /** the same samples in the candidate's own layout, when it is not found by itself */
  readonly candidateInputs: readonly ModelInput[]
  readonly decodeImage?: DecodeImage
  readonly seed: number
  /** stored bytes of the reference to replace before it runs: weights rounded as the candidate stores them */
  readonly patches: readonly { byteOffset: number; bytes: Uint8Array }[]
}

/** Both models run on the same inputs, and the reference once more on slightly disturbed ones. */
export interface PairRecording {
  readonly reference: Recording
  readonly candidate: Recording
  readonly disturbed: Recording
  readonly runtime: string
  readonly inputs: readonly {
    name: string
    candidateName: string
    shape: readonly number[]
    candidateLayout: string
    origin: string
  }[]
  readonly notes: readonly string[]
}

/** Larger files than this hold their weights inline beyond what one buffer can carry. */
const MAX_MODEL_BYTES = 2 ** 31 - 1

/** Operators whose results are no tensors: they cannot be observed. */
const NOT_TENSOR = /^(Sequence(?!At|Length)|SplitToSequence|Optional(?!GetElement|HasElement))/

/**
 * Runs two ONNX models, graph optimisation off, on the same inputs and records every value that depends on them.
 * @throws {ToolError} CANNOT_RUN, MISSING_PEER, INPUT_MISMATCH
 */
export async function runPair(
  reference: OpenedModel,
  candidate: OpenedModel,
  options: RunOptions,
): Promise<PairRecording> {
  const notes: string[] = []
  const [first, second] = await bothOrNeither(
    observe(reference, options.patches, 'reference', notes),
    observe(candidate, [], 'candidate', notes),
  )
  try {
    const sets = await inputSets(first.session, options)
    const given = await candidateSets(second.session, options, sets.length)
    const reports: PairRecording['inputs'][number][] = []
    const feeds = sets.map((set, index) => {
      const mapped = candidateFeeds(set, first.session, second.session, given?.[index])
      reports.push(...mapped.reports)
      return { reference: castFeeds(set.values, first.session), candidate: castFeeds(mapped.values, second.session) }
    })
    const [referenceRuns, candidateRuns] = await Promise.all([
      runAll(
        first,
        feeds.map((feed) => feed.reference),
      ),
      runAll(
        second,
        feeds.map((feed) => feed.candidate),
      ),
    ])
    const disturbedRuns = await runAll(first, [disturb(feeds[0]!.reference)])
    return {
      reference: { graph: first.graph, runs: referenceRuns },
      candidate: { graph: second.graph, runs: candidateRuns },
      disturbed: { graph: first.graph, runs: disturbedRuns },
      runtime: `onnxruntime ${first.session.version}`,
      inputs: reports,
      notes,
    }
  } finally {
    await Promise.all([first.session.close(), second.session.close()])
  }
}

/** Where one model is refused, the thread of the other ends too: it would keep the process alive for ever. */
async function bothOrNeither(first: Promise<Observed>, second: Promise<Observed>): Promise<[Observed, Observed]> {
  const settled = await Promise.allSettled([first, second])
  const failed = settled.find((each) => each.status === 'rejected')
  if (failed === undefined) return Promise.all([first, second])
  await Promise.all(settled.map((each) => (each.status === 'fulfilled' ? each.value.session.close() : undefined)))
  throw failed.reason
}

interface Observed {
  readonly session: Session
  readonly graph: Recording['graph']
  readonly fetches: readonly string[]
}

async function observe(
  { input, model }: OpenedModel,
  patches: RunOptions['patches'],
  side: string,
  notes: string[],
): Promise<Observed> {
  const [file] = model.files
  const [graph] = model.graphs
  if (file === undefined || graph === undefined)
    throw new ToolError('CANNOT_RUN', `${input.path}: there is no graph to run`)
  if (file.bytes > MAX_MODEL_BYTES)
    throw new ToolError(
      'CANNOT_RUN',
      `${input.path}: weights inside a file of ${file.bytes} bytes cannot be run; store them as external data`,
    )
  const bytes = withPatches(await file.source.read(0, file.bytes), patches)
  const stored = new Set(model.tensors.map(({ name }) => name))
  const inputs = graph.inputs.map(({ name }) => name).filter((name) => !stored.has(name))
  const outputs = graph.outputs.map(({ name }) => name)
  const unobservable = new Set(graph.nodes.filter(({ op }) => NOT_TENSOR.test(op)).flatMap((node) => node.outputs))
  const wanted = dependentValues(graph, inputs).filter(
    (name) => !inputs.includes(name) && !outputs.includes(name) && !unobservable.has(name),
  )
  const open = (extra: readonly string[]) =>
    openSession(withOutputs(bytes, extra), input.folder === undefined ? {} : { externalFolder: input.folder })
  try {
    return { session: await open(wanted), graph, fetches: [...outputs, ...wanted] }
  } catch (error) {
    if (!(error instanceof ToolError) || error.code !== 'CANNOT_RUN') throw error
    // Some value cannot be an output; the model itself may still run.
    const session = await open([]).catch(() => {
      throw new ToolError('CANNOT_RUN', `${input.path}: ${error.message}`, { cause: error })
    })
    notes.push(
      `intermediate values of the ${side} could not be observed (${error.message}); only its outputs were compared`,
    )
    return { session, graph, fetches: outputs }
  }
}

function specsOf(session: Session): InputSpec[] {
  return session.inputs.map(({ name, dtype, shape }) => {
    if (!(dtype in DTYPES))
      throw new ToolError('CANNOT_RUN', `input "${name}" is a ${dtype}; only tensors can be given`)
    return { name, dtype: dtype as Dtype, shape }
  })
}

async function inputSets(session: Session, { inputs, decodeImage, seed }: RunOptions): Promise<InputSet[]> {
  const specs = specsOf(session)
  if (inputs.length > 0) return loadInputs(inputs, specs, decodeImage)
  const kinds: ProbeKind[] = ['natural', 'strong']
  return kinds.map((kind, index) => {
    const free = new Map<string, number>()
    const values = specs.map((spec, position): [string, ArrayValue] => [
      spec.name,
      generateInput(spec.dtype, resolveShape(spec, free), kind, seed + index * 101 + position),
    ])
    return { origin: `generated (${kind}, seed ${seed})`, values: new Map(values) }
  })
}

/** What the user gave for the candidate: the same samples, one for one, or a comparison would be of different pictures. */
async function candidateSets(
  session: Session,
  { inputs, candidateInputs, decodeImage }: RunOptions,
  wanted: number,
): Promise<InputSet[] | undefined> {
  if (candidateInputs.length === 0) return undefined
  if (inputs.length === 0)
    throw new ToolError(
      'INPUT_MISMATCH',
      'inputs are given for the candidate only: expected the same samples for the reference too. Add --inputs.',
    )
  const sets = await loadInputs(candidateInputs, specsOf(session), decodeImage)
  if (sets.length === wanted) return sets
  throw new ToolError(
    'INPUT_MISMATCH',
    `inputs: expected as many samples for the candidate as for the reference (${wanted}), found ${sets.length}. Give the same samples in the same order.`,
  )
}

/** The reference's inputs under the candidate's names and in its layout. */
function candidateFeeds(set: InputSet, first: Session, second: Session, given: InputSet | undefined) {
  const values = new Map<string, ArrayValue>()
  const reports: PairRecording['inputs'][number][] = []
  if (first.inputs.length !== second.inputs.length) {
    const list = (session: Session) => session.inputs.map(({ name }) => `"${name}"`).join(', ')
    throw new ToolError(
      'INPUT_MISMATCH',
      `the reference takes ${first.inputs.length} inputs (${list(first)}), the candidate ${second.inputs.length} (${list(second)})`,
    )
  }
  const sameNames = first.inputs.every(({ name }) => second.inputs.some((other) => other.name === name))
  for (const [position, { name }] of first.inputs.entries()) {
    const target = (sameNames ? second.inputs.find((other) => other.name === name) : second.inputs[position])!
    const value = set.values.get(name)!
    const own = given?.values.get(target.name)
    const layout = own ? { value: own, name: 'as given' } : inLayoutOf(value, target.shape)
    values.set(target.name, layout.value)
    reports.push({
      name,
      candidateName: target.name,
      shape: value.shape,
      candidateLayout: layout.name,
      origin: set.origin,
    })
  }
  return { values, reports }
}

/** The value as the candidate wants it: as it is, or with channels moved to the other end. */
function inLayoutOf(value: ArrayValue, wanted: readonly (number | string)[]): { value: ArrayValue; name: string } {
  const fits = (shape: readonly number[]) =>
    shape.length === wanted.length &&
    shape.every(
      (size, axis) => typeof wanted[axis] !== 'number' || (wanted[axis] as number) <= 0 || wanted[axis] === size,
    )
  if (fits(value.shape) || value.shape.length < 3) return { value, name: 'same' }
  const rank = value.shape.length
  const toLast = [0, ...Array.from({ length: rank - 2 }, (_, index) => index + 2), 1]
  const toFirst = [0, rank - 1, ...Array.from({ length: rank - 2 }, (_, index) => index + 1)]
  for (const permutation of [toLast, toFirst]) {
    const shape = permutation.map((axis) => value.shape[axis]!)
    if (!fits(shape)) continue
    const layout = layoutsBetween(value.shape, shape).find((candidate) => candidate.permutation)
    return { value: transpose(value, permutation), name: layout?.name ?? 'transposed' }
  }
  return { value, name: 'same' }
}

/** Values in the element type that the model declares: a float32 picture for a float16 input is rounded. */
function castFeeds(values: ReadonlyMap<string, ArrayValue>, session: Session): Map<string, ArrayValue> {
  return new Map(
    [...values].map(([name, value]) => {
      const wanted = session.inputs.find((input) => input.name === name)?.dtype as Dtype | undefined
      if (wanted === undefined || wanted === value.dtype || wanted === 'string' || value.dtype === 'string')
        return [name, value]
      const numbers = decodeValues(value.dtype, value.bytes, elementCount(value.shape))
      return [name, { dtype: wanted, shape: value.shape, bytes: encodeValues(wanted, numbers) }]
    }),
  )
}

async function runAll(
  { session, fetches }: Observed,
  feeds: readonly ReadonlyMap<string, ArrayValue>[],
): Promise<Map<string, ArrayValue>[]> {
  const runs: Map<string, ArrayValue>[] = []
  for (const feed of feeds) runs.push(new Map([...feed, ...(await session.run(feed, fetches))]))
  return runs
}

/** The inputs moved by about half a unit in the last place, seeded. */
function disturb(feed: ReadonlyMap<string, ArrayValue>): Map<string, ArrayValue> {
  const random = seededRandom(20_24)
  return new Map(
    [...feed].map(([name, value]) => {
      if (!isFloat(value.dtype)) return [name, value]
      const unit = value.dtype === 'float16' ? 2 ** -11 : value.dtype === 'bfloat16' ? 2 ** -8 : 2 ** -23
      const moved = Float64Array.from(numbersOf(value), (number) => number * (1 + unit * (random() - 0.5) * 2))
      return [name, { ...value, bytes: encodeValues(value.dtype, moved) }]
    }),
  )
}
