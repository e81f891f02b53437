import { directSource, type LayerGraph, layerGraph } from './layer-graph.ts'
import { isLinear, type Unit, type UnitSet } from './units.ts'

/** Units that are found on both sides whatever was folded: between them everything else is placed. */
export const isAnchor = (unit: Unit): boolean =>
  isLinear(unit) || unit.kind === 'embedding' || unit.kind === 'recurrent' || unit.kind === 'attention'

/** Where a unit stands: the anchors before and behind it. */
export interface Place {
  readonly before: readonly Unit[]
  readonly after: readonly Unit[]
}

export interface Neighbours {
  readonly places: ReadonlyMap<Unit, Place>
  /** per affine unit the linear unit whose output it takes, and nothing else does */
  readonly linearOf: ReadonlyMap<Unit, Unit>
}

/** Places of all units: by the graph, else by order in the file. */
export function neighboursOf(set: UnitSet): Neighbours {
  if (set.hasGraph) return byGraph(set)
  return set.isOrdered ? byOrder(set) : { places: new Map(), linearOf: new Map() }
}

function byGraph({ units, layers }: UnitSet): Neighbours {
  const graph = layerGraph(layers)
  const indexOf = new Map(layers.map((layer, at) => [layer, at]))
  const owner = new Map<number, Unit>()
  for (const unit of units) for (const layer of unit.layers) owner.set(indexOf.get(layer)!, unit)
  const before = reach(graph, (at) => graph.sources[at]!.filter((each) => each !== undefined), owner, false)
  const after = reach(graph, (at) => graph.consumers[at]!, owner, true)
  const places = new Map<Unit, Place>()
  for (const unit of units) {
    const [first, last] = [indexOf.get(unit.layers[0]!), indexOf.get(unit.layers.at(-1)!)]
    if (first === undefined || last === undefined) continue // in the body of a loop
    places.set(unit, { before: before(first), after: after(last) })
  }
  const linearOf = new Map<Unit, Unit>()
  for (const unit of units) {
    if (unit.kind !== 'affine' || unit.layers.length === 0) continue
    const source = directSource(graph, indexOf.get(unit.layers[0]!)!)
    const previous = source === undefined ? undefined : owner.get(source)
    if (source === undefined || previous === undefined || graph.consumers[source]!.length > 1) continue
    const linear = isLinear(previous) ? previous : linearOf.get(previous)
    if (linear) linearOf.set(unit, linear)
  }
  return { places, linearOf }
}

/** More anchors than this around one value say nothing about its place. */
const MAX_REACH = 64

/** Anchors that are reached from a layer without passing another anchor. */
function reach(
  graph: LayerGraph,
  next: (at: number) => readonly number[],
  owner: ReadonlyMap<number, Unit>,
  isForward: boolean,
): (at: number) => readonly Unit[] {
  const known = new Map<number, readonly Unit[]>()
  const order = graph.layers.map((_, at) => at)
  if (isForward) order.reverse()
  for (const at of order) {
    const found = new Set<Unit>()
    for (const each of next(at)) {
      const unit = owner.get(each)
      const passes = unit === undefined || !isAnchor(unit) || unit === owner.get(at)
      for (const anchor of passes ? (known.get(each) ?? []) : [unit]) if (found.size < MAX_REACH) found.add(anchor)
    }
    known.set(at, [...found])
  }
  return (at) => known.get(at) ?? []
}

function byOrder({ units }: UnitSet): Neighbours {
  const places = new Map<Unit, Place>()
  let previous: Unit | undefined
  const waiting: Unit[] = []
  const beforeOf = new Map<Unit, Unit | undefined>()
  const afterOf = new Map<Unit, Unit>()
  for (const unit of units) {
    beforeOf.set(unit, previous)
    if (isAnchor(unit)) {
      for (const each of waiting.splice(0)) afterOf.set(each, unit)
      previous = unit
    }
    waiting.push(unit)
  }
  for (const unit of units) {
    const before = beforeOf.get(unit)
    const after = afterOf.get(unit)
    places.set(unit, { before: before ? [before] : [], after: after ? [after] : [] })
  }
  return { places, linearOf: new Map() }
}
