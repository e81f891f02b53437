import { type CreateHasher, hashSource } from '../bytes/hasher.ts'
import type { BehaviourComparison } from '../compare/behaviour/compare-behaviour.ts'
import type { Anchor } from '../compare/behaviour/search.ts'
import { compareWeights } from '../compare/weights/compare-weights.ts'
import type { WeightComparison, WeightSet } from '../compare/weights/comparison.ts'
import { ToolError } from '../errors.ts'
import { type FragmentRunner, openFragmentRunner } from '../execute/run-fragment.ts'
import type { ModelInput } from '../formats/format.ts'
import { formatTitle } from '../formats/registry.ts'
import type { Layer } from '../layers/layer.ts'
import { layersOf } from '../layers/layers-of.ts'
import type { Comparison } from '../report/comparison.ts'
import type { Settings } from '../settings/parse-settings.ts'
import { accountedReport } from './account-differences.ts'
import { judgePair } from './judge-pair.ts'
import type { DecodeImage } from './load-inputs.ts'
import { readModel } from './open-model.ts'
import type { Evidence } from './repro.ts'
import { roundedWeights } from './rounded-weights.ts'
import { type OpenedModel, type PairRecording, runPair } from './run-pair.ts'

/** What `compare` may be given besides the two models. */
export interface CompareOptions {
  /** values for the reference's inputs: `.npy`, `.npz`, `.pb`, images, or folders of these; generated when absent */
  readonly inputs?: readonly ModelInput[]
  /** the same samples in the candidate's layout, where it is more than channels moved to the other end */
  readonly candidateInputs?: readonly ModelInput[]
  /** for generated inputs; default 1 */
  readonly seed?: number
  /** how many inputs are generated; default 2 */
  readonly samples?: number
  /** digests for the report; without it they are null */
  readonly createHasher?: CreateHasher
  /** needed for image inputs */
  readonly decodeImage?: DecodeImage
  /** what modelwright.yaml says: differences that are on purpose, and what outputs stand for */
  readonly settings?: Settings
  /** told what is being done, for a progress line */
  readonly onStage?: (stage: string) => void
  /** ends the comparison with its reason; what the runtime has begun is finished first */
  readonly signal?: AbortSignal
}

/** The behaviour half of a comparison: what ran and what came of it, or why it did not run. */
export interface BehaviourOutcome {
  readonly comparison?: BehaviourComparison
  readonly recording?: PairRecording
  /** why nothing ran */
  readonly reason?: string
  /** inputs were given for models that can be run, so that a comparison of weights alone is no answer */
  readonly asked?: boolean
}

/**
 * Compares a candidate with its reference: stored weights across formats, names and layouts; attributes of their
 * layers; and, where both are ONNX, what they compute on the same inputs.
 *
 * @param reference right by definition
 * @param candidate the port, export or rewrite
 * @returns the report; its verdict is `not-compared`, never `match`, when nothing could be compared
 * @throws {FormatError} when a file cannot be read
 * @throws {ToolError} INPUT_MISMATCH when given inputs do not fit
 */
export async function compare(
  reference: ModelInput,
  candidate: ModelInput,
  options: CompareOptions = {},
): Promise<Comparison> {
  return (await compareWithEvidence(reference, candidate, options)).report
}

/** The same, with what the report was made of: `reproduce` makes a small failing model of it. */
export async function compareWithEvidence(
  reference: ModelInput,
  candidate: ModelInput,
  options: CompareOptions = {},
): Promise<Evidence> {
  const stage = options.onStage ?? (() => {})
  stage('reading both models')
  const first: OpenedModel = { input: reference, model: await readModel(reference) }
  const second: OpenedModel = { input: candidate, model: await readModel(candidate) }
  const runnable = first.model.format === 'onnx' && second.model.format === 'onnx'
  const runner = openFragmentRunner(options.signal ? { signal: options.signal } : {})
  try {
    // The runtime gets ready while weights are compared.
    if (runnable) runner.warmUp()
    stage('comparing weights')
    const [own, other] = [await weightSet(first), await weightSet(second)]
    const weights = await compareWeights(own, other)
    options.signal?.throwIfAborted()
    if (runnable) stage('running both models')
    const behaviour = await observeBehaviour(runner, first, second, weights, anchorsOf(own.layers, weights), options)
    return await evidenceOf({ reference: first, candidate: second, weights, behaviour }, [own, other], options)
  } finally {
    await runner.close()
  }
}

async function evidenceOf(
  parts: Omit<Parameters<typeof accountedReport>[0], 'digests' | 'outputKinds'>,
  [own, other]: readonly [WeightSet, WeightSet],
  options: CompareOptions,
): Promise<Evidence> {
  const { reference, candidate, behaviour } = parts
  options.onStage?.('hashing')
  const digests = await Promise.all([
    digest(reference.input, options.createHasher),
    digest(candidate.input, options.createHasher),
  ])
  const outputKinds = options.settings?.outputs ?? {}
  const expected = options.settings?.expected ?? []
  const report = accountedReport({ ...parts, digests, outputKinds }, expected, [own.layers, other.layers])
  const { recording, comparison } = behaviour
  return { report, ...(recording ? { recording } : {}), ...(comparison ? { comparison } : {}) }
}

async function weightSet({ model }: OpenedModel) {
  const { framework } = model.metadata
  return { tensors: model.tensors, layers: await layersOf(model), ...(framework === undefined ? {} : { framework }) }
}

/** Layers that hold corresponding weights, as nodes: where to look for a value's counterpart. */
function anchorsOf(layers: readonly Layer[], { layerPairs, pairs }: WeightComparison): Anchor[] {
  const folded = new Set(
    pairs
      .filter(({ folding }) => folding?.unfolded === 'reference')
      .flatMap(({ referenceTensors }) => referenceTensors),
  )
  const byName = new Map(layers.map((layer) => [layer.name, layer]))
  return layerPairs.map(({ reference, candidate }) => ({
    referenceNode: reference,
    candidateNode: candidate,
    folded: (byName.get(reference)?.weights ?? []).some(({ tensor }) => folded.has(tensor)),
  }))
}

async function observeBehaviour(
  runner: FragmentRunner,
  reference: OpenedModel,
  candidate: OpenedModel,
  weights: WeightComparison,
  anchors: readonly Anchor[],
  options: CompareOptions,
): Promise<BehaviourOutcome> {
  const given = (options.inputs?.length ?? 0) + (options.candidateInputs?.length ?? 0) > 0
  if (reference.model.format !== 'onnx' || candidate.model.format !== 'onnx') {
    const unused = given ? '; the given inputs were not used' : ''
    return {
      reason: `not compared: only ONNX models are run, the reference is ${formatTitle(reference.model.format)}, the candidate ${formatTitle(candidate.model.format)}${unused}`,
    }
  }
  try {
    const replaced = await roundedWeights(reference.model, candidate.model, weights)
    const recording = await runPair(runner, reference, candidate, {
      inputs: options.inputs ?? [],
      candidateInputs: options.candidateInputs ?? [],
      seed: options.seed ?? 1,
      replaced,
      ...(options.samples === undefined ? {} : { samples: options.samples }),
      ...(options.decodeImage ? { decodeImage: options.decodeImage } : {}),
    })
    options.onStage?.('running every region alone')
    return { recording, comparison: await judgePair(runner, recording, { weights, anchors, replaced }) }
  } catch (error) {
    // A model that cannot run is a fact about it; its weights can still be compared. Wrong inputs are the user's to fix.
    if (error instanceof ToolError && (error.code === 'CANNOT_RUN' || error.code === 'MISSING_PEER'))
      return { reason: error.message, asked: given }
    if (error instanceof ToolError && error.code === 'INPUT_MISMATCH' && !given) return { reason: error.message }
    throw error
  }
}

async function digest(input: ModelInput, createHasher: CreateHasher | undefined): Promise<string | null> {
  return createHasher === undefined || input.isFolder ? null : hashSource(input.main, createHasher)
}
