import type { Node } from '../../model/graph.ts'
import type { AttributeEdit, FragmentInput, FragmentNode, OnnxProgram } from '../../onnx/program.ts'
import { type ArrayValue, numbersOf } from '../../tensor/array-value.ts'
import { type Distance, distance } from '../distance.ts'
import type { RunFragment } from '../hypotheses/faulty-region.ts'
import type { Change } from '../hypotheses/hypothesis.ts'
import { toCandidate, toReference } from '../hypotheses/region-context.ts'
import type { Region, RegionPair } from '../regions/region.ts'

/** One side of a region with what was changed to make it smaller or to repair it. */
export interface SideForm {
  readonly program: OnnxProgram
  readonly nodes: readonly Node[]
  readonly output: string
  /** constants that replace the program's */
  readonly constants: ReadonlyMap<string, ArrayValue>
  /** attributes that sizes depend on, e.g. `group` */
  readonly attributes: ReadonlyMap<Node, Readonly<Record<string, AttributeEdit>>>
  /** a repair, where one is known */
  readonly change?: Change
}

/** The nodes to run: as they are, with sizes adjusted, or replaced by a repair. */
export function nodesOf({ nodes, attributes, change }: SideForm): FragmentNode[] {
  const own = nodes
    .filter(({ op }) => op !== 'Constant')
    .flatMap((node): readonly FragmentNode[] => {
      const edits = attributes.get(node)
      return change?.replace?.get(node) ?? [{ from: node, ...(edits ? { attributes: edits } : {}) }]
    })
  return [...own, ...(change?.behind?.nodes ?? [])]
}

/** The value at which a form ends. */
export const endOf = ({ output, change }: SideForm): string => change?.behind?.output ?? output

/** Constants that replace the program's: smaller ones, and those of the repair. */
export const constantsOf = ({ constants, change }: SideForm): ReadonlyMap<string, ArrayValue> =>
  new Map([...constants, ...(change?.constants ?? [])])

/** Types of what is fed. */
export const typesOf = (feed: ReadonlyMap<string, ArrayValue>): FragmentInput[] =>
  [...feed].map(([name, { dtype, shape }]) => ({ name, dtype, shape }))

/**
 * Runs one form on one feed.
 * @returns the wanted values by name; undefined where the runtime refuses
 */
export async function runForm(
  run: RunFragment,
  form: SideForm,
  feed: ReadonlyMap<string, ArrayValue>,
  wanted: readonly string[] = [endOf(form)],
): Promise<ReadonlyMap<string, ArrayValue> | undefined> {
  const fragment = { nodes: nodesOf(form), inputs: typesOf(feed), outputs: wanted, constants: constantsOf(form) }
  try {
    const [result] = await run(form.program, fragment, [feed])
    return result
  } catch {
    return undefined // a form that does not run is no smaller case
  }
}

/** The reference's values at the cut as the candidate takes them. `shapes`: what it is known to take. */
export function candidateFeed(
  cut: readonly RegionPair[],
  values: ReadonlyMap<string, ArrayValue>,
  shapes: ReadonlyMap<string, readonly number[]>,
): Map<string, ArrayValue> {
  return new Map(
    cut.flatMap((pair) => {
      const value = values.get(pair.reference)
      return value ? [[pair.candidate, toCandidate(value, pair, shapes.get(pair.candidate))] as const] : []
    }),
  )
}

/** How a value of the candidate lies from what the reference has: of another size, not finite, or so far apart. */
export interface Gap {
  readonly kind: 'values' | 'size' | 'not-finite'
  readonly relL2: number
  readonly distance?: Distance
}

/** `value` against `truth`, at the end of a region. */
export function gapAt(at: Region['at'], truth: ArrayValue, value: ArrayValue): Gap {
  const own = toReference(value, at, truth.shape)
  if (own.shape.join() !== truth.shape.join()) return { kind: 'size', relL2: Number.POSITIVE_INFINITY }
  const found = distance(numbersOf(truth), numbersOf(own))
  const kind = found.nonFinite > 0 ? 'not-finite' : 'values'
  return { kind, relL2: found.relL2, distance: found }
}
