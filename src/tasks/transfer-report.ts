import type { Comparison } from '../report/comparison.ts'
import { TRANSFER_SCHEMA_VERSION, type Transfer } from '../report/transfer.ts'
import { elementCount } from '../tensor/dtype.ts'
import { type Expression, printExpression } from '../transfer/expression.ts'
import type { Ledger, TargetEntry } from '../transfer/ledger.ts'
import type { Proof } from '../transfer/prove.ts'

/** What came of writing. */
export interface Outcome {
  readonly written: NonNullable<Transfer['written']>
  readonly proof: Proof
  readonly comparison: Comparison
}

/** The ledger and what came of writing as one report with a verdict; without an outcome it was a dry run. */
export function transferReport(
  ledger: Ledger,
  sides: Pick<Transfer, 'source' | 'target'>,
  outcome: Outcome | undefined,
): Transfer {
  const parameters = countParameters(ledger.targets)
  const lost = ledger.sources.filter(({ isLost }) => isLost)
  const missing = ledger.targets.filter(({ isMissing }) => isMissing)
  const isAccounted = lost.length + missing.length === 0
  const isExplained = outcome !== undefined && explains(ledger, outcome)
  const agrees = outcome === undefined || outcome.comparison.verdict === 'match' || isExplained
  const isProved = outcome === undefined || outcome.proof.problems.length === 0
  return {
    schemaVersion: TRANSFER_SCHEMA_VERSION,
    verdict: isAccounted && agrees && isProved ? 'complete' : 'incomplete',
    summary: summaryOf(parameters, missing.length, lost.length, outcome, isExplained),
    ...sides,
    written: outcome?.written ?? null,
    parameters,
    targets: ledger.targets.map((entry) => ({
      target: entry.target.name,
      shape: [...entry.target.shape],
      state: entry.state,
      from: entry.from.map(({ name }) => name),
      transform: entry.expression ? printExpression(entry.expression) : null,
      reason: entry.reason,
      foundBy: entry.foundBy,
      confidence: entry.confidence,
      candidates: [...entry.candidates],
      missing: entry.isMissing,
    })),
    sources: ledger.sources.map(({ source, state, into, reason, isLost }) => ({
      source: source.name,
      shape: [...source.shape],
      state,
      into: [...into],
      reason,
      lost: isLost,
    })),
    notes: [...ledger.notes],
    proof: outcome === undefined ? null : { ...outcome.proof, problems: [...outcome.proof.problems] },
    comparison: outcome === undefined ? null : comparisonPart(outcome.comparison, isExplained),
  }
}

function comparisonPart(comparison: Comparison, explained: boolean): Transfer['comparison'] {
  return {
    verdict: comparison.verdict,
    explained,
    summary: comparison.summary,
    weights: comparison.weights.reason,
    behaviour: comparison.behaviour.reason,
    causes: comparison.causes.map(({ label, detail }) => ({ label, detail })),
  }
}

/** What comparing stored tensors says of a kernel whose partner is merged, split, folded or an identity. */
const WEIGHT_CAUSES: ReadonlySet<string> = new Set([
  'bias-missing',
  'bn-affine',
  'bn-statistics',
  'flatten-order',
  'layer-extra',
  'layer-missing',
  'lstm-gate-order',
  'position-embedding',
  'weight-permuted',
  'weight-stale',
  'weight-swapped',
  'weight-transposed',
])

/**
 * Whether a mismatch of stored tensors is the ledger's own doing: two biases in one, three projections in one kernel, a
 * BatchNorm that does nothing. Everything that differs must be of that kind, accounted for and read back as computed,
 * nothing else may have been found, and where both ran they must agree.
 */
function explains(ledger: Ledger, { proof, comparison }: Outcome): boolean {
  if (comparison.verdict === 'match' || comparison.behaviour.verdict === 'mismatch') return false
  if (proof.problems.length > 0 || proof.identical === 0) return false
  if (comparison.causes.some(({ label }) => !WEIGHT_CAUSES.has(label))) return false
  const accounted = {
    reference: new Set(ledger.sources.filter(({ isLost }) => !isLost).map(({ source }) => source.name)),
    candidate: new Set(ledger.targets.filter(({ isMissing }) => !isMissing).map(({ target }) => target.name)),
  }
  const reworked = {
    reference: new Set(ledger.sources.filter(({ state }) => state !== 'mapped').map(({ source }) => source.name)),
    candidate: new Set(ledger.targets.filter(isReworked).map(({ target }) => target.name)),
  }
  const differing = comparison.parameters
    .filter(({ accepted }) => !accepted)
    .map(({ referenceTensors, candidateTensors }) => ({ reference: referenceTensors, candidate: candidateTensors }))
  const alone = (['reference', 'candidate'] as const).flatMap((side) =>
    comparison.unpaired[side]
      .filter(({ matters }) => matters)
      .map(({ name }) => ({ reference: [], candidate: [], [side]: [name] })),
  )
  return [...differing, ...alone].every(
    ({ reference, candidate }) =>
      reference.every((name) => accounted.reference.has(name)) &&
      candidate.every((name) => accounted.candidate.has(name)) &&
      (reference.some((name) => reworked.reference.has(name)) ||
        candidate.some((name) => reworked.candidate.has(name))),
  )
}

/** Whether a tensor is more than one of the source in another layout: that, comparing has to recognise by itself. */
function isReworked({ target, state, from, expression }: TargetEntry): boolean {
  if (state !== 'mapped' || from.length !== 1 || expression === undefined) return true
  // a vector has no layouts: its order changes with a feature map that it fills
  return !isLayout(expression) || (target.shape.length === 1 && !onlyReshapes(expression))
}

function onlyReshapes(expression: Expression): boolean {
  return expression.op === 'input' || (expression.op === 'reshape' && onlyReshapes(expression.of))
}

function isLayout(expression: Expression): boolean {
  switch (expression.op) {
    case 'input':
      return true
    case 'reshape':
    case 'transpose':
    case 'flip':
      return isLayout(expression.of)
    default:
      return false
  }
}

function countParameters(targets: readonly TargetEntry[]): Transfer['parameters'] {
  const counts = { total: 0, filled: 0, initialised: 0, missing: 0 }
  for (const entry of targets) {
    if (entry.state === 'derived' || entry.state === 'dropped') continue
    const count = elementCount(entry.target.shape)
    counts.total += count
    if (entry.isMissing) counts.missing += count
    else if (entry.from.length === 0) counts.initialised += count
    else counts.filled += count
  }
  return counts
}

function summaryOf(
  { total, filled, initialised, missing }: Transfer['parameters'],
  missingTensors: number,
  lostTensors: number,
  outcome: Outcome | undefined,
  isExplained: boolean,
): string {
  const number = (count: number) => count.toLocaleString('en')
  const parts = [
    missing === 0 && initialised === 0
      ? `all ${number(total)} parameters of the target come from the source`
      : `${number(filled)} of ${number(total)} parameters of the target come from the source`,
    initialised > 0 ? `${number(initialised)} are set to what changes nothing` : '',
    missingTensors > 0 ? `${number(missing)} in ${missingTensors} tensors were left as they are` : '',
    lostTensors > 0 ? `${lostTensors} tensors of the source found no place` : '',
    outcome === undefined ? '' : proofText(outcome.proof),
    outcome === undefined
      ? ''
      : `compare says ${outcome.comparison.verdict}${isExplained ? ', for tensors that the ledger merges, splits or folds' : ''}`,
  ]
  return parts.filter((part) => part !== '').join('; ')
}

function proofText({ tensors, identical }: Proof): string {
  return identical === tensors ? '' : `${tensors - identical} tensors of the file are not what was computed`
}
