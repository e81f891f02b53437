import type { Graph, Node } from '../model/graph.ts'
import type { Model } from '../model/model.ts'
import { findRecord, findText } from './attributes.ts'

/** Functions that call each other twice double at every level: this bounds what a small file can blow up to. */
const MAX_NODES = 50_000
const MAX_DEPTH = 16

/** A graph without calls: nodes of called functions stand where the call was. */
export interface FlatGraph {
  readonly graph: Graph
  readonly nodes: readonly Node[]
}

/**
 * Puts the bodies of called functions in place of their calls: ONNX functions (operator = function name, inputs bound
 * by name) and TensorFlow's `PartitionedCall` (function in the attribute `f`). Inner values are renamed `call/value`.
 *
 * A call that leads too deep, that would make more than 50,000 nodes, or that comes back to a function
 * it is inside of, is left as it is.
 */
export function inlineCalls(main: Graph, model: Model): FlatGraph {
  const functions = new Map(model.graphs.filter(({ kind }) => kind === 'function').map((graph) => [graph.name, graph]))
  if (functions.size === 0) return { graph: main, nodes: main.nodes }
  const nodes: Node[] = []
  const values = new Map(main.values)
  const expand = (
    list: readonly Node[],
    prefix: string,
    bound: ReadonlyMap<string, string>,
    callers: readonly Graph[],
  ) => {
    const rename = (name: string) => bound.get(name) ?? (prefix === '' || name === '' ? name : `${prefix}${name}`)
    for (const node of list) {
      const isRoom = callers.length < MAX_DEPTH && nodes.length < MAX_NODES
      const found = isRoom ? calledBy(node, functions) : undefined
      const called = found && !callers.includes(found) ? found : undefined
      const inputs = node.inputs.map(rename)
      const outputs = node.outputs.map(rename)
      if (called === undefined) {
        nodes.push(prefix === '' ? node : { ...node, name: `${prefix}${node.name}`, inputs, outputs })
        continue
      }
      const inner = `${prefix}${node.name}/`
      const names = new Map<string, string>()
      called.inputs.forEach((input, i) => {
        if (inputs[i] !== undefined) names.set(input.name, inputs[i]!)
      })
      // a function that hands an input straight out has no node that writes its output
      const direct: Node[] = []
      called.outputs.forEach((output, i) => {
        const outer = outputs[i]
        if (outer === undefined) return
        const known = names.get(output.name)
        if (known === undefined) names.set(output.name, outer)
        else
          direct.push({
            name: `${inner}output_${i}`,
            op: 'Identity',
            domain: '',
            inputs: [known],
            outputs: [outer],
            attributes: {},
          })
      })
      for (const value of called.values.values()) {
        const name = names.get(value.name) ?? `${inner}${value.name}`
        if (!values.has(name)) values.set(name, { ...value, name })
      }
      expand(called.nodes, inner, names, [...callers, called])
      nodes.push(...direct)
    }
  }
  expand(main.nodes, '', new Map(), [])
  return { graph: { ...main, values }, nodes }
}

function calledBy(node: Node, functions: ReadonlyMap<string, Graph>): Graph | undefined {
  const attribute =
    findText(node.attributes, 'f', 'function') ??
    findText(findRecord(node.attributes, 'f', 'function'), 'name', 'function')
  const names = [
    attribute,
    node.domain === '' ? node.op : `${node.domain}::${node.op}`,
    `${node.domain}.${node.op}`,
    node.op,
  ]
  for (const name of names) {
    const found = name === undefined ? undefined : functions.get(name)
    if (found) return found
  }
  return undefined
}
