import type { Box } from './boxes.ts'

/** How detections lie in one or more outputs, for one sample of `rows` boxes. */
export type BoxForm =
  /** boxes [B, N, 4] or [N, 4], scores [B, N] or [B, N, C], perhaps labels [B, N], in outputs of their own */
  | { readonly kind: 'apart'; readonly rows: number; readonly classes: number; readonly hasLabels: boolean }
  /** [B, N, 4 + 1 + C]: corner or centre, objectness, classes (YOLO up to 7) */
  | { readonly kind: 'rows'; readonly rows: number; readonly width: number }
  /** [B, 4 + C, N]: the same lying down, without objectness (YOLO 8 and later) */
  | { readonly kind: 'columns'; readonly rows: number; readonly width: number }
  /** [B, K, 6]: x1, y1, x2, y2, score, class; [K, 7]: batch, x1, y1, x2, y2, class, score. After suppression */
  | { readonly kind: 'final'; readonly rows: number; readonly width: 6 | 7 }

/** What a form looks like, for a person. */
export function describeForm(form: BoxForm): string {
  const { rows } = form
  switch (form.kind) {
    case 'apart':
      return `boxes [${rows}, 4], scores [${rows}${form.classes > 1 ? `, ${form.classes}` : ''}]${form.hasLabels ? `, labels [${rows}]` : ''}`
    case 'rows':
      return `[${rows}, 4 + 1 + ${form.width - 5}]: box, objectness, classes`
    case 'columns':
      return `[4 + ${form.width - 4}, ${rows}]: box, classes`
    case 'final':
      return form.width === 6 ? `[${rows}, 6]: corners, score, class` : `[${rows}, 7]: picture, corners, class, score`
  }
}

/** Values of the outputs that hold the detections, in the order boxes, scores, labels; or the one output. */
export type BoxTensors = readonly ArrayLike<number>[]

/**
 * All boxes of a run, picture by picture, unfiltered. Boxes given by centre and size are turned into corners: they are
 * taken for corners when nearly every row has its second corner behind its first on both sides.
 * @param tensors of the reference and of the candidate; which form the corners have is decided by the reference
 */
export function decodeBoxes(
  form: BoxForm,
  reference: BoxTensors,
  candidate: BoxTensors,
): { reference: Box[]; candidate: Box[] }[] {
  const reading: Reading = {
    asCorners: form.kind === 'final' || hasCorners(form, reference),
    firstClass: form.kind === 'apart' && hasBackground(form.classes, reference[1] ?? []) ? 1 : 0,
  }
  const [own, other] = [boxesOf(form, reference, reading), boxesOf(form, candidate, reading)]
  return own.map((boxes, picture) => ({ reference: boxes, candidate: other[picture] ?? [] }))
}

/** How the numbers are read, decided by the reference's. */
interface Reading {
  readonly asCorners: boolean
  /** 1 where class 0 is the background */
  readonly firstClass: 0 | 1
}

/** Scores of a row that add up to 1 have a class for "nothing", and it is the first (SSD and its heirs). */
function hasBackground(classes: number, scores: ArrayLike<number>): boolean {
  const rows = classes < 2 ? 0 : Math.min(64, Math.floor(scores.length / classes))
  const sums = Array.from({ length: rows }, (_, row) =>
    Array.from({ length: classes }, (_, label) => scores[row * classes + label]!).reduce(
      (sum, score) => sum + score,
      0,
    ),
  )
  return rows > 0 && sums.every((sum) => Math.abs(sum - 1) < 1e-3)
}

/** Share of rows that must read as corners for all to be corners. */
const MOST = 0.95

function hasCorners(form: BoxForm, tensors: BoxTensors): boolean {
  const boxes = boxesOf(form, tensors, { asCorners: true, firstClass: 0 }).flat()
  return boxes.filter(({ x1, y1, x2, y2 }) => x2 >= x1 && y2 >= y1).length >= MOST * boxes.length
}

function boxesOf(form: BoxForm, tensors: BoxTensors, { asCorners, firstClass }: Reading): Box[][] {
  const [first = [], scores = [], labels] = tensors
  if (form.kind === 'final') return finalBoxes(form.width, form.rows, first)
  const perPicture = form.rows * (form.kind === 'apart' ? 4 : form.width)
  const pictures = perPicture === 0 ? 0 : Math.floor(first.length / perPicture)
  return Array.from({ length: pictures }, (_, picture) =>
    Array.from({ length: form.rows }, (_, row) => {
      const start = picture * perPicture
      if (form.kind === 'apart') {
        const at = picture * form.rows + row
        const found = best(scores, at * form.classes + firstClass, 1, form.classes - firstClass)
        const label = form.hasLabels && labels ? labels[at]! : form.classes > 1 ? found.index + firstClass : -1
        return box(first, start + row * 4, 1, asCorners, found.value, label)
      }
      if (form.kind === 'columns') {
        const found = best(first, start + 4 * form.rows + row, form.rows, form.width - 4)
        return box(first, start + row, form.rows, asCorners, found.value, found.index)
      }
      const at = start + row * form.width
      const found = best(first, at + 5, 1, form.width - 5)
      return box(first, at, 1, asCorners, first[at + 4]! * found.value, found.index)
    }),
  )
}

function finalBoxes(width: 6 | 7, rows: number, values: ArrayLike<number>): Box[][] {
  const pictures: Box[][] = []
  for (let at = 0, row = 0; at + width <= values.length; at += width, row++) {
    const picture = width === 7 ? Math.max(0, Math.trunc(values[at]!)) : Math.floor(row / rows)
    if (picture > 4096) continue
    while (pictures.length <= picture) pictures.push([])
    const start = width === 7 ? at + 1 : at
    const [label, score] =
      width === 7 ? [values[start + 4]!, values[start + 5]!] : [values[start + 5]!, values[start + 4]!]
    pictures[picture]!.push(box(values, start, 1, true, score, label))
  }
  return pictures
}

function box(
  values: ArrayLike<number>,
  at: number,
  step: number,
  asCorners: boolean,
  score: number,
  label: number,
): Box {
  const [a, b, c, d] = [values[at]!, values[at + step]!, values[at + 2 * step]!, values[at + 3 * step]!]
  return asCorners
    ? { x1: a, y1: b, x2: c, y2: d, score, label }
    : { x1: a - c / 2, y1: b - d / 2, x2: a + c / 2, y2: b + d / 2, score, label }
}

function best(values: ArrayLike<number>, at: number, step: number, count: number): { value: number; index: number } {
  let index = 0
  for (let each = 1; each < count; each++) if (values[at + each * step]! > values[at + index * step]!) index = each
  return { value: values[at + index * step] ?? Number.NaN, index }
}
