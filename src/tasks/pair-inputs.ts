import { layoutsBetween } from '../compare/behaviour/layout.ts'
import { generateInput, type InputSpec, type ProbeKind, resolveShape } from '../compare/probe-inputs.ts'
import { ToolError } from '../errors.ts'
import type { ModelInput } from '../formats/format.ts'
import type { Graph } from '../model/graph.ts'
import { type ArrayValue, transpose } from '../tensor/array-value.ts'
import { decodeValues } from '../tensor/decode.ts'
import { elementCount } from '../tensor/dtype.ts'
import { encodeValues } from '../tensor/encode.ts'
import { type DecodeImage, type InputSet, loadInputs } from './load-inputs.ts'

/** What both models are run on. */
export interface InputOptions {
  /** values for the reference's inputs; generated when empty */
  readonly inputs: readonly ModelInput[]
  /** the same samples in the candidate's own layout, when it is not found by itself */
  readonly candidateInputs: readonly ModelInput[]
  readonly decodeImage?: DecodeImage
  readonly seed: number
  /** how many are generated; default 2. More find what few hide, at the price of time and memory */
  readonly samples?: number
}

/** The same samples for both models, each under its own names, in its own layout and element type. */
export interface PairInputs {
  readonly feeds: readonly {
    readonly reference: ReadonlyMap<string, ArrayValue>
    readonly candidate: ReadonlyMap<string, ArrayValue>
  }[]
  readonly reports: readonly InputReport[]
}

/** How one input of the reference was given to the candidate. */
export interface InputReport {
  readonly name: string
  readonly candidateName: string
  readonly shape: readonly number[]
  readonly candidateLayout: string
  readonly origin: string
}

/**
 * Inputs for a comparison: those that were given, else generated ones.
 * @throws {ToolError} INPUT_MISMATCH; CANNOT_RUN for inputs that are no tensors
 */
export async function pairInputs(reference: Graph, candidate: Graph, options: InputOptions): Promise<PairInputs> {
  const [first, second] = [specsOf(reference), specsOf(candidate)]
  const sets = await inputSets(first, options)
  const given = await candidateSets(second, options, sets.length)
  const reports: InputReport[] = []
  const feeds = sets.map((set, index) => {
    const mapped = candidateFeeds(set, first, second, given?.[index])
    reports.push(...mapped.reports)
    return { reference: castFeeds(set.values, first), candidate: castFeeds(mapped.values, second) }
  })
  return { feeds, reports }
}

function specsOf({ inputs }: Graph): InputSpec[] {
  return inputs.map(({ name, dtype, shape, container }) => {
    if (dtype === undefined || container !== undefined)
      throw new ToolError('CANNOT_RUN', `input "${name}" is no tensor; only tensors can be given`)
    // An input of unknown rank can only be guessed: a scalar.
    return { name, dtype, shape: (shape ?? []).map((size) => size ?? '') }
  })
}

/** One of usual size and one that reaches clips and saturation. */
const GENERATED = 2

async function inputSets(
  specs: readonly InputSpec[],
  { inputs, decodeImage, seed, samples = GENERATED }: InputOptions,
): Promise<InputSet[]> {
  if (inputs.length > 0) return loadInputs(inputs, specs, decodeImage)
  return Array.from({ length: samples }, (_, index) => {
    const kind: ProbeKind = index % 2 === 0 ? 'natural' : 'strong'
    const free = new Map<string, number>()
    const values = specs.map((spec, position): [string, ArrayValue] => [
      spec.name,
      generateInput(spec.dtype, resolveShape(spec, free), kind, seed + index * 101 + position, spec.name),
    ])
    const round = index < 2 ? '' : ` ${Math.floor(index / 2) + 1}`
    return { origin: `generated (${kind}${round}, seed ${seed})`, values: new Map(values) }
  })
}

/** What the user gave for the candidate: the same samples, one for one, or a comparison would be of different pictures. */
async function candidateSets(
  specs: readonly InputSpec[],
  { inputs, candidateInputs, decodeImage }: InputOptions,
  wanted: number,
): Promise<InputSet[] | undefined> {
  if (candidateInputs.length === 0) return undefined
  if (inputs.length === 0)
    throw new ToolError(
      'INPUT_MISMATCH',
      'inputs are given for the candidate only: expected the same samples for the reference too. Add --inputs.',
    )
  const sets = await loadInputs(candidateInputs, specs, decodeImage)
  if (sets.length === wanted) return sets
  throw new ToolError(
    'INPUT_MISMATCH',
    `inputs: expected as many samples for the candidate as for the reference (${wanted}), found ${sets.length}. Give the same samples in the same order.`,
  )
}

/** The reference's inputs under the candidate's names and in its layout. */
function candidateFeeds(
  set: InputSet,
  first: readonly InputSpec[],
  second: readonly InputSpec[],
  given: InputSet | undefined,
) {
  const values = new Map<string, ArrayValue>()
  const reports: InputReport[] = []
  if (first.length !== second.length) {
    const list = (specs: readonly InputSpec[]) => specs.map(({ name }) => `"${name}"`).join(', ')
    throw new ToolError(
      'INPUT_MISMATCH',
      `the reference takes ${first.length} inputs (${list(first)}), the candidate ${second.length} (${list(second)})`,
    )
  }
  const sameNames = first.every(({ name }) => second.some((other) => other.name === name))
  for (const [position, { name }] of first.entries()) {
    const target = (sameNames ? second.find((other) => other.name === name) : second[position])!
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
function castFeeds(values: ReadonlyMap<string, ArrayValue>, specs: readonly InputSpec[]): Map<string, ArrayValue> {
  return new Map(
    [...values].map(([name, value]) => {
      const wanted = specs.find((input) => input.name === name)?.dtype
      if (wanted === undefined || wanted === value.dtype || wanted === 'string' || value.dtype === 'string')
        return [name, value]
      const numbers = decodeValues(value.dtype, value.bytes, elementCount(value.shape))
      return [name, { dtype: wanted, shape: value.shape, bytes: encodeValues(wanted, numbers) }]
    }),
  )
}
