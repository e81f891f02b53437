import type { Graph, Node, NodeParameter, Value } from '../../model/graph.ts'
import type { Problem } from '../../model/model.ts'
import { uniqueNames } from '../../model/unique-names.ts'
import type { CaffeLayer, CaffeNet, StateRule } from './net.ts'

/**
 * The network as it runs in the TEST phase, level 0, no stages: layers whose rules say otherwise are left out and
 * named in a warning.
 *
 * Layers may write over their input (`top` = `bottom`), so that one blob has several values. Values are made unique:
 * the last one keeps the blob's name, as `net.blobs[name]` holds it after a run; an earlier one is `blob@layer`, after
 * the layer that wrote it. A network input keeps its own name in any case.
 *
 * @param byLayer tensors of each layer, by layer name
 */
export function buildGraph(
  net: CaffeNet,
  byLayer: ReadonlyMap<string, readonly NodeParameter[]>,
): { graph: Graph; warnings: Problem[] } {
  const layers = net.layers.filter(runsInTest)
  const leftOut = net.layers.filter((layer) => !runsInTest(layer))
  const inputNames = new Set(net.inputs.map(({ name }) => name))
  const remaining = new Map<string, number>()
  for (const top of layers.flatMap(({ tops }) => tops)) remaining.set(top, (remaining.get(top) ?? 0) + 1)

  const uniqueValue = uniqueNames()
  const uniqueNode = uniqueNames()
  const current = new Map<string, string>()
  for (const { name } of net.inputs) current.set(name, uniqueValue(name))
  const unknown = new Set<string>()
  const owners = new Set<string>()
  const nodes = layers.map((layer): Node => {
    const inputs = layer.bottoms.map((bottom) => {
      const value = current.get(bottom)
      if (value === undefined) unknown.add(bottom)
      return value ?? bottom
    })
    const outputs = layer.tops.map((top) => {
      const later = remaining.get(top)! - 1
      remaining.set(top, later)
      const value = uniqueValue(later === 0 && !inputNames.has(top) ? top : `${top}@${layer.name}`)
      current.set(top, value)
      return value
    })
    const parameters = owners.has(layer.name) ? undefined : byLayer.get(layer.name)
    owners.add(layer.name)
    return {
      name: uniqueNode(layer.name),
      op: layer.type,
      domain: '',
      inputs,
      outputs,
      attributes: layer.attributes,
      ...(parameters ? { parameters } : {}),
    }
  })
  const consumed = new Set(nodes.flatMap(({ inputs }) => inputs))
  const warnings: Problem[] = []
  if (leftOut.length > 0)
    warnings.push({
      code: 'PHASE_FILTERED',
      message: `The graph is that of the TEST phase; left out: ${leftOut.map(({ name, type }) => `${name} (${type})`).join(', ')}.`,
    })
  if (unknown.size > 0)
    warnings.push({
      code: 'UNKNOWN_BLOBS',
      message: `Layers take blobs that none before them makes: ${[...unknown].slice(0, 10).join(', ')}.`,
    })
  const graph: Graph = {
    name: net.name ?? 'net',
    kind: 'main',
    inputs: [...net.inputs.map(({ name, shape }) => inputValue(name, shape)), ...layers.flatMap(inputsOfLayer)],
    outputs: nodes
      .flatMap(({ outputs }) => outputs)
      .filter((name) => !consumed.has(name))
      .map((name) => ({ name, dtype: 'float32' as const })),
    nodes,
    values: new Map(),
  }
  return { graph, warnings }
}

const inputValue = (name: string, shape: readonly number[] | undefined): Value => ({
  name,
  dtype: 'float32',
  ...(shape ? { shape } : {}),
})

/** An `Input` layer has a shape per top, or one for all. */
function inputsOfLayer(layer: CaffeLayer): Value[] {
  if (layer.type !== 'Input') return []
  const stored = layer.attributes.shape
  const shapes = (Array.isArray(stored) ? stored : [stored]).map((shape) => {
    const dim = typeof shape === 'object' && shape !== null && 'dim' in shape ? shape.dim : undefined
    const dims = Array.isArray(dim) ? dim : [dim]
    return dims.every((size) => typeof size === 'number') ? (dims as number[]) : undefined
  })
  return layer.tops.map((top, index) => inputValue(top, shapes[index] ?? shapes[0]))
}

function runsInTest({ include, exclude }: CaffeLayer): boolean {
  return include.length > 0 ? include.some(meets) : !exclude.some(meets)
}

/** Whether the state (TEST, level 0, no stage) meets a rule. */
function meets({ phase, minLevel, maxLevel, stages }: StateRule): boolean {
  return phase !== 'TRAIN' && (minLevel ?? 0) <= 0 && (maxLevel ?? 0) >= 0 && stages.length === 0
}
