import { type Call, charge, input, int, type OperatorTable, real, text } from './call.ts'
import { alike, demand, int64s, scalarOf, zeros } from './numbers.ts'

/**
 * Mean or maximum of bilinear samples in each bin of each region.
 * @source https://onnx.ai/onnx/operators/onnx__RoiAlign.html
 */
function roiAlign(call: Call) {
  const [x, rois, pictures] = [input(call, 0), input(call, 1), input(call, 2)]
  const [batch, channels, height, width] = x.shape as [number, number, number, number]
  demand(x.shape.length === 4 && rois.shape.length === 2 && rois.shape[1] === 4, 'arrays of another rank')
  const mode = text(call, 'mode', 'avg')
  demand(mode === 'avg' || mode === 'max', `mode ${mode}`)
  const shifted = call.opset >= 16 && text(call, 'coordinate_transformation_mode', 'half_pixel') === 'half_pixel'
  const [rows, columns] = [int(call, 'output_height', 1), int(call, 'output_width', 1)]
  const ratio = int(call, 'sampling_ratio', 0)
  const scale = real(call, 'spatial_scale', 1)
  const count = rois.shape[0]!
  const shape = [count, channels, rows, columns]
  const out = zeros(shape)
  const shift = shifted ? 0.5 : 0
  for (let roi = 0; roi < count; roi++) {
    const picture = pictures.values[roi]!
    demand(picture >= 0 && picture < batch, `picture ${picture}`)
    const [left, top, right, bottom] = [0, 1, 2, 3].map((side) => rois.values[roi * 4 + side]! * scale - shift) as [
      number,
      number,
      number,
      number,
    ]
    // the older form takes regions of less than a pixel for one pixel
    const least = shifted ? Number.NEGATIVE_INFINITY : 1
    const binWidth = Math.max(right - left, least) / columns
    const binHeight = Math.max(bottom - top, least) / rows
    const samplesX = ratio > 0 ? ratio : Math.ceil(binWidth)
    const samplesY = ratio > 0 ? ratio : Math.ceil(binHeight)
    demand(samplesX > 0 && samplesY > 0, 'a region without extent')
    charge(call, channels * rows * columns * samplesX * samplesY)
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const samples: Sample[] = []
        for (let y = 0; y < samplesY; y++) {
          for (let x = 0; x < samplesX; x++) {
            const sampleY = top + (row + (y + 0.5) / samplesY) * binHeight
            const sampleX = left + (column + (x + 0.5) / samplesX) * binWidth
            samples.push(bilinear(sampleY, sampleX, height, width))
          }
        }
        for (let channel = 0; channel < channels; channel++) {
          const base = (picture * channels + channel) * height * width
          const at = ((roi * channels + channel) * rows + row) * columns + column
          out[at] = mode === 'avg' ? mean(samples, x.values, base) : largest(samples, x.values, base)
        }
      }
    }
  }
  return [alike(x, shape, out)]
}

/** Four places and their weights; none for a point that lies more than a pixel outside. */
type Sample = readonly (readonly [offset: number, weight: number])[]

function bilinear(y: number, x: number, height: number, width: number): Sample {
  if (y < -1 || y > height || x < -1 || x > width) return []
  const axis = (value: number, size: number) => {
    const inside = Math.max(0, value)
    const low = Math.min(Math.floor(inside), size - 1)
    return low === size - 1 ? { low, high: low, t: 0 } : { low, high: low + 1, t: inside - low }
  }
  const [v, h] = [axis(y, height), axis(x, width)]
  return [
    [v.low * width + h.low, (1 - v.t) * (1 - h.t)],
    [v.low * width + h.high, (1 - v.t) * h.t],
    [v.high * width + h.low, v.t * (1 - h.t)],
    [v.high * width + h.high, v.t * h.t],
  ]
}

function mean(samples: readonly Sample[], values: Float64Array, base: number): number {
  let sum = 0
  for (const sample of samples) for (const [offset, weight] of sample) sum += weight * values[base + offset]!
  return sum / samples.length
}

/** The largest weighted corner of any sample: what the operator's definition and ONNX Runtime do. */
function largest(samples: readonly Sample[], values: Float64Array, base: number): number {
  let best = Number.NEGATIVE_INFINITY
  for (const sample of samples) {
    const corners = sample.map(([offset, weight]) => weight * values[base + offset]!)
    best = Math.max(best, corners.length === 0 ? 0 : Math.max(...corners))
  }
  return best
}

/**
 * Greedy suppression per picture and class, best score first, first of equal scores first.
 * @source https://onnx.ai/onnx/operators/onnx__NonMaxSuppression.html
 */
function nonMaxSuppression(call: Call) {
  const [boxes, scores] = [input(call, 0), input(call, 1)]
  const [batch, count] = boxes.shape as [number, number]
  const [, classes] = scores.shape as [number, number]
  demand(boxes.shape.length === 3 && scores.shape.length === 3 && scores.shape[2] === count, 'arrays of another rank')
  const optional = (index: number) => (call.inputs[index] === undefined ? undefined : scalarOf(call.inputs[index]))
  const limit = optional(2) ?? 0
  const [overlap, least] = [optional(3) ?? 0, optional(4)]
  const centred = int(call, 'center_point_box', 0) !== 0
  charge(call, batch * classes * count * Math.min(limit, count))
  const chosen: number[] = []
  for (let picture = 0; picture < batch; picture++) {
    const corners = Array.from({ length: count }, (_, box) =>
      cornersOf(boxes.values, (picture * count + box) * 4, centred),
    )
    for (let label = 0; label < classes; label++) {
      const score = (box: number) => scores.values[(picture * classes + label) * count + box]!
      const order = [...corners.keys()].filter((box) => least === undefined || score(box) > least)
      order.sort((a, b) => score(b) - score(a) || a - b)
      const kept: number[] = []
      for (const box of order) {
        if (kept.length >= limit) break
        if (kept.every((other) => intersection(corners[box]!, corners[other]!) <= overlap)) kept.push(box)
      }
      for (const box of kept) chosen.push(picture, label, box)
    }
  }
  return [int64s([chosen.length / 3, 3], Float64Array.from(chosen))]
}

type Corners = readonly [top: number, left: number, bottom: number, right: number]

/** Corners come in any diagonal order; centred boxes are x, y, width, height. */
function cornersOf(values: Float64Array, at: number, centred: boolean): Corners {
  const [a, b, c, d] = [values[at]!, values[at + 1]!, values[at + 2]!, values[at + 3]!]
  if (centred) return [b - d / 2, a - c / 2, b + d / 2, a + c / 2]
  return [Math.min(a, c), Math.min(b, d), Math.max(a, c), Math.max(b, d)]
}

/** Intersection over union. */
function intersection(a: Corners, b: Corners): number {
  const height = Math.min(a[2], b[2]) - Math.max(a[0], b[0])
  const width = Math.min(a[3], b[3]) - Math.max(a[1], b[1])
  if (height <= 0 || width <= 0) return 0
  const area = ([top, left, bottom, right]: Corners) => (bottom - top) * (right - left)
  return (height * width) / (area(a) + area(b) - height * width)
}

/** @source https://onnx.ai/onnx/operators/ */
export const REGION_OPERATORS: OperatorTable = { RoiAlign: roiAlign, NonMaxSuppression: nonMaxSuppression }
