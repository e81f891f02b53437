import { readText } from '../../encoding/length-prefixed.ts'
import type { AttributeValue, Graph, Node } from '../../model/graph.ts'
import { readTensor, type Tensor } from '../../tensor/tensor.ts'

/**
 * Which stored tensor each variable node of a SavedModel stands for, by node name: exactly what loading does.
 *
 * A function of the file restores all variables: `RestoreV2` reads the tensors that a constant lists, and an
 * `AssignVariableOp` puts each into an argument of the function; the main graph calls it with its variables. Names
 * alone would not do: Keras 3 stores every variable twice, under one name.
 */
export async function findRestored(graphs: readonly Graph[], tensors: readonly Tensor[]): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  const [main, ...functions] = graphs
  const callers = new Map<string, Node[]>()
  for (const node of main?.nodes ?? []) {
    const called = functionOf(node)
    if (called !== undefined) callers.set(called, [...(callers.get(called) ?? []).slice(0, MAX_CALLERS - 1), node])
  }
  for (const body of functions) {
    const restore = body.nodes.find(({ op }) => op === 'RestoreV2')
    if (restore === undefined) continue
    const nodes = new Map(body.nodes.map((node) => [node.name, node]))
    const keys = await listOf(nodes.get(nodeOf(restore.inputs[1])), tensors)
    const keyOfArgument = new Map<string, string>()
    for (const { op, inputs } of body.nodes) {
      if (op !== 'AssignVariableOp') continue
      const [argument = '', value] = inputs
      const key = keys[restoredIndex(value, nodes, restore)]
      if (key !== undefined) keyOfArgument.set(argument, key)
    }
    for (const caller of callers.get(body.name) ?? []) {
      for (const [index, variable] of caller.inputs.entries()) {
        const key = keyOfArgument.get(body.inputs[index]?.name ?? '')
        if (key !== undefined) found.set(variable, key)
      }
    }
  }
  return found
}

/** A function that restores is called once; a few times more costs nothing, thousands would. */
const MAX_CALLERS = 8

/**
 * Functions whose arguments are variables get them at the nodes that read an argument: `ReadVariableOp` in a body is
 * the stored tensor that every caller passes. An argument for which callers differ gets none.
 *
 * @param variables stored tensor by name of a variable node in the main graph
 */
export function bindArguments(graphs: readonly Graph[], variables: ReadonlyMap<string, string>): Graph[] {
  const [main, ...functions] = graphs
  if (main === undefined) return []
  const byName = new Map(functions.map((graph) => [graph.name, graph]))
  // tensor by argument; null where callers differ
  const bound = new Map<Graph, Map<string, string | null>>([[main, new Map(variables)]])
  const queue = [main]
  for (let at = 0; at < queue.length; at++) {
    const caller = queue[at]!
    const own = bound.get(caller)!
    for (const node of caller.nodes) {
      const body = byName.get(functionOf(node) ?? '')
      if (body === undefined) continue
      const known = bound.get(body)
      const values = known ?? new Map<string, string | null>()
      for (const [index, input] of node.inputs.entries()) {
        const name = body.inputs[index]?.name
        const tensor = own.get(input) ?? null
        if (name !== undefined) values.set(name, known === undefined || known.get(name) === tensor ? tensor : null)
      }
      if (known !== undefined) continue
      bound.set(body, values)
      queue.push(body)
    }
  }
  return [main, ...functions.map((graph) => bindReads(graph, bound.get(graph)))]
}

function bindReads(graph: Graph, values: ReadonlyMap<string, string | null> | undefined): Graph {
  if (values === undefined) return graph
  const nodes = graph.nodes.map((node) => {
    const tensor = values.get(node.inputs[0] ?? '')
    const reads = node.op === 'ReadVariableOp' && typeof tensor === 'string'
    return reads ? { ...node, parameters: [{ role: 'variable', tensor }] } : node
  })
  return { ...graph, nodes }
}

/** Which output of `restore` reaches `value`, directly or through an Identity; -1 for none. */
function restoredIndex(value: string | undefined, nodes: ReadonlyMap<string, Node>, restore: Node): number {
  const node = nodes.get(nodeOf(value))
  const origin = node?.op === 'Identity' ? node.inputs[0] : value
  if (nodeOf(origin) !== restore.name) return -1
  return Number(/:(\d+)$/.exec(origin ?? '')?.[1] ?? 0)
}

/** `RestoreV2:tensors:3` belongs to the node `RestoreV2`. */
function nodeOf(value: string | undefined): string {
  return value?.replace(/:.*$/, '') ?? ''
}

function functionOf({ attributes }: Node): string | undefined {
  const called = attributes.f as { readonly function?: AttributeValue } | undefined
  return typeof called?.function === 'string' ? called.function : undefined
}

/** The texts of a constant, written out in its node or, when they are many, kept as a tensor. */
async function listOf(node: Node | undefined, tensors: readonly Tensor[]): Promise<readonly string[]> {
  const value = node?.attributes.value as { values?: readonly AttributeValue[]; tensor?: string } | undefined
  if (Array.isArray(value?.values)) return value.values.map(String)
  const tensor = tensors.find(({ name, dtype }) => name === value?.tensor && dtype === 'string')
  return tensor === undefined ? [] : readText(await readTensor(tensor))
}
