import { slotOf, type Unit, type UnitSet } from './units.ts'

/** Epsilons of BatchNorms, and what was assumed or differs. */
export interface EpsilonOf {
  /** as its file states it, else as the user says, else its framework's default */
  of(unit: Unit): number
  /** the source's BatchNorm is multiplied in */
  fold(unit: Unit): void
  /** the source's BatchNorm becomes one of the target */
  keep(source: Unit, target: Unit): void
  notes(): string[]
}

/** @param given by the user, for the source where its file states none */
export function epsilons(source: UnitSet, target: UnitSet, given: number | undefined): EpsilonOf {
  const ours = new Set(source.units)
  const assumed: Unit[] = []
  const different: [Unit, Unit][] = []
  const of = (unit: Unit): number => {
    const stated = unit.attributes.epsilon
    if (stated !== undefined) return stated
    return ours.has(unit) ? (given ?? usualEpsilon(source)) : usualEpsilon(target)
  }
  const use = (unit: Unit) => {
    const isAssumed = unit.attributes.epsilon === undefined && given === undefined
    if (isAssumed && slotOf(unit, 'variance')) assumed.push(unit)
  }
  return {
    of,
    fold: use,
    keep(from, to) {
      // a scale and a shift: epsilon is worked into their values
      if (!slotOf(to, 'variance')) use(from)
      const [left, right] = [from.attributes.epsilon, to.attributes.epsilon]
      if (left !== undefined && right !== undefined && Math.abs(left - right) > 1e-3 * Math.max(left, right))
        different.push([from, to])
    },
    notes() {
      const notes: string[] = []
      if (assumed.length > 0)
        notes.push(
          `epsilon ${usualEpsilon(source)} was assumed for ${assumed.length} folded ${assumed.length === 1 ? 'BatchNorm' : 'BatchNorms'}: the source states none, and it is the default of its framework; say --epsilon where the network sets another`,
        )
      const [first] = different
      if (first)
        notes.push(
          `BatchNorm "${first[1].name}" of the target has epsilon ${of(first[1])}, "${first[0].name}" of the source ${of(first[0])}${different.length > 1 ? ` (and ${different.length - 1} more)` : ''}: values were carried as they are; set epsilon ${of(first[0])} in the target`,
        )
      return notes
    },
  }
}

/** PyTorch, ONNX and Caffe default to 1e-5, Keras to 1e-3. */
const usualEpsilon = ({ convention }: UnitSet) => (convention === 'keras' ? 1e-3 : 1e-5)
