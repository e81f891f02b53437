/** A detection: corners, in whatever unit the model uses; both sides use the same. */
export interface Box {
  readonly x1: number
  readonly y1: number
  readonly x2: number
  readonly y2: number
  readonly score: number
  /** -1 where the model gives none */
  readonly label: number
}

/** Agreement of the boxes of both sides over samples. */
export interface BoxAgreement {
  readonly samples: number
  readonly referenceBoxes: number
  readonly candidateBoxes: number
  /** pairs at IoU >= 0.5 */
  readonly matched: number
  /** of matched pairs; NaN where there is none */
  readonly meanIou: number
  readonly minIou: number
  readonly maxScoreDifference: number
  /** matched pairs with another class */
  readonly otherClass: number
}

/** The usual bound for "the same object" (PASCAL VOC). */
const MATCH_IOU = 0.5
/** Overlap from which the weaker of two boxes of one class is dropped, as detectors do after the network. */
const NMS_IOU = 0.45
/** More boxes per picture than this are not looked at; detectors keep 100 to 300. */
const MAX_BOXES = 300

/**
 * Matches boxes of both sides picture by picture: pairs by falling IoU, each box once, from 0.5 on; order in the
 * tensor does not matter, and classes may differ (they are counted).
 */
export function compareBoxes(
  pictures: readonly { reference: readonly Box[]; candidate: readonly Box[] }[],
): BoxAgreement {
  let [referenceBoxes, candidateBoxes, matched, total, otherClass, maxScoreDifference] = [0, 0, 0, 0, 0, 0]
  let minIou = Number.NaN
  for (const { reference, candidate } of pictures) {
    referenceBoxes += reference.length
    candidateBoxes += candidate.length
    for (const [own, other, overlap] of matchPairs(reference, candidate)) {
      matched++
      total += overlap
      minIou = Number.isNaN(minIou) ? overlap : Math.min(minIou, overlap)
      maxScoreDifference = Math.max(maxScoreDifference, Math.abs(own.score - other.score))
      if (own.label !== other.label) otherClass++
    }
  }
  const scores = matched === 0 ? Number.NaN : maxScoreDifference
  return {
    samples: pictures.length,
    referenceBoxes,
    candidateBoxes,
    matched,
    meanIou: matched === 0 ? Number.NaN : total / matched,
    minIou,
    maxScoreDifference: scores,
    otherClass,
  }
}

function matchPairs(reference: readonly Box[], candidate: readonly Box[]): [Box, Box, number][] {
  const near = reference.flatMap((own, row) =>
    candidate.flatMap((other, column) => {
      const overlap = intersectionOverUnion(own, other)
      return overlap >= MATCH_IOU ? [{ row, column, overlap }] : []
    }),
  )
  near.sort((a, b) => b.overlap - a.overlap || a.row - b.row || a.column - b.column)
  const [rows, columns] = [new Set<number>(), new Set<number>()]
  return near.flatMap(({ row, column, overlap }) => {
    if (rows.has(row) || columns.has(column)) return []
    rows.add(row)
    columns.add(column)
    return [[reference[row]!, candidate[column]!, overlap] as [Box, Box, number]]
  })
}

/** Area of both over area of either; two boxes without area agree when they are the same point. */
export function intersectionOverUnion(a: Box, b: Box): number {
  const width = Math.min(a.x2, b.x2) - Math.max(a.x1, b.x1)
  const height = Math.min(a.y2, b.y2) - Math.max(a.y1, b.y1)
  const both = Math.max(0, width) * Math.max(0, height)
  const area = (box: Box) => Math.max(0, box.x2 - box.x1) * Math.max(0, box.y2 - box.y1)
  const either = area(a) + area(b) - both
  if (either > 0) return both / either
  return a.x1 === b.x1 && a.y1 === b.y1 && a.x2 === b.x2 && a.y2 === b.y2 ? 1 : 0
}

/** The boxes that a user would see: the best `MAX_BOXES` above `threshold`; with `suppress`, overlapping ones dropped. */
export function keptBoxes(boxes: readonly Box[], threshold: number, suppress: boolean): Box[] {
  const ranked = boxes
    .filter(({ score }) => score >= threshold)
    .sort((a, b) => b.score - a.score)
    .slice(0, suppress ? MAX_BOXES * 10 : MAX_BOXES)
  if (!suppress) return ranked
  const kept: Box[] = []
  for (const box of ranked) {
    if (kept.length === MAX_BOXES) break
    const isNew = kept.every((other) => other.label !== box.label || intersectionOverUnion(other, box) < NMS_IOU)
    if (isNew) kept.push(box)
  }
  return kept
}
