import { numbersOf } from '../../../tensor/array-value.ts'
import { elementCount } from '../../../tensor/dtype.ts'
import type { CauseLabel } from '../../vocabulary.ts'
import { arrayOf, integers, show } from '../arrays.ts'
import { feeds, reachesInput } from '../constant-place.ts'
import { defineHypothesis, type Trial } from '../hypothesis.ts'
import type { RegionContext } from '../region-context.ts'
import { shapeOf } from '../region-side.ts'
import { type Build, behindEnd } from '../sketch.ts'
import { orderName, sliceOrder } from '../weight-relation.ts'
import { named } from '../wording.ts'

/** One number fitted, one per channel, two per channel: what is fitted is judged on the other inputs. */
const told = (
  context: RegionContext,
  build: Build,
  told: Pick<Trial, 'label' | 'detail' | 'fix' | 'parameters'> & Partial<Trial>,
): Trial => ({
  side: 'reference',
  change: behindEnd(context.reference, build),
  prior: 0.8,
  ...told,
})

const same = ({ expected, actual }: RegionContext) =>
  actual[0] !== undefined &&
  expected[0]!.shape.join() === actual[0].shape.join() &&
  elementCount(expected[0]!.shape) > 1

const last = ({ reference }: RegionContext) => reference.producer.get(reference.output)

/** The end is the reference's times one number. */
export const oneFactor = defineHypothesis({
  id: 'one-factor',
  stage: 'fitted',
  labels: ['constant-value', 'attention-scale', 'input-normalisation', 'dropout-active'],
  how: "the reference's end is multiplied by one number",
  applies: same,
  trials: (context) => {
    const [mine, theirs] = [numbersOf(context.expected[0]!), numbersOf(context.actual[0]!)]
    let cross = 0
    let square = 0
    for (let at = 0; at < mine.length; at++) {
      cross += mine[at]! * theirs[at]!
      square += mine[at]! ** 2
    }
    const factor = cross / square
    if (!Number.isFinite(factor) || factor === 0 || Math.abs(factor - 1) < 1e-6) return []
    const node = last(context)
    const keep = [0.9, 0.8, 0.75, 0.7, 0.6, 0.5].find(
      (share) => Math.abs(factor * share - 1) < 1e-4 || Math.abs(factor - share) < 1e-4,
    )
    const label: CauseLabel =
      node !== undefined && feeds(context.reference, node, 'Softmax')
        ? 'attention-scale'
        : node !== undefined && reachesInput(context.reference, node)
          ? 'input-normalisation'
          : keep !== undefined && !/^(Mul|Div|Gemm)$/.test(node?.op ?? '')
            ? 'dropout-active'
            : 'constant-value'
    const others: CauseLabel[] = ['constant-value', 'attention-scale', 'dropout-active']
    return [
      told(context, (sketch, value) => sketch.add('Mul', [value, sketch.number(factor)]), {
        label,
        also: others.filter((each) => each !== label && (each !== 'dropout-active' || keep !== undefined)),
        parameters: 1,
        detail: `every value is ${show(factor)} times the reference's${keep === undefined ? '' : `: what dropout of ${show(1 - keep)} leaves`}`,
        fix: `remove the factor ${show(factor)} before "${context.candidate.output}"`,
      }),
    ]
  },
})

/** Channels of the end in another order, one to one. */
export const orderFitted = defineHypothesis({
  id: 'order-fitted',
  stage: 'fitted',
  labels: ['channel-order', 'weight-permuted', 'concat-order', 'sequence-order', 'flatten-order'],
  how: "slices of the reference's end are put into the order in which the candidate's are found",
  applies: same,
  trials: (context) => {
    const shape = context.expected[0]!.shape
    const ops = context.reference.nodes.map(({ op }) => op)
    return shape.flatMap((count, axis) => {
      if (count < 2) return []
      const order = sliceOrder(context.expected[0]!, context.actual[0]!, axis)
      if (order === undefined) return []
      const what = orderName(order)
      const label: CauseLabel =
        ops.includes('Concat') || ops.includes('Split')
          ? 'concat-order'
          : what === 'in reverse' && shape.length === 3 && axis === 1
            ? 'sequence-order'
            : ops.some((op) => /Conv|Gemm|MatMul/.test(op))
              ? 'weight-permuted'
              : ops.some((op) => /Flatten|Reshape/.test(op))
                ? 'flatten-order'
                : 'channel-order'
      return [
        told(
          context,
          (sketch, value) => sketch.add('Gather', [value, sketch.constant(integers(order))], { axis: { int: axis } }),
          {
            label,
            also: ['channel-order', 'weight-permuted'],
            // an order is one choice, not as many numbers as there are slices
            parameters: 2,
            detail: `slices along axis ${axis} of "${context.reference.output}" are ${what} in the candidate`,
            fix: `put axis ${axis} into the reference's order before "${context.candidate.output}"`,
          },
        ),
      ]
    })
  },
})

/** One offset per channel; one factor and one offset per channel. */
export const perChannel = defineHypothesis({
  id: 'per-channel',
  stage: 'fitted',
  labels: ['bias-missing', 'bn-affine', 'bn-statistics', 'bn-epsilon', 'input-normalisation', 'constant-value'],
  how: "one number is added to each channel of the reference's end; or each is scaled and shifted",
  applies: (context) => same(context) && (shapeOf(context.reference, context.reference.output)?.length ?? 0) >= 2,
  trials: (context) => {
    const { shape } = context.expected[0]!
    const axis = shape.length >= 3 ? 1 : shape.length - 1
    const axes = shape.length === 3 ? [1, 2] : [axis]
    return axes.flatMap((each) => channelTrials(context, each))
  },
})

function channelTrials(context: RegionContext, axis: number): Trial[] {
  const { shape } = context.expected[0]!
  const channels = shape[axis]!
  const inner = elementCount(shape.slice(axis + 1))
  const [mine, theirs] = [numbersOf(context.expected[0]!), numbersOf(context.actual[0]!)]
  if (mine.length < 4 * channels || channels > 8192) return []
  const fits = Array.from({ length: channels }, () => ({ n: 0, x: 0, y: 0, xx: 0, xy: 0 }))
  for (let at = 0; at < mine.length; at++) {
    const fit = fits[Math.floor(at / inner) % channels]!
    fit.n++
    fit.x += mine[at]!
    fit.y += theirs[at]!
    fit.xx += mine[at]! ** 2
    fit.xy += mine[at]! * theirs[at]!
  }
  const along = shape.map((_, at) => (at === axis ? channels : 1))
  const vector = (values: readonly number[]) => arrayOf('float32', along, values)
  const offsets = fits.map(({ n, x, y }) => (y - x) / n)
  const lines = fits.map(({ n, x, y, xx, xy }) => {
    const spread = xx - (x * x) / n
    const slope = spread > 1e-12 * xx ? (xy - (x * y) / n) / spread : 1
    return { slope, offset: (y - slope * x) / n }
  })
  const { reference } = context
  const ops = reference.nodes.map(({ op }) => op)
  const norm = ops.includes('BatchNormalization')
  const node = last(context)
  const input = node !== undefined && reachesInput(reference, node)
  const bias = ops.some((op) => /Conv|Gemm|MatMul|LayerNorm/.test(op))
  const where = node ? named(node) : `"${reference.output}"`
  const fix = (what: string) => `load ${what} of ${where} from the reference`
  return [
    told(context, (sketch, value) => sketch.add('Add', [value, sketch.constant(vector(offsets))]), {
      label: input ? 'input-normalisation' : norm ? 'bn-affine' : bias ? 'bias-missing' : 'constant-value',
      also: norm ? ['bn-statistics', 'bias-missing'] : ['constant-value', 'weight-stale'],
      parameters: channels,
      prior: 0.6,
      detail: `the difference is one number per slice of axis ${axis}, the same for every input`,
      fix: fix(norm ? 'shift and running mean' : 'the bias'),
    }),
    told(
      context,
      (sketch, value) =>
        sketch.add('Add', [
          sketch.add('Mul', [value, sketch.constant(vector(lines.map(({ slope }) => slope)))]),
          sketch.constant(vector(lines.map(({ offset }) => offset))),
        ]),
      {
        label: input ? 'input-normalisation' : norm ? 'bn-statistics' : 'constant-value',
        also: norm ? ['bn-affine', 'bn-epsilon'] : ['bn-affine', 'weight-stale'],
        parameters: 2 * channels,
        prior: 0.5,
        detail: `the difference is one factor and one offset per slice of axis ${axis}, the same for every input`,
        fix: fix(norm ? 'scale, shift and statistics' : 'scale and bias'),
      },
    ),
  ]
}
