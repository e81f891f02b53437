import { type BoxForm, describeForm } from './box-forms.ts'
import type { MaskForm } from './mask.ts'
import type { ObservedOutput, OutputKind } from './output.ts'

/** What one output, or several together, stand for. */
export type Recognised =
  | {
      readonly kind: 'scores'
      readonly outputs: readonly [ObservedOutput]
      readonly classes: number
      readonly why: string
    }
  | {
      readonly kind: 'mask'
      readonly outputs: readonly [ObservedOutput]
      readonly form: MaskForm
      readonly why: string
    }
  | {
      readonly kind: 'boxes'
      readonly outputs: readonly ObservedOutput[]
      readonly form: BoxForm
      readonly why: string
    }

/**
 * Tells class scores, detections and masks by shape, values and the operator they come from. What is not clear is left
 * out: a wrong reading would print nonsense. `declared` (modelwright.yaml, `compare.outputs`) decides before anything.
 *
 * @param pictureSize height x width of the model's picture input, where it has one: masks are not much smaller
 */
export function recogniseOutputs(
  outputs: readonly ObservedOutput[],
  declared: Readonly<Record<string, OutputKind>> = {},
  pictureSize?: number,
): Recognised[] {
  const said = ({ reference, candidate }: ObservedOutput) => declared[reference] ?? declared[candidate]
  const free = outputs.filter((output) => said(output) !== 'raw')
  const found: Recognised[] = []
  const apart = boxesApart(free.filter((output) => said(output) === undefined || said(output) === 'boxes'))
  if (apart) found.push(apart)
  for (const output of free.filter((each) => !apart?.outputs.includes(each))) {
    const kind = said(output)
    const why = kind === undefined ? undefined : `modelwright.yaml says ${kind}`
    const one =
      kind === 'scores'
        ? scoresAsSaid(output, why!)
        : kind === 'mask'
          ? maskOf(output, undefined, why)
          : kind === 'boxes'
            ? boxesOf(output, why)
            : (boxesOf(output) ?? maskOf(output, pictureSize) ?? scoresOf(output))
    if (one) found.push(one)
  }
  return found
}

/** Operators that give scores at the end of a classifier. */
const SCORING = new Set(['Softmax', 'LogSoftmax', 'Sigmoid', 'Gemm', 'MatMul', 'Add', 'BiasAdd', 'FULLY_CONNECTED'])
const SCORE_NAME = /logit|prob|score|class|softmax|predict/i
const OTHER_NAME = /box|embed|feat|land|pose|offset|keypoint|reg/i
/** A row this long at the end of a sequence model is a vocabulary. */
const VOCABULARY = 1000

function scoresOf(output: ObservedOutput): Recognised | undefined {
  const { shape, isFloat, op = '', reference } = output
  const sizes = shape.slice(1).filter((size) => size !== 1)
  const classes = sizes.at(-1) ?? 1
  if (!isFloat || shape.length < 2 || classes < 2 || OTHER_NAME.test(reference)) return undefined
  const isRow = sizes.length === 1
  const isSequence = shape.length === 3 && sizes.length === 2 && classes >= VOCABULARY
  const hint = SCORING.has(op) ? `computed by ${op}` : SCORE_NAME.test(reference) ? 'named so' : undefined
  if (hint === undefined || !(isRow || isSequence)) return undefined
  return { kind: 'scores', outputs: [output], classes, why: `rows of ${classes} numbers, ${hint}` }
}

function scoresAsSaid(output: ObservedOutput, why: string): Recognised | undefined {
  const classes = output.shape.filter((size) => size !== 1).at(-1) ?? 1
  return classes < 2 ? undefined : { kind: 'scores', outputs: [output], classes, why }
}

/** A map smaller than this part of the picture is a feature map. */
const MASK_PART = 16
const MASK_NAME = /seg|mask|label/i
const MIN_SIDE = 8

function maskOf(output: ObservedOutput, pictureSize: number | undefined, said?: string): Recognised | undefined {
  const { shape, isFloat, op = '', reference } = output
  const named = said !== undefined || MASK_NAME.test(reference)
  const [a = 0, b = 0, c = 0] = shape.slice(-3)
  if (!isFloat) {
    const sides = shape.filter((size) => size !== 1).slice(-2)
    const isMap = sides.length === 2 && sides.every((size) => size >= MIN_SIDE)
    if (!isMap || !(named || op === 'ArgMax' || op === 'Cast')) return undefined
    const pixels = sides[0]! * sides[1]!
    const why =
      said ?? `a map of ${sides.join(' x ')} whole numbers, ${op === 'ArgMax' ? 'computed by ArgMax' : 'named so'}`
    return { kind: 'mask', outputs: [output], form: { kind: 'labels', pixels }, why }
  }
  if (shape.length !== 4) return undefined
  const axis = c < a && c < b ? 'last' : 'first'
  const [classes, height, width] = axis === 'first' ? [a, b, c] : [c, a, b]
  const pixels = height * width
  if (Math.min(height, width) < MIN_SIDE || (pictureSize !== undefined && pixels * MASK_PART < pictureSize))
    return undefined
  if (classes === 1) {
    if (!named && op !== 'Sigmoid') return undefined
    const threshold = op === 'Sigmoid' ? 0.5 : 0
    return {
      kind: 'mask',
      outputs: [output],
      form: { kind: 'threshold', threshold, pixels },
      why: said ?? `one channel of ${height} x ${width}, ${op === 'Sigmoid' ? 'computed by Sigmoid' : 'named so'}`,
    }
  }
  // three or four channels at the size of the picture are more likely a picture
  const isClear = named || op === 'Softmax' || op === 'LogSoftmax' || classes > 4
  if (!isClear || classes > 1024) return undefined
  return {
    kind: 'mask',
    outputs: [output],
    form: { kind: 'channels', axis, classes, pixels },
    why: said ?? `${classes} channels of ${height} x ${width}${op === '' ? '' : `, computed by ${op}`}`,
  }
}

/** Fewer rows than this are no grid of a detector. */
const GRID_ROWS = 100
const MAX_CLASSES = 1200
/** Detectors keep at most this many boxes after suppression. */
const MAX_FINAL = 1000

function boxesOf(output: ObservedOutput, said?: string): Recognised | undefined {
  const { shape, isFloat, op = '' } = output
  if (!isFloat || shape.length < 2 || shape.length > 3) return undefined
  const [rows, width] = [shape.at(-2)!, shape.at(-1)!]
  const form = (found: BoxForm): Recognised => ({
    kind: 'boxes',
    outputs: [output],
    form: found,
    why: said ?? `${describeForm(found)}; its values fit`,
  })
  const isFinal = width === 7 ? shape.length === 2 : width === 6 && rows <= MAX_FINAL
  if (isFinal && (said !== undefined || /NonMaxSuppression|NMS|TopK|Gather|Concat/i.test(op) || rows <= 300)) {
    const found: BoxForm = { kind: 'final', rows, width: width as 6 | 7 }
    if (said !== undefined || hasFinalValues(output, found)) return form(found)
  }
  if (shape.length !== 3) return undefined
  if (width >= 6 && width <= MAX_CLASSES && rows > width && (said !== undefined || rows >= GRID_ROWS)) {
    if (said !== undefined || areShares(output, (index) => index % width >= 4))
      return form({ kind: 'rows', rows, width })
  }
  if (rows >= 5 && rows <= MAX_CLASSES && width > rows && (said !== undefined || width >= GRID_ROWS)) {
    const isScore = (index: number) => Math.floor(index / width) % rows >= 4
    if (said !== undefined || areShares(output, isScore)) return form({ kind: 'columns', rows: width, width: rows })
  }
  return undefined
}

/** Whether scores lie within 0 and 1 and the coordinates beside them do not all. */
function areShares({ runs }: ObservedOutput, isScore: (index: number) => boolean): boolean {
  let beyond = false
  for (const { reference } of runs) {
    for (let index = 0; index < reference.length; index++) {
      const value = reference[index]!
      if (isScore(index)) {
        if (!(value >= 0 && value <= 1)) return false
      } else if (value > 1 || value < 0) beyond = true
    }
  }
  return beyond
}

function hasFinalValues({ runs }: ObservedOutput, form: BoxForm & { kind: 'final' }): boolean {
  const { width } = form
  const [scoreAt, labelAt] = width === 7 ? [6, 5] : [4, 5]
  for (const { reference } of runs) {
    for (let at = 0; at + width <= reference.length; at += width) {
      const [score, label] = [reference[at + scoreAt]!, reference[at + labelAt]!]
      if (!(score >= 0 && score <= 1) || !Number.isInteger(label)) return false
    }
  }
  return true
}

/** Boxes and scores in outputs of their own, with or without labels: the only such set, or none. */
function boxesApart(outputs: readonly ObservedOutput[]): Recognised | undefined {
  const batch = ({ shape }: ObservedOutput) => (shape.length === 3 ? shape[0]! : 1)
  const boxes = outputs.filter(
    ({ shape, isFloat }) =>
      isFloat && shape.at(-1) === 4 && (shape.length === 2 || shape.length === 3) && shape.at(-2)! >= 1,
  )
  const [box] = boxes
  if (box === undefined || boxes.length > 1) return undefined
  const rows = box.shape.at(-2)!
  const total = batch(box) * rows
  const others = outputs.filter((output) => output !== box)
  const size = ({ shape }: ObservedOutput) => shape.reduce((product, each) => product * each, 1)
  const scores = others.filter(
    (output) =>
      output.isFloat &&
      (size(output) === total || (output.shape.at(-2) === rows && size(output) % total === 0)) &&
      output.shape.includes(rows),
  )
  const [score] = scores
  if (score === undefined || scores.length > 1) return undefined
  const label = others.find((output) => !output.isFloat && size(output) === total && output.shape.includes(rows))
  const form: BoxForm = { kind: 'apart', rows, classes: size(score) / total, hasLabels: label !== undefined }
  const members = [box, score, ...(label ? [label] : [])]
  return { kind: 'boxes', outputs: members, form, why: `${describeForm(form)} in outputs of their own` }
}
