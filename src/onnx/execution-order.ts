import type { Graph, Node } from '../model/graph.ts'

/**
 * Nodes in an order of execution: the file's own where it is valid, as the format demands. Some converters append nodes
 * at the end all the same, and runtimes sort them.
 * @returns the file's order, too, where nodes wait for each other in a circle
 */
export function executionOrder(nodes: readonly Node[]): readonly Node[] {
  const makers = new Map(nodes.flatMap((node, index) => node.outputs.map((name): [string, number] => [name, index])))
  const needs = nodes.map((node, index) => {
    const found = taken(node).flatMap((name) => makers.get(name) ?? [])
    return new Set(found.filter((maker) => maker !== index))
  })
  if (needs.every((makersOf, index) => [...makersOf].every((maker) => maker < index))) return nodes
  const users: number[][] = nodes.map(() => [])
  for (const [index, makersOf] of needs.entries()) for (const maker of makersOf) users[maker]!.push(index)
  const waiting = needs.map(({ size }) => size)
  const ready = nodes.flatMap((_, index) => (waiting[index] === 0 ? [index] : []))
  for (let at = 0; at < ready.length; at++)
    for (const user of users[ready[at]!]!) if (--waiting[user]! === 0) ready.push(user)
  return ready.length === nodes.length ? ready.map((index) => nodes[index]!) : nodes
}

/** What a node takes, bodies of control flow included. */
const taken = ({ inputs, subgraphs = {} }: Node): string[] => [
  ...inputs.filter((name) => name !== ''),
  ...Object.values(subgraphs).flatMap((body: Graph) => [
    ...body.nodes.flatMap(taken),
    ...body.outputs.map(({ name }) => name),
  ]),
]
