import type { Row, Share } from './tally.ts'

const HEAD = [
  'pairs of',
  'n',
  'errors',
  'verdict right',
  'first exact',
  'within one',
  'cause first',
  'cause in three',
  'proved',
  'wrongly proved',
  'of several found',
  'silent skips',
  'median s',
  'max s',
]

/** Rows as a Markdown table, which reads as plain text too. Benign pairs have no place and no cause. */
export function renderTable(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    row.name,
    String(row.pairs),
    String(row.errors),
    percent(row.verdict),
    ...[row.exact, row.near, row.cause1, row.cause3, row.proved].map(percent),
    row.exact.of > 0 || row.each.of > 0 ? String(row.wronglyProved) : '',
    percent(row.each),
    String(row.silentSkips),
    seconds(row.medianMs),
    seconds(row.maxMs),
  ])
  const widths = HEAD.map((word, column) => Math.max(word.length, ...cells.map((row) => row[column]!.length)))
  const line = (row: readonly string[]) => `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`
  return [line(HEAD), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...cells.map(line)].join('\n')
}

/** `96.2% [93, 98]`, empty where there was nothing to count. */
function percent({ hits, of, interval: [low, high] }: Share): string {
  if (of === 0) return ''
  const round = (part: number) => Math.round(part * 100)
  return `${((hits / of) * 100).toFixed(1)}% [${round(low)}, ${round(high)}]`
}

const seconds = (milliseconds: number) => (milliseconds / 1000).toFixed(2)
