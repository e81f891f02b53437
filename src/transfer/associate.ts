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
    const reading = readings.get(linear)
    const outputs = reading && outputsOf(reading) * (reading.isTransposed ? (linear.attributes.groups ?? 1) : 1)
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
  if (left.startsWith(right) || right.startsWith(left)) return 2
  return digits(left) === digits(right) ? 1.5 : 0
}
