import type { Comparison } from '../report/comparison.ts'
import { TRANSFER_SCHEMA_VERSION, type Transfer } from '../report/transfer.ts'
import { elementCount } from '../tensor/dtype.ts'
import { printExpression } from '../transfer/expression.ts'
import type { Ledger, TargetEntry } from '../transfer/ledger.ts'

/** The ledger and the comparison as one report with a verdict. */
export function transferReport(
  ledger: Ledger,
  sides: Pick<Transfer, 'source' | 'target'>,
  written: Transfer['written'],
  comparison: Comparison | undefined,
): Transfer {
  const parameters = countParameters(ledger.targets)
  const lost = ledger.sources.filter(({ isLost }) => isLost)
  const missing = ledger.targets.filter(({ isMissing }) => isMissing)
  const isAccounted = lost.length + missing.length === 0
  const agrees = comparison === undefined || comparison.verdict === 'match'
  return {
    schemaVersion: TRANSFER_SCHEMA_VERSION,
    verdict: isAccounted && agrees ? 'complete' : 'incomplete',
    summary: summaryOf(parameters, missing.length, lost.length, comparison),
    ...sides,
    written,
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
    comparison:
      comparison === undefined
        ? null
        : {
            verdict: comparison.verdict,
            summary: comparison.summary,
            weights: comparison.weights.reason,
            behaviour: comparison.behaviour.reason,
            causes: comparison.causes.map(({ label, detail }) => ({ label, detail })),
          },
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
  comparison: Comparison | undefined,
): string {
  const number = (count: number) => count.toLocaleString('en')
  const parts = [
    missing === 0 && initialised === 0
      ? `all ${number(total)} parameters of the target come from the source`
      : `${number(filled)} of ${number(total)} parameters of the target come from the source`,
    initialised > 0 ? `${number(initialised)} are set to what changes nothing` : '',
    missingTensors > 0 ? `${number(missing)} in ${missingTensors} tensors were left as they are` : '',
    lostTensors > 0 ? `${lostTensors} tensors of the source found no place` : '',
    comparison === undefined ? '' : `compare says ${comparison.verdict}`,
  ]
  return parts.filter((part) => part !== '').join('; ')
}
