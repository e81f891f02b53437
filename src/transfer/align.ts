import { nameSimilarity } from '../compare/weights/names.ts'
import { elementCount } from '../tensor/dtype.ts'
import { alignClass, type Evidence } from './align-class.ts'
import { associate, associateByPartner } from './associate.ts'
import { kernelKey, type Reading, readingsOf } from './kernel-layout.ts'
import { isAnchor, type Neighbours, neighboursOf, type Place } from './neighbours.ts'
import { agreement, structureLabels } from './structure-labels.ts'
import { isLinear, type Unit, type UnitSet } from './units.ts'

/** Two units that correspond. */
export interface UnitPair {
  readonly source: Unit
  readonly target: Unit
  /** what told them apart from others of the same shape */
  readonly foundBy: 'shape' | 'structure' | 'names' | 'order' | 'neighbours'
  /** 0..1 */
  readonly confidence: number
  /** other units of the source that fit the target as well */
  readonly ambiguous: readonly Unit[]
}

export interface Alignment {
  readonly pairs: readonly UnitPair[]
  readonly targetOf: ReadonlyMap<Unit, Unit>
  readonly readings: ReadonlyMap<Unit, Reading>
  /** affine units by the linear unit whose output they scale, both sides */
  readonly linearOf: ReadonlyMap<Unit, Unit>
}

/**
 * Which unit of the source is which unit of the target. Kernels first, by shape, surroundings in the graph, names and
 * order; then what stands between them.
 */
export function alignUnits(source: UnitSet, target: UnitSet): Alignment {
  const readings = chooseReadings(source, target)
  const sides = [source, target].map((set) => ({ set, neighbours: neighboursOf(set) }))
  const [from, to] = sides as [Side, Side]
  const keys = sides.map(({ set }) => anchorKeys(set, readings))
  const labels =
    source.hasGraph && target.hasGraph
      ? structureLabels(sides.map(({ neighbours }, at) => ({ neighbours, keys: keys[at]! })))
      : undefined
  const pairs: UnitPair[] = []
  const partners = new Map<Unit, Unit>()
  const take = (found: readonly UnitPair[]): void => {
    for (const pair of found) {
      pairs.push(pair)
      partners.set(pair.source, pair.target)
    }
  }

  const classes = classesOf(keys[0]!, keys[1]!)
  const single = classes.filter(([left, right]) => left.length === 1 && right.length === 1)
  const nameWeight = weighNames(single, classes)
  // two lists by name have no order in common: what only order could tell apart is ambiguous
  const isUnordered = !source.isOrdered && !target.isOrdered
  const direction = isUnordered ? 0 : source.isOrdered && target.isOrdered ? weighOrder(single) : 1
  const evidence: Evidence = {
    structure: (s, t) => (labels ? agreement(labels.get(s), labels.get(t)) : 0),
    names: (s, t) => nameWeight * similarity(s, t) + 2 * sameProjection(s, t),
    neighbours: (s, t) => agreeingPlaces(from.neighbours.places.get(s), to.neighbours.places.get(t), partners),
    direction,
  }
  for (const [left, right] of single) take(alignClass(left, right, evidence))
  for (const [left, right] of classes)
    if (!(left.length === 1 && right.length === 1)) take(alignClass(left, right, evidence))

  const linearOf = new Map<Unit, Unit>()
  const note = (found: ReadonlyMap<Unit, Unit>) => {
    for (const [affine, linear] of found) linearOf.set(affine, linear)
  }
  for (const { set, neighbours } of sides)
    if (set.isOrdered) note(set.hasGraph ? neighbours.linearOf : associate(set, readings))
  const reversed = new Map([...partners].map(([s, t]) => [t, s]))
  if (!source.isOrdered && !isUnordered) note(associateByPartner(source, readings, partners, linearOf))
  if (!target.isOrdered && !isUnordered) note(associateByPartner(target, readings, reversed, linearOf))
  const restOf = ({ units }: UnitSet) =>
    new Map(units.filter((unit) => !isAnchor(unit)).map((unit) => [unit, restKey(unit)]))
  const follows: Evidence = {
    ...evidence,
    structure: (s, t) => {
      const [left, right] = [linearOf.get(s), linearOf.get(t)]
      if (left === undefined || right === undefined) return left === right ? 0.5 : 0
      return partners.get(left) === right ? 1 : 0
    },
    // BatchNorms of a folded side have no partner: a stranger must not take their place
    accepts: (s, t) => {
      if (s.kind !== 'affine' || isUnordered) return true
      const [left, right] = [linearOf.get(s), linearOf.get(t)]
      if (left !== undefined && right !== undefined) return partners.get(left) === right
      return similarity(s, t) === 1 || evidence.neighbours(s, t) > 0
    },
  }
  for (const [left, right] of classesOf(restOf(source), restOf(target))) take(alignClass(left, right, follows))
  return { pairs, targetOf: partners, readings, linearOf }
}

interface Side {
  readonly set: UnitSet
  readonly neighbours: Neighbours
}

/** One reading per kernel: the likeliest that some kernel of the other side has too. */
function chooseReadings(source: UnitSet, target: UnitSet): Map<Unit, Reading> {
  const all = [source, target].map(
    ({ units, convention }) => new Map(units.filter(isLinear).map((unit) => [unit, readingsOf(unit, convention)])),
  )
  const keysOf = (readings: ReadonlyMap<Unit, readonly Reading[]>) =>
    new Set([...readings.values()].flat().map(kernelKey))
  const [left, right] = all.map(keysOf) as [Set<string>, Set<string>]
  const chosen = new Map<Unit, Reading>()
  for (const [at, readings] of all.entries()) {
    const other = at === 0 ? right : left
    for (const [unit, options] of readings) {
      const found = options.find((reading) => other.has(kernelKey(reading))) ?? options[0]
      if (found) chosen.set(unit, found)
    }
  }
  return chosen
}

function anchorKeys({ units }: UnitSet, readings: ReadonlyMap<Unit, Reading>): Map<Unit, string> {
  return new Map(
    units.filter(isAnchor).map((unit): [Unit, string] => {
      const reading = readings.get(unit)
      if (reading) return [unit, kernelKey(reading)]
      if (unit.kind === 'embedding') return [unit, `table ${unit.slots[0]!.tensor.shape.join(' ')}`]
      return [unit, unit.kind]
    }),
  )
}

/** Sizes in any order: layouts of norms, slopes and single parameters differ in axes of size 1 and their place. */
function restKey({ kind, slots }: Unit): string {
  const { shape } = slots[0]!.tensor
  if (kind === 'affine' || kind === 'norm') return `${kind} ${elementCount(shape)}`
  const sizes = shape.filter((size) => size !== 1).sort((a, b) => a - b)
  return `${kind === 'slope' ? kind : 'parameter'} ${sizes.join(' ')}`
}

function classesOf(left: ReadonlyMap<Unit, string>, right: ReadonlyMap<Unit, string>): [Unit[], Unit[]][] {
  const classes = new Map<string, [Unit[], Unit[]]>()
  for (const [at, side] of [left, right].entries())
    for (const [unit, key] of side) {
      const found = classes.get(key) ?? [[], []]
      classes.set(key, found)
      found[at]!.push(unit)
    }
  return [...classes.values()].filter(([l, r]) => l.length > 0 && r.length > 0)
}

/** Names of a unit and of its first tensor; equal names of tensors count as equal. */
function similarity(source: Unit, target: Unit): number {
  const [s, t] = [source.slots[0]!.tensor.name, target.slots[0]!.tensor.name]
  if (s === t || source.name === target.name) return 1
  return 0.9 * Math.max(nameSimilarity(source.name, target.name), nameSimilarity(s, t))
}

/** Words for the projections of attention: they mean what they say in every framework. */
const PROJECTIONS = [
  /(^|[._/])(query|q|q_proj|to_q|q_lin|wq)(_dense)?(_\d+)?($|[./])/i,
  /(^|[._/])(key|k|k_proj|to_k|k_lin|wk)(_dense)?(_\d+)?($|[./])/i,
  /(^|[._/])(value|v|v_proj|to_v|v_lin|wv)(_dense)?(_\d+)?($|[./])/i,
  /(^|[._/])(attention_output|output_dense|out_proj|to_out|out_lin|o_proj|wo)(_\d+)?($|[./])/i,
] as const

/** 1 for the same projection by name, -1 for two different ones, 0 where a name says nothing. */
function sameProjection(source: Unit, target: Unit): number {
  const find = ({ name, slots }: Unit) => {
    const texts = [name, slots[0]!.tensor.name.replace(/;.*$/s, '')]
    return PROJECTIONS.findIndex((pattern) => texts.some((text) => pattern.test(text)))
  }
  const [left, right] = [find(source), find(target)]
  if (left < 0 || right < 0) return 0
  return left === right ? 1 : -1
}

/**
 * How far names can be trusted, 0..1: how much more alike the names of certain partners are than those of strangers.
 * `conv2d_1` and `layer1.conv1` have words in common that mean nothing.
 */
function weighNames(single: readonly [Unit[], Unit[]][], classes: readonly [Unit[], Unit[]][]): number {
  const all = classes.flatMap(([left, right]) => left.map((unit) => ({ unit, right })))
  const equal = all.filter(({ unit, right }) => right.some((other) => similarity(unit, other) === 1)).length
  if (all.length > 0 && equal > all.length / 2) return 1
  if (single.length < 3) return 0.25
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)
  const partners = single.map(([[s], [t]]) => similarity(s!, t!))
  const strangers = single.flatMap(([[s]], at) =>
    single.flatMap(([, [t]], other) => (at === other ? [] : [similarity(s!, t!)])),
  )
  return Math.min(1, Math.max(0, 2 * (mean(partners) - mean(strangers))))
}

/**
 * Whether order in the files is order in the networks, -1..1 (Kendall's tau over certain pairs): some files list layers
 * backwards, some by name.
 */
function weighOrder(single: readonly [Unit[], Unit[]][]): number {
  let concordant = 0
  let count = 0
  for (const [at, [[s], [t]]] of single.entries())
    for (const [[otherS], [otherT]] of single.slice(at + 1)) {
      count++
      concordant += Math.sign((s!.index - otherS!.index) * (t!.index - otherT!.index))
    }
  return count < 3 ? 1 : concordant / count
}

function agreeingPlaces(left: Place | undefined, right: Place | undefined, partners: ReadonlyMap<Unit, Unit>): number {
  if (!left || !right) return 0
  const share = (a: readonly Unit[], b: readonly Unit[]) => {
    const known = a.map((unit) => partners.get(unit)).filter((unit) => unit !== undefined)
    return known.length === 0 ? 0 : known.filter((unit) => b.includes(unit!)).length / known.length
  }
  return (share(left.before, right.before) + share(left.after, right.after)) / 2
}
