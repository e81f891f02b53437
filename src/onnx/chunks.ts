import type { Node } from '../model/graph.ts'
import type { OnnxProgram } from './program.ts'
import { capturedValues } from './read-program.ts'
import { estimateBytes } from './size-estimate.ts'

/** A program in the order in which it runs, cut into parts one after the other. */
export interface Course {
  readonly nodes: readonly Node[]
  /** what a node takes, values that its bodies take from outside included; constants left out */
  takes(node: Node): readonly string[]
  /** place of the last node that takes the value; -1 when none does */
  lastUse(name: string): number
}

/** Operators whose results may be no tensors: they cannot be observed, nor cross from one part to the next. */
const NOT_TENSOR = /^(Sequence(?!At|Length)|SplitToSequence|Optional(?!GetElement|HasElement))/

/** The order in which a program runs. Files do not always keep to one in which values are made before they are taken. */
export async function planCourse(program: OnnxProgram): Promise<Course> {
  const { graph, constants } = program
  const taken = new Map<Node, readonly string[]>()
  for (const node of graph.nodes) {
    const names = new Set([...node.inputs, ...(await capturedValues(program, node))])
    taken.set(
      node,
      [...names].filter((name) => name !== '' && !constants.has(name)),
    )
  }
  const nodes = inOrder(graph.nodes, taken)
  const last = new Map<string, number>()
  for (const [place, node] of nodes.entries()) for (const name of taken.get(node)!) last.set(name, place)
  return { nodes, takes: (node) => taken.get(node)!, lastUse: (name) => last.get(name) ?? -1 }
}

function inOrder(nodes: readonly Node[], taken: ReadonlyMap<Node, readonly string[]>): readonly Node[] {
  const maker = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)))
  const seen = new Set<Node>()
  const sorted: Node[] = []
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
      let before: Node | undefined
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
    values += bytes * node.outputs.length * inputs
    for (const name of node.inputs) {
      const tensor = loaded.has(name) ? undefined : program.constants.get(name)
      loaded.add(name)
      constants += tensor?.bytes ?? 0
    }
    if (end > begin && (values > budget.values || constants > budget.constants)) break
    for (const name of node.outputs) if (!known.has(name)) known.set(name, bytes)
    end++
  }
  for (let place = begin; place < end; place++) {
    const node = course.nodes[place]!
    if (!NOT_TENSOR.test(node.op) && !statesContainer(program, node)) continue
    for (const name of node.outputs) end = Math.max(end, course.lastUse(name) + 1)
  }
  return end
}

/** Whether a value can be observed, as far as its operator and the file say. */
export function isObservable(program: OnnxProgram, node: Node): boolean {
  return !NOT_TENSOR.test(node.op) && !statesContainer(program, node)
}

function statesContainer({ graph }: OnnxProgram, node: Node): boolean {
  return node.outputs.some((name) => graph.values.get(name)?.container !== undefined)
}
