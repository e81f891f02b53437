import type { BehaviourComparison, Fault } from '../compare/behaviour/compare-behaviour.ts'
import type { FaultyRegion } from '../compare/hypotheses/faulty-region.ts'
import { toCandidate } from '../compare/hypotheses/region-context.ts'
import { loadConstant } from '../compare/hypotheses/region-side.ts'
import { SAME_RATIO } from '../compare/regions/judge-regions.ts'
import { narrowRegion } from '../compare/repro/narrow-region.ts'
import { candidateFeed, constantsOf, endOf, nodesOf, type SideForm, typesOf } from '../compare/repro/region-run.ts'
import { REPRO_RATIO, type ReproCase, type ReproRun, runCase, shrinkCase } from '../compare/repro/shrink.ts'
import { ToolError } from '../errors.ts'
import { openFragmentRunner } from '../execute/run-fragment.ts'
import type { AttributeValue, Node } from '../model/graph.ts'
import type { OnnxProgram } from '../onnx/program.ts'
import { fragmentBytes } from '../onnx/write-fragment.ts'
import { tensorFileBytes } from '../onnx/write-tensor.ts'
import type { Comparison } from '../report/comparison.ts'
import { printable } from '../report/printable.ts'
import { causesOf } from '../report/region-text.ts'
import { type ReproFacts, renderReproReadme } from '../report/repro.ts'
import { formatNumber, formatTimes } from '../report/text.ts'
import type { ArrayValue } from '../tensor/array-value.ts'
import type { PairRecording } from './run-pair.ts'

/** A comparison with what it was made of, for a repro. */
export interface Evidence {
  readonly report: Comparison
  /** absent where nothing ran */
  readonly recording?: PairRecording
  readonly comparison?: BehaviourComparison
}

/** A minimal failing model: files by path within their folder. */
export interface Repro {
  readonly files: ReadonlyMap<string, Uint8Array>
  /** relL2 up to which a model gives the expected output; the failing one is clearly beyond it */
  readonly limit: number
  /** one sentence: what fails in it, and by how much */
  readonly summary: string
}

/**
 * The smallest model that shows the first fault: one region of the candidate with the reference's own values as inputs
 * and expected output, made smaller as long as it fails for the same reason.
 *
 * @param version of Modelwright, for the README
 * @returns undefined where there is nothing to reproduce: no region differs
 * @throws {ToolError} NO_REPRO when the fault does not show when its region is run alone
 */
export async function reproduce(
  { report, recording, comparison }: Evidence,
  version: string,
): Promise<Repro | undefined> {
  const open = new Set(report.regions.filter(({ state }) => state === 'different').map(({ reference }) => reference))
  const fault = comparison?.faults.find(({ result }) => open.has(result.region.at.reference))
  if (fault === undefined || recording === undefined) return undefined
  const runner = openFragmentRunner()
  try {
    return await reproduceFault({ report, recording, fault, version, run: runner.run })
  } finally {
    await runner.close()
  }
}

interface FaultEvidence {
  readonly report: Comparison
  readonly recording: PairRecording
  readonly fault: Fault
  readonly version: string
  readonly run: FaultyRegion['run']
}

async function reproduceFault(evidence: FaultEvidence): Promise<Repro> {
  const { recording, fault, run } = evidence
  const { floor } = fault.result
  const tolerance = SAME_RATIO * floor
  const values = recording.reference.runs
  const shapes = knownShapes(recording)
  const { programs } = recording
  const narrowed = await narrowRegion(
    {
      region: fault.result.region,
      reference: programs.reference,
      candidate: programs.candidate,
      values,
      run,
      tolerance,
    },
    shapes,
  )
  const { region } = narrowed
  const isWhole = narrowed.from === region.candidateNodes.length
  const change = isWhole ? fault.proofs.find(({ proved, repair }) => proved && repair)?.repair : undefined
  const form = (program: OnnxProgram, nodes: readonly Node[], output: string): SideForm => ({
    program,
    nodes,
    output,
    constants: new Map(),
    attributes: new Map(),
  })
  const base = {
    region,
    candidate: {
      ...form(programs.candidate, region.candidateNodes, region.at.candidate),
      ...(change ? { change } : {}),
    },
    reference: form(programs.reference, region.referenceNodes, region.at.reference),
    shapes,
  }
  const starts = region.cut.map((pair) => pair.reference)
  const cases = values.map((run): ReproCase => ({ ...base, cut: pick(run, starts) }))
  const runs = await Promise.all(cases.map((each) => runCase(run, each)))
  const worst = runs.reduce<number | undefined>(
    (best, each, at) => (each && (best === undefined || gapSize(each) > gapSize(runs[best]!)) ? at : best),
    undefined,
  )
  const first = worst === undefined ? undefined : runs[worst]
  const isFailing = first && (first.gap.kind !== 'values' || first.gap.relL2 > REPRO_RATIO * floor)
  if (worst === undefined || first === undefined || !isFailing)
    throw new ToolError(
      'NO_REPRO',
      `"${region.at.reference}" does not fail when its stretch is run as a model of its own: there is nothing small to give. The report stands.`,
    )
  const constants = {
    reference: await constantsOfNodes(programs.reference, region.referenceNodes),
    candidate: await constantsOfNodes(programs.candidate, region.candidateNodes),
  }
  const { smallest, result, steps } = await shrinkCase(run, cases[worst]!, first, {
    floor,
    tolerance,
    constants: (side) => constants[side],
  })
  const prepared = isWhole
    ? steps
    : [`${narrowed.from} operators bisected to ${region.candidateNodes.length}`, ...steps]
  return writeCase(evidence, smallest, result, prepared)
}

const gapSize = ({ gap }: ReproRun) => (gap.kind === 'values' ? gap.relL2 : Number.POSITIVE_INFINITY)

/** Sizes that the candidate's values had when it ran. */
export const knownShapes = ({ candidate }: PairRecording): ReadonlyMap<string, readonly number[]> =>
  new Map([...(candidate.runs[0] ?? [])].map(([name, { shape }]) => [name, shape]))

const pick = (values: ReadonlyMap<string, ArrayValue>, names: readonly string[]) =>
  new Map(names.flatMap((name) => (values.has(name) ? [[name, values.get(name)!] as const] : [])))

async function constantsOfNodes(
  program: OnnxProgram,
  nodes: readonly Node[],
): Promise<ReadonlyMap<string, ArrayValue>> {
  const constants = new Map<string, ArrayValue>()
  for (const name of new Set(nodes.flatMap(({ inputs }) => inputs))) {
    const value = await loadConstant(program, name)
    if (value) constants.set(name, value)
  }
  return constants
}

async function writeCase(
  evidence: FaultEvidence,
  smallest: ReproCase,
  result: ReproRun,
  steps: readonly string[],
): Promise<Repro> {
  const { region, cut, candidate, reference, shapes } = smallest
  const { expected, actual } = result
  const feed = candidateFeed(region.cut, cut, shapes)
  const wanted =
    result.gap.kind === 'size' ? toCandidate(expected, region.at) : toCandidate(expected, region.at, actual.shape)
  const files = new Map<string, Uint8Array>()
  const model = (form: SideForm, inputs: ReadonlyMap<string, ArrayValue>, end: ArrayValue) =>
    fragmentBytes(form.program, {
      nodes: nodesOf(form),
      inputs: typesOf(inputs),
      outputs: [endOf(form)],
      outputTypes: [{ name: endOf(form), dtype: end.dtype, shape: end.shape }],
      constants: constantsOf(form),
    })
  const data = async (folder: string, inputs: ReadonlyMap<string, ArrayValue>, name: string, end: ArrayValue) => {
    for (const [at, [input, value]] of [...inputs].entries())
      files.set(`${folder}/input_${at}.pb`, await tensorFileBytes(input, value))
    files.set(`${folder}/output_0.pb`, await tensorFileBytes(name, end))
  }
  const { change, ...asItIs } = candidate
  files.set('model.onnx', await model(asItIs, feed, actual))
  await data('test_data_set_0', feed, candidate.output, wanted)
  const hasReference = region.referenceNodes.length > 0
  if (hasReference) files.set('reference.onnx', await model(reference, cut, expected))
  if (change) files.set('repaired.onnx', await model(candidate, feed, wanted))
  const isMoved = [...region.cut, region.at].some(
    (pair) =>
      pair.toCandidate !== undefined ||
      feed.get(pair.candidate)?.shape.join() !== cut.get(pair.reference)?.shape.join(),
  )
  if (hasReference && isMoved) await data('reference_data_set_0', cut, reference.output, expected)
  const facts = factsOf(evidence, smallest, result, wanted, steps, {
    reference: hasReference,
    repaired: change !== undefined,
    referenceData: hasReference && isMoved,
  })
  files.set('README.md', new TextEncoder().encode(renderReproReadme(printable(facts))))
  const size = region.candidateNodes.length === 1 ? 'one operator' : `${region.candidateNodes.length} operators`
  return {
    files,
    limit: SAME_RATIO * evidence.fault.result.floor,
    summary: `${size} (${facts.title}), ${facts.difference}`,
  }
}

function factsOf(
  { report, recording, fault, version }: FaultEvidence,
  { region, cut, candidate, shapes }: ReproCase,
  { gap, actual }: ReproRun,
  wanted: ArrayValue,
  steps: readonly string[],
  files: ReproFacts['files'],
): ReproFacts {
  const row = report.regions.find(({ reference }) => reference === fault.result.region.at.reference)
  const cause = row && causesOf(row, report)[0]
  const node = region.referenceNodes.at(-1) ?? region.candidateNodes.at(-1)
  return {
    version,
    runtime: recording.runtime,
    reference: report.reference,
    candidate: report.candidate,
    verdict: `${report.verdict}: ${report.summary}`,
    title: node ? `${node.op} ${node.name || region.at.reference}` : region.at.reference,
    sides: [
      { side: 'Reference', value: region.at.reference, nodes: region.referenceNodes.map(describeNode) },
      { side: 'Candidate', value: region.at.candidate, nodes: region.candidateNodes.map(describeNode) },
    ],
    inputs: [...candidateFeed(region.cut, cut, shapes)].map(([name, { dtype, shape }]) => ({ name, dtype, shape })),
    output: { name: candidate.output, shape: actual.shape, expected: wanted.shape },
    difference: differenceText(gap, fault.result.floor),
    ...(cause
      ? { cause: { label: cause.label, proved: cause.proved, detail: cause.detail, fix: cause.fix ?? '' } }
      : {}),
    steps,
    files,
  }
}

function differenceText({ kind, relL2, distance }: ReproRun['gap'], floor: number): string {
  if (kind === 'size') return 'the sizes differ'
  if (kind === 'not-finite') return `${distance?.nonFinite ?? 'some'} elements are NaN or infinite on one side only`
  return `relative L2 distance ${formatNumber(relL2)} (${formatTimes(relL2 / floor)} times what rounding explains), largest difference ${formatNumber(distance?.maxAbs ?? Number.NaN)}`
}

/** Attributes that fit in a line. */
const MAX_ATTRIBUTE = 60

function describeNode({ op, name, attributes }: Node): ReproFacts['sides'][number]['nodes'][number] {
  const shown = Object.entries(attributes)
    .map(([key, value]) => `${key}=${attributeText(value)}`)
    .filter((words) => words.length <= MAX_ATTRIBUTE)
  return { op, name, attributes: shown }
}

const attributeText = (value: AttributeValue): string =>
  Array.isArray(value)
    ? `[${value.map(attributeText).join(', ')}]`
    : typeof value === 'object' && value !== null
      ? JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? String(each) : each))
      : String(value)
