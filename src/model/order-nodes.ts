import type { NodeDef } from '../encoding/graph-def.ts'

/**
 * Nodes of a GraphDef in an order of execution. GraphDefs may list them in any order; where the file's own order is
 * valid it is kept as it is. Control dependencies count. The back edges of TensorFlow 1 loops (`NextIteration`) do
 * not; with any other cycle the file order is returned.
 */
export function orderNodes(nodes: readonly NodeDef[]): { ordered: readonly NodeDef[]; cyclic: boolean } {
  const indexOf = new Map(nodes.map((node, index) => [node.name ?? '', index]))
  const waiting = new Int32Array(nodes.length)
  const users: number[][] = nodes.map(() => [])
  let inOrder = true
  for (const [index, node] of nodes.entries()) {
    for (const input of new Set(node.input.map(producer))) {
      const from = indexOf.get(input)
      if (from === undefined || nodes[from]!.op === 'NextIteration' || nodes[from]!.op === 'RefNextIteration') continue
      if (from >= index) inOrder = false
      waiting[index]!++
      users[from]!.push(index)
    }
  }
  if (inOrder) return { ordered: nodes, cyclic: false }
  const ready = nodes.flatMap((_, index) => (waiting[index] === 0 ? [index] : []))
  for (let at = 0; at < ready.length; at++) {
    for (const user of users[ready[at]!]!) if (--waiting[user]! === 0) ready.push(user)
  }
  return ready.length === nodes.length
    ? { ordered: ready.map((index) => nodes[index]!), cyclic: false }
    : { ordered: nodes, cyclic: true }
}

function producer(input: string): string {
  const name = input.startsWith('^') ? input.slice(1) : input
  const colon = name.indexOf(':')
  return colon < 0 ? name : name.slice(0, colon)
}
