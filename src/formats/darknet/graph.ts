import type { JsonValue } from '../../encoding/json-value.ts'
import type { Graph, Node, NodeParameter, Value } from '../../model/graph.ts'
import type { DarknetCfg } from './cfg.ts'
import { type DarknetLayer, netSize, type Size } from './layers.ts'

/** Name of the value that enters the network. */
const INPUT = 'data'

/**
 * One node per section, named as its tensors; each gives one value of the same name. The batch of `[net]` is that of
 * training, so the first dimension is open.
 */
export function buildGraph(
  cfg: DarknetCfg,
  layers: readonly DarknetLayer[],
  byLayer: ReadonlyMap<number, readonly NodeParameter[]>,
): Graph {
  const valueName = (index: number) => layers[index]?.name ?? INPUT
  const nodes = layers.map((layer): Node => {
    const parameters = byLayer.get(layer.index)
    return {
      name: layer.name,
      op: layer.section.type,
      domain: '',
      inputs: layer.inputs.map(valueName),
      outputs: [layer.name],
      attributes: Object.fromEntries([...layer.section.options].map(([key, text]) => [key, optionValue(text)])),
      ...(parameters ? { parameters } : {}),
    }
  })
  const consumed = new Set(nodes.flatMap(({ inputs }) => inputs))
  const value = (name: string, { c, h, w }: Size): Value => ({ name, dtype: 'float32', shape: [null, c, h, w] })
  const values = layers.map((layer) => value(layer.name, layer.out))
  return {
    name: 'main',
    kind: 'main',
    inputs: [value(INPUT, netSize(cfg))],
    outputs: values.filter(({ name }, index) => !consumed.has(name) || isHead(layers[index]!)),
    nodes,
    values: new Map(values.map((one) => [one.name, one])),
  }
}

/** Detection heads give results even where a `route` reaches back past them. */
const isHead = ({ section }: DarknetLayer) => ['yolo', 'gaussian_yolo', 'region', 'detection'].includes(section.type)

/** what is longer is no number, and matching it would cost the square of its length */
const MAX_NUMBER_LENGTH = 40

/** Numbers and lists of numbers as such, anything else as text. */
export function optionValue(text: string): JsonValue & (string | number | readonly number[]) {
  const parts = text.split(',')
  if (!parts.every((part) => part.length <= MAX_NUMBER_LENGTH && /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(part)))
    return text
  return parts.length === 1 ? Number(text) : parts.map(Number)
}
