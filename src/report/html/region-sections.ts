import type { Comparison } from '../comparison.ts'
import {
  causesOf,
  distanceText,
  FOUND,
  faultyRegions,
  operatorsOf,
  proofText,
  smallestText,
  unjudged,
} from '../region-text.ts'
import type { CauseReport, RegionReport } from '../regions.ts'
import { formatNumber, formatTimes, plural } from '../text.ts'
import { driftChart } from './drift-chart.ts'
import { escapeHtml, section, table } from './page.ts'

const code = (text: string) => `<code>${escapeHtml(text)}</code>`
const number = (value: number | null) => (value === null ? '' : formatNumber(value))

/** One card for each region that differs: both sides, how they were paired, how far off, why, what to do. */
export function faultSections(report: Comparison): string {
  const faults = faultyRegions(report)
  if (faults.length === 0) return ''
  const cards = faults.map((region, at) => faultCard(region, causesOf(region, report), at + 1))
  const note = 'each stretch is computed alone, on the values of the reference'
  return section(
    'faults',
    faults.length === 1 ? 'Where they part' : `The ${faults.length} places where they part`,
    cards.join('\n'),
    note,
  )
}

function faultCard(region: RegionReport, causes: readonly CauseReport[], at: number): string {
  const { reference, candidate, referenceNodes, candidateNodes, cut, found, confidence, layout } = region
  const node = referenceNodes.at(-1)
  const title = node ? `${node.op} ${node.name === '' ? reference : node.name}` : reference
  const side = (heading: string, value: string, nodes: RegionReport['referenceNodes']) => {
    const names = nodes
      .filter(({ op, name }) => op !== 'Constant' && name !== '' && name !== value)
      .map(({ name }) => name)
    const list = names.length > 4 ? `${names.slice(-4).join(', ')} and ${names.length - 4} more` : names.join(', ')
    return `<div><div class="side">${heading}</div>${code(value)}<br><span class="dim">${escapeHtml(operatorsOf(nodes))}${list === '' ? '' : `<br>${escapeHtml(list)}`}</span></div>`
  }
  const facts: [string, string][] = [
    ['alone', escapeHtml(distanceText(region))],
    ...(region.accumulated === null
      ? []
      : [
          ['whole run', `relative L2 ${number(region.accumulated)}, with all that happened before`] as [string, string],
        ]),
    ...(region.smallest ? [['smallest', escapeHtml(smallestText(region.smallest))] as [string, string]] : []),
    ['starts at', cut.length === 0 ? 'constants' : cut.map((pair) => code(pair.reference)).join(', ')],
    [
      'paired',
      `${escapeHtml(FOUND[found])} <span class="tag">confidence ${formatNumber(confidence)}</span>${layout === 'same' ? '' : ` ${escapeHtml(layout)}`}`,
    ],
  ]
  return `<article class="fault"><h3><span class="count">${at}</span>${escapeHtml(title)}</h3>
<div class="pair">${side('Reference', reference, referenceNodes)}${side('Candidate', candidate, candidateNodes)}</div>
${
  causes.length === 0
    ? '<p class="dim">No cause was found.</p>'
    : causes
        .slice(0, 3)
        .filter(({ detail }, at) => causes.findIndex((other) => other.detail === detail) === at)
        .map(causeBlock)
        .join('\n')
}
<dl>${facts.map(([term, text]) => `<dt>${term}</dt><dd>${text}</dd>`).join('')}</dl></article>`
}

function causeBlock(cause: CauseReport): string {
  const { label, detail, proved, confidence, fix, indistinguishable = [] } = cause
  const tag = proved
    ? '<span class="tag bad">proved</span>'
    : `<span class="tag">${Math.round(confidence * 100)} %</span>`
  const proof = proofText(cause)
  return `<div class="why"><div><b>${escapeHtml(label)}</b>${tag}</div><div>${escapeHtml(detail)}${
    proof === '' ? '' : `<div class="dim">${escapeHtml(proof)}</div>`
  }${indistinguishable.length === 0 ? '' : `<div class="dim">or: ${escapeHtml(indistinguishable.join('; '))}</div>`}${
    fix === undefined || fix === '' ? '' : `<div class="fix"><span>Fix</span>${escapeHtml(fix)}</div>`
  }</div></div>`
}

/** Chart and table of all regions. */
export function regionSection(report: Comparison): string {
  const { regions, behaviour } = report
  if (regions.length === 0) return ''
  const rows = regions.map((region) => {
    const { reference, candidate, state, found, ratio, relL2, accumulated, floor, layout, reason } = region
    const paint = { same: 'good', suspicious: 'warn', different: 'bad', accounted: 'warn', 'not-judged': 'dim' }[state]
    return [
      `${code(reference)}<br><span class="dim">${escapeHtml(operatorsOf(region.referenceNodes))}</span>`,
      `${code(candidate)}${layout === 'same' ? '' : `<br><span class="dim">${escapeHtml(layout)}</span>`}`,
      `<span class="${paint}">${state.replace('-', ' ')}</span>${reason === null ? '' : `<br><span class="dim">${escapeHtml(reason)}</span>`}`,
      found,
      ratio === null ? '' : formatTimes(ratio),
      number(relL2),
      number(floor),
      number(accumulated),
    ]
  })
  const columns = [
    { head: 'reference' },
    { head: 'candidate' },
    { head: 'state', word: true },
    { head: 'paired by', word: true },
    { head: 'x floor', number: true },
    { head: 'alone', number: true },
    { head: 'floor', number: true },
    { head: 'whole run', number: true },
  ] as const
  const inputs = [...new Set(behaviour.inputs.map(({ origin }) => origin))].map(escapeHtml).join('; ')
  const silent = unjudged(report).length
  const note = `${plural(regions.length, 'region')}, ${silent === 0 ? 'all judged' : `${silent} not judged`}`
  return section(
    'regions',
    'Through the network',
    `${driftChart(report)}${table(columns, rows)}<p class="dim small">Inputs: ${inputs}. ${escapeHtml(behaviour.tolerance)}. ${escapeHtml(behaviour.runtime ?? '')}</p>`,
    note,
  )
}

/** How values found each other; the ones that did not, by name. */
export function pairingSection({ pairing }: Comparison): string {
  if (pairing === null) return ''
  const found = Object.entries(pairing.found).filter(([, count]) => count > 0)
  const total = found.reduce((sum, [, count]) => sum + count, 0)
  const chips = found
    .sort(([, a], [, b]) => b - a)
    .map(([rule, count]) => `<span class="tag">${count} by ${escapeHtml(rule)}</span>`)
  const rows = (['reference', 'candidate'] as const).flatMap((side) =>
    pairing.unpaired[side].map(({ name, op, reason }) => [side, code(name), escapeHtml(op ?? ''), escapeHtml(reason)]),
  )
  const list = table([{ head: 'side' }, { head: 'value' }, { head: 'operator' }, { head: 'reason' }], rows)
  return section(
    'pairing',
    'Pairing',
    `<p class="chips">${chips.join('')}</p>${rows.length === 0 ? '' : `<details><summary>${plural(rows.length, 'value')} without a partner of its own</summary>${list}</details>`}`,
    `${plural(total, 'value')} paired`,
  )
}

/** Differences that modelwright.yaml expects. */
export function accountedSection({ accounted }: Comparison): string {
  if (accounted.length === 0) return ''
  const rows = accounted.map(({ where, what, reason, values, state, found, places }) => [
    `<span class="${state === 'holds' ? 'good' : 'bad'}">${state.replaceAll('-', ' ')}</span>`,
    `<b>${escapeHtml(what)}</b>${values === null ? '' : `<br><span class="dim">${escapeHtml(values.map((value) => (typeof value === 'number' ? formatNumber(value, 6) : JSON.stringify(value))).join(' and '))}</span>`}`,
    `${where.map(code).join(', ')}${places.length > 1 ? `<br><span class="dim">${plural(places.length, 'place')}</span>` : ''}`,
    escapeHtml(reason),
    escapeHtml(found),
  ])
  const held = accounted.filter(({ state }) => state === 'holds').length
  return section(
    'accounted',
    'Accounted differences',
    table(
      [
        { head: 'state', word: true },
        { head: 'what', word: true },
        { head: 'where' },
        { head: 'reason' },
        { head: 'found' },
      ],
      rows,
    ),
    `${held} of ${accounted.length} hold`,
  )
}

/** Top classes, boxes, masks. */
export function agreementSection({ agreement }: Comparison): string {
  if (agreement.length === 0) return ''
  const rows = agreement.map(({ output, kind, summary, recognised }) => [
    code(output),
    kind,
    escapeHtml(summary),
    `<span class="dim">${escapeHtml(recognised)}</span>`,
  ])
  return section(
    'agreement',
    'For the task',
    table([{ head: 'output' }, { head: 'taken for' }, { head: 'agreement' }, { head: 'because' }], rows),
    'information beside the verdict, never part of it',
  )
}
