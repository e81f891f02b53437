import { elementCount } from '../tensor/dtype.ts'
import { type Part, reshape, transpose } from './build-expression.ts'
import { outputsOf, type Reading } from './kernel-layout.ts'
import { type LayerGraph, layerGraph } from './layer-graph.ts'
import { isLinear, type Unit, type UnitSet } from './units.ts'

/** How a feature map lies in the vector that enters a dense layer, e.g. `CHW` with [24, 4, 3]. */
export interface FlattenOrder {
  /** letters in stored order; `C` and `S` where only the channels are known (S: all places) */
  readonly letters: string
  readonly sizes: readonly number[]
}

/** What a flatten before this unit does, as far as its own model's graph tells. */
export function flattenBefore(set: UnitSet, unit: Unit, features: number): FlattenOrder | undefined {
  if (!set.hasGraph || unit.layers.length === 0) return undefined
  const graph = layerGraph(set.layers)
  const shaped = flattenedShape(graph, set.layers.indexOf(unit.layers[0]!), features)
  if (shaped === undefined) return undefined
  const axis = channelAxis(graph, shaped.at, shaped.sizes.length, set)
  return orderOf(shaped.sizes, axis)
}

/** Upstream to the feature map whose flattening gives `features`; its sizes without the batch. */
function flattenedShape(
  { layers, sources }: LayerGraph,
  start: number,
  features: number,
): { at: number; sizes: number[] } | undefined {
  let at: number | undefined = sources[start]?.find((each) => each !== undefined)
  for (let steps = 0; steps < 12 && at !== undefined; steps++) {
    const layer = layers[at]!
    const shape = layer.outputShapes[0]?.slice(1)
    const sizes = shape?.every((size) => size !== null) ? (shape as number[]) : undefined
    if (sizes !== undefined && sizes.length >= 2 && sizes.length <= 4 && elementCount(sizes) === features) {
      const places = sizes.filter((size) => size > 1).length
      return places > 1 ? { at, sizes } : undefined
    }
    if (!FLAT.has(layer.kind) && layer.op !== 'Identity' && layer.op !== 'Cast') return undefined
    at = sources[at]?.find((each) => each !== undefined)
  }
  return undefined
}

/** Layers that a vector passes between the flatten and the dense layer. */
const FLAT: ReadonlySet<string> = new Set(['flatten', 'reshape', 'dropout', 'activation', 'batch-norm', 'transpose'])

/** Which axis of a feature map (batch left out) holds the channels, through transposes up to a layer that says so. */
function channelAxis({ layers, sources }: LayerGraph, start: number, rank: number, { convention }: UnitSet): number {
  let axis: number | undefined
  const orders: (readonly number[])[] = []
  let at: number | undefined = start
  for (let steps = 0; steps < 32 && at !== undefined && axis === undefined; steps++) {
    const layer: (typeof layers)[number] = layers[at]!
    const { dataFormat, permutation } = layer.attributes
    if (dataFormat !== undefined) axis = dataFormat === 'channels-first' ? 1 : rank
    else if (layer.kind === 'transpose' && permutation?.length === rank + 1) orders.push(permutation)
    else if (layer.kind === 'conv') axis = convention === 'torch' ? 1 : rank
    at = sources[at]?.find((each) => each !== undefined)
  }
  axis ??= convention === 'torch' ? 1 : rank
  for (const order of orders.reverse()) axis = order.indexOf(axis)
  return Math.max(0, axis - 1)
}

/** What a reshape behind this unit makes of its outputs, as far as its own model's graph tells: rows of a decoder. */
export function unflattenBehind(set: UnitSet, unit: Unit, outputs: number): FlattenOrder | undefined {
  if (!set.hasGraph || unit.layers.length === 0) return undefined
  const graph = layerGraph(set.layers)
  let at: number | undefined = set.layers.indexOf(unit.layers.at(-1)!)
  for (let steps = 0; steps < 12 && at !== undefined; steps++) {
    const next: readonly number[] = graph.consumers[at]!
    if (next.length !== 1) return undefined
    at = next[0]!
    const layer = graph.layers[at]!
    const sizes = layer.outputShapes[0]?.slice(1)
    if (layer.kind === 'reshape') {
      if (sizes === undefined || sizes.includes(null) || sizes.length < 2 || sizes.length > 4) return undefined
      if (elementCount(sizes as number[]) !== outputs) return undefined
      return orderOf(sizes as number[], channelAxisBehind(graph, at, sizes.length, set))
    }
    if (!FLAT.has(layer.kind) && layer.op !== 'Identity') return undefined
  }
  return undefined
}

function orderOf(sizes: readonly number[], axis: number): FlattenOrder | undefined {
  const spatial = ['W', 'HW', 'DHW'][sizes.length - 2]
  if (spatial === undefined || sizes.filter((size) => size > 1).length < 2) return undefined
  const letters = [...spatial]
  letters.splice(axis, 0, 'C')
  return { letters: letters.join(''), sizes }
}

/** Which axis of a feature map (batch left out) a later layer takes for the channels. */
function channelAxisBehind(
  { layers, consumers }: LayerGraph,
  start: number,
  rank: number,
  { convention }: UnitSet,
): number {
  const usual = convention === 'torch' ? 0 : rank - 1
  let at: number | undefined = consumers[start]![0]
  let order = Array.from({ length: rank + 1 }, (_, axis) => axis)
  for (let steps = 0; steps < 12 && at !== undefined; steps++) {
    const layer: (typeof layers)[number] = layers[at]!
    const { dataFormat, permutation } = layer.attributes
    if (layer.kind === 'transpose' && permutation?.length === rank + 1) order = permutation.map((axis) => order[axis]!)
    else if (dataFormat !== undefined) return order[dataFormat === 'channels-first' ? 1 : rank]! - 1
    at = consumers[at]![0]
  }
  return usual
}

interface UnitOf {
  readonly set: UnitSet
  readonly unit: Unit
}

/** Where the outputs of a dense layer become a feature map, in what order on either side. */
export function unflattenChange(source: UnitOf, target: UnitOf, outputs: number): FlattenChange | undefined {
  const [left, right] = [
    unflattenBehind(source.set, source.unit, outputs),
    unflattenBehind(target.set, target.unit, outputs),
  ]
  return joined(source, target, left, right)
}

export interface FlattenChange {
  readonly from: FlattenOrder
  readonly to: FlattenOrder
}

/** What the two sides know together; undefined where the order is the same or nothing is flattened. */
export function flattenChange(
  source: UnitOf,
  target: UnitOf,
  features: number,
  readings: ReadonlyMap<Unit, Reading>,
): FlattenChange | undefined {
  const [left, right] = [
    flattenBefore(source.set, source.unit, features),
    flattenBefore(target.set, target.unit, features),
  ]
  if (!left && !right) return guessedChange(source, target, features, readings)
  return joined(source, target, left, right)
}

function joined(
  source: UnitOf,
  target: UnitOf,
  left: FlattenOrder | undefined,
  right: FlattenOrder | undefined,
): FlattenChange | undefined {
  const known = left ?? right
  if (known === undefined) return undefined
  // a graph that shows no flatten before this layer has none
  if ((source.set.hasGraph && left === undefined) || (target.set.hasGraph && right === undefined)) return undefined
  const from = left ?? inOrderOf(known, source.set)
  const to = right ?? inOrderOf(known, target.set)
  return from.letters === to.letters ? undefined : { from, to }
}

/** The same sizes in the order that a framework without graph uses. */
function inOrderOf({ letters, sizes }: FlattenOrder, { convention }: UnitSet): FlattenOrder {
  const spatial = letters.replace('C', '')
  const wanted = convention === 'torch' ? `C${spatial}` : `${spatial}C`
  return { letters: wanted, sizes: [...wanted].map((letter) => sizes[letters.indexOf(letter)]!) }
}

/** Two files without graphs: channels are those of the kernel before, order is the framework's habit. */
function guessedChange(
  source: UnitOf,
  target: UnitOf,
  features: number,
  readings: ReadonlyMap<Unit, Reading>,
): FlattenChange | undefined {
  if (source.set.hasGraph || target.set.hasGraph) return undefined
  const isFirst = (set: UnitSet) => set.convention === 'torch'
  if (isFirst(source.set) === isFirst(target.set)) return undefined
  const { units } = source.set
  const before = units.slice(0, units.indexOf(source.unit)).filter(isLinear).at(-1)
  const reading = before && readings.get(before)
  if (before?.kind !== 'conv' || reading === undefined) return undefined
  const channels = outputsOf(reading)
  if (channels <= 1 || features <= channels || features % channels !== 0) return undefined
  const places = features / channels
  const first: FlattenOrder = { letters: 'CS', sizes: [channels, places] }
  const last: FlattenOrder = { letters: 'SC', sizes: [places, channels] }
  return isFirst(source.set) ? { from: first, to: last } : { from: last, to: first }
}

/** One axis of an array, with what it numbers regrouped. */
export function regroup(part: Part, axis: number, { from, to }: FlattenChange): Part {
  const { shape } = part
  const [before, after] = [shape.slice(0, axis), shape.slice(axis + 1)]
  const order = [
    ...before.keys(),
    ...[...to.letters].map((letter) => axis + from.letters.indexOf(letter)),
    ...after.map((_, at) => axis + from.letters.length + at),
  ]
  return reshape(transpose(reshape(part, [...before, ...from.sizes, ...after]), order), shape)
}

/** For a person: `flatten order CHW -> HWC (C=24, H=4, W=3)`. */
export function flattenLabel({ from, to }: FlattenChange, what = 'flatten order'): string {
  const sizes = [...from.letters].map((letter, at) => `${letter}=${from.sizes[at]}`).join(', ')
  return `${what} ${from.letters} -> ${to.letters} (${sizes})`
}
