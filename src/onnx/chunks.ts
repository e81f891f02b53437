import { inputsOf, outputsOf } from './fragment-node.ts'
import type { Fragment, FragmentNode, OnnxProgram } from './program.ts'
import { capturedValues } from './read-program.ts'
import { estimateBytes } from './size-estimate.ts'

/** A fragment in the order in which it runs, to be cut into parts that run one after the other. */
export interface Course {
  readonly nodes: readonly FragmentNode[]
  /** what a node takes, values that its bodies take from outside included; constants left out */
  takes(node: FragmentNode): readonly string[]
  /** place of the last node that takes the value; -1 when none does */
  lastUse(name: string): number
}

/** Operators whose results may be no tensors: they cannot be observed, nor cross from one part to the next. */
const NOT_TENSOR = /^(Sequence(?!At|Length)|SplitToSequence|Optional(?!GetElement|HasElement))/

/** The order in which a fragment runs. Files do not always keep to one in which values are made before they are taken. */
export async function planCourse(program: OnnxProgram, fragment: Fragment): Promise<Course> {
  const given = new Set(fragment.inputs.map(({ name }) => name))
  const made = new Set(fragment.nodes.flatMap(outputsOf))
  const isConstant = (name: string) =>
    !given.has(name) && !made.has(name) && (fragment.constants?.has(name) === true || program.constants.has(name))
  const taken = new Map<FragmentNode, readonly string[]>()
  for (const node of fragment.nodes) {
    const captured = 'from' in node ? await capturedValues(program, node.from) : []
    const names = new Set([...inputsOf(node), ...captured])
    taken.set(
      node,
      [...names].filter((name) => name !== '' && !isConstant(name)),
    )
  }
  const nodes = inOrder(fragment.nodes, taken)
  const last = new Map<string, number>()
  for (const [place, node] of nodes.entries()) for (const name of taken.get(node)!) last.set(name, place)
  return { nodes, takes: (node) => taken.get(node)!, lastUse: (name) => last.get(name) ?? -1 }
}

function inOrder(
  nodes: readonly FragmentNode[],
  taken: ReadonlyMap<FragmentNode, readonly string[]>,
): readonly FragmentNode[] {
  const maker = new Map(nodes.flatMap((node) => outputsOf(node).map((name) => [name, node] as const)))
  const seen = new Set<FragmentNode>()
  const sorted: FragmentNode[] = []
  for (const root of nodes) {
    // Depth first without recursion: chains of nodes are as long as the model is deep.
    const stack = [{ node: root, next: 0 }]
    while (stack.length > 0) {
      const top = stack.at(-1)!
      if (top.next === 0) {
        if (seen.has(top.node)) {
          stack.pop()
          continue
        }
        seen.add(top.node)
      }
      const names = taken.get(top.node)!
      let before: FragmentNode | undefined
      while (before === undefined && top.next < names.length) {
        const made = maker.get(names[top.next++]!)
        if (made && !seen.has(made)) before = made
      }
      if (before) stack.push({ node: before, next: 0 })
      else {
        sorted.push(top.node)
        stack.pop()
      }
    }
  }
  return sorted
}

/** How much one part may take. */
export interface ChunkBudget {
  /** bytes of results, on all inputs that run together */
  readonly values: number
  /** bytes of constants */
  readonly constants: number
}

/**
 * The end of the part that begins with node `begin`: as many nodes as stay within the budget, one at least. Nodes
 * between which something passes that is no tensor stay together.
 *
 * @param sizes bytes of values that are known; estimates of the part's results are not kept
 * @param inputs number of inputs that run together
 */
export function endOfChunk(
  program: OnnxProgram,
  course: Course,
  begin: number,
  sizes: ReadonlyMap<string, number>,
  inputs: number,
  budget: ChunkBudget,
): number {
  const known = new Map(sizes)
  const loaded = new Set<string>()
  let values = 0
  let constants = 0
  let end = begin
  while (end < course.nodes.length) {
    const node = course.nodes[end]!
    const bytes = estimateBytes(program, node, known)
    const results = outputsOf(node)
    values += bytes * results.length * inputs
    for (const name of inputsOf(node)) {
      if (loaded.has(name)) continue
      loaded.add(name)
      constants += program.constants.get(name)?.bytes ?? 0
    }
    if (end > begin && (values > budget.values || constants > budget.constants)) break
    for (const name of results) if (!known.has(name)) known.set(name, bytes)
    end++
  }
  for (let place = begin; place < end; place++) {
    const node = course.nodes[place]!
    if (isObservable(program, node)) continue
    for (const name of outputsOf(node)) end = Math.max(end, course.lastUse(name) + 1)
  }
  return end
}

/** Whether the node's results are tensors, as far as its operator and the file say. */
export function isObservable({ graph }: OnnxProgram, node: FragmentNode): boolean {
  if (!('from' in node)) return !NOT_TENSOR.test(node.op)
  const stated = node.from.outputs.some((name) => graph.values.get(name)?.container !== undefined)
  return !stated && !NOT_TENSOR.test(node.from.op)
}

/** Bytes of the program's constants that the nodes take, each counted once. */
export function constantBytes({ constants }: OnnxProgram, { nodes }: Fragment): number {
  const names = new Set(nodes.flatMap(inputsOf))
  return [...names].reduce((sum, name) => sum + (constants.get(name)?.bytes ?? 0), 0)
}
