import type { OutputKind } from '../compare/agreement/output.ts'
import type { OutputResult, ValueResult } from '../compare/behaviour/compare-behaviour.ts'
import { unravel } from '../compare/distance.ts'
import { JUDGEMENT_RULE } from '../compare/regions/judge-regions.ts'
import type { UnpairedTensor, WeightCause, WeightComparison, WeightPair } from '../compare/weights/comparison.ts'
import { formatTitle } from '../formats/registry.ts'
import type { Comparison } from '../report/comparison.ts'
import { finiteOrNull } from '../report/json.ts'
import { formatNumber, plural } from '../report/text.ts'
import { agreementReport } from './agreement-report.ts'
import type { BehaviourOutcome } from './compare.ts'
import { hiddenDifference, hiddenDivergence } from './hidden-differences.ts'
import { replayReport } from './replay-report.ts'
import type { OpenedModel } from './run-pair.ts'
import { verdictSentence } from './verdict-sentence.ts'

/** The halves of a comparison, before they are put together. */
export interface ComparisonParts {
  readonly reference: OpenedModel
  readonly candidate: OpenedModel
  readonly digests: readonly [string | null, string | null]
  readonly weights: WeightComparison
  readonly behaviour: BehaviourOutcome
  /** what outputs stand for, where modelwright.yaml says so */
  readonly outputKinds?: Readonly<Record<string, OutputKind>>
}

/** Puts the halves of a comparison into the published form and draws the verdict. */
export function comparisonReport({
  reference,
  candidate,
  digests,
  weights,
  behaviour,
  outputKinds,
}: ComparisonParts): Comparison {
  const ran = behaviour.comparison
  const stored = behaviour.asked === true && weights.verdict === 'match' ? 'not-compared' : weights.verdict
  const hidden = ran?.verdict === 'match' ? hiddenDifference(weights) : undefined
  const verdict = hidden ? 'mismatch' : ran !== undefined && ran.verdict !== 'not-compared' ? ran.verdict : stored
  const firstDivergence = hidden
    ? hiddenDivergence(hidden, reference, candidate)
    : ran?.divergence
      ? valueDivergence(ran.divergence)
      : verdict === 'mismatch'
        ? weightDivergence(weights)
        : null
  const causes = rankCauses(weights.causes, ran, verdict)
  const draft = {
    schemaVersion: 1 as const,
    verdict,
    reference: fileSummary(reference, digests[0]),
    candidate: fileSummary(candidate, digests[1]),
    weights: { verdict: weights.verdict, reason: weights.reason },
    behaviour: {
      verdict: ran?.verdict ?? ('not-compared' as const),
      reason: ran?.reason ?? behaviour.reason ?? 'nothing ran',
      runtime: behaviour.recording?.runtime ?? null,
      inputs: (behaviour.recording?.inputs ?? []).map((input) => ({ ...input, shape: [...input.shape] })),
      tolerance: JUDGEMENT_RULE,
    },
    parameters: weights.pairs.map(parameter),
    unpaired: {
      reference: weights.unpaired.reference.map(unpaired),
      candidate: weights.unpaired.candidate.map(unpaired),
    },
    outputs: (ran?.outputs ?? []).map(output),
    values: (ran?.values ?? []).map(valueRow),
    firstDivergence,
    causes,
    ...(ran && behaviour.recording ? replayReport(ran, behaviour.recording) : { regions: [], pairing: null }),
    accounted: [],
    agreement: agreementReport(behaviour, outputKinds),
    coverage: coverage(weights, ran?.values),
    notCompared: notCompared(behaviour, weights),
    notes: [
      ...weights.notes,
      ...(behaviour.recording?.notes ?? []),
      ...[...reference.model.warnings, ...candidate.model.warnings].map(({ message }) => message),
    ],
  }
  return { ...draft, summary: verdictSentence(draft) }
}

function fileSummary({ input, model }: OpenedModel, sha256: string | null): Comparison['reference'] {
  const { framework } = model.metadata
  return {
    path: input.path,
    format: model.format,
    title: formatTitle(model.format),
    sha256,
    tensors: model.tensors.length,
    ...(framework === undefined ? {} : { framework }),
  }
}

function parameter(pair: WeightPair): Comparison['parameters'][number] {
  return {
    reference: pair.reference,
    candidate: pair.candidate,
    relation: pair.relation,
    transform: describeTransform(pair),
    maxAbs: finiteOrNull(pair.maxAbs),
    maxRel: finiteOrNull(pair.maxRel),
    accepted: pair.accepted,
    ...(pair.folding?.epsilon === undefined ? {} : { epsilon: pair.folding.epsilon }),
    ...(pair.detail === undefined ? {} : { detail: pair.detail }),
    referenceTensors: [...pair.referenceTensors],
    candidateTensors: [...pair.candidateTensors],
  }
}

/** What turns the reference into the candidate, in words: layout first, then folding with its epsilon. */
function describeTransform({ transform, folding }: WeightPair): string | null {
  const folded =
    folding === undefined
      ? []
      : [`BatchNorm folded${folding.epsilon === undefined ? '' : `, epsilon ${formatNumber(folding.epsilon, 4)}`}`]
  const steps = [...(transform ? [transform.label] : []), ...folded]
  return steps.length === 0 ? null : steps.join(', ')
}

function unpaired({
  name,
  dtype,
  shape,
  matters,
  reason,
}: UnpairedTensor): Comparison['unpaired']['reference'][number] {
  return { name, dtype, shape: [...shape], matters, reason }
}

function valueRow({
  reference,
  candidate,
  status,
  layout,
  distance,
  tolerance,
}: ValueResult): Comparison['values'][number] {
  return {
    reference,
    candidate: candidate ?? null,
    status,
    layout: layout ?? null,
    maxAbs: distance ? finiteOrNull(distance.maxAbs) : null,
    maxRel: distance ? finiteOrNull(distance.maxRel) : null,
    relL2: distance ? finiteOrNull(distance.relL2) : null,
    tolerance,
  }
}

function output(result: OutputResult): Comparison['outputs'][number] {
  return {
    ...valueRow(result),
    referenceShape: [...result.referenceShape],
    candidateShape: result.candidateShape ? [...result.candidateShape] : null,
  }
}

type Divergence = NonNullable<NonNullable<BehaviourOutcome['comparison']>['divergence']>

function valueDivergence(found: Divergence): NonNullable<Comparison['firstDivergence']> {
  const { distance, referenceShape, candidateShape } = found
  return {
    referenceTensor: found.referenceTensor,
    candidateTensor: found.candidateTensor ?? null,
    referenceNode: found.referenceNode?.name ?? null,
    candidateNode: found.candidateNode?.name ?? null,
    referenceOp: found.referenceNode?.op ?? null,
    candidateOp: found.candidateNode?.op ?? null,
    maxAbs: distance ? finiteOrNull(distance.maxAbs) : null,
    maxRel: distance ? finiteOrNull(distance.maxRel) : null,
    detail: describe(found, referenceShape, candidateShape),
  }
}

function describe(
  { distance, candidateTensor }: Divergence,
  shape: readonly number[],
  other: readonly number[] | undefined,
): string {
  if (candidateTensor === undefined)
    return 'The candidate computes nothing that corresponds to this value; everything before it agrees.'
  if (distance === undefined)
    return `Everything before it agrees; here the shapes differ: [${shape.join(', ')}] against [${(other ?? []).join(', ')}].`
  const place = distance.worst < 0 ? '' : `, largest at [${unravel(distance.worst, shape).join(', ')}]`
  const nonFinite =
    distance.nonFinite > 0 ? ` ${plural(distance.nonFinite, 'element')} NaN or infinite on one side only.` : ''
  return `Everything before it agrees; here they differ by ${formatNumber(distance.maxAbs)} (relative ${formatNumber(distance.maxRel)}, relative L2 ${formatNumber(distance.relL2)})${place}.${nonFinite}`
}

/** Where nothing ran: the earliest layer with a decisive cause, else the first pair that does not agree. */
function weightDivergence({ causes, pairs, unpaired }: WeightComparison): Comparison['firstDivergence'] {
  const base = { referenceNode: null, candidateNode: null, referenceOp: null, candidateOp: null }
  const cause = causes.filter(({ decides }) => decides).sort((left, right) => left.order - right.order)[0]
  const wrong =
    pairs.find(({ reference }) => cause?.referenceTensor !== undefined && reference === cause.referenceTensor) ??
    pairs.find(
      ({ accepted, reference }) =>
        !accepted && (cause?.referenceLayer === undefined || belongsTo(reference, cause.referenceLayer)),
    )
  if (cause) {
    return {
      ...base,
      referenceTensor: wrong?.reference ?? null,
      candidateTensor: wrong?.candidate ?? null,
      referenceNode: cause.referenceLayer ?? null,
      candidateNode: cause.candidateLayer ?? null,
      maxAbs: wrong ? finiteOrNull(wrong.maxAbs) : null,
      maxRel: wrong ? finiteOrNull(wrong.maxRel) : null,
      detail: cause.detail,
    }
  }
  const first = pairs.find(({ accepted }) => !accepted)
  if (first) {
    const detail = `The stored values differ by ${formatNumber(first.maxAbs)} (relative ${formatNumber(first.maxRel)}).`
    return {
      ...base,
      referenceTensor: first.reference,
      candidateTensor: first.candidate,
      maxAbs: finiteOrNull(first.maxAbs),
      maxRel: finiteOrNull(first.maxRel),
      detail,
    }
  }
  const missing = unpaired.reference.find(({ matters }) => matters)
  const extra = unpaired.candidate.find(({ matters }) => matters)
  if (missing === undefined && extra === undefined) return null
  const detail = missing
    ? 'The candidate holds nothing that corresponds to this tensor.'
    : 'The reference holds nothing that corresponds to this tensor.'
  return {
    ...base,
    referenceTensor: missing?.name ?? null,
    candidateTensor: missing ? null : (extra?.name ?? null),
    maxAbs: null,
    maxRel: null,
    detail,
  }
}

const belongsTo = (tensor: string, layer: string) =>
  tensor === layer || tensor.startsWith(`${layer}.`) || tensor.startsWith(`${layer}/`)

/**
 * Causes from weights, attributes and values in one list: those at the first difference first, then proved ones, then
 * by confidence. A label that two sources give at the same place is kept once.
 */
function rankCauses(
  found: readonly WeightCause[],
  ran: BehaviourOutcome['comparison'],
  verdict: Comparison['verdict'],
): Comparison['causes'] {
  const node = ran?.divergence?.referenceNode?.name
  const partner = ran?.divergence?.candidateNode?.name
  const [first] = ran?.faults ?? []
  // what is folded stands at the convolution on one side and behind its BatchNorm on the other
  const own = new Set([node, ...(first?.result.region.referenceNodes ?? []).map(({ name }) => name)])
  const others = new Set([partner, ...(first?.result.region.candidateNodes ?? []).map(({ name }) => name)])
  const stored = found
    .filter(({ decides }) => decides || verdict !== 'mismatch' || node === undefined)
    .map((cause) => ({
      ...cause,
      here:
        node !== undefined &&
        ((cause.referenceLayer !== undefined && own.has(cause.referenceLayer)) ||
          (cause.candidateLayer !== undefined && others.has(cause.candidateLayer))),
    }))
  const place = { referenceLayer: node, candidateLayer: partner, order: -1, here: true }
  const observed = (ran?.causes ?? []).map((cause) => ({ ...cause, ...place }))
  const proofs = (first?.proofs ?? [])
    .filter(({ label }) => label !== 'unknown')
    .map((cause) => ({ ...cause, ...place, order: -2 }))
  const all = [...proofs, ...stored, ...observed].sort(
    (left, right) =>
      Number(right.here) - Number(left.here) ||
      Number(right.proved) - Number(left.proved) ||
      right.confidence - left.confidence ||
      left.order - right.order,
  )
  const once = all.filter(
    (cause, index) => all.findIndex(({ label, here }) => label === cause.label && here === cause.here) === index,
  )
  return once.map((cause) => {
    const proof = proofs.find(({ label }) => cause.here && label === cause.label)
    return {
      label: cause.label,
      confidence: cause.confidence,
      proved: cause.proved,
      detail: cause.detail,
      referenceLayer: cause.referenceLayer ?? null,
      candidateLayer: cause.candidateLayer ?? null,
      ...(proof?.before === undefined ? {} : { before: finiteOrNull(proof.before) }),
      ...(proof?.after === undefined ? {} : { after: finiteOrNull(proof.after) }),
      ...(proof?.fix ? { fix: proof.fix } : {}),
      ...(proof?.indistinguishable === undefined ? {} : { indistinguishable: [...proof.indistinguishable] }),
    }
  })
}

function coverage(weights: WeightComparison, values: readonly ValueResult[] | undefined): Comparison['coverage'] {
  if (values !== undefined && values.length > 0) {
    const compared = values.filter(({ status }) => status === 'equal' || status === 'different').length
    return { referenceTensors: values.length, compared, skipped: values.length - compared, of: 'values' }
  }
  const paired = new Set(weights.pairs.flatMap(({ referenceTensors }) => referenceTensors)).size
  const skipped = weights.unpaired.reference.length
  return { referenceTensors: paired + skipped, compared: paired, skipped, of: 'parameters' }
}

function notCompared({ comparison, reason }: BehaviourOutcome, weights: WeightComparison): Comparison['notCompared'] {
  const gaps = [...(comparison?.notCompared ?? [])]
  if (comparison === undefined) gaps.push({ what: 'behaviour', reason: reason ?? 'nothing ran' })
  if (weights.verdict === 'not-compared') gaps.push({ what: 'weights', reason: weights.reason })
  return gaps
}
