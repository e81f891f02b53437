import type { Layer } from '../layers/layer.ts'

/** Who feeds whom among layers, by index in order of execution. */
export interface LayerGraph {
  readonly layers: readonly Layer[]
  /** per layer, per data input: the layer that gives it; undefined for inputs of the graph */
  readonly sources: readonly (readonly (number | undefined)[])[]
  readonly consumers: readonly (readonly number[])[]
}

/** A value name may be given again by a later layer (Caffe works in place): the last one before a reader counts. */
export function layerGraph(layers: readonly Layer[]): LayerGraph {
  const producer = new Map<string, number>()
  const consumers: number[][] = layers.map(() => [])
  const sources = layers.map((layer, at) => {
    const found = layer.inputs.map((name) => producer.get(name) ?? producer.get(name.replace(/:\d+$/, '')))
    for (const source of found) if (source !== undefined) consumers[source]!.push(at)
    for (const name of layer.outputs) producer.set(name, at)
    return found
  })
  return { layers, sources, consumers }
}

/** The layer whose output enters as data, through operators that only rename or convert. */
export function directSource({ layers, sources }: LayerGraph, at: number): number | undefined {
  let source = sources[at]?.find((each) => each !== undefined)
  for (let steps = 0; steps < 8 && source !== undefined; steps++) {
    const layer = layers[source]!
    if (!CONVERTING.has(layer.op) || layer.weights.length > 0) return source
    source = sources[source]?.[0]
  }
  return source
}

const CONVERTING: ReadonlySet<string> = new Set([
  'Identity',
  'Cast',
  'DequantizeLinear',
  'QuantizeLinear',
  'Split',
  'Squeeze',
])
