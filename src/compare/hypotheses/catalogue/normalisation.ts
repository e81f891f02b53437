import type { Node } from '../../../model/graph.ts'
import { numbersOf } from '../../../tensor/array-value.ts'
import { elementCount } from '../../../tensor/dtype.ts'
import type { CauseLabel } from '../../vocabulary.ts'
import { mapArray, show } from '../arrays.ts'
import { placeOf } from '../constant-place.ts'
import { harvested } from '../harvest.ts'
import { type Change, defineHypothesis, type Trial } from '../hypothesis.ts'
import { counterpart } from '../region-context.ts'
import { dataInputs, type RegionSide } from '../region-side.ts'
import { withAttributes } from '../sketch.ts'
import { named, whereInCandidate } from '../wording.ts'

const EPSILONS = [1e-3, 1e-4, 2e-5, 1.001e-5, 1e-5, 1e-6, 1e-7, 1e-8, 1e-12, 0, 1e-2]
const NORMS =
  /^(BatchNormalization|LayerNormalization|InstanceNormalization|GroupNormalization|RMSNormalization|SimplifiedLayerNormalization|SkipLayerNormalization|SkipSimplifiedLayerNormalization)$/

interface EpsilonSlot {
  readonly node: Node
  readonly value: number
  readonly label: CauseLabel
  set(value: number): Change
}

/** Places of a region that hold an epsilon: an attribute, or the constant that is added below a root. */
function epsilonSlots(side: RegionSide): EpsilonSlot[] {
  return side.nodes.flatMap((node): EpsilonSlot[] => {
    if (NORMS.test(node.op)) {
      const value = typeof node.attributes.epsilon === 'number' ? node.attributes.epsilon : 1e-5
      const label = node.op === 'BatchNormalization' ? 'bn-epsilon' : 'layernorm-epsilon'
      return [{ node, value, label, set: (epsilon) => withAttributes(node, { epsilon: { float: epsilon } }) }]
    }
    if (node.op !== 'Add') return []
    const name = node.inputs.find((input) => side.constants.has(input))
    const constant = name === undefined ? undefined : side.constants.get(name)
    if (name === undefined || constant === undefined || elementCount(constant.shape) !== 1) return []
    if (!(side.users.get(node.outputs[0]!) ?? []).some(({ op }) => op === 'Sqrt' || op === 'Pow')) return []
    const { label } = placeOf(side, node, node.inputs.indexOf(name), constant)
    return [
      {
        node,
        value: numbersOf(constant)[0]!,
        label,
        set: (epsilon) => ({ constants: new Map([[name, mapArray(constant, () => epsilon)]]) }),
      },
    ]
  })
}

/** Another epsilon. */
export const epsilon = defineHypothesis({
  id: 'epsilon',
  stage: 'exact',
  labels: ['bn-epsilon', 'layernorm-epsilon'],
  how: "the reference's normalisation runs with each usual epsilon, and with numbers that the candidate states; so a BatchNorm folded into weights shows which epsilon it was folded with",
  trials: (context) => [
    ...epsilonSlots(context.reference).flatMap((slot) =>
      tried(
        [...harvested(context.candidate).filter((value) => value >= 0 && value < 0.1), ...EPSILONS],
        slot.value,
      ).map((value): Trial => {
        const other = counterpart(context, slot.node)
        return {
          side: 'reference',
          change: slot.set(value),
          label: slot.label,
          parameters: 0,
          prior: 0.95,
          detail: `epsilon ${show(value)} in the candidate, ${show(slot.value)} in the reference (${named(slot.node)})${value === 1e-3 ? "; 0.001 is Keras' default" : ''}`,
          fix: `set epsilon=${show(slot.value)} ${whereInCandidate(other, context.candidate.output)}${other === undefined ? `, or fold ${named(slot.node)} with it` : ''}`,
        }
      }),
    ),
    ...epsilonSlots(context.candidate).flatMap((slot) =>
      tried(
        [...harvested(context.reference).filter((value) => value >= 0 && value < 0.1), ...EPSILONS],
        slot.value,
      ).map(
        (value): Trial => ({
          side: 'candidate',
          change: slot.set(value),
          label: slot.label,
          parameters: 0,
          prior: 0.94,
          detail: `epsilon ${show(slot.value)} in the candidate, ${show(value)} in the reference`,
          fix: `set epsilon=${show(value)} in ${named(slot.node)}`,
        }),
      ),
    ),
  ],
})

const tried = (values: readonly number[], own: number) =>
  [...new Set(values)].filter((value) => Math.abs(value - own) > 1e-6 * Math.max(value, own))

/** Parameters of a BatchNorm at their start, or misread. */
export const batchNormParameters = defineHypothesis({
  id: 'batch-norm-parameters',
  stage: 'exact',
  labels: ['bn-statistics', 'bn-affine'],
  how: "the reference's BatchNorm runs with statistics or with scale and shift at their starting values, with the root or the square of the variance, and left out",
  applies: ({ reference }) => reference.nodes.some(({ op }) => op === 'BatchNormalization'),
  trials: ({ reference, candidate, ...rest }) =>
    reference.nodes
      .filter(({ op }) => op === 'BatchNormalization')
      .flatMap((node) => {
        const constant = (at: number) => reference.constants.get(node.inputs[at]!)
        const fill = (at: number, value: number) => [node.inputs[at]!, mapArray(constant(at)!, () => value)] as const
        if ([1, 2, 3, 4].some((at) => constant(at) === undefined)) return []
        const exchange = (a: number, b: number) => [
          [node.inputs[a]!, constant(b)!] as const,
          [node.inputs[b]!, constant(a)!] as const,
        ]
        const apply = (at: number, change: (value: number) => number) => [
          [node.inputs[at]!, mapArray(constant(at)!, change)] as const,
        ]
        const other = counterpart({ reference, candidate, ...rest }, node)
        const told = (
          label: CauseLabel,
          entries: readonly (readonly [string, NonNullable<ReturnType<typeof constant>>])[],
          what: string,
          fix: string,
        ): Trial => ({
          side: 'reference',
          change: { constants: new Map(entries) },
          label,
          parameters: 0,
          prior: 0.93,
          detail: `${what} in the candidate, where the reference has ${named(node)}`,
          fix: `${fix} ${other ? `of ${named(other)}` : `of what became of ${named(node)}`}`,
        })
        return [
          told(
            'bn-statistics',
            [fill(3, 0), fill(4, 1)],
            'mean 0 and variance 1: statistics never loaded',
            'load the running mean and variance',
          ),
          told('bn-statistics', [fill(3, 0)], 'running mean 0', 'load the running mean'),
          told('bn-statistics', [fill(4, 1)], 'running variance 1', 'load the running variance'),
          told('bn-affine', [fill(1, 1), fill(2, 0)], 'scale 1 and shift 0', 'load scale and shift'),
          told('bn-affine', [fill(1, 1)], 'scale 1 (as with fix_gamma)', 'load the scale'),
          told('bn-affine', [fill(2, 0)], 'shift 0', 'load the shift'),
          told('bn-affine', exchange(1, 2), 'scale and shift exchanged', 'exchange scale and shift'),
          told('bn-statistics', exchange(3, 4), 'mean and variance exchanged', 'exchange mean and variance'),
          told('bn-affine', exchange(2, 3), 'shift and mean exchanged', 'load shift and running mean in their places'),
          told(
            'bn-statistics',
            apply(4, (value) => Math.sqrt(Math.max(0, value))),
            'a standard deviation read as variance (its root)',
            'load the variance, not its root,',
          ),
          told(
            'bn-statistics',
            apply(4, (value) => value * value),
            'the square of the variance',
            'load the variance, not its square,',
          ),
          told(
            'bn-statistics',
            apply(3, (value) => -value),
            'the running mean with the other sign',
            'load the running mean with its own sign',
          ),
        ]
      }),
})

/** A BatchNorm, or other normalisation, whose one vector is another: replaced alone. */
export const normAsTrained = defineHypothesis({
  id: 'batch-statistics',
  stage: 'exact',
  labels: ['bn-statistics'],
  how: "the reference's BatchNorm runs with the statistics of the batch at hand, as in training",
  applies: ({ reference }) => reference.nodes.some(({ op }) => op === 'BatchNormalization'),
  trials: ({ reference }) =>
    reference.nodes
      .filter(({ op }) => op === 'BatchNormalization')
      .flatMap((node): Trial[] => {
        const [source] = dataInputs(reference, node)
        const shape = source === undefined ? undefined : reference.observed.get(source)?.shape
        if (source === undefined || shape === undefined || shape.length < 3 || shape[0] !== 1) return []
        return [
          {
            side: 'reference',
            // with one sample per batch, batch statistics are those of each channel alone
            change: {
              replace: new Map([
                [
                  node,
                  [
                    {
                      op: 'InstanceNormalization',
                      inputs: [source, node.inputs[1]!, node.inputs[2]!],
                      outputs: [node.outputs[0]!],
                      attributes: {
                        epsilon: {
                          float: typeof node.attributes.epsilon === 'number' ? node.attributes.epsilon : 1e-5,
                        },
                      },
                    },
                  ],
                ],
              ]),
            },
            label: 'bn-statistics',
            parameters: 0,
            prior: 0.95,
            detail: `the candidate normalises by the statistics of the batch where the reference's ${named(node)} takes the running ones: training mode`,
            fix: `switch ${named(node)} to inference in the candidate: running statistics in place of those of the batch`,
          },
        ]
      }),
})
