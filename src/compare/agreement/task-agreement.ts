import { decodeBoxes } from './box-forms.ts'
import { type Box, type BoxAgreement, compareBoxes, keptBoxes } from './boxes.ts'
import { compareMasks, type MaskAgreement } from './mask.ts'
import type { ObservedOutput, OutputKind } from './output.ts'
import { type Recognised, recogniseOutputs } from './recognise.ts'
import { compareScores, type ScoreAgreement } from './scores.ts'

interface Place {
  readonly output: string
  readonly candidate: string
  /** why the output was taken for this */
  readonly recognised: string
}

/** Agreement of one output, or of the outputs that hold detections together. */
export type TaskAgreement = Place &
  (
    | ({ readonly kind: 'scores' } & ScoreAgreement)
    | ({ readonly kind: 'mask' } & MaskAgreement)
    | ({ readonly kind: 'boxes'; readonly form: string; readonly threshold: number } & BoxAgreement)
  )

/**
 * What the task itself sees of two models' outputs: first classes, boxes, masks. Outputs whose shapes differ are to be
 * left out by the caller.
 */
export function taskAgreement(
  outputs: readonly ObservedOutput[],
  declared: Readonly<Record<string, OutputKind>> = {},
  pictureSize?: number,
): TaskAgreement[] {
  return recogniseOutputs(outputs, declared, pictureSize).map((found): TaskAgreement => {
    const place = {
      output: found.outputs.map(({ reference }) => reference).join(' + '),
      candidate: found.outputs.map(({ candidate }) => candidate).join(' + '),
      recognised: found.why,
    }
    if (found.kind === 'scores') return { ...place, kind: 'scores', ...compareScores(found.outputs[0], found.classes) }
    if (found.kind === 'mask') return { ...place, kind: 'mask', ...compareMasks(found.outputs[0], found.form) }
    return { ...place, kind: 'boxes', ...boxAgreement(found) }
  })
}

/** The score from which detectors usually draw a box. */
const USUAL_THRESHOLD = 0.25
/** Where fewer boxes than this pass it (generated inputs show no objects), the best ones count. */
const WANTED_BOXES = 20
/** More boxes than this have not been through suppression. */
const MAX_FINAL = 300

function boxAgreement({ outputs, form }: Recognised & { kind: 'boxes' }) {
  const [first] = outputs
  const pictures = (first?.runs ?? []).flatMap((_, run) =>
    decodeBoxes(
      form,
      outputs.map(({ runs }) => runs[run]!.reference),
      outputs.map(({ runs }) => runs[run]!.candidate),
    ),
  )
  const suppress = form.kind !== 'final' && form.rows > MAX_FINAL
  const threshold = thresholdFor(pictures.flatMap(({ reference }) => reference))
  const kept = pictures.map(({ reference, candidate }) => ({
    reference: keptBoxes(reference, threshold, suppress),
    candidate: keptBoxes(candidate, threshold, suppress),
  }))
  return { form: form.kind, threshold, ...compareBoxes(kept) }
}

/** The usual one, or lower where too few pass it: then between two scores, so that rounding moves no box across. */
function thresholdFor(boxes: readonly Box[]): number {
  const scores = boxes.map(({ score }) => score).sort((a, b) => b - a)
  const [last, next] = [scores[WANTED_BOXES - 1] ?? scores.at(-1) ?? 0, scores[WANTED_BOXES] ?? 0]
  const between = (last + next) / 2
  return last > 0 && last < USUAL_THRESHOLD ? between : USUAL_THRESHOLD
}
