import type { CauseLabel } from '../../vocabulary.ts'
import { ACTIVATIONS, type ActivationForm, clipped, leaky } from '../activation-forms.ts'
import { ACTIVATION_OPS } from '../activation-ops.ts'
import { elementwiseSpans, type Span } from '../elementwise-spans.ts'
import { harvested } from '../harvest.ts'
import { type Change, defineHypothesis, type Trial } from '../hypothesis.ts'
import type { RegionContext } from '../region-context.ts'
import { isReal, type RegionSide } from '../region-side.ts'
import { changeValue, computeInstead, leaveOut } from '../sketch.ts'
import { named } from '../wording.ts'

/** Activations of one side: whole ones, not the parts of one that is written out. */
export function activationsOf(side: RegionSide): Span[] {
  const spans = elementwiseSpans(side).filter(
    ({ form, nodes }) => form !== undefined || (nodes.length === 1 && ACTIVATION_OPS.has(nodes[0]!.op)),
  )
  return spans.filter(
    (span) =>
      !spans.some(
        (other) =>
          other.form !== undefined &&
          other.nodes.length > span.nodes.length &&
          span.nodes.every((node) => other.nodes.includes(node)),
      ),
  )
}

const nameOf = ({ form, nodes }: Span) => form?.name ?? nodes.at(-1)!.op

/** Forms to try: the usual ones, and those with a number that the candidate states somewhere in the region. */
function formsFor({ candidate }: RegionContext): ActivationForm[] {
  const numbers = harvested(candidate)
  const slopes = numbers.filter((value) => Math.abs(value) < 1 && value !== 0).slice(0, 4)
  const bounds = numbers.filter((value) => value > 0).slice(0, 4)
  return [...ACTIVATIONS, ...slopes.map(leaky), ...bounds.map((high) => clipped(0, high))]
}

const trial = (
  side: Trial['side'],
  change: Change | undefined,
  told: Pick<Trial, 'label' | 'detail' | 'fix' | 'prior'> & Partial<Trial>,
): Trial[] => (change === undefined ? [] : [{ side, change, parameters: 0, ...told }])

/** Another function in the place of an activation. */
export const otherActivation = defineHypothesis({
  id: 'other-activation',
  stage: 'exact',
  labels: ['activation-type', 'activation-parameter', 'clip-range'],
  how: 'the activation is replaced by each usual one (ReLU, ReLU6, leaky slopes, GELU in three forms, SiLU, HardSwish, ...) and by those with numbers that the candidate states',
  trials: (context) => [
    ...activationsOf(context.reference).flatMap((span) =>
      formsFor(context)
        .filter(({ name }) => name !== span.form?.name)
        .flatMap((form) =>
          trial('reference', computeInstead(context.reference, span.to, span.from, form.build), {
            label: labelFor(span, form),
            prior: 0.95,
            detail: `${form.name} in the candidate, ${nameOf(span)} in the reference at "${span.to}"`,
            fix: `use ${nameOf(span)} where the reference has ${named(span.nodes.at(-1)!)}`,
          }),
        ),
    ),
    ...activationsOf(context.candidate).flatMap((span) =>
      ACTIVATIONS.filter(({ name }) => name !== span.form?.name).flatMap((form) =>
        trial('candidate', computeInstead(context.candidate, span.to, span.from, form.build), {
          label: labelFor(span, form),
          prior: 0.94,
          detail: `${nameOf(span)} in the candidate at "${span.to}", ${form.name} in the reference`,
          fix: `use ${form.name} in place of ${named(span.nodes.at(-1)!)}`,
        }),
      ),
    ),
  ],
})

function labelFor(span: Span, form: ActivationForm): CauseLabel {
  const own = span.form?.family ?? familyOfOp(span)
  if (own !== form.family) return 'activation-type'
  return form.family === 'clip' ? 'clip-range' : 'activation-parameter'
}

const familyOfOp = ({ nodes }: Span) =>
  ({ LeakyRelu: 'leaky-relu', PRelu: 'leaky-relu', Clip: 'clip', HardSigmoid: 'hard-sigmoid', Elu: 'elu' })[
    nodes.at(-1)!.op
  ]

/** An activation that the candidate leaves out. */
export const missingActivation = defineHypothesis({
  id: 'missing-activation',
  stage: 'exact',
  labels: ['activation-missing'],
  how: "the reference's activation is left out",
  trials: (context) => [
    ...activationsOf(context.reference).flatMap((span) =>
      trial('reference', leaveOut(context.reference, span.to, span.from), {
        label: 'activation-missing',
        also: ['layer-missing'],
        prior: 0.96,
        stretch: { from: span.from, to: span.to },
        detail: `the candidate leaves out ${nameOf(span)} (${named(span.nodes.at(-1)!)} in the reference)`,
        fix: `apply ${nameOf(span)} where the reference has ${named(span.nodes.at(-1)!)}`,
      }),
    ),
  ],
})

/** An activation put where one side has none. */
export const insertedActivation = defineHypothesis({
  id: 'inserted-activation',
  stage: 'wide',
  labels: ['activation-missing', 'activation-extra'],
  how: "each usual activation is put behind the candidate's values, or behind the reference's",
  trials: (context) => [
    ...(activationsOf(context.reference).length > 0 ? openValues(context.candidate) : []).flatMap((value) =>
      ACTIVATIONS.slice(0, 14).flatMap((form) =>
        trial('candidate', changeValue(context.candidate, value, form.build), {
          label: 'activation-missing',
          also: ['activation-type'],
          prior: 0.9,
          detail: `the candidate lacks ${form.name} behind "${value}"`,
          fix: `apply ${form.name} to "${value}"`,
        }),
      ),
    ),
    ...openValues(context.reference).flatMap((value) =>
      formsFor(context)
        .slice(0, 20)
        .flatMap((form) =>
          trial('reference', changeValue(context.reference, value, form.build), {
            label: 'activation-extra',
            also: ['layer-extra'],
            prior: 0.9,
            detail: `the candidate applies ${form.name} to what the reference calls "${value}"`,
            fix: `do not apply ${form.name} there`,
          }),
        ),
    ),
  ],
})

/** An activation that only the candidate applies. */
export const extraActivation = defineHypothesis({
  id: 'extra-activation',
  stage: 'exact',
  labels: ['activation-extra'],
  how: "the candidate's activation is left out",
  trials: (context) => [
    ...activationsOf(context.candidate).flatMap((span) =>
      trial('candidate', leaveOut(context.candidate, span.to, span.from), {
        label: 'activation-extra',
        also: ['layer-extra'],
        prior: 0.96,
        detail: `the candidate applies ${nameOf(span)} (${named(span.nodes.at(-1)!)}) and the reference does not`,
        fix: `remove ${named(span.nodes.at(-1)!)}`,
      }),
    ),
  ],
})

const MAX_OPEN_VALUES = 6

/** Values behind which an activation may stand: those of heavier operators and the end, real numbers only. */
function openValues(side: RegionSide): string[] {
  const made = side.nodes
    .filter(({ op }) => /Conv|Gemm|MatMul|Normalization|Pool|Resize|Concat|Add|Sum/.test(op))
    .flatMap(({ outputs }) => outputs.slice(0, 1))
  return [...new Set([side.output, ...made.reverse(), ...side.inputs])]
    .filter((name) => isReal(side.observed.get(name)) && (side.producer.has(name) || side.users.has(name)))
    .slice(0, MAX_OPEN_VALUES)
}
