import { type Accounting, accountDifferences } from '../compare/accounted/account.ts'
import type { ExpectedDifference } from '../compare/accounted/expected.ts'
import type { WeightComparison } from '../compare/weights/comparison.ts'
import type { Layer } from '../layers/layer.ts'
import type { Graph } from '../model/graph.ts'
import type { AccountedReport } from '../report/accounted.ts'
import type { Comparison } from '../report/comparison.ts'
import type { RegionReport } from '../report/regions.ts'
import { plural } from '../report/text.ts'
import { type ComparisonParts, comparisonReport } from './comparison-report.ts'
import { type Difference, foundDifferences } from './found-differences.ts'
import { verdictSentence } from './verdict-sentence.ts'

/**
 * The report of a comparison whose differences are partly on purpose. What modelwright.yaml expects is checked to be
 * still true and shown as accounted; everything else still counts. The verdict is a match only when every difference
 * is accounted for and every expected one was found as stated.
 *
 * @param layers of both sides, for the names of tensors' owners
 */
export function accountedReport(
  parts: ComparisonParts,
  expected: readonly ExpectedDifference[],
  layers: readonly [readonly Layer[], readonly Layer[]],
): Comparison {
  const plain = comparisonReport(parts)
  if (expected.length === 0) return plain
  const { reference, candidate, weights, behaviour } = parts
  const graphs = [reference.model.graphs[0], candidate.model.graphs[0]] as const
  const differences = foundDifferences({
    weights,
    report: plain,
    layers,
    nodes: [graphs[0]?.nodes ?? [], graphs[1]?.nodes ?? []],
    shapes: (own, other) => {
      const left = behaviour.recording?.reference.runs[0]?.get(own)?.shape
      const right = behaviour.recording?.candidate.runs[0]?.get(other)?.shape
      return left && right ? [left, right] : undefined
    },
  })
  const accounting = accountDifferences(expected, differences, namesOf(parts, layers))
  const open = differences.filter(({ decides }, at) => decides && !accounting.accounted.has(differences[at]!))
  const adjusted = comparisonReport({ ...parts, weights: settledWeights(weights, accounting, differences) })
  const settled = new Set(
    differences
      .filter((each) => each.of === 'region' && accounting.accounted.has(each))
      .map((each) => (each as Difference & { of: 'region' }).region.reference),
  )
  const regions = adjusted.regions.map(
    (region): RegionReport =>
      settled.has(region.reference) && region.state !== 'same' && region.state !== 'not-judged'
        ? { ...region, state: 'accounted', reason: 'expected' }
        : region,
  )
  const behind = reachedFrom(graphs[0], settled)
  const outputs = adjusted.outputs.map((output) => {
    const isOwn = differences.some(
      (each) => each.of === 'output' && each.output.reference === output.reference && accounting.accounted.has(each),
    )
    return output.status === 'different' && (isOwn || behind.has(output.reference))
      ? { ...output, status: 'accounted' as const }
      : output
  })
  const rows = accounting.rows.map(accountedRow)
  const stillOpen = open.filter(
    (each) =>
      each.of !== 'output' ||
      outputs.some(({ reference: name, status }) => name === each.output.reference && status === 'different'),
  )
  const isBroken = rows.some(({ state }) => state !== 'holds')
  const isMatch =
    plain.verdict !== 'not-compared' &&
    stillOpen.length === 0 &&
    (plain.verdict === 'match' || accounting.accounted.size > 0)
  const verdict: Comparison['verdict'] =
    plain.verdict === 'not-compared' ? plain.verdict : isMatch && !isBroken ? 'match' : 'mismatch'
  const first = regions.find(({ state }) => state === 'different')
  const draft = {
    ...adjusted,
    verdict,
    behaviour: behaviourOf(adjusted, isMatch),
    regions,
    outputs,
    accounted: rows,
    firstDivergence: isMatch ? null : first ? divergenceOf(first) : (adjusted.firstDivergence ?? plain.firstDivergence),
    causes: isMatch
      ? []
      : adjusted.causes.filter(
          (cause) => !regions.some((region) => region.state === 'accounted' && standsIn(cause, region)),
        ),
  }
  return { ...draft, summary: verdictSentence(draft) }
}

function behaviourOf({ behaviour }: Comparison, isMatch: boolean): Comparison['behaviour'] {
  if (behaviour.verdict !== 'mismatch' || !isMatch) return behaviour
  return { ...behaviour, verdict: 'match', reason: `${behaviour.reason}, behind accounted differences only` }
}

const standsIn = ({ referenceLayer, candidateLayer }: Comparison['causes'][number], region: RegionReport) =>
  region.referenceNodes.some(({ name }) => name === referenceLayer) ||
  region.candidateNodes.some(({ name }) => name === candidateLayer)

/** A region in the place of the first difference. */
function divergenceOf(region: RegionReport): NonNullable<Comparison['firstDivergence']> {
  const { reference, candidate, referenceNodes, candidateNodes, maxAbs, maxRel, causes } = region
  const [node, other] = [referenceNodes.at(-1), candidateNodes.at(-1)]
  return {
    referenceTensor: reference,
    candidateTensor: candidate,
    referenceNode: node?.name ?? null,
    candidateNode: other?.name ?? null,
    referenceOp: node?.op ?? null,
    candidateOp: other?.op ?? null,
    maxAbs,
    maxRel,
    detail: causes[0]?.detail ?? 'Computed alone on the values of the reference, it differs.',
  }
}

/** The weights with what is accounted for no longer counting against a match. */
function settledWeights(
  weights: WeightComparison,
  { accounted }: Accounting,
  differences: readonly Difference[],
): WeightComparison {
  const reasons = new Map<object, string>()
  const openCauses = new Set<object>()
  for (const difference of differences) {
    const reason = accounted.get(difference)?.reason
    const thing =
      difference.of === 'cause'
        ? difference.cause
        : difference.of === 'pair'
          ? difference.pair
          : difference.of === 'tensor'
            ? difference.tensor
            : undefined
    if (thing === undefined) continue
    if (reason !== undefined) reasons.set(thing, reason)
    else if (difference.of === 'cause') openCauses.add(thing)
  }
  const causes = weights.causes.filter((cause) => !reasons.has(cause) || openCauses.has(cause))
  const pairs = weights.pairs.map((pair) => {
    const reason = reasons.get(pair)
    return reason === undefined
      ? pair
      : { ...pair, accepted: true, detail: `${pair.detail ? `${pair.detail}; ` : ''}accounted: ${reason}` }
  })
  const settle = (list: WeightComparison['unpaired']['reference']) =>
    list.map((tensor) => {
      const reason = reasons.get(tensor)
      return reason === undefined ? tensor : { ...tensor, matters: false, reason: `accounted: ${reason}` }
    })
  const unpaired = { reference: settle(weights.unpaired.reference), candidate: settle(weights.unpaired.candidate) }
  const isOpen =
    pairs.some(({ accepted }) => !accepted) ||
    [...unpaired.reference, ...unpaired.candidate].some(({ matters }) => matters) ||
    causes.some(({ decides }) => decides)
  const isSettled = weights.verdict === 'mismatch' && !isOpen
  return {
    ...weights,
    causes,
    pairs,
    unpaired,
    ...(isSettled
      ? { verdict: 'match' as const, reason: `all ${plural(pairs.length, 'pair')} agree or are accounted for` }
      : {}),
  }
}

/** Values of the graph that something in `from` leads to. */
function reachedFrom(graph: Graph | undefined, from: ReadonlySet<string>): Set<string> {
  const reached = new Set(from)
  for (const node of graph?.nodes ?? [])
    if (node.inputs.some((name) => reached.has(name))) for (const name of node.outputs) reached.add(name)
  return reached
}

function namesOf(
  { reference, candidate }: ComparisonParts,
  layers: readonly [readonly Layer[], readonly Layer[]],
): Set<string> {
  const names = new Set<string>()
  for (const { model } of [reference, candidate]) {
    for (const { name } of model.tensors) names.add(name)
    for (const { nodes } of model.graphs)
      for (const node of nodes) for (const name of [node.name, ...node.outputs]) names.add(name)
  }
  for (const { name } of layers.flat()) names.add(name)
  return names
}

/** More places than this are counted only. */
const MAX_PLACES = 200

function accountedRow({ expected, state, differences }: Accounting['rows'][number]): AccountedReport {
  const places = [...new Set(differences.map(({ reference, candidate }) => reference[0] ?? candidate[0] ?? ''))]
  const [first] = differences
  const more = differences.length > 1 ? `, and ${differences.length - 1} more` : ''
  const found = {
    holds: `${first?.text}${more}`,
    gone: 'nothing differs there any more: take it out of the file',
    other: `it differs in another way: ${first?.text}${more}`,
    'no-such-place': 'neither model has anything of that name',
  }[state]
  return {
    where: [...expected.where],
    what: expected.what,
    reason: expected.reason,
    values: expected.values ? [...expected.values] : null,
    state,
    found,
    places: places.slice(0, MAX_PLACES),
  }
}
