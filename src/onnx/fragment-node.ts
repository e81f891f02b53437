import type { FragmentNode } from './program.ts'

/** What the node takes, as it is written. */
export function inputsOf(node: FragmentNode): readonly string[] {
  return node.inputs ?? ('from' in node ? node.from.inputs : [])
}

/** What the node gives, as it is written. */
export function outputsOf(node: FragmentNode): readonly string[] {
  return node.outputs ?? ('from' in node ? node.from.outputs : [])
}
