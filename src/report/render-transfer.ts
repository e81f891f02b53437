import { printable } from './printable.ts'
import { formatShape } from './quantity.ts'
import { pad, plural, type Style, wrap } from './text.ts'
import type { Transfer } from './transfer.ts'

/** How many rows of a table a person reads before the rest is folded into one line. */
const MAX_ROWS = 12

/**
 * A transfer for a terminal: verdict, what was written, how many tensors went which way, and everything that is not
 * settled by name. A dry run lists every tensor of the target.
 * @param columns width to wrap prose at
 */
export function renderTransfer(transfer: Transfer, style: Style, columns = 100): string {
  const report = printable(transfer)
  const sections = [
    renderVerdict(report, style, columns),
    report.written === null ? renderLines(report, style, columns) : renderTargets(report, style, columns),
    renderSources(report, style, columns),
    renderOpen(report, style, columns),
    renderProof(report, style, columns),
    renderComparison(report, style, columns),
    renderNotes(report, style, columns),
  ]
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`
}

function renderVerdict(report: Transfer, style: Style, columns: number): string {
  const { verdict, summary, source, target, written } = report
  const word = written === null ? 'DRY RUN' : verdict.toUpperCase()
  const paint = verdict === 'complete' ? style.good : style.bad
  const file = ({ path, title, tensors }: Transfer['source']) =>
    `${path}  ${style.dim(`(${title}, ${plural(tensors, 'tensor')})`)}`
  const names = written === null ? [] : [...written.files, ...(written.map === null ? [] : [written.map])]
  return [
    `${paint(style.bold(word))}  ${wrap(summary, columns, word.length + 2)}`,
    '',
    `  source  ${file(source)}`,
    `  target  ${file(target)}`,
    ...names.map((name, at) => `  ${at === 0 ? 'wrote ' : '      '}  ${name}`),
  ].join('\n')
}

/** What happened, without the names in it: `BatchNorm folded in, epsilon 0.00001`. */
const kindOf = (state: string, reason: string) => {
  const plain = reason.replaceAll(/ ?"[^"]*"/g, '')
  return plain === state ? state : `${state}: ${plain}`
}

function countRows(kinds: readonly string[], style: Style, columns: number): string[] {
  const counts = new Map<string, number>()
  for (const kind of kinds) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  const rows = [...counts].sort(([, left], [, right]) => right - left)
  const width = Math.max(8, Math.min(columns - 10, ...[Math.max(...rows.map(([kind]) => kind.length))]))
  const shown = rows.slice(0, MAX_ROWS).map(([kind, count]) => `  ${pad(kind, width)}  ${String(count).padStart(5)}`)
  return [...shown, ...(rows.length > MAX_ROWS ? [`  ${style.dim(`and ${rows.length - MAX_ROWS} more kinds`)}`] : [])]
}

function renderTargets({ targets }: Transfer, style: Style, columns: number): string {
  if (targets.length === 0) return ''
  const kinds = targets.map(({ state, reason }) => kindOf(state, reason))
  return [style.bold(`Target, ${plural(targets.length, 'tensor')}`), ...countRows(kinds, style, columns)].join('\n')
}

function renderSources({ sources }: Transfer, style: Style, columns: number): string {
  const kinds = sources.map(({ state, reason, into }) => (into.length > 0 ? state : kindOf(state, reason)))
  if (kinds.length === 0) return ''
  return [style.bold(`Source, ${plural(sources.length, 'tensor')}`), ...countRows(kinds, style, columns)].join('\n')
}

/** Every tensor of the target: what it is made of, why, and how sure that is. */
function renderLines({ targets }: Transfer, style: Style, columns: number): string {
  const lines = targets.map(({ target, shape, state, from, transform, reason, foundBy, confidence }) => {
    const how = from.length === 0 ? '' : `; by ${foundBy}, ${Math.round(100 * confidence)} %`
    return [
      `  ${target} ${style.dim(`[${formatShape(shape)}]`)}`,
      ...from.map((name, index) => `    $${index}  ${name}`),
      ...(transform === null || transform === '$0' ? [] : [`    =   ${transform}`]),
      `    ${style.dim(wrap(`${kindOf(state, reason)}${how}`, columns, 4))}`,
    ].join('\n')
  })
  return [style.bold(`Target, ${plural(targets.length, 'tensor')}`), ...lines].join('\n')
}

function renderOpen({ targets, sources }: Transfer, style: Style, columns: number): string {
  const open = [
    ...targets
      .filter(({ missing }) => missing)
      .map(({ target, shape, state, reason }) => ({ name: target, shape, text: `target, ${state}: ${reason}` })),
    ...sources
      .filter(({ lost }) => lost)
      .map(({ source, shape, state, reason }) => ({ name: source, shape, text: `source, ${state}: ${reason}` })),
  ]
  if (open.length === 0) return ''
  const rows = open
    .slice(0, MAX_ROWS)
    .map(({ name, shape, text }) => `  ${style.bad(name)} [${formatShape(shape)}]\n    ${wrap(text, columns, 4)}`)
  return [
    style.bold('Not settled'),
    ...rows,
    ...(open.length > MAX_ROWS ? [`  ${style.dim(`and ${open.length - MAX_ROWS} more in --json`)}`] : []),
    `  ${style.dim(wrap('Say what belongs there in the mapping file and give it back with --map.', columns, 2))}`,
  ].join('\n')
}

function renderProof({ proof }: Transfer, style: Style, columns: number): string {
  if (proof === null) return ''
  const { tensors, identical, problems } = proof
  const text = `${identical} of ${plural(tensors, 'filled tensor')} read back from the file, bit for bit as computed`
  const rows = problems.slice(0, MAX_ROWS).map((problem) => `  ${style.bad(wrap(problem, columns, 2))}`)
  return [`${style.bold('Proof')}  ${wrap(text, columns, 7)}`, ...rows].join('\n')
}

function renderComparison({ comparison }: Transfer, style: Style, columns: number): string {
  if (comparison === null) return ''
  const { verdict, explained, summary, weights, behaviour, causes } = comparison
  const paint = { match: style.good, mismatch: style.bad, 'not-compared': style.warn }[verdict]
  const shown = causes
    .slice(0, 4)
    .map(({ label, detail }) => `  ${wrap(`${label}  ${detail}`, columns, 4).replace(label, style.bold(label))}`)
  return [
    `${style.bold('Compare')}  ${wrap(`${verdict}: ${summary}`, columns, 9).replace(verdict, paint(verdict))}`,
    ...(explained
      ? [
          `  ${wrap('What differs are tensors that the ledger above merges, splits, folds or sets to do nothing.', columns, 2)}`,
        ]
      : []),
    `  weights    ${wrap(weights, columns, 13)}`,
    `  behaviour  ${wrap(behaviour, columns, 13)}`,
    ...shown,
  ].join('\n')
}

function renderNotes({ notes }: Transfer, style: Style, columns: number): string {
  if (notes.length === 0) return ''
  return [style.bold('Notes'), ...notes.map((note) => `  ${wrap(note, columns, 2)}`)].join('\n')
}
