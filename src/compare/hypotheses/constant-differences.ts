import type { Node } from '../../model/graph.ts'
import { type ArrayValue, numbersOf, transpose } from '../../tensor/array-value.ts'
import { elementCount, isFloat } from '../../tensor/dtype.ts'
import { distance } from '../distance.ts'
import type { CauseLabel } from '../vocabulary.ts'
import { arrayOf, permutations, reshaped, show, showList } from './arrays.ts'
import { type ConstantPlace, isTokenTable, placeOf } from './constant-place.ts'
import type { RegionContext } from './region-context.ts'
import { constantBehind } from './region-side.ts'
import { relationOf, type WeightRelation } from './weight-relation.ts'

/** A stored value of the candidate that differs from the reference's in the same place. */
export interface ConstantDifference {
  readonly reference: Node
  readonly candidate: Node
  readonly place: ConstantPlace
  readonly name: string
  /** the reference's values in the candidate's layout, and what the candidate has */
  readonly wanted: ArrayValue
  readonly found: ArrayValue
  readonly label: CauseLabel
  readonly also: readonly CauseLabel[]
  /** what differs, in words */
  readonly what: string
}

/** Constants that two corresponding nodes take in the same place with different values. */
export function constantDifferences(context: RegionContext, mine: Node, theirs: Node): ConstantDifference[] {
  const { reference, candidate } = context
  const found: ConstantDifference[] = []
  // what only moves a stored value is looked through by the operator that takes it
  if (mine.inputs[0] !== undefined && constantBehind(reference, mine.outputs[0]) !== undefined) return []
  for (const [left, right] of inputPairs(context, mine, theirs)) {
    const a = constantBehind(reference, mine.inputs[left])
    const b = constantBehind(candidate, theirs.inputs[right])
    const wanted = a === undefined ? undefined : reference.constants.get(a)
    const has = b === undefined ? undefined : candidate.constants.get(b)
    if (wanted === undefined || has === undefined || b === undefined) continue
    if (sameNumbers(wanted, has)) continue
    const place = placeOf(candidate, theirs, right, has)
    for (const laid of inLayoutOf(wanted, has)) {
      const named = nameDifference(laid, has, place)
      if (named) found.push({ reference: mine, candidate: theirs, place, name: b, wanted: laid, found: has, ...named })
    }
  }
  return found
}

/** Positions of constants that correspond: the same index, or the only constant of an operator that does not mind order. */
function inputPairs(context: RegionContext, mine: Node, theirs: Node): [number, number][] {
  const places = (side: RegionContext['reference'], node: Node) =>
    node.inputs.flatMap((name, at) => (constantBehind(side, name) === undefined ? [] : [at]))
  const left = places(context.reference, mine)
  const right = places(context.candidate, theirs)
  if (left.length === 1 && right.length === 1 && /^(Add|Mul|Sub|Div|Sum|MatMul|Gemm)$/.test(theirs.op))
    return [[left[0]!, right[0]!]]
  return left.filter((at) => right.includes(at)).map((at) => [at, at])
}

const sameNumbers = (a: ArrayValue, b: ArrayValue) =>
  a.shape.join() === b.shape.join() && distance(numbersOf(a), numbersOf(b)).relL2 === 0

/** The reference's values as arrays of the candidate's shape and type: as they are, reshaped, or with axes moved. */
function inLayoutOf(wanted: ArrayValue, has: ArrayValue): ArrayValue[] {
  const cast = (value: ArrayValue) =>
    value.dtype === has.dtype ? value : arrayOf(has.dtype, value.shape, numbersOf(value))
  if (wanted.shape.join() === has.shape.join()) return [cast(wanted)]
  const count = elementCount(has.shape)
  // one number where the other side has one per channel: a threshold or a factor in another form
  if (elementCount(wanted.shape) === 1 && count > 1 && isFloat(has.dtype))
    return [arrayOf(has.dtype, has.shape, new Float64Array(count).fill(numbersOf(wanted)[0]!))]
  if (elementCount(wanted.shape) !== count) return isFloat(has.dtype) ? [] : [cast(wanted)]
  const squeezed = reshaped(
    wanted,
    wanted.shape.filter((size) => size !== 1),
  )
  const target = has.shape.filter((size) => size !== 1)
  if (squeezed.shape.length > 4) return [cast(reshaped(wanted, has.shape))]
  const laid = permutations(squeezed.shape.length)
    .filter((axes) => axes.map((axis) => squeezed.shape[axis]).join() === target.join())
    .map((axes) => reshaped(transpose(squeezed, axes), has.shape))
  if (laid.length === 0) return [cast(reshaped(wanted, has.shape))]
  const numbers = numbersOf(has)
  // the layout in which the two are nearest comes first; where axes have equal sizes another one may be right
  return laid
    .map((value) => ({ value, gap: distance(numbersOf(value), numbers).relL2 }))
    .sort((a, b) => a.gap - b.gap)
    .slice(0, 2)
    .filter(({ gap }, at) => gap > 0 || at > 0)
    .map(({ value }) => cast(value))
}

function nameDifference(
  wanted: ArrayValue,
  has: ArrayValue,
  place: ConstantPlace,
): Pick<ConstantDifference, 'label' | 'also' | 'what'> | undefined {
  const [a, b] = [numbersOf(wanted), numbersOf(has)]
  const also = place.also ?? []
  if (a.length === 1 && b.length === 1)
    return {
      label: place.label,
      also,
      what: `${place.word} ${show(b[0]!)} in the candidate, ${show(a[0]!)} in the reference`,
    }
  if (!isFloat(has.dtype) || !place.trained) {
    const what = `${place.word} [${showList([...b].map(Number))}] in the candidate, [${showList([...a].map(Number))}] in the reference`
    return a.length === b.length && distance(a, b).relL2 === 0 ? undefined : { label: place.label, also, what }
  }
  if (b.every((value) => value === b[0]) && b.length > 1) return constantVector(b[0]!, place)
  const relation = relationOf(wanted, has, place.place)
  if (relation === undefined) return undefined
  return {
    label: labelFor(relation, place, has),
    also: [...(relation.also ?? []), ...also],
    what: `${place.word}: ${relation.what}`,
  }
}

/** All entries alike: never loaded, or left out. */
function constantVector(
  value: number,
  { word, label, also = [] }: ConstantPlace,
): Pick<ConstantDifference, 'label' | 'also' | 'what'> {
  const what = `${word}: all ${show(value)} in the candidate`
  if (label.startsWith('bn-') || label === 'position-embedding' || label === 'activation-parameter')
    return { label, also, what }
  if ((word === 'bias' || word === 'shift' || word === 'offset') && value === 0)
    return { label: 'bias-missing', also: [label, ...also], what }
  if (word === 'shift' || word === 'scale' || word === 'bias') return { label, also: ['constant-value', ...also], what }
  return { label: 'weight-stale', also, what }
}

function labelFor(relation: WeightRelation, place: ConstantPlace, has: ArrayValue): CauseLabel {
  if (relation.label === 'weight-stale' || relation.label === 'constant-value')
    return relation.label === 'constant-value' && place.label === 'weight-stale' ? 'constant-value' : place.label
  if (place.label === 'position-embedding' || (place.place.kind === 'table' && isTokenTable(has)))
    return relation.label === 'weight-quantised' ? relation.label : place.label
  // one slice of a statistic in another place is that statistic, wrongly loaded
  if (place.label.startsWith('bn-') && relation.label !== 'weight-permuted') return place.label
  return relation.label
}
