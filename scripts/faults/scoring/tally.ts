import type { FaultScore, Scored } from './judge.ts'

/** A share with its 95% interval. */
export interface Share {
  readonly hits: number
  readonly of: number
  /** Wilson score interval, 0..1; [0, 1] of nothing */
  readonly interval: readonly [low: number, high: number]
}

/** One row of the table: all pairs of one kind. */
export interface Row {
  readonly name: string
  readonly pairs: number
  readonly errors: number
  readonly verdict: Share
  readonly exact: Share
  readonly near: Share
  readonly cause1: Share
  readonly cause3: Share
  readonly proved: Share
  readonly wronglyProved: number
  /** every fault of the pairs that have several, found at its place */
  readonly each: Share
  readonly silentSkips: number
  readonly medianMs: number
  readonly maxMs: number
}

/** 95% of a normal distribution lie within this many deviations. */
const Z = 1.959964

/**
 * Share of hits with its Wilson score interval, which stays inside 0..1 and says something for 0 of n too.
 * @source Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927)
 */
export function share(hits: number, of: number): Share {
  if (of === 0) return { hits, of, interval: [0, 1] }
  const p = hits / of
  const middle = (p + (Z * Z) / (2 * of)) / (1 + (Z * Z) / of)
  const half = (Z / (1 + (Z * Z) / of)) * Math.sqrt((p * (1 - p)) / of + (Z * Z) / (4 * of * of))
  return { hits, of, interval: [Math.max(0, middle - half), Math.min(1, middle + half)] }
}

/** Adds up the pairs of one kind. Shares of place and cause are over the faulty pairs with one fault. */
export function tally(name: string, scored: readonly Scored[]): Row {
  const single = scored.flatMap(({ first, each }) => (first !== null && each.length === 0 ? [first] : []))
  const each = scored.flatMap((pair) => pair.each)
  const of = (faults: readonly FaultScore[], key: keyof FaultScore) =>
    share(faults.filter((fault) => fault[key]).length, faults.length)
  const times = scored.map(({ milliseconds }) => milliseconds).sort((one, other) => one - other)
  return {
    name,
    pairs: scored.length,
    errors: scored.filter(({ error }) => error).length,
    verdict: share(scored.filter(({ verdictRight }) => verdictRight).length, scored.length),
    exact: of(single, 'exact'),
    near: of(single, 'near'),
    cause1: of(single, 'cause1'),
    cause3: of(single, 'cause3'),
    proved: of(single, 'proved'),
    wronglyProved: [...single, ...each].filter(({ wronglyProved }) => wronglyProved).length,
    each: of(each, 'exact'),
    silentSkips: scored.filter(({ accountsForAll, error }) => !accountsForAll && !error).length,
    medianMs: times[Math.floor(times.length / 2)] ?? 0,
    maxMs: times.at(-1) ?? 0,
  }
}

/** The variants in the order of how far they are from the reference. */
export const VARIANTS = ['same-names', 'renamed', 'optimised', 'reimplemented'] as const

/** The rows of one part of a corpus: faulty pairs per variant, then benign pairs per variant. */
export function rowsOf(scored: readonly Scored[]): Row[] {
  const rows: Row[] = []
  for (const faulty of [true, false]) {
    const kind = scored.filter((pair) => pair.faulty === faulty)
    if (kind.length === 0) continue
    const word = faulty ? 'faulty' : 'benign'
    for (const variant of VARIANTS) {
      const pairs = kind.filter((pair) => pair.variant === variant)
      if (pairs.length > 0) rows.push(tally(`${word}, ${variant}`, pairs))
    }
    rows.push(tally(`${word}, all`, kind))
  }
  return rows
}
