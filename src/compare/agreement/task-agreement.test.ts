import { expect, test } from 'vitest'
import { seededRandom } from '../random.ts'
import type { ObservedOutput } from './output.ts'
import { taskAgreement } from './task-agreement.ts'

const output = (
  reference: string,
  shape: number[],
  values: ArrayLike<number>,
  others: ArrayLike<number>,
  more: Partial<ObservedOutput> = {},
): ObservedOutput => ({
  reference,
  candidate: reference,
  shape,
  isFloat: true,
  tolerance: 1e-5,
  runs: [{ reference: values, candidate: others }],
  ...more,
})

test('class scores: first class, first five, and a swap that rounding explains', () => {
  const scores = [0.1, 0.5, 0.5 + 1e-6, 0.2, 0.9, 0.1, 0.2, 0.3]
  const others = [0.1, 0.5 + 1e-6, 0.5, 0.2, 0.1, 0.9, 0.2, 0.3]
  const [found] = taskAgreement([output('logits', [2, 4], scores, others, { op: 'Gemm' })])
  expect(found).toMatchObject({
    kind: 'scores',
    classes: 4,
    samples: 2,
    top1: 0,
    k: 4,
    topK: 1,
    swaps: 2,
    benignSwaps: 1,
  })
  expect(found?.recognised).toBe('rows of 4 numbers, computed by Gemm')
})

test('outputs that are no scores are left alone, and what the file says goes first', () => {
  const values = new Float32Array(8)
  expect(taskAgreement([output('embedding', [2, 4], values, values, { op: 'Gemm' })])).toEqual([])
  expect(taskAgreement([output('out', [2, 4], values, values, { op: 'Mul' })])).toEqual([])
  expect(taskAgreement([output('out', [2, 4], values, values)], { out: 'scores' })[0]?.recognised).toBe(
    'modelwright.yaml says scores',
  )
  expect(taskAgreement([output('logits', [2, 4], values, values, { op: 'Gemm' })], { logits: 'raw' })).toEqual([])
})

/** Boxes by corners with a score and a class, well apart. */
const objects = Array.from({ length: 12 }, (_, at) => ({
  x: 40 * at,
  y: 20 * at,
  size: 30,
  score: 0.9 - 0.02 * at,
  label: at % 3,
}))

test('boxes after suppression match by overlap, whatever their order', () => {
  const rows = objects.map(({ x, y, size, score, label }) => [x, y, x + size, y + size, score, label])
  const moved = rows
    .map(([x1, y1, x2, y2, score, label]) => [x1! + 0.3, y1!, x2! + 0.3, y2!, score! - 0.01, label!])
    .reverse()
  const [found] = taskAgreement([
    output('detections', [1, 12, 6], rows.flat(), moved.slice(1).flat().concat(new Array(6).fill(0))),
  ])
  expect(found).toMatchObject({
    kind: 'boxes',
    form: 'final',
    referenceBoxes: 12,
    candidateBoxes: 11,
    matched: 11,
    otherClass: 0,
  })
  if (found?.kind !== 'boxes') throw new Error('no boxes')
  expect(found.meanIou).toBeCloseTo(29.7 / 30.3, 3)
  expect(found.maxScoreDifference).toBeCloseTo(0.01, 6)
})

test('rows of [pictures, 7] go to their picture', () => {
  const rows = objects.flatMap(({ x, y, size, score, label }, at) => [at % 2, x, y, x + size, y + size, label, score])
  const [found] = taskAgreement([output('output', [12, 7], rows, rows)])
  expect(found).toMatchObject({ kind: 'boxes', samples: 2, matched: 12, meanIou: 1, maxScoreDifference: 0 })
})

/** A grid of `rows` boxes by centre and size, most of them background. */
function grid(rows: number, classes: number): number[][] {
  const random = seededRandom(3)
  return Array.from({ length: rows }, (_, row) => {
    const object = objects[row - 50]
    const place = object ? [object.x + 15, object.y + 15, 30, 30] : [random() * 600, random() * 600, 20, 20]
    const scores = Array.from({ length: classes }, (_, label) =>
      object?.label === label ? object.score : random() * 0.01,
    )
    return [...place, ...scores]
  })
}

test('a YOLO grid lying down or standing is read, suppressed and matched', () => {
  const rows = grid(200, 3)
  const columns = Array.from({ length: 7 }, (_, channel) => rows.map((row) => row[channel]!)).flat()
  const [lying] = taskAgreement([output('output0', [1, 7, 200], columns, columns)])
  expect(lying).toMatchObject({ kind: 'boxes', form: 'columns', matched: 20, meanIou: 1, otherClass: 0 })
  const standing = rows.flatMap(([x, y, w, h, ...scores]) => [x!, y!, w!, h!, 1, ...scores])
  const [found] = taskAgreement([output('output', [1, 200, 8], standing, standing)])
  expect(found).toMatchObject({ kind: 'boxes', form: 'rows', matched: 20 })
})

test('a sequence of features is no grid of boxes', () => {
  const random = seededRandom(5)
  const values = Float32Array.from({ length: 200 * 8 }, () => random() - 0.5)
  expect(taskAgreement([output('hidden', [1, 200, 8], values, values)])).toEqual([])
})

test('boxes, scores and labels in outputs of their own', () => {
  const boxes = objects.flatMap(({ x, y, size }) => [x, y, x + size, y + size])
  const scores = objects.map(({ score }) => score)
  const labels = objects.map(({ label }) => label)
  const [found, ...rest] = taskAgreement([
    output('boxes', [12, 4], boxes, boxes),
    output(
      'labels',
      [12],
      labels,
      labels.map((label) => label + 1),
      { isFloat: false },
    ),
    output('scores', [12], scores, scores),
  ])
  expect(rest).toEqual([])
  expect(found).toMatchObject({
    kind: 'boxes',
    form: 'apart',
    matched: 12,
    otherClass: 12,
    output: 'boxes + scores + labels',
  })
})

test('segmentation: channels first, channels last, one channel, labels', () => {
  const [height, width, classes] = [16, 10, 5]
  const labels = Array.from({ length: height * width }, (_, pixel) => (pixel < 80 ? 1 : 3))
  const others = labels.map((label, pixel) => (pixel === 80 ? 1 : label))
  const first = (map: number[]) =>
    Array.from({ length: classes }, (_, label) => map.map((value) => (value === label ? 1 : 0))).flat()
  const last = (map: number[]) =>
    map.flatMap((value) => Array.from({ length: classes }, (_, label) => (value === label ? 1 : 0)))
  const expected = { kind: 'mask', samples: 1, pixelAgreement: 159 / 160, meanIou: (80 / 81 + 79 / 80) / 2 }
  expect(taskAgreement([output('out', [1, 5, 16, 10], first(labels), first(others))], {}, 160)[0]).toMatchObject(
    expected,
  )
  expect(taskAgreement([output('out', [1, 16, 10, 5], last(labels), last(others))])[0]).toMatchObject(expected)
  const map = { isFloat: false, op: 'ArgMax' }
  expect(taskAgreement([output('out', [1, 16, 10], labels, others, map)])[0]).toMatchObject(expected)
  const one = (values: number[]) => values.map((label) => (label === 1 ? 0.9 : 0.1))
  expect(taskAgreement([output('out', [1, 1, 16, 10], one(labels), one(others), { op: 'Sigmoid' })])[0]).toMatchObject(
    expected,
  )
  expect(taskAgreement([output('features', [1, 5, 16, 10], first(labels), first(others))], {}, 100_000)).toEqual([])
})

test('scores of a row that add up to 1 have a class for nothing: it is no object', () => {
  const boxes = objects.flatMap(({ x, y, size }) => [x, y, x + size, y + size])
  const scores = objects.flatMap(({ score }, at) => (at < 3 ? [1 - score, score] : [0.99, 0.01]))
  const [found] = taskAgreement([
    output('boxes', [1, 12, 4], boxes, boxes),
    output('scores', [1, 12, 2], scores, scores),
  ])
  // fewer than twenty objects: the best count, background is not among them
  expect(found).toMatchObject({ kind: 'boxes', form: 'apart', matched: 12, otherClass: 0 })
  if (found?.kind !== 'boxes') throw new Error('no boxes')
  expect(found.threshold).toBeLessThan(0.02)
})
