import type { Comparison } from '../comparison.ts'
import { faultyRegions, otherCauses, unjudged } from '../region-text.ts'
import { formatNumber, plural } from '../text.ts'
import { driftChart } from './drift-chart.ts'
import { escapeHtml, renderPage, section, table } from './page.ts'
import { accountedSection, agreementSection, faultSections, pairingSection, regionSection } from './region-sections.ts'

/** The comparison as one self-contained page. */
export function renderComparisonPage(report: Comparison): string {
  const body = [
    header(report),
    faultSections(report),
    divergence(report),
    causes(report),
    accountedSection(report),
    regionSection(report),
    report.regions.length === 0 ? drift(report) : '',
    outputs(report),
    agreementSection(report),
    pairingSection(report),
    weights(report),
    unpaired(report),
    gaps(report),
  ]
  return renderPage({
    title: `${report.verdict}: ${report.candidate.path} against ${report.reference.path}`,
    body: body.filter((part) => part !== '').join('\n'),
    data: report,
  })
}

const code = (text: string | null) =>
  text === null ? '<span class="dim">no counterpart</span>' : `<code>${escapeHtml(text)}</code>`
const gap = (value: number | null) => (value === null ? '' : formatNumber(value))

function header(report: Comparison): string {
  const { verdict, summary, reference, candidate } = report
  const card = (title: string, side: Comparison['reference']) =>
    `<div><div class="side">${title}</div>${code(side.path)}<br><span class="dim">${escapeHtml(side.title)}${side.framework ? ` (${escapeHtml(side.framework)})` : ''}, ${plural(side.tensors, 'tensor')}${side.sha256 ? `<br><span class="hash">sha256 ${side.sha256}</span>` : ''}</span></div>`
  return `<div class="verdict ${verdict}"><div class="word">${verdict}</div><h1>${escapeHtml(summary)}</h1></div>
${coverageStrip(report)}
<div class="pair">${card('Reference', reference)}${card('Candidate', candidate)}</div>`
}

/** How much was looked at, in figures that a reader takes in at once. */
function coverageStrip(report: Comparison): string {
  const { regions, outputs: ends, behaviour, pairing, parameters, accounted } = report
  const figures: [string, string][] = []
  if (regions.length > 0)
    figures.push([`${regions.length - unjudged(report).length} of ${regions.length}`, 'regions judged'])
  if (ends.length > 0)
    figures.push([`${ends.filter(({ candidate }) => candidate !== null).length} of ${ends.length}`, 'outputs compared'])
  if (pairing)
    figures.push([String(Object.values(pairing.found).reduce((sum, count) => sum + count, 0)), 'values paired'])
  figures.push([
    `${parameters.filter(({ accepted }) => accepted).length} of ${parameters.length}`,
    'weight pairs agree',
  ])
  if (behaviour.inputs.length > 0)
    figures.push([String(new Set(behaviour.inputs.map(({ origin }) => origin)).size), 'inputs'])
  if (accounted.length > 0)
    figures.push([String(accounted.filter(({ state }) => state === 'holds').length), 'accounted differences'])
  return `<ul class="figures">${figures.map(([value, what]) => `<li><b>${value}</b> ${what}</li>`).join('')}</ul>`
}

function divergence(report: Comparison): string {
  const { firstDivergence: found } = report
  if (found === null || faultyRegions(report).some(({ reference }) => reference === found.referenceTensor)) return ''
  const side = (title: string, tensor: string | null, op: string | null, node: string | null) => {
    const [name = null, ...rest] = [tensor, op, node === tensor ? null : node].filter((part) => part !== null)
    return `<div><div class="side">${title}</div>${code(name)}<br><span class="dim">${escapeHtml(rest.join(' '))}</span></div>`
  }
  const pair = `<div class="pair">${side('Reference', found.referenceTensor, found.referenceOp, found.referenceNode)}${side('Candidate', found.candidateTensor, found.candidateOp, found.candidateNode)}</div>`
  return section('first-difference', 'First difference', `${pair}<p>${escapeHtml(found.detail)}</p>`)
}

function causes(report: Comparison): string {
  const { verdict } = report
  const list = otherCauses(report)
  if (list.length === 0) return ''
  const rows = list.map(({ label, detail, proved, confidence, referenceLayer }) => {
    const weight = proved
      ? '<span class="tag bad">proved</span>'
      : `<span class="tag">${Math.round(confidence * 100)} %</span>`
    return `<div class="cause"><div><b>${escapeHtml(label)}</b>${weight}</div><div>${escapeHtml(detail)}${referenceLayer === null ? '' : `<br><span class="dim mono">${escapeHtml(referenceLayer)}</span>`}</div></div>`
  })
  return section(
    'causes',
    faultyRegions(report).length > 0 ? 'Also seen in the files' : verdict === 'mismatch' ? 'Why' : 'Noted',
    rows.join('\n'),
  )
}

function drift(report: Comparison): string {
  const { values, coverage, behaviour } = report
  if (values.length === 0) return ''
  const count = (status: string) => values.filter((value) => value.status === status).length
  const note = `${coverage.compared} of ${coverage.referenceTensors} compared, ${count('hidden')} hidden by fusion, ${count('after-divergence')} behind the difference`
  const rows = values.map(({ reference, candidate, status, layout, maxAbs, relL2, tolerance }) => [
    code(reference),
    candidate === null ? '' : code(candidate),
    `<span class="${status === 'equal' ? 'good' : status === 'different' ? 'bad' : 'dim'}">${status}</span>`,
    escapeHtml(layout === 'same' || layout === null ? '' : layout),
    gap(maxAbs),
    gap(relL2),
    gap(tolerance),
  ])
  const columns = [
    { head: 'reference' },
    { head: 'candidate' },
    { head: 'status' },
    { head: 'layout' },
    { head: 'max abs', number: true },
    { head: 'rel. L2', number: true },
    { head: 'tolerance', number: true },
  ] as const
  const inputs = [...new Set(behaviour.inputs.map(({ origin }) => origin))].map(escapeHtml).join('; ')
  return section(
    'values',
    'Values through the network',
    `${driftChart(report)}<p class="dim">Inputs: ${inputs}. ${escapeHtml(behaviour.tolerance)}. ${escapeHtml(behaviour.runtime ?? '')}</p>${table(columns, rows)}`,
    note,
  )
}

function outputs({ outputs: list }: Comparison): string {
  if (list.length === 0) return ''
  const rows = list.map(({ reference, candidate, status, referenceShape, candidateShape, maxAbs, maxRel }) => [
    code(reference),
    code(candidate),
    `<span class="${status === 'equal' ? 'good' : status === 'accounted' ? 'warn' : 'bad'}">${status}</span>`,
    `[${referenceShape.join(', ')}]${candidateShape && candidateShape.join() !== referenceShape.join() ? ` / [${candidateShape.join(', ')}]` : ''}`,
    gap(maxAbs),
    gap(maxRel),
  ])
  return section(
    'outputs',
    'Outputs',
    table(
      [
        { head: 'reference' },
        { head: 'candidate' },
        { head: 'status' },
        { head: 'shape' },
        { head: 'max abs', number: true },
        { head: 'max rel', number: true },
      ],
      rows,
    ),
  )
}

function weights({ parameters, weights: { reason } }: Comparison): string {
  if (parameters.length === 0) return ''
  const rows = parameters.map(({ reference, candidate, relation, transform, maxAbs, maxRel, accepted, detail }) => [
    code(reference),
    code(candidate),
    `<span class="${accepted ? 'good' : 'bad'}">${relation}</span>`,
    escapeHtml([transform ?? '', detail ?? ''].filter((part) => part !== '').join('; ')),
    gap(maxAbs),
    gap(maxRel),
  ])
  return section(
    'weights',
    'Weights',
    table(
      [
        { head: 'reference' },
        { head: 'candidate' },
        { head: 'relation' },
        { head: 'how' },
        { head: 'max abs', number: true },
        { head: 'max rel', number: true },
      ],
      rows,
    ),
    reason,
  )
}

function unpaired({ unpaired: { reference, candidate } }: Comparison): string {
  const rows = [
    ...reference.map((tensor) => ['reference', tensor] as const),
    ...candidate.map((tensor) => ['candidate', tensor] as const),
  ].map(([side, { name, dtype, shape, reason, matters }]) => [
    side,
    code(name),
    `${dtype} [${shape.join(', ')}]`,
    `<span class="${matters ? 'bad' : 'dim'}">${escapeHtml(reason)}</span>`,
  ])
  return rows.length === 0
    ? ''
    : section(
        'unpaired',
        'Tensors without partner',
        table([{ head: 'side' }, { head: 'tensor' }, { head: 'type' }, { head: 'reason' }], rows),
        plural(rows.length, 'tensor'),
      )
}

function gaps({ notCompared, notes }: Comparison): string {
  const items = [...notCompared.map(({ what, reason }) => `${what}: ${reason}`), ...notes]
  return items.length === 0
    ? ''
    : section(
        'gaps',
        'Not compared, and notes',
        `<ul>${items.map((item) => `<li>${escapeHtml(item)}</li>`).join('')}</ul>`,
      )
}
