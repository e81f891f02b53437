import type { BehaviourComparison } from '../compare/behaviour/compare-behaviour.ts'
import type { Side } from '../compare/behaviour/recording.ts'
import type { Anchor } from '../compare/behaviour/search.ts'
import { explainRegion, type Hint } from '../compare/hypotheses/explain-region.ts'
import type { ProvedCause } from '../compare/hypotheses/faulty-region.ts'
import { compareByReplay } from '../compare/regions/compare-by-replay.ts'
import { SAME_RATIO } from '../compare/regions/judge-regions.ts'
import type { Region, RegionResult } from '../compare/regions/region.ts'
import type { WeightCause, WeightComparison } from '../compare/weights/comparison.ts'
import { evaluateRegion, type GivenNumbers, type Numbers } from '../evaluate/evaluate.ts'
import { reductionLength } from '../evaluate/reduction-length.ts'
import type { FragmentRunner } from '../execute/run-fragment.ts'
import type { Node } from '../model/graph.ts'
import type { OnnxProgram } from '../onnx/program.ts'
import { type ArrayValue, numbersOf } from '../tensor/array-value.ts'
import { DTYPES } from '../tensor/dtype.ts'
import { readTensor } from '../tensor/tensor.ts'
import { coarseConstants } from './coarse-constants.ts'
import { replayer } from './replay.ts'
import type { PairRecording } from './run-pair.ts'

export interface JudgeOptions {
  readonly weights: WeightComparison
  readonly anchors: readonly Anchor[]
  /** weights of the reference that ran rounded as the candidate stores them */
  readonly replaced: ReadonlyMap<string, unknown>
}

/**
 * Judges a pair that has run: the candidate runs again on the reference's values, region by region, and where one
 * differs, changed in one thing at a time until it no longer does.
 * @throws {ToolError} CANNOT_RUN
 */
export async function judgePair(
  runner: FragmentRunner,
  recording: PairRecording,
  options: JudgeOptions,
): Promise<BehaviourComparison> {
  const { candidate: program } = recording.programs
  const shapeOf = (name: string, side: Side) => side.shape(name) ?? program.constants.get(name)?.shape
  return compareByReplay(recording.reference, recording.candidate, {
    run: replayer(runner, program, recording.candidate, recording.reference),
    anchors: options.anchors,
    coarse: await coarseConstants(program, options.weights, options.replaced),
    reductionLength: (node, side) =>
      reductionLength(
        node,
        node.inputs.map((name) => shapeOf(name, side)),
      ),
    evaluate: (region, input) => exactValue(recording, region, input),
    exchanged: options.weights.causes.flatMap(({ label, decides, referenceLayer, candidateLayer }) =>
      label === 'weight-swapped' && decides && referenceLayer !== undefined && candidateLayer !== undefined
        ? [{ referenceNode: referenceLayer, candidateNode: candidateLayer }]
        : [],
    ),
    stated: (region) => statedIn(options.weights, region).some(({ decides }) => decides),
    prove: (result, suspects) => prove(recording, runner, options.weights, { result, suspects }),
  })
}

/** Multiply-adds that one region may take: a fraction of a second. */
const MAX_OPERATIONS = 3e8

/** The reference's value at the end of a region in float64. */
async function exactValue({ programs, reference }: PairRecording, region: Region, input: number) {
  const { constants, opsets } = programs.reference
  const run = reference.runs[input]!
  const given = new Map<string, GivenNumbers>()
  const cut = new Set(region.cut.map(({ reference: name }) => name))
  const made = new Set(region.referenceNodes.flatMap(({ outputs }) => outputs))
  for (const name of region.referenceNodes.flatMap(valueNames)) {
    const value = cut.has(name) || !made.has(name) ? (run.get(name) ?? (await constantOf(constants, name))) : undefined
    if (value) given.set(name, numbersGiven(value))
  }
  const found = evaluateRegion(region.referenceNodes, given, opsets, [region.at.reference], {
    maxOperations: MAX_OPERATIONS,
  })
  return 'unsupported' in found ? undefined : (found as ReadonlyMap<string, Numbers>).get(region.at.reference)?.values
}

const valueNames = ({ inputs, attributes }: Node): string[] => [
  ...inputs,
  ...Object.values(attributes).flatMap((value) =>
    value !== null && typeof value === 'object' && 'tensor' in value ? [String(value.tensor)] : [],
  ),
]

async function constantOf(constants: OnnxProgram['constants'], name: string): Promise<ArrayValue | undefined> {
  const stored = constants.get(name)
  return stored && { dtype: stored.dtype, shape: stored.shape, bytes: await readTensor(stored) }
}

function numbersGiven(value: ArrayValue): GivenNumbers {
  const { kind } = DTYPES[value.dtype]
  return {
    shape: value.shape,
    values: numbersOf(value),
    kind: kind === 'float' ? 'float' : kind === 'bool' ? 'bool' : 'int',
    dtype: value.dtype,
  }
}

/** Causes of a faulty region, found by running it changed. */
function prove(
  { programs, reference, candidate }: PairRecording,
  runner: FragmentRunner,
  weights: WeightComparison,
  { result, suspects }: { result: RegionResult; suspects: () => Promise<readonly Hint[]> },
): Promise<ProvedCause[]> {
  const needed = valuesOf(result)
  return explainRegion(
    {
      region: result.region,
      ...programs,
      values: reference.runs.map((run) => new Map([...run].filter(([name]) => needed.has(name)))),
      run: runner.run,
      shapes: new Map([...(candidate.runs[0] ?? [])].map(([name, { shape }]) => [name, shape])),
      tolerance: result.floor * SAME_RATIO,
    },
    statedIn(weights, result.region),
    suspects,
  )
}

function valuesOf({ region }: RegionResult): Set<string> {
  const inside = region.referenceNodes.flatMap(({ inputs, outputs }) => [...inputs, ...outputs])
  return new Set([region.at.reference, ...region.cut.map(({ reference }) => reference), ...inside])
}

/** What the files state about the layers of a region. */
function statedIn({ causes }: WeightComparison, region: Region): WeightCause[] {
  const own = new Set(region.referenceNodes.map(({ name }) => name))
  const others = new Set(region.candidateNodes.map(({ name }) => name))
  return causes.filter(
    ({ referenceLayer, candidateLayer }) => own.has(referenceLayer ?? '') || others.has(candidateLayer ?? ''),
  )
}
