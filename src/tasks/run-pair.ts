import { dependentValues, type Recording } from '../compare/behaviour/recording.ts'
import type { Observation } from '../execute/observe.ts'
import type { FragmentRunner } from '../execute/run-fragment.ts'
import type { ModelInput } from '../formats/format.ts'
import type { Model } from '../model/model.ts'
import type { OnnxProgram } from '../onnx/program.ts'
import { readProgram } from '../onnx/read-program.ts'
import { withConstants } from '../onnx/with-constants.ts'
import { wholeProgram } from '../onnx/write-fragment.ts'
import { plural } from '../report/text.ts'
import type { ArrayValue } from '../tensor/array-value.ts'
import { type InputOptions, type InputReport, pairInputs } from './pair-inputs.ts'
import { planRecording, type RecordingPlan, refusedBy } from './recording-plan.ts'

/** A model with the place it was read from. */
export interface OpenedModel {
  readonly input: ModelInput
  readonly model: Model
}

export interface RunOptions extends InputOptions {
  /** weights of the reference to run with instead of its own, by tensor: rounded as the candidate stores them */
  readonly replaced: ReadonlyMap<string, ArrayValue>
}

/** Both models run on the same inputs. */
export interface PairRecording {
  /** what ran, the reference with the weights that replace its own */
  readonly programs: { readonly reference: OnnxProgram; readonly candidate: OnnxProgram }
  readonly reference: Recording
  readonly candidate: Recording
  readonly runtime: string
  readonly inputs: readonly InputReport[]
  readonly notes: readonly string[]
}

/**
 * Runs two ONNX models, graph optimisation off, on the same inputs and records every value that depends on them.
 * @throws {ToolError} CANNOT_RUN, MISSING_PEER, INPUT_MISMATCH
 */
export async function runPair(
  runner: FragmentRunner,
  reference: OpenedModel,
  candidate: OpenedModel,
  options: RunOptions,
): Promise<PairRecording> {
  const notes: string[] = []
  const first = withConstants(await readProgram(reference.model), options.replaced)
  const second = await readProgram(candidate.model)
  const { feeds, reports } = await pairInputs(first.graph, second.graph, options)
  const plan = await planRecording(
    runner,
    [
      { input: reference.input, program: first, feed: feeds[0]!.reference },
      { input: candidate.input, program: second, feed: feeds[0]!.candidate },
    ],
    feeds.length,
  )
  if (plan.note) notes.push(plan.note)
  if (options.replaced.size > 0)
    notes.push(
      `the reference ran with ${plural(options.replaced.size, 'tensor')} rounded as the candidate stores ${options.replaced.size === 1 ? 'it' : 'them'}: what that rounding alone changes is not counted`,
    )
  const used = feeds.slice(0, plan.inputs)
  const own = await record(
    runner,
    reference,
    first,
    used.map((feed) => feed.reference),
    plan,
  )
  const other = await record(
    runner,
    candidate,
    second,
    used.map((feed) => feed.candidate),
    plan,
  )
  noteUnseen(own, 'reference', notes)
  noteUnseen(other, 'candidate', notes)
  return {
    programs: { reference: first, candidate: second },
    reference: { graph: first.graph, runs: runsOf(own) },
    candidate: { graph: second.graph, runs: runsOf(other) },
    runtime: `onnxruntime ${own.version}`,
    inputs: reports.slice(0, (reports.length / feeds.length) * used.length),
    notes,
  }
}

async function record(
  runner: FragmentRunner,
  { input }: OpenedModel,
  program: OnnxProgram,
  feeds: readonly ReadonlyMap<string, ArrayValue>[],
  { keeps }: RecordingPlan,
): Promise<Observation> {
  const whole = wholeProgram(program)
  const dependent = new Set(
    dependentValues(
      program.graph,
      whole.inputs.map(({ name }) => name),
    ),
  )
  try {
    const left = new Set(program.graph.nodes.filter((node) => !keeps(node)).flatMap(({ outputs }) => outputs))
    const wanted = (name: string) => dependent.has(name) && !left.has(name)
    return await runner.observe(program, whole, feeds, { wanted, keep: () => true, sketch: false })
  } catch (error) {
    throw refusedBy(input, error)
  }
}

function runsOf({ runs }: Observation): Map<string, ArrayValue>[] {
  return runs.map((run) => {
    const values = new Map<string, ArrayValue>()
    for (const [name, { value }] of run) if (value) values.set(name, value)
    return values
  })
}

function noteUnseen({ unseen }: Observation, side: string, notes: string[]): void {
  const [first] = unseen
  if (first === undefined) return
  const [name, reason] = first
  const what = unseen.size === 1 ? `value "${name}"` : `${unseen.size} values, "${name}" among them,`
  notes.push(`${what} of the ${side} could not be observed (${reason})`)
}
