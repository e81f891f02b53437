import { ACTIVATION_OPS } from '../hypotheses/activation-ops.ts'
import type { CauseLabel } from '../vocabulary.ts'
import type { ValueCause } from './explain.ts'
import type { Insertion } from './insertion.ts'
import type { ValuePair } from './pair-values.ts'
import type { Side } from './recording.ts'
import { relationsBetween } from './value-relations.ts'

/** What operators are that the candidate alone applies: told by their kind, and by what they do to the values. */
export function explainInsertion(
  reference: Side,
  candidate: Side,
  pairs: ReadonlyMap<string, ValuePair>,
  { nodes, source, from, end, referenceUser }: Insertion,
): ValueCause[] {
  const ops = [...new Set(nodes.map(({ op }) => op))].filter((op) => op !== 'Constant' && op !== 'Identity')
  const detail = `the candidate applies ${ops.slice(0, 4).join(', ')} to "${from}"; the reference does not`
  const told = (label: CauseLabel, confidence: number): ValueCause => ({ label, confidence, proved: false, detail })
  if (ops.includes('Pad')) return [told('padding', 0.95)]
  if (nodes.at(-1)?.op === 'Add' && referenceUser?.op === 'Softmax') return [told('attention-mask', 0.9)]
  const relations = relationsBetween(reference, candidate, pairs, {
    referenceTensor: source,
    candidateTensor: end,
    referenceNode: undefined,
    candidateNode: nodes.at(-1),
    distance: undefined,
    referenceShape: reference.shape(source) ?? [],
    candidateShape: candidate.shape(end),
  })
  const grouped = Number(referenceUser?.attributes.group ?? 1) > 1
  if (grouped && relations.some(({ label }) => label === 'channel-order')) relations.push(told('groups', 0.6))
  if (relations.length > 0) return relations
  if (ops.some((op) => ACTIVATION_OPS.has(op) || op === 'Softmax')) return [told('activation-extra', 0.95)]
  return [told('layer-extra', 0.8)]
}
