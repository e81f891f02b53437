import type { Comparison } from './comparison.ts'
import { printable } from './printable.ts'
import { formatNumber, pad, plural, type Style, wrap } from './text.ts'

/** How many rows of a table a person reads before the rest is folded into one line. */
const MAX_ROWS = 12

/**
 * The comparison for a terminal: verdict first, then where and why, then the evidence, then what was not compared.
 * @param columns width to wrap prose at
 */
export function renderComparison(comparison: Comparison, style: Style, columns = 100): string {
  const report = printable(comparison)
  const sections = [
    renderVerdict(report, style, columns),
    renderDivergence(report, style, columns),
    renderCauses(report, style, columns),
    renderWeights(report, style, columns),
    renderBehaviour(report, style, columns),
    renderGaps(report, style, columns),
  ]
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`
}

function renderVerdict({ verdict, summary, reference, candidate }: Comparison, style: Style, columns: number): string {
  const paint = { match: style.good, mismatch: style.bad, 'not-compared': style.warn }[verdict]
  const file = (side: Comparison['reference']) =>
    `${side.path}  ${style.dim(`(${side.format}, ${plural(side.tensors, 'tensor')}${side.sha256 ? `, sha256 ${side.sha256.slice(0, 12)}` : ''})`)}`
  return [
    `${paint(style.bold(verdict.toUpperCase()))}  ${wrap(summary, columns, verdict.length + 2)}`,
    '',
    `  reference  ${file(reference)}`,
    `  candidate  ${file(candidate)}`,
  ].join('\n')
}

function renderDivergence({ firstDivergence: found }: Comparison, style: Style, columns: number): string {
  if (found === null) return ''
  const side = (tensor: string | null, node: string | null, op: string | null) => {
    const [name, ...rest] = [tensor, op, node === tensor ? null : node].filter((part) => part !== null)
    return name === undefined ? style.dim('no counterpart') : `${name}  ${style.dim(rest.join(' '))}`.trimEnd()
  }
  return [
    style.bold('First difference'),
    `  reference  ${side(found.referenceTensor, found.referenceNode, found.referenceOp)}`,
    `  candidate  ${side(found.candidateTensor, found.candidateNode, found.candidateOp)}`,
    `  ${wrap(found.detail, columns, 2)}`,
  ].join('\n')
}

function renderCauses({ causes, verdict }: Comparison, style: Style, columns: number): string {
  if (causes.length === 0)
    return verdict === 'mismatch' ? `${style.bold('Why')}\n  no cause found by static comparison` : ''
  const rows = causes.slice(0, 8).map(({ label, detail, proved, confidence }) => {
    const weight = proved ? style.bad('proved') : `${Math.round(confidence * 100)} %`
    return `  ${style.bold(label)} ${style.dim(`(${weight})`)}\n    ${wrap(detail, columns, 4)}`
  })
  const more = causes.length > 8 ? [`  ${style.dim(`and ${causes.length - 8} more in --json`)}`] : []
  return [style.bold(verdict === 'mismatch' ? 'Why' : 'Noted'), ...rows, ...more].join('\n')
}

function renderWeights({ parameters, unpaired, weights }: Comparison, style: Style, columns: number): string {
  if (parameters.length === 0 && unpaired.reference.length === 0 && unpaired.candidate.length === 0) return ''
  const groups = new Map<string, { count: number; worst: number }>()
  for (const { relation, transform, maxRel } of parameters) {
    const named = relation === 'layout' || relation === 'folded'
    const how = transform === null ? relation : named ? transform : `${relation}: ${transform}`
    const group = groups.get(how) ?? { count: 0, worst: 0 }
    groups.set(how, { count: group.count + 1, worst: Math.max(group.worst, maxRel ?? Number.POSITIVE_INFINITY) })
  }
  const rows = [...groups].sort(([, left], [, right]) => right.count - left.count)
  const width = Math.min(60, Math.max(...rows.map(([how]) => how.length), 8))
  const shown = rows
    .slice(0, MAX_ROWS)
    .map(
      ([how, { count, worst }]) =>
        `  ${pad(how, width)}  ${String(count).padStart(5)}  ${style.dim(worst === 0 ? 'identical values' : `largest relative difference ${formatNumber(worst)}`)}`,
    )
  const bad = parameters.filter(({ accepted }) => !accepted)
  const lines = bad
    .slice(0, MAX_ROWS)
    .map(
      ({ reference, candidate, relation, maxRel, detail }) =>
        `  ${style.bad(relation)}  ${reference} ${style.dim('->')} ${candidate}  ${style.dim(`relative ${formatNumber(maxRel ?? Number.POSITIVE_INFINITY)}${detail ? `; ${detail}` : ''}`)}`,
    )
  if (bad.length > MAX_ROWS) lines.push(`  ${style.dim(`and ${bad.length - MAX_ROWS} more in --json`)}`)
  return [
    `${style.bold('Weights')}  ${style.dim(wrap(weights.reason, columns, 9))}`,
    ...shown,
    ...(rows.length > MAX_ROWS ? [`  ${style.dim(`and ${rows.length - MAX_ROWS} more kinds`)}`] : []),
    ...lines,
  ].join('\n')
}

function renderBehaviour({ behaviour, outputs, coverage, values }: Comparison, style: Style, columns: number): string {
  const head = `${style.bold('Behaviour')}  ${style.dim(wrap(behaviour.reason, columns, 11))}`
  if (outputs.length === 0) return head
  const rows = outputs
    .slice(0, MAX_ROWS)
    .map(({ reference, candidate, status, maxAbs, maxRel, layout, referenceShape, candidateShape }) => {
      const word = status === 'equal' ? style.good('equal') : style.bad('different')
      const sizes =
        candidateShape !== null && referenceShape.join() !== candidateShape.join()
          ? ` [${referenceShape.join(', ')}] against [${candidateShape.join(', ')}]`
          : ''
      const gap =
        maxAbs === null
          ? ''
          : `largest difference ${formatNumber(maxAbs)}, relative ${formatNumber(maxRel ?? Number.NaN)}`
      return `  ${word}  ${reference} ${style.dim('->')} ${candidate ?? 'nothing'}${sizes}  ${style.dim([gap, layout === 'same' || layout === null ? '' : layout].filter((part) => part !== '').join(', '))}`
    })
  const count = (status: string) => values.filter((value) => value.status === status).length
  const tally = `  ${plural(coverage.referenceTensors, 'value')} of the reference: ${count('equal')} equal, ${count('different')} different, ${count('hidden')} hidden by fusion, ${count('after-divergence')} behind the difference`
  const inputs = [
    ...new Set(
      behaviour.inputs.map(
        ({ origin, candidateLayout }) =>
          `${origin}${candidateLayout === 'same' ? '' : ` (candidate: ${candidateLayout})`}`,
      ),
    ),
  ]
  return [
    head,
    ...rows,
    tally,
    `  ${style.dim(wrap(`inputs: ${inputs.join('; ')}; ${behaviour.runtime ?? ''}`, columns, 2))}`,
  ].join('\n')
}

function renderGaps({ notCompared, unpaired, notes }: Comparison, style: Style, columns: number): string {
  // That behaviour was not compared already stands in its own section.
  const gaps = notCompared
    .filter(({ what }) => what !== 'behaviour')
    .map(({ what, reason }) => `  ${wrap(`${what}: ${reason}`, columns, 2)}`)
  const lone = (['reference', 'candidate'] as const).flatMap((side) => {
    const groups = new Map<string, string[]>()
    for (const { name, reason } of unpaired[side]) groups.set(reason, [...(groups.get(reason) ?? []), name])
    return [...groups].map(
      ([reason, names]) =>
        `  ${wrap(`${plural(names.length, 'tensor')} of the ${side} without partner (${reason}): ${names.slice(0, 4).join(', ')}${names.length > 4 ? ', ...' : ''}`, columns, 2)}`,
    )
  })
  const remarks = notes.map((note) => `  ${wrap(note, columns, 2)}`)
  const all = [...gaps, ...lone, ...remarks]
  return all.length === 0 ? '' : [style.bold('Not compared, and notes'), ...all].join('\n')
}
