import type { Layer } from '../../layers/layer.ts'
import type { CauseLabel, WeightCause, WeightSet } from '../weights/comparison.ts'
import { DEFAULT_EPSILONS, formatEpsilon, TENSORFLOW_FLOOR } from '../weights/epsilon.ts'
import { type Chain, chainFrom, type GraphView, viewOf } from './chain.ts'
import { compareItems } from './compare-items.ts'
import { placeWindow, samePlacement } from './windows.ts'

/** Layers that correspond, found through their weights. */
export interface PairedLayers {
  readonly reference: Layer
  readonly candidate: Layer
}

/** A difference of attributes, before it is placed at a layer. */
export type AttributeFault = Pick<WeightCause, 'label' | 'confidence' | 'detail' | 'decides' | 'values'>

/**
 * Compares what the layers do besides their weights: strides, padding, dilation, groups, epsilon; and the activations,
 * pools and resizes between one layer with weights and the next. Equal meaning counts, not equal spelling.
 *
 * Works on graphs of any two formats. What a side does not state is no difference, unless its framework's default is
 * known; then it is a suspicion that decides nothing.
 *
 * @param pairs layers whose weights are partners; others are not compared
 */
export function compareAttributes(
  { layers: reference, framework }: Pick<WeightSet, 'layers' | 'framework'>,
  { layers: candidate }: Pick<WeightSet, 'layers'>,
  pairs: readonly PairedLayers[],
): WeightCause[] {
  const views = [viewOf(reference), viewOf(candidate)] as const
  const usual = DEFAULT_EPSILONS[framework ?? '']
  const partners = new Map(pairs.map((pair) => [pair.reference, pair.candidate]))
  const orders = new Map(reference.map((layer, order) => [layer, order]))
  const causes: WeightCause[] = []
  const report = (left: Layer, right: Layer | undefined, fault: AttributeFault) =>
    causes.push({
      label: fault.label,
      confidence: fault.confidence,
      proved: false,
      detail: fault.detail,
      decides: fault.decides,
      ...(fault.values ? { values: fault.values } : {}),
      referenceLayer: left.name,
      ...(right ? { candidateLayer: right.name } : {}),
      order: orders.get(left) ?? 0,
    })
  for (const { reference: left, candidate: right } of pairs) {
    for (const fault of ownFaults(left, right, views, usual)) report(left, right, fault)
  }
  const seen = new Set<string>()
  const walk = (values: readonly [string, string], owner: readonly [Layer, Layer]) => {
    const key = values.join('\n')
    if (seen.has(key)) return
    seen.add(key)
    const [left, right] = [chainFrom(values[0], views[0]), chainFrom(values[1], views[1])]
    const skipped = skippedSum(left, right, views, partners)
    if (skipped) report(skipped, right.end.kind === 'layer' ? right.end.layer : undefined, SKIPPED)
    const comparable = endsAgree(left, right, partners)
    if (comparable)
      for (const found of compareItems(left, right, { owner, views })) report(found.reference, found.candidate, found)
    if (left.end.kind === 'merge' && right.end.kind === 'merge' && isReordered(left.end, right.end, views, partners))
      report(left.end.layer, right.end.layer, REORDERED)
    if (left.end.kind === 'merge' && right.end.kind === 'merge')
      for (const branches of matchBranches(left.end.values, right.end.values, views, partners))
        walk(branches, [left.end.layer, right.end.layer])
  }
  for (const { reference: left, candidate: right } of pairs) {
    if (left.inputs[0] === undefined || right.inputs[0] === undefined) continue
    if (left.kind === 'batch-norm' || left.kind === 'norm') continue
    walk([left.inputs[0], right.inputs[0]], [left, right])
  }
  for (const [left, right] of outputPairs(reference, candidate, views, partners))
    walk([left.value, right.value], [left.layer, right.layer])
  return joinEqual(causes)
}

/** The same difference in many layers is one cause, at the first of them. */
function joinEqual(causes: readonly WeightCause[]): WeightCause[] {
  const joined = new Map<string, WeightCause[]>()
  for (const cause of [...causes].sort((a, b) => a.order - b.order)) {
    const key = `${cause.label} ${cause.detail}`
    const same = joined.get(key)
    if (same) same.push(cause)
    else joined.set(key, [cause])
  }
  return [...joined.values()].map((same) =>
    same.length === 1
      ? same[0]!
      : {
          ...same[0]!,
          detail: `${same[0]!.detail}, in ${same.length} layers`,
          alsoIn: same.slice(1).map(({ referenceLayer = '', candidateLayer = '' }) => ({
            reference: referenceLayer,
            candidate: candidateLayer,
          })),
        },
  )
}

/** Both chains begin at partners, at merges, or at the inputs. Else something else differs, reported elsewhere. */
function endsAgree(left: Chain, right: Chain, partners: ReadonlyMap<Layer, Layer>): boolean {
  if (left.end.kind === 'layer' && right.end.kind === 'layer') return partners.get(left.end.layer) === right.end.layer
  return left.end.kind === right.end.kind
}

const SKIPPED: AttributeFault = {
  label: 'residual-missing',
  confidence: 0.85,
  decides: true,
  detail: 'the candidate goes on with one summand alone',
}

/** The sum of the reference of which the candidate takes one summand only. Where anything in between is unknown, none. */
function skippedSum(
  left: Chain,
  right: Chain,
  views: readonly [GraphView, GraphView],
  partners: ReadonlyMap<Layer, Layer>,
): Layer | undefined {
  if (left.opaque || right.opaque || left.end.kind !== 'merge' || right.end.kind !== 'layer') return undefined
  const { layer, values } = left.end
  const other = right.end.layer
  // a fused operator may hold the sum itself
  const takes = other.inputs.filter((name) => !views[1].fixed.has(name)).length
  if (layer.kind !== 'add' || takes > 1 || /fused|skip/i.test(other.op)) return undefined
  const summands = values.map((value) => chainFrom(value, views[0]))
  const isPartner = ({ end, opaque }: Chain) => !opaque && end.kind === 'layer' && partners.get(end.layer) === other
  return summands.filter(isPartner).length === 1 ? layer : undefined
}

const REORDERED: AttributeFault = {
  label: 'concat-order',
  confidence: 0.9,
  decides: true,
  detail: 'the candidate concatenates the same parts in another order',
}

type Merge = Extract<Chain['end'], { kind: 'merge' }>

/** Two concatenations whose parts begin at partners, but not in the same places; one part may begin elsewhere. */
function isReordered(
  left: Merge,
  right: Merge,
  views: readonly [GraphView, GraphView],
  partners: ReadonlyMap<Layer, Layer>,
): boolean {
  if (left.layer.kind !== 'concat' || right.layer.kind !== 'concat' || left.values.length !== right.values.length)
    return false
  const begins = right.values.map((value) => chainFrom(value, views[1]).end)
  const places = left.values.map((value) => {
    const { end } = chainFrom(value, views[0])
    const partner = end.kind === 'layer' ? partners.get(end.layer) : undefined
    const found = begins.flatMap((each, at) => (partner && each.kind === 'layer' && each.layer === partner ? [at] : []))
    return found.length === 1 ? found[0]! : undefined
  })
  const known = places.filter((place) => place !== undefined)
  if (known.length < left.values.length - 1 || new Set(known).size !== known.length || known.length === 0) return false
  return places.some((place, at) => place !== undefined && place !== at)
}

/** Branches of two merges that begin at partners; a single one left over on each side is a pair too. */
function matchBranches(
  left: readonly string[],
  right: readonly string[],
  views: readonly [GraphView, GraphView],
  partners: ReadonlyMap<Layer, Layer>,
): [string, string][] {
  if (left.length !== right.length) return []
  const free = right.map((value) => ({ value, end: chainFrom(value, views[1]).end }))
  const rest: string[] = []
  const found: [string, string][] = []
  for (const value of left) {
    const { end } = chainFrom(value, views[0])
    const partner = end.kind === 'layer' ? partners.get(end.layer) : undefined
    const at = partner ? free.findIndex((each) => each.end.kind === 'layer' && each.end.layer === partner) : -1
    if (at < 0) rest.push(value)
    else found.push([value, free.splice(at, 1)[0]!.value])
  }
  if (rest.length === 1 && free.length === 1) found.push([rest[0]!, free[0]!.value])
  return found
}

/** Values that nobody takes: the outputs. Pairs those that begin at partners. */
function outputPairs(
  reference: readonly Layer[],
  candidate: readonly Layer[],
  views: readonly [GraphView, GraphView],
  partners: ReadonlyMap<Layer, Layer>,
) {
  const ends = (layers: readonly Layer[], view: GraphView) => {
    const taken = new Set(layers.flatMap(({ inputs }) => inputs))
    return layers.flatMap((layer) =>
      layer.outputs
        .filter((value) => !taken.has(value) && layer.kind !== 'constant')
        .map((value) => ({ value, layer, end: chainFrom(value, view).end })),
    )
  }
  const right = ends(candidate, views[1])
  return ends(reference, views[0]).flatMap((left) => {
    const partner = left.end.kind === 'layer' ? partners.get(left.end.layer) : undefined
    const found = right.filter(({ end }) => partner && end.kind === 'layer' && end.layer === partner)
    return found.length === 1 ? [[left, found[0]!] as const] : []
  })
}

function ownFaults(
  left: Layer,
  right: Layer,
  views: readonly [GraphView, GraphView],
  usual: number | undefined,
): AttributeFault[] {
  if (left.kind === 'batch-norm' && right.kind === 'batch-norm') return epsilonFault(left, right, 'bn-epsilon', usual)
  if (left.kind === 'norm' && right.kind === 'norm') return epsilonFault(left, right, 'layernorm-epsilon')
  if (left.kind !== right.kind || (left.kind !== 'conv' && left.kind !== 'conv-transpose')) return []
  const faults: AttributeFault[] = []
  const lists = [
    ['strides', 'stride'],
    ['dilations', 'dilation'],
  ] as const
  for (const [attribute, label] of lists) {
    const [a, b] = [left.attributes[attribute], right.attributes[attribute]]
    if (!a || !b || a.length !== b.length || a.every((value, axis) => value === b[axis])) continue
    faults.push({
      label,
      confidence: 0.95,
      decides: true,
      detail: `${attribute} ${b.join(' x ')} in the candidate, ${a.join(' x ')} in the reference`,
      values: [a, b],
    })
  }
  const [groups, others] = [left.attributes.groups, right.attributes.groups]
  if (groups !== undefined && others !== undefined && groups !== others)
    faults.push({
      label: 'groups',
      confidence: 0.95,
      decides: true,
      detail: `${others} groups in the candidate, ${groups} in the reference`,
      values: [groups, others],
    })
  if (faults.length === 0 && left.kind === 'conv') faults.push(...paddingFault(left, right, views))
  return faults
}

function paddingFault(left: Layer, right: Layer, views: readonly [GraphView, GraphView]): AttributeFault[] {
  if (left.attributes.padding === undefined || right.attributes.padding === undefined) return []
  const [a, b] = [placeWindow(left, views[0]), placeWindow(right, views[1])]
  if (a === undefined || b === undefined || a.begin.length === 0 || a.begin.length !== b.begin.length) return []
  const same = samePlacement(a, b)
  if (same === true) return []
  const detail = `pads ${b.text} in the candidate, ${a.text} in the reference`
  const all = ({ begin, end }: typeof a) => [...begin, ...end].filter((size) => size !== undefined)
  const values = [all(a), all(b)] as const
  return same === false
    ? [{ label: 'padding', confidence: 0.95, decides: true, detail, values }]
    : [
        {
          label: 'padding',
          confidence: 0.4,
          decides: false,
          detail: `${detail}; whether that differs depends on the input's size`,
          values,
        },
      ]
}

/** @param usual what the reference's framework takes where the file states nothing */
function epsilonFault(left: Layer, right: Layer, label: CauseLabel, usual?: number): AttributeFault[] {
  const stated = left.attributes.epsilon
  const [a, b] = [stated ?? usual, right.attributes.epsilon]
  // float32 makes 9.999999747378752e-6 of 1e-5
  if (a === undefined || b === undefined || Math.abs(a - b) <= 1e-6 * Math.max(a, b)) return []
  // TensorFlow's fused kernel takes nothing smaller, whatever it was told
  if (label === 'bn-epsilon' && Math.abs(b - TENSORFLOW_FLOOR) < 1e-9 && a < b) return []
  const candidate = `epsilon ${formatEpsilon(b)} in the candidate`
  const values = [a, b] as const
  return stated !== undefined
    ? [{ label, confidence: 0.98, decides: true, detail: `${candidate}, ${formatEpsilon(a)} in the reference`, values }]
    : [
        {
          label,
          confidence: 0.5,
          decides: false,
          detail: `${candidate}; the reference states none, ${formatEpsilon(a)} is its framework's default`,
          values,
        },
      ]
}
