import type { Comparison } from './comparison.ts'
import { printable } from './printable.ts'
import { faultyRegions, otherCauses } from './region-text.ts'
import { renderAccounted, renderAgreement, renderDrift, renderFaults, renderPairing } from './render-regions.ts'
import { formatNumber, pad, plural, type Style, wrap } from './text.ts'

/** How many rows of a table a person reads before the rest is folded into one line. */
const MAX_ROWS = 12

/** Where paths begin, behind `  reference  `. */
const SIDE_INDENT = 13

/** What the columns behind the relation need: a count and `largest relative difference 1.07e-7`. */
const EVIDENCE_WIDTH = 46

/**
 * The comparison for a terminal: verdict first, then where and why, then the evidence, then what was not compared.
 * @param columns width to wrap prose at
 */
export function renderComparison(comparison: Comparison, style: Style, columns = 100): string {
  const report = printable(comparison)
  const sections = [
    renderVerdict(report, style, columns),
    renderFaults(report, style, columns),
    renderDivergence(report, style, columns),
    renderCauses(report, style, columns),
    renderAccounted(report, style, columns),
    renderDrift(report, style, columns),
    renderBehaviour(report, style, columns),
    renderAgreement(report, style, columns),
    renderPairing(report, style, columns),
    renderWeights(report, style, columns),
    renderGaps(report, style, columns),
  ]
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`
}

function renderVerdict({ verdict, summary, reference, candidate }: Comparison, style: Style, columns: number): string {
  const paint = { match: style.good, mismatch: style.bad, 'not-compared': style.warn }[verdict]
  const file = (side: Comparison['reference']) => {
    const facts = `(${side.title}, ${plural(side.tensors, 'tensor')}${side.sha256 ? `, sha256 ${side.sha256.slice(0, 12)}` : ''})`
    const isWide = SIDE_INDENT + side.path.length + 2 + facts.length > columns
    return `${side.path}${isWide ? `\n${' '.repeat(SIDE_INDENT)}` : '  '}${style.dim(facts)}`
  }
  return [
    `${paint(style.bold(verdict.toUpperCase()))}  ${wrap(summary, columns, verdict.length + 2)}`,
    '',
    `  reference  ${file(reference)}`,
    `  candidate  ${file(candidate)}`,
  ].join('\n')
}

function renderDivergence(report: Comparison, style: Style, columns: number): string {
  const { firstDivergence: found } = report
  if (found === null || faultyRegions(report).some(({ reference }) => reference === found.referenceTensor)) return ''
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

function renderCauses(report: Comparison, style: Style, columns: number): string {
  const { verdict } = report
  const hasFaults = faultyRegions(report).length > 0
  const causes = otherCauses(report)
  if (causes.length === 0) {
    const isOpen = verdict === 'mismatch' && !hasFaults && report.accounted.every(({ state }) => state === 'holds')
    return isOpen ? `${style.bold('Why')}\n  no cause found` : ''
  }
  const rows = causes.slice(0, 8).map(({ label, detail, proved, confidence }) => {
    const weight = proved ? style.bad('proved') : `${Math.round(confidence * 100)} %`
    return `  ${style.bold(label)} ${style.dim(`(${weight})`)}\n    ${wrap(detail, columns, 4)}`
  })
  const more = causes.length > 8 ? [`  ${style.dim(`and ${causes.length - 8} more in --json`)}`] : []
  return [
    style.bold(hasFaults ? 'Also seen in the files' : verdict === 'mismatch' ? 'Why' : 'Noted'),
    ...rows,
    ...more,
  ].join('\n')
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
  const width = Math.max(8, Math.min(60, columns - EVIDENCE_WIDTH, Math.max(...rows.map(([how]) => how.length))))
  const shown = rows
    .slice(0, MAX_ROWS)
    .map(
      ([how, { count, worst }]) =>
        `  ${pad(how, width)}  ${String(count).padStart(5)}  ${style.dim(worst === 0 ? 'identical values' : `largest relative difference ${formatNumber(worst)}`)}`,
    )
  const bad = parameters.filter(({ accepted }) => !accepted)
  const lines = bad.slice(0, MAX_ROWS).map(({ reference, candidate, relation, maxRel, detail }) => {
    const gap = `relative ${formatNumber(maxRel ?? Number.POSITIVE_INFINITY)}${detail ? `; ${detail}` : ''}`
    return renderPair({ word: relation, paint: style.bad, pair: `${reference} -> ${candidate}`, gap }, style, columns)
  })
  if (bad.length > MAX_ROWS) lines.push(`  ${style.dim(`and ${bad.length - MAX_ROWS} more in --json`)}`)
  return [
    `${style.bold('Weights')}  ${style.dim(wrap(weights.reason, columns, 9))}`,
    ...shown,
    ...(rows.length > MAX_ROWS ? [`  ${style.dim(`and ${rows.length - MAX_ROWS} more kinds`)}`] : []),
    ...lines,
  ].join('\n')
}

function renderBehaviour(
  { behaviour, outputs, coverage, values, regions }: Comparison,
  style: Style,
  columns: number,
): string {
  const head = `${style.bold('Behaviour')}  ${style.dim(wrap(behaviour.reason, columns, 11))}`
  if (outputs.length === 0) return head
  const rows = outputs
    .slice(0, MAX_ROWS)
    .map(({ reference, candidate, status, maxAbs, maxRel, layout, referenceShape, candidateShape }) => {
      const sizes =
        candidateShape !== null && referenceShape.join() !== candidateShape.join()
          ? ` [${referenceShape.join(', ')}] against [${candidateShape.join(', ')}]`
          : ''
      const gap =
        maxAbs === null
          ? ''
          : `largest difference ${formatNumber(maxAbs)}, relative ${formatNumber(maxRel ?? Number.NaN)}`
      const facts = [gap, layout === 'same' || layout === null ? '' : layout].filter((part) => part !== '')
      const pair = `${reference} -> ${candidate ?? 'nothing'}${sizes}`
      const [word, paint] =
        status === 'equal'
          ? ['equal', style.good]
          : status === 'accounted'
            ? ['accounted', style.warn]
            : ['different', style.bad]
      return renderPair({ word, paint, pair, gap: facts.join(', ') }, style, columns)
    })
  const count = (status: string) => values.filter((value) => value.status === status).length
  const tally =
    regions.length > 0
      ? []
      : [
          `  ${plural(coverage.referenceTensors, 'value')} of the reference: ${count('equal')} equal, ${count('different')} different, ${count('hidden')} hidden by fusion, ${count('after-divergence')} behind the difference`,
        ]
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
    ...tally,
    `  ${style.dim(wrap(`inputs: ${inputs.join('; ')}; ${behaviour.runtime ?? ''}`, columns, 2))}`,
  ].join('\n')
}

/** One pair on one line; what is known of it goes below where the line would be too long. */
function renderPair(
  { word, paint, pair, gap }: { word: string; paint: Style['bad']; pair: string; gap: string },
  style: Style,
  columns: number,
): string {
  const isWide = 2 + word.length + 2 + pair.length + 2 + gap.length > columns
  return `  ${paint(word)}  ${pair}${isWide ? `\n    ${style.dim(wrap(gap, columns, 4))}` : style.dim(`  ${gap}`)}`.trimEnd()
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
