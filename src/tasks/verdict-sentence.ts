import type { Comparison } from '../report/comparison.ts'
import { causesOf } from '../report/region-text.ts'
import type { CauseReport, RegionReport } from '../report/regions.ts'
import { formatTimes, plural } from '../report/text.ts'

/** The verdict in one sentence: what was found, where, how surely, and how much was looked at. */
export function verdictSentence(report: Omit<Comparison, 'summary'>): string {
  const sentence = report.behaviour.verdict === 'not-compared' ? ofWeights(report) : ofBehaviour(report)
  const broken = report.accounted.filter(({ state }) => state !== 'holds')
  if (broken.length === 0) return sentence
  const [first] = broken
  const what = `${plural(broken.length, 'expected difference')} ${broken.length === 1 ? 'does' : 'do'} not hold (first ${first!.what} at ${first!.where[0]})`
  return report.verdict === 'mismatch' && hasOwnFault(report)
    ? `${sentence}; ${what}`
    : `${capital(what)}. Else: ${sentence}`
}

const hasOwnFault = ({ firstDivergence }: Omit<Comparison, 'summary'>) => firstDivergence !== null

/** `match with 3 accounted differences` is said where the verdict is. */
function accountedText({ accounted }: Omit<Comparison, 'summary'>): string | undefined {
  const held = accounted.filter(({ state }) => state === 'holds').length
  return held === 0 ? undefined : `Match with ${plural(held, 'accounted difference')}`
}

function ofWeights(report: Omit<Comparison, 'summary'>): string {
  const { verdict, weights, behaviour } = report
  const held = accountedText(report)
  if (verdict === 'not-compared')
    return weights.verdict === 'match'
      ? `The weights are the same, but behaviour, for which inputs were given, could not be compared: ${behaviour.reason}`
      : `Nothing could be compared: ${weights.reason}`
  if (verdict === 'match')
    return `${held ? `${held}, all other weights are the same` : 'The weights are the same'}: ${weights.reason}. Behaviour was not compared`
  const place = placeOf(report)
  return place ? `They part at ${place}${why(report)}` : weights.reason
}

function ofBehaviour(report: Omit<Comparison, 'summary'>): string {
  const { verdict, behaviour, firstDivergence, weights, regions } = report
  const looked = coverageText(report)
  const held = accountedText(report)
  if (verdict === 'not-compared') return `Nothing could be compared: ${behaviour.reason}`
  if (verdict === 'match')
    return `${held ? `${held}, all else computes the same` : 'Both compute the same'}: ${looked === '' ? behaviour.reason : looked}`
  const faulty = regions.filter(({ state }) => state === 'different')
  if (faulty.length > 0) {
    const differ = `${faulty.length} of ${plural(regions.length, 'region')} differ${faulty.length === 1 ? 's' : ''}`
    return `${differ} (${regionText(faulty[0]!, causesOf(faulty[0]!, report)[0])}); ${looked}`
  }
  if (behaviour.verdict === 'match')
    return capital(
      firstDivergence === null
        ? behaviour.reason
        : `${behaviour.reason}, but ${firstDivergence.detail ?? weights.reason}`,
    )
  const place = placeOf(report)
  return `${place ? `They part at ${place}${why(report)}` : capital(behaviour.reason)}${looked === '' ? '' : `; ${looked}`}`
}

/** `BatchNormalization layer2.1.bn2, 11,500 x floor; cause proved: epsilon 0.001 in the candidate, ...` */
function regionText(
  { reference, referenceNodes, ratio, relL2, reason }: RegionReport,
  top: CauseReport | undefined,
): string {
  const node = referenceNodes.at(-1)
  const name = node?.name ? `${node.op} ${node.name}` : node ? `${node.op} at ${reference}` : reference
  const size = ratio !== null ? `, ${formatTimes(ratio)} x floor` : relL2 === null && reason ? `, ${reason}` : ''
  if (top === undefined || (!top.proved && top.confidence < 0.5)) return `${name}${size}`
  const cause = top.proved ? `cause proved: ${top.detail}` : `likely ${top.label}`
  return `${name}${size}; ${cause}`
}

/** `judged 309 of 312 regions, 2 of 2 outputs, 2 inputs`; nothing where there are no regions. */
function coverageText({ regions, outputs, behaviour }: Omit<Comparison, 'summary'>): string {
  if (regions.length === 0) return ''
  const judged = regions.filter(({ state }) => state !== 'not-judged').length
  const seen = outputs.filter(({ candidate }) => candidate !== null).length
  const inputs = new Set(behaviour.inputs.map(({ origin }) => origin)).size
  return `judged ${judged} of ${plural(regions.length, 'region')}, ${seen} of ${plural(outputs.length, 'output')}, ${plural(inputs, 'input')}`
}

function placeOf({ firstDivergence: found }: Omit<Comparison, 'summary'>): string | null {
  return found?.referenceTensor ?? found?.referenceNode ?? found?.candidateTensor ?? null
}

function why({ causes: [top] }: Omit<Comparison, 'summary'>): string {
  if (top === undefined) return ''
  return `: ${top.label}${top.proved ? ' (proved)' : top.confidence >= 0.9 ? '' : ' (likely)'}`
}

const capital = (text: string) => text.replace(/^./, (letter) => letter.toUpperCase())
