import { nameSimilarity } from '../compare/weights/names.ts'
import { elementCount } from '../tensor/dtype.ts'
import { assign } from './assignment.ts'
import { outputsOf, type Reading } from './kernel-layout.ts'
import { isLinear, type Unit, type UnitSet } from './units.ts'

/** A BatchNorm further than this from its convolution, in modules of the file, is not its own. */
const MAX_DISTANCE = 8

/**
 * Which BatchNorm belongs behind which kernel, in a file without a graph: one of the same size, near in the file, with
 * a name that goes with it (`conv1` and `bn1`, `0` and `1`).
 */
export function associate({ units }: UnitSet, readings: ReadonlyMap<Unit, Reading>): Map<Unit, Unit> {
  const affines = units.filter(({ kind }) => kind === 'affine')
  const linears = units.filter(isLinear)
  const score = (affine: Unit, linear: Unit): number => {
    const outputs = outputsWith(readings.get(linear), linear)
    const distance = affine.index - linear.index
    if (outputs !== elementCount(affine.slots[0]!.tensor.shape) || Math.abs(distance) > MAX_DISTANCE) return REFUSED
    const near = distance > 0 ? 4 / distance : -2
    return near + 2 * sameModule(affine.name, linear.name) + numbersAgree(affine.name, linear.name)
  }
  const columns = assign(affines.length, linears.length, (row, column) => score(affines[row]!, linears[column]!))
  const found = new Map<Unit, Unit>()
  for (const [row, column] of columns.entries()) {
    if (column === undefined) continue
    if (score(affines[row]!, linears[column]!) > 0) found.set(affines[row]!, linears[column]!)
  }
  return found
}

/**
 * The same in a file that lists its contents by name: the kernels stand in the order of their partners in the other
 * model, and the n-th BatchNorm of a module and size goes with the n-th kernel of it.
 *
 * @param partners kernels of this set to those of the other model
 * @param otherLinearOf the other model's BatchNorms; where it has as many as this one, only their kernels come into question
 */
export function associateByPartner(
  { units }: UnitSet,
  readings: ReadonlyMap<Unit, Reading>,
  partners: ReadonlyMap<Unit, Unit>,
  otherLinearOf: ReadonlyMap<Unit, Unit>,
): Map<Unit, Unit> {
  const normed = new Set(otherLinearOf.values())
  const found = new Map<Unit, Unit>()
  const place = (linear: Unit) => partners.get(linear)?.index ?? Number.MAX_SAFE_INTEGER
  const linears = units.filter(isLinear).sort((a, b) => place(a) - place(b))
  const bySize = new Map<number, Unit[]>()
  for (const unit of units.filter(({ kind }) => kind === 'affine')) {
    const size = elementCount(unit.slots[0]!.tensor.shape)
    bySize.set(size, [...(bySize.get(size) ?? []), unit])
  }
  for (const [size, affines] of bySize) {
    const fitting = linears.filter((linear) => outputsWith(readings.get(linear), linear) === size)
    const withNorm = fitting.filter((linear) => normed.has(partners.get(linear)!))
    const candidates = withNorm.length === affines.length ? withNorm : fitting
    const rank = (all: readonly Unit[], unit: Unit) => {
      const siblings = all.filter(({ name }) => parentOf(name) === parentOf(unit.name))
      return (siblings.indexOf(unit) + 0.5) / siblings.length
    }
    const columns = assign(affines.length, candidates.length, (row, column) => {
      const [affine, linear] = [affines[row]!, candidates[column]!]
      const order = 1 - (rank(affines, affine) - rank(candidates, linear)) ** 2
      return 3 * sameModule(affine.name, linear.name) + startsAlike(affine.name, linear.name) + 2 * order
    })
    for (const [row, column] of columns.entries())
      if (column !== undefined) found.set(affines[row]!, candidates[column]!)
  }
  return found
}

const outputsWith = (reading: Reading | undefined, { attributes }: Unit) =>
  reading && outputsOf(reading) * (reading.isTransposed ? (attributes.groups ?? 1) : 1)

const REFUSED = -100

const parentOf = (name: string) => name.split(/[./]/).slice(0, -1).join('/')

function sameModule(a: string, b: string): number {
  if (parentOf(a) === parentOf(b)) return 1
  return nameSimilarity(parentOf(a), parentOf(b)) / 2
}

/** `conv1` and `bn1`; `stem` and `stem_bn`; `0` and `1` of a Sequential. */
function numbersAgree(a: string, b: string): number {
  const [left, right] = [a.split(/[./]/).at(-1)!, b.split(/[./]/).at(-1)!]
  if (/^\d+$/.test(left) && /^\d+$/.test(right)) return Number(left) === Number(right) + 1 ? 2 : 0
  const digits = (text: string) => text.match(/\d+$/)?.[0] ?? ''
  if (startsAlike(a, b) > 0) return 2
  return digits(left) === digits(right) ? 1.5 : 0
}

/** `stem` and `stem_bn`. */
function startsAlike(a: string, b: string): number {
  const [left, right] = [a.split(/[./]/).at(-1)!, b.split(/[./]/).at(-1)!]
  return left.startsWith(right) || right.startsWith(left) ? 2 : 0
}
