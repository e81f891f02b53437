import { elementCount } from '../tensor/dtype.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { affineParts, scaleOf, throughAffine } from './affine.ts'
import { alongAxis, combine, full, type Part, reshape, transpose } from './build-expression.ts'
import { type FlattenChange, flattenChange, flattenLabel, regroup, unflattenChange } from './flatten-order.ts'
import { fromCanonical, layoutLabel, type Reading, toCanonical } from './kernel-layout.ts'
import { Inputs } from './ledger.ts'
import { type Draft, finish, type MappingContext } from './mapping.ts'
import { slotOf, type Unit } from './units.ts'

/** A kernel and bias of the target from those of the source, with the BatchNorms that the target has no place for. */
export function mapLinear(context: MappingContext, source: Unit, target: Unit, folded: readonly Unit[]): Draft[] {
  const drafts: Draft[] = []
  const [from, to] = [context.readings.get(source), context.readings.get(target)]
  const sides = [
    { set: context.source, unit: source },
    { set: context.target, unit: target },
  ] as const
  const isDense = to?.canonical.length === 2
  const entering = isDense ? flattenChange(...sides, to.canonical[1]!, context.readings) : undefined
  const leaving = isDense ? unflattenChange(...sides, to.canonical[0]!) : undefined
  const kernel = slotOf(source, 'kernel')
  const targetKernel = slotOf(target, 'kernel')
  if (kernel && targetKernel && from && to) {
    const inputs = new Inputs()
    const labels: string[] = []
    let part = toCanonical(inputs.part(kernel.tensor), from)
    if (context.swapsHeightAndWidth && from.canonical.length === 4) {
      part = transpose(part, [0, 1, 3, 2])
      labels.push('H and W swapped')
    }
    for (const affine of folded) part = scaleOutputs(part, from, source, affine, context, inputs)
    part = reshape(part, to.canonical)
    if (entering) {
      part = regroup(part, 1, entering)
      labels.push(flattenLabel(entering))
    }
    if (leaving) {
      part = regroup(part, 0, leaving)
      labels.push(flattenLabel(leaving, 'outputs'))
    }
    part = fromCanonical(part, to, targetKernel.tensor.shape)
    if (from.layout !== to.layout) labels.unshift(layoutLabel(from, to))
    labels.push(...folded.map((affine) => foldLabel(affine, context)))
    drafts.push(
      finish(
        targetKernel.tensor,
        inputs,
        part,
        folded.length > 0 ? 'folded' : 'mapped',
        labels.join('; ') || 'unchanged',
      ),
    )
  }
  const bias = slotOf(target, 'bias')
  if (bias) drafts.push(mapBias(context, source, bias.tensor, folded, leaving))
  return drafts
}

/** Each output times what the BatchNorm behind it multiplies by. */
function scaleOutputs(
  kernel: Part,
  { isTransposed }: Reading,
  unit: Unit,
  affine: Unit,
  context: MappingContext,
  inputs: Inputs,
): Part {
  const scale = scaleOf(affineParts(affine, context.epsilonOf(affine), inputs))
  if (scale === undefined) return kernel
  if (!isTransposed) return combine(kernel, '*', alongAxis(scale, 0, kernel.shape.length))
  // (I, O/g, ...): outputs of a group lie beside its inputs
  const groups = unit.attributes.groups ?? 1
  const [inputCount, outputs, ...spatial] = kernel.shape as [number, number, ...number[]]
  if (groups === 1) return combine(kernel, '*', alongAxis(scale, 1, kernel.shape.length))
  const grouped = reshape(kernel, [groups, inputCount / groups, outputs, ...spatial])
  const factors = reshape(scale, [groups, 1, outputs, ...spatial.map(() => 1)])
  return reshape(combine(grouped, '*', factors), kernel.shape)
}

/** The bias behind which the folded BatchNorms stand; zeros where the reference has none. */
function mapBias(
  context: MappingContext,
  source: Unit,
  target: Tensor,
  folded: readonly Unit[],
  leaving: FlattenChange | undefined,
): Draft {
  const inputs = new Inputs()
  const bias = slotOf(source, 'bias')
  const count = elementCount(target.shape)
  let part: Part | undefined = bias && reshape(inputs.part(bias.tensor), [elementCount(bias.tensor.shape)])
  for (const affine of folded) part = throughAffine(part, affineParts(affine, context.epsilonOf(affine), inputs))
  if (part === undefined)
    return finish(target, inputs, full(0, target.shape), 'no-counterpart', 'zeros: the reference adds nothing here')
  if (elementCount(part.shape) !== count)
    return { target, from: [], state: 'no-counterpart', reason: `the reference has ${elementCount(part.shape)} biases` }
  if (leaving) part = regroup(part, 0, leaving)
  if (leaving && folded.length === 0)
    return finish(target, inputs, reshape(part, target.shape), 'mapped', flattenLabel(leaving, 'outputs'))
  const reason = folded.length > 0 ? folded.map((affine) => foldLabel(affine, context)).join('; ') : 'unchanged'
  return finish(target, inputs, reshape(part, target.shape), folded.length > 0 ? 'folded' : 'mapped', reason)
}

function foldLabel(affine: Unit, context: MappingContext): string {
  if (slotOf(affine, 'variance') === undefined) return `scale and shift "${affine.name}" folded in`
  return `BatchNorm "${affine.name}" folded in, epsilon ${context.epsilonOf(affine)}`
}
