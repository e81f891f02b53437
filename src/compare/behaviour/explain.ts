import type { Node } from '../../model/graph.ts'
import { distance } from '../distance.ts'
import { ACTIVATIONS, type ActivationForm } from '../hypotheses/activation-forms.ts'
import { ACTIVATION_OPS } from '../hypotheses/activation-ops.ts'
import type { CauseLabel } from '../vocabulary.ts'
import type { Divergence } from './divergence.ts'
import { explainInsertion } from './explain-insertion.ts'
import type { ValuePair } from './pair-values.ts'
import type { Side } from './recording.ts'
import { relationsBetween } from './value-relations.ts'

/** A cause that the observed values show. */
export interface ValueCause {
  readonly label: CauseLabel
  /** 0..1 */
  readonly confidence: number
  /** whether the stated change, applied to the reference's values, gives the candidate's on every input */
  readonly proved: boolean
  readonly detail: string
}

/** Values closer than this, relative L2, are the same function: the forms are evaluated in float64. */
const SAME_FUNCTION = 1e-5
/** How many operators an activation may be written out in. */
const MAX_WRITTEN_OUT = 9

/**
 * What the values at the first difference say about its cause. Each hypothesis is a function of the reference's own
 * values; it is proved when it gives the candidate's values on every recorded input. Fewest assumptions first.
 */
export function explainDivergence(
  reference: Side,
  candidate: Side,
  pairs: ReadonlyMap<string, ValuePair>,
  found: Divergence,
): ValueCause[] {
  const causes = found.inserted
    ? explainInsertion(reference, candidate, pairs, found.inserted)
    : [
        ...omitted(pairs, found, reference),
        ...mergeOrder(pairs, found),
        ...otherActivation(reference, candidate, pairs, found),
        ...(found.candidateTensor === undefined ? [] : relationsBetween(reference, candidate, pairs, found)),
      ]
  return causes.filter(({ label }, index) => causes.findIndex((other) => other.label === label) === index)
}

/** The candidate goes on with the value that the reference's operator takes: the operator is left out. */
function omitted(
  pairs: ReadonlyMap<string, ValuePair>,
  { referenceNode, candidateTensor, leftOut }: Divergence,
  reference: Side,
): ValueCause[] {
  const inputs = referenceNode?.inputs ?? []
  const source = inputs.find(
    (input) => candidateTensor !== undefined && pairs.get(input)?.candidate === candidateTensor,
  )
  if (referenceNode === undefined || (source === undefined && leftOut === undefined)) return []
  const data = inputs.filter((input) => reference.shape(input) !== undefined)
  const isSum = referenceNode.op === 'Add' || referenceNode.op === 'Sum'
  const label: CauseLabel =
    ACTIVATION_OPS.has(referenceNode.op) || referenceNode.op === 'Softmax'
      ? 'activation-missing'
      : isSum && data.length > 1
        ? 'residual-missing'
        : isSum && source !== undefined && addsPerToken(reference, source, referenceNode)
          ? 'position-embedding'
          : referenceNode.op === 'Pad'
            ? 'padding'
            : 'layer-missing'
  return [
    {
      label,
      confidence: 0.95,
      proved: false,
      detail: `the candidate leaves out ${describe(referenceNode)}: it goes on with "${candidateTensor}" where the reference goes on with its result`,
    },
  ]
}

/** What is added to (1, N, D) tokens differs from token to token. */
function addsPerToken(side: Side, source: string, { outputs }: Node): boolean {
  const shape = side.shape(source) ?? []
  const [, tokens, features] = shape
  if (shape.length !== 3 || !tokens || !features || tokens < 2) return false
  const before = side.numbers(source, 0)
  const after = side.numbers(outputs[0] ?? '', 0)
  if (before.length !== after.length) return false
  const term = (token: number, feature: number) => {
    const at = token * features + feature
    return after[at]! - before[at]!
  }
  return Array.from({ length: features }, (_, feature) => feature).some(
    (feature) => Math.abs(term(0, feature) - term(1, feature)) > 1e-3 * Math.abs(term(0, feature)),
  )
}

/** A concatenation of the same parts in another order, told by where its inputs come from. */
function mergeOrder(pairs: ReadonlyMap<string, ValuePair>, { referenceNode, candidateNode }: Divergence): ValueCause[] {
  if (referenceNode?.op !== 'Concat' || candidateNode?.op !== 'Concat') return []
  const expected = referenceNode.inputs.map((input) => pairs.get(input)?.candidate)
  const actual = candidateNode.inputs
  if (expected.length !== actual.length || expected.every((name, at) => name === actual[at])) return []
  if (expected.some((name) => name === undefined || !actual.includes(name))) return []
  const order = actual.map((name) => expected.indexOf(name))
  return [
    {
      label: 'concat-order',
      confidence: 0.98,
      proved: true,
      detail: `the candidate concatenates the reference's parts in the order ${order.join(', ')}`,
    },
  ]
}

/** Which functions of the last agreeing value the two sides compute, and whether they are different ones. */
function otherActivation(
  reference: Side,
  candidate: Side,
  pairs: ReadonlyMap<string, ValuePair>,
  found: Divergence,
): ValueCause[] {
  const source = sourceOf(reference, pairs, found.referenceTensor)
  const pair = source === undefined ? undefined : pairs.get(source)
  if (source === undefined || pair === undefined) return []
  const mine = functionsOf(reference, source, reference, source)
  const theirs = functionsOf(candidate, pair.candidate, reference, source)
  const own = mine.at(-1)
  const other = theirs.at(-1)
  if (own !== undefined && other !== undefined && own.form !== other.form) {
    const label = own.form.family === other.form.family ? 'activation-parameter' : 'activation-type'
    return [
      {
        label,
        confidence: 0.97,
        proved: true,
        detail: `${own.form.name} at "${own.value}" in the reference, ${other.form.name} at "${other.value}" in the candidate`,
      },
    ]
  }
  const followsAnyway =
    other !== undefined &&
    functionsOf(reference, found.referenceTensor, reference, found.referenceTensor).some(
      ({ form }) => form === other.form,
    )
  const isActivation = ACTIVATION_OPS.has(found.referenceNode?.op ?? '')
  if (own === undefined && other !== undefined && !followsAnyway) {
    // a slope of its own (PRelu) is none of the forms
    if (isActivation) {
      const label = found.candidateNode?.op === found.referenceNode?.op ? 'activation-parameter' : 'activation-type'
      const detail = `${other.form.name} at "${other.value}" in the candidate; ${found.referenceNode!.op} in the reference is none`
      return [{ label, confidence: 0.9, proved: false, detail }]
    }
    return [
      {
        label: 'activation-extra',
        confidence: 0.95,
        proved: true,
        detail: `the candidate applies ${other.form.name} to "${pair.candidate}"; the reference does not`,
      },
    ]
  }
  if (own !== undefined && other === undefined && isActivation) {
    return [
      {
        label: 'activation-type',
        confidence: 0.5,
        proved: false,
        detail: `${own.form.name} at "${own.value}" in the reference; the candidate computes something else there`,
      },
    ]
  }
  return []
}

/** The nearest paired value before `name` that has as many elements. */
function sourceOf(side: Side, pairs: ReadonlyMap<string, ValuePair>, name: string): string | undefined {
  const size = side.numbers(name, 0).length
  let edge = [name]
  for (let depth = 0; depth < MAX_WRITTEN_OUT; depth++) {
    const inputs = edge.flatMap((value) => side.producer.get(value)?.inputs ?? [])
    const source = inputs.find((input) => pairs.has(input) && side.numbers(input, 0).length === size)
    if (source !== undefined) return source
    edge = inputs.filter((input) => !pairs.has(input) && side.producer.has(input))
  }
  return undefined
}

/** Values behind `from` that are an activation of the reference's `source`, in order of execution. */
function functionsOf(
  side: Side,
  from: string,
  reference: Side,
  source: string,
): { value: string; form: ActivationForm }[] {
  const size = side.numbers(from, 0).length
  const found: { value: string; form: ActivationForm }[] = []
  for (const value of behind(side, from)) {
    if (side.numbers(value, 0).length !== size) continue
    const form = ACTIVATIONS.find((candidate) =>
      sameFunction(side, value, side === reference ? source : from, candidate),
    )
    if (form) found.push({ value, form })
  }
  return found
}

function sameFunction(side: Side, value: string, source: string, { apply }: ActivationForm): boolean {
  return side.recording.runs.every((_, run) => {
    const expected = Float64Array.from(side.numbers(source, run), apply)
    return distance(expected, side.numbers(value, run)).relL2 <= SAME_FUNCTION
  })
}

/** Values that depend on `from` through a few operators. */
function behind(side: Side, from: string): string[] {
  const found = new Set<string>()
  let edge = [from]
  for (let depth = 0; depth < MAX_WRITTEN_OUT && edge.length > 0; depth++) {
    edge = edge.flatMap((value) => side.consumers.get(value) ?? []).flatMap((node) => node.outputs)
    edge = edge.filter((value) => !found.has(value))
    for (const value of edge) found.add(value)
  }
  return side.order.filter((value) => found.has(value))
}

const describe = (node: Node) => `${node.op} "${node.name}"`
