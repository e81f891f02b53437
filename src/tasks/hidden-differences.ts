import type { WeightCause, WeightComparison } from '../compare/weights/comparison.ts'
import type { Comparison } from '../report/comparison.ts'
import type { OpenedModel } from './run-pair.ts'

/**
 * Attributes whose difference changes the function, though on ordinary inputs by less than rounding: an epsilon beside
 * large variances (LayerNorm, 1e-5 for 1e-3: 5e-8), a bound that no value reaches. Runs cannot show them, files do.
 */
export const BELOW_ROUNDING: ReadonlySet<WeightCause['label']> = new Set([
  'bn-epsilon',
  'layernorm-epsilon',
  'clip-range',
])

/** The earliest certain difference of that kind. */
export function hiddenDifference({ causes }: WeightComparison): WeightCause | undefined {
  return causes.find(({ label, decides }) => decides && BELOW_ROUNDING.has(label))
}

/** Where it stands; no distance, for there is none to see. */
export function hiddenDivergence(
  cause: WeightCause,
  reference: OpenedModel,
  candidate: OpenedModel,
): NonNullable<Comparison['firstDivergence']> {
  const nodeOf = ({ model }: OpenedModel, name: string | undefined) =>
    model.graphs[0]?.nodes.find((node) => node.name === name)
  const [node, other] = [nodeOf(reference, cause.referenceLayer), nodeOf(candidate, cause.candidateLayer)]
  return {
    referenceTensor: node?.outputs[0] ?? null,
    candidateTensor: other?.outputs[0] ?? null,
    referenceNode: cause.referenceLayer ?? null,
    candidateNode: cause.candidateLayer ?? null,
    referenceOp: node?.op ?? null,
    candidateOp: other?.op ?? null,
    maxAbs: null,
    maxRel: null,
    detail: `${cause.detail}. On these inputs its effect stays below rounding; on others it need not.`,
  }
}
