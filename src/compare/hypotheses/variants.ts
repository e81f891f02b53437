import type { Node } from '../../model/graph.ts'
import type { Fragment, FragmentInput, FragmentNode } from '../../onnx/program.ts'
import type { ArrayValue } from '../../tensor/array-value.ts'
import type { Change } from './hypothesis.ts'
import type { RegionSide } from './region-side.ts'

/** Many versions of one region side by side in one graph: one load and one run for all of them. */
export interface Variants {
  readonly fragment: Fragment
  /** the region's end, per change */
  readonly ends: readonly string[]
}

/** The change whose copy the runtime complains about; undefined when it names none. */
export function blamed(message: string): number | undefined {
  const [, at] = /~(\d+)\//.exec(message) ?? []
  return at === undefined ? undefined : Number(at)
}

/**
 * Puts the unchanged region and one copy per change into one graph. Nodes that no change reaches are shared; a copy's
 * values carry the prefix `~N/`.
 *
 * @param extra values of the unchanged region to observe as well
 */
export function layOut(
  side: RegionSide,
  changes: readonly Change[],
  inputs: readonly FragmentInput[],
  extra: readonly string[] = [],
): Variants {
  const nodes: FragmentNode[] = side.nodes.map((from) => ({ from }))
  const constants = new Map([...side.constants].filter(([name]) => side.computed.has(name)))
  const ends = changes.map((change, at) => addCopy(side, change, `~${at}/`, nodes, constants))
  const wanted = new Set([...extra, ...ends])
  return { fragment: { nodes: used(nodes, wanted), inputs, outputs: [...wanted], constants }, ends }
}

function addCopy(
  side: RegionSide,
  change: Change,
  prefix: string,
  nodes: FragmentNode[],
  constants: Map<string, ArrayValue>,
): string {
  const touched = new Set<string>()
  for (const [name, value] of change.constants ?? []) {
    touched.add(name)
    constants.set(prefix + name, value)
  }
  const rename = (name: string) => (touched.has(name) ? prefix + name : name)
  const add = (node: FragmentNode) => {
    const inputs = inputsOf(node).map(rename)
    for (const name of outputsOf(node)) if (name !== '') touched.add(name)
    // the runtime wants names of nodes that differ
    const name = `${prefix}${nodes.length}/${'from' in node ? node.from.name : node.op}`
    nodes.push({ ...node, name, inputs, outputs: outputsOf(node).map((each) => (each === '' ? '' : prefix + each)) })
  }
  for (const node of side.nodes) {
    const instead = change.replace?.get(node)
    if (instead) for (const each of instead) add(each)
    else if (node.inputs.some((name) => touched.has(name))) add({ from: node })
  }
  for (const node of change.behind?.nodes ?? []) add(node)
  return rename(change.behind?.output ?? side.output)
}

/** Nodes that a wanted value needs: the runtime would run the others too. */
export function used(nodes: readonly FragmentNode[], wanted: ReadonlySet<string>): FragmentNode[] {
  const needed = new Set(wanted)
  const kept: FragmentNode[] = []
  for (const node of [...nodes].reverse()) {
    if (!outputsOf(node).some((name) => needed.has(name))) continue
    kept.push(node)
    for (const name of inputsOf(node)) needed.add(name)
    // bodies of control flow take values by name, unseen from here
    for (const name of 'from' in node ? captured(node.from) : []) needed.add(name)
  }
  return kept.reverse()
}

function captured(node: Node): string[] {
  return Object.values(node.subgraphs ?? {}).flatMap(({ nodes }) =>
    nodes.flatMap((inner) => [...inner.inputs, ...captured(inner)]),
  )
}

const inputsOf = (node: FragmentNode): readonly string[] =>
  'from' in node ? (node.inputs ?? node.from.inputs) : node.inputs

const outputsOf = (node: FragmentNode): readonly string[] =>
  'from' in node ? (node.outputs ?? node.from.outputs) : node.outputs

/**
 * A change as it is made to the region as the file has it: operators whose results are replaced by constants no longer
 * run.
 */
export function standalone(side: RegionSide, change: Change): Change {
  const replaced = [...(change.constants?.keys() ?? [])].flatMap((name) => side.computed.get(name) ?? [])
  return replaced.length === 0
    ? change
    : { ...change, replace: new Map([...(change.replace ?? []), ...replaced.map((node) => [node, []] as const)]) }
}
