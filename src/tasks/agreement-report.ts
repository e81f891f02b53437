import type { ObservedOutput, OutputKind } from '../compare/agreement/output.ts'
import { type TaskAgreement, taskAgreement } from '../compare/agreement/task-agreement.ts'
import { layoutsBetween, reorder } from '../compare/behaviour/layout.ts'
import type { AgreementReport } from '../report/agreement.ts'
import { finiteOrNull } from '../report/json.ts'
import { formatNumber, plural } from '../report/text.ts'
import { numbersOf } from '../tensor/array-value.ts'
import { elementCount, isFloat } from '../tensor/dtype.ts'
import type { BehaviourOutcome } from './compare.ts'

/**
 * What the task itself sees of the outputs that both models have: first classes, boxes, masks. Nothing where nothing
 * ran, or where the shapes differ.
 * @param declared from modelwright.yaml
 */
export function agreementReport(
  { recording, comparison }: BehaviourOutcome,
  declared: Readonly<Record<string, OutputKind>> = {},
): AgreementReport[] {
  if (recording === undefined || comparison === undefined) return []
  const producers = new Map(
    recording.reference.graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node.op])),
  )
  const outputs = comparison.outputs.flatMap(({ reference, candidate, layout, tolerance }): ObservedOutput[] => {
    const runs = recording.reference.runs.map((run, at) => {
      const own = run.get(reference)
      const other = candidate === undefined ? undefined : recording.candidate.runs[at]?.get(candidate)
      return own && other ? { own, other } : undefined
    })
    const known = runs.filter((run) => run !== undefined)
    const [first] = known
    if (first === undefined || candidate === undefined || known.length < runs.length) return []
    if (known.some(({ own, other }) => own.dtype === 'string' || elementCount(own.shape) !== elementCount(other.shape)))
      return []
    const op = producers.get(reference)
    return [
      {
        reference,
        candidate,
        shape: first.own.shape,
        isFloat: isFloat(first.own.dtype),
        ...(op === undefined ? {} : { op }),
        tolerance,
        runs: known.map(({ own, other }) => {
          const order = layoutsBetween(own.shape, other.shape).find(({ name }) => name === layout)
          return { reference: numbersOf(own), candidate: order ? reorder(numbersOf(other), order) : numbersOf(other) }
        }),
      },
    ]
  })
  return taskAgreement(outputs, declared, pictureSize(recording)).map(published)
}

/** Height x width of the first input that is a picture. */
function pictureSize({ inputs }: NonNullable<BehaviourOutcome['recording']>): number | undefined {
  const picture = inputs.find(({ shape }) => shape.length === 4)
  const [, a = 1, b = 1, c = 1] = picture?.shape ?? []
  return picture === undefined ? undefined : a < c ? b * c : a * b
}

function published(row: TaskAgreement): AgreementReport {
  const { output, candidate, recognised, samples } = row
  const base = { output, candidate, recognised, samples, summary: sentence(row) }
  switch (row.kind) {
    case 'scores': {
      const { kind, classes, top1, k, topK, swaps, benignSwaps } = row
      return { ...base, kind, classes, top1: finiteOrNull(top1), k, topK: finiteOrNull(topK), swaps, benignSwaps }
    }
    case 'mask': {
      const { kind, classes, pixelAgreement, meanIou } = row
      return { ...base, kind, classes, pixelAgreement: finiteOrNull(pixelAgreement), meanIou: finiteOrNull(meanIou) }
    }
    case 'boxes': {
      const { kind, form, threshold, referenceBoxes, candidateBoxes, matched, meanIou, minIou, otherClass } = row
      const measured = {
        meanIou: finiteOrNull(meanIou),
        minIou: finiteOrNull(minIou),
        maxScoreDifference: finiteOrNull(row.maxScoreDifference),
      }
      return { ...base, kind, form, threshold, referenceBoxes, candidateBoxes, matched, ...measured, otherClass }
    }
  }
}

function sentence(row: TaskAgreement): string {
  const share = (value: number) => `${Number((100 * value).toPrecision(4))} %`
  switch (row.kind) {
    case 'scores': {
      const first = `the first class is the same in ${row.samples - row.swaps} of ${plural(row.samples, 'sample')}`
      const within = row.benignSwaps === 0 ? 'none' : row.benignSwaps
      const benign = row.swaps === 0 ? '' : ` (${plural(row.swaps, 'swap')}, ${within} within rounding)`
      return `${first}${benign}; the first ${row.k} overlap by ${share(row.topK)}`
    }
    case 'mask':
      return Number.isNaN(row.pixelAgreement)
        ? 'there is no pixel to compare'
        : `${share(row.pixelAgreement)} of the pixels have the same class, mean IoU ${formatNumber(row.meanIou)}`
    case 'boxes': {
      const { referenceBoxes, candidateBoxes, matched, meanIou, minIou, maxScoreDifference, otherClass, threshold } =
        row
      if (referenceBoxes + candidateBoxes === 0)
        return `neither side finds a box of score ${formatNumber(threshold)} or more`
      const found = `${matched} of ${plural(referenceBoxes, 'box')}`.replace(/boxs/, 'boxes')
      const beside = candidateBoxes === referenceBoxes ? '' : ` (the candidate finds ${candidateBoxes})`
      const gap =
        matched === 0
          ? ''
          : `, mean IoU ${formatNumber(meanIou)} (lowest ${formatNumber(minIou)}), scores within ${formatNumber(maxScoreDifference)}`
      const labels = otherClass === 0 ? '' : `, ${otherClass} with another class`
      return `${found} matched${beside}${gap}${labels}`
    }
  }
}
