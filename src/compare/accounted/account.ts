import type { ExpectedDifference, ExpectedValue, FoundDifference } from './expected.ts'
import { matchesPattern } from './glob.ts'

/** An expected difference and what became of it. */
export interface AccountedDifference {
  readonly expected: ExpectedDifference
  /**
   * - `holds`: it was found as stated
   * - `gone`: nothing differs there any more
   * - `other`: something differs there, but not what is stated
   * - `no-such-place`: neither model has anything of that name
   */
  readonly state: 'holds' | 'gone' | 'other' | 'no-such-place'
  /** the differences that it accounts for; with `other`, those that stand there instead */
  readonly differences: readonly FoundDifference[]
}

/** Expected differences checked, and which of the found ones they account for. */
export interface Accounting {
  readonly rows: readonly AccountedDifference[]
  readonly accounted: ReadonlyMap<FoundDifference, ExpectedDifference>
}

/**
 * Checks every expected difference against what was found. A found difference is accounted for by the first entry that
 * names its place, its kind and, where stated, its values; nothing else is.
 *
 * @param names every name of tensors, nodes and layers of both models: an entry that names none of them is a slip
 */
export function accountDifferences(
  expected: readonly ExpectedDifference[],
  found: readonly FoundDifference[],
  names: Iterable<string>,
): Accounting {
  const accounted = new Map<FoundDifference, ExpectedDifference>()
  const known = [...names]
  const rows = expected.map((entry): AccountedDifference => {
    const here = found.filter((difference) => isAt(entry, difference))
    const own = here.filter((difference) => isWhat(entry, difference))
    for (const difference of own) if (!accounted.has(difference)) accounted.set(difference, entry)
    if (own.length > 0) return { expected: entry, state: 'holds', differences: own }
    const wrong = here.filter(({ decides }) => decides)
    if (wrong.length > 0) return { expected: entry, state: 'other', differences: wrong }
    const exists = entry.where.some((pattern) => known.some((name) => matchesPattern(name, pattern)))
    return { expected: entry, state: exists ? 'gone' : 'no-such-place', differences: [] }
  })
  return { rows, accounted }
}

const isAt = ({ where }: ExpectedDifference, { reference, candidate }: FoundDifference) =>
  where.some((pattern) => [...reference, ...candidate].some((name) => matchesPattern(name, pattern)))

function isWhat({ what, values }: ExpectedDifference, found: FoundDifference): boolean {
  if (what === 'replaced') return true
  if (!found.kinds.includes(what)) return false
  if (values === undefined) return true
  if (what === 'shape') return found.shapes !== undefined && differBy(found.shapes, values)
  // A difference whose values no file states (seen in runs only) fits by its kind.
  return found.values === undefined || found.values.every((value, side) => sameValue(value, values[side]!))
}

/** Whether one shape is the other with sizes exchanged as stated: 1000 for 20, or [255, 75] entry by entry. */
function differBy(
  [reference, candidate]: readonly [readonly number[], readonly number[]],
  [from, to]: readonly [ExpectedValue, ExpectedValue],
): boolean {
  const rest = [...candidate]
  const left = reference.filter((size) => {
    const at = rest.indexOf(size)
    if (at >= 0) rest.splice(at, 1)
    return at < 0
  })
  const sizes = (value: ExpectedValue) => (Array.isArray(value) ? value : [value]) as readonly ExpectedValue[]
  return left.length > 0 && sameSizes(left, sizes(from)) && sameSizes(rest, sizes(to))
}

const sameSizes = (found: readonly number[], stated: readonly ExpectedValue[]) =>
  found.length >= stated.length &&
  found.every((size) => stated.includes(size)) &&
  stated.every((size) => found.includes(size as number))

/** float32 makes 9.999999747378752e-6 of 1e-5. */
const CLOSE = 1e-6

function sameValue(found: ExpectedValue, stated: ExpectedValue): boolean {
  if (Array.isArray(found) || Array.isArray(stated)) {
    const [a, b] = [found, stated].map((value) => (Array.isArray(value) ? value : [value])) as [unknown[], unknown[]]
    return a.length === b.length && a.every((value, at) => sameValue(value as number, b[at] as number))
  }
  if (typeof found === 'number' && typeof stated === 'number')
    return found === stated || Math.abs(found - stated) <= CLOSE * Math.max(Math.abs(found), Math.abs(stated))
  return String(found).toLowerCase() === String(stated).toLowerCase()
}
