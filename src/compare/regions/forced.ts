import type { Node } from '../../model/graph.ts'
import type { Fragment, FragmentNode, OnnxProgram } from '../../onnx/program.ts'
import type { Dtype } from '../../tensor/dtype.ts'
import type { Layout } from '../behaviour/layout.ts'
import type { Recording } from '../behaviour/recording.ts'

/** A value of the candidate that is replaced by one of the reference on its way to the operators that take it. */
export interface Force {
  readonly candidate: string
  readonly reference: string
  readonly order: Layout
  /** only this operator takes the replacement; all of them when absent */
  readonly consumer?: Node
}

export interface ForcedRunOptions {
  /** how many of the inputs, from the first on; all when absent */
  readonly inputs?: number
  /** what is fed is moved by half a unit in the last place */
  readonly disturbed?: boolean
}

/**
 * Runs the candidate with values forced. In the recording every value is what the candidate's own operator made of what
 * it was given: of a forced value too, which only its takers see replaced.
 *
 * @throws {ToolError} CANNOT_RUN, e.g. where forced sizes do not fit
 */
export type RunForced = (forces: readonly Force[], options?: ForcedRunOptions) => Promise<Recording>

/** Forced values are fed under their own names, so that bodies of control flow see them too; results are renamed. */
const OWN = '\u0001own'
const FED = '\u0001fed'

/** The whole candidate as a fragment with some values cut. */
export interface ForcedFragment {
  readonly fragment: Fragment
  /** name of the feed of each force, in order */
  readonly feeds: readonly string[]
  /** name in the fragment -> name in the graph, for everything that is observed */
  readonly observed: ReadonlyMap<string, string>
}

/**
 * @param wanted values to observe
 * @param dtypeOf element type of what the candidate computes
 */
export function forcedFragment(
  { graph, constants }: OnnxProgram,
  forces: readonly Force[],
  wanted: readonly string[],
  dtypeOf: (name: string) => Dtype,
): ForcedFragment {
  const cut = new Set(forces.filter(({ consumer }) => consumer === undefined).map(({ candidate }) => candidate))
  const edges = new Map<Node, Map<string, string>>()
  const feeds = forces.map(({ candidate, consumer }, index) => {
    if (consumer === undefined) return candidate
    const name = `${candidate}${FED}${index}`
    edges.set(consumer, new Map([...(edges.get(consumer) ?? []), [candidate, name]]))
    return name
  })
  const made = new Set(graph.nodes.flatMap(({ outputs }) => outputs))
  const nodes = graph.nodes.map((from): FragmentNode => {
    const replaced = edges.get(from)
    return {
      from,
      ...(replaced ? { inputs: from.inputs.map((name) => replaced.get(name) ?? name) } : {}),
      ...(from.outputs.some((name) => cut.has(name))
        ? { outputs: from.outputs.map((name) => (cut.has(name) ? `${name}${OWN}` : name)) }
        : {}),
    }
  })
  const observed = new Map(
    wanted.filter((name) => made.has(name)).map((name) => [cut.has(name) ? `${name}${OWN}` : name, name]),
  )
  const given = new Set([...graph.inputs.map(({ name }) => name).filter((name) => !constants.has(name)), ...feeds])
  return {
    fragment: {
      nodes,
      inputs: [...given].map((name) => ({ name, dtype: dtypeOf(name.split(FED)[0]!) })),
      outputs: [...observed.keys()],
    },
    feeds,
    observed,
  }
}
