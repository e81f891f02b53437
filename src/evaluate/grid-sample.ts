import { elementCount } from '../tensor/dtype.ts'
import { type Call, charge, input, int, type OperatorTable, text } from './call.ts'
import { alike, demand, floats, type Numbers, zeros } from './numbers.ts'
import { roundHalfEven } from './special-functions.ts'

/** Places along one axis and their weights; -1 for a place outside that counts as 0. */
type Support = readonly (readonly [place: number, weight: number])[]

interface Axis {
  readonly size: number
  /** coordinates between these are within the picture */
  readonly low: number
  readonly high: number
}

/** Coordinates beyond the borders come back as from mirrors. */
function reflect(x: number, { low, high }: Axis): number {
  const range = high - low
  if (x >= low && x <= high) return x
  if (range === 0) return low
  const distance = x < low ? low - x : x - high
  const turns = Math.floor(distance / range)
  const rest = distance - turns * range
  return x < low === (turns % 2 === 0) ? low + rest : high - rest
}

/** What a place outside the picture stands for. */
const PLACES: Readonly<Record<string, (place: number, axis: Axis) => number>> = {
  zeros: (place, { size }) => (place < 0 || place >= size ? -1 : place),
  border: (place, { size }) => Math.max(0, Math.min(size - 1, place)),
  reflection: (place, axis) => Math.trunc(reflect(place, axis)),
}

const A = -0.75

/** Keys' cubic convolution at a fraction `t` from the second of four places. */
function cubicWeights(t: number): number[] {
  const near = (x: number) => ((A + 2) * x - (A + 3)) * x * x + 1
  const far = (x: number) => ((A * x - 5 * A) * x + 8 * A) * x - 4 * A
  return [far(t + 1), near(t), near(1 - t), far(2 - t)]
}

const MODES: Readonly<Record<string, 'linear' | 'nearest' | 'cubic'>> = {
  linear: 'linear',
  bilinear: 'linear',
  nearest: 'nearest',
  cubic: 'cubic',
  bicubic: 'cubic',
}

/**
 * Samples x [N, C, ...] at the coordinates of grid [N, ..., rank], which go from -1 to 1, last axis first.
 * @source https://onnx.ai/onnx/operators/onnx__GridSample.html
 */
function gridSample(call: Call) {
  const [x, grid] = [input(call, 0), input(call, 1)]
  const mode = MODES[text(call, 'mode', call.opset < 20 ? 'bilinear' : 'linear')]
  const padding = text(call, 'padding_mode', 'zeros')
  const placeOf = PLACES[padding]
  demand(mode !== undefined && placeOf !== undefined, 'another mode')
  const corners = int(call, 'align_corners', 0) !== 0
  const [batch, channels, ...spatial] = x.shape
  const rank = spatial.length
  demand(rank > 0 && grid.shape.length === rank + 2 && grid.shape.at(-1) === rank, 'a grid of another rank')
  demand(grid.shape[0] === batch, 'a grid for other pictures')
  const axes = spatial.map((size): Axis => ({ size, low: corners ? 0 : -0.5, high: corners ? size - 1 : size - 0.5 }))

  const support = (coordinate: number, axis: Axis): Support => {
    const { size, low, high } = axis
    let at = corners ? ((coordinate + 1) / 2) * (size - 1) : ((coordinate + 1) * size - 1) / 2
    if (mode === 'nearest') at = roundHalfEven(at)
    if (at < low || at > high) {
      // cubic kernels reach over the border: it is their places that are kept inside, as PyTorch has it
      if (padding === 'border' && mode !== 'cubic') at = Math.max(0, Math.min(size - 1, at))
      if (padding === 'reflection') at = reflect(at, axis)
    }
    if (mode === 'nearest') return [[placeOf(Math.trunc(at), axis), 1]]
    const first = Math.floor(at)
    const t = at - first
    const weights = mode === 'linear' ? [1 - t, t] : cubicWeights(t)
    const start = mode === 'linear' ? first : first - 1
    return weights.map((weight, index) => [placeOf(start + index, axis), weight] as const)
  }

  const points = elementCount(grid.shape.slice(1, -1))
  const plane = elementCount(spatial)
  const shape = [batch!, channels!, ...grid.shape.slice(1, -1)]
  const out = zeros(shape)
  charge(call, out.length * (mode === 'cubic' ? 4 : 2) ** rank)
  for (let image = 0; image < batch!; image++) {
    for (let point = 0; point < points; point++) {
      const start = (image * points + point) * rank
      let terms: [offset: number, weight: number][] = [[0, 1]]
      for (const [index, axis] of axes.entries()) {
        const list = support(grid.values[start + rank - 1 - index]!, axis)
        terms = terms.flatMap(([offset, weight]) =>
          list
            .filter(([place]) => place >= 0)
            .map(([place, share]): [number, number] => [offset * axis.size + place, weight * share]),
        )
      }
      for (let channel = 0; channel < channels!; channel++) {
        const base = (image * channels! + channel) * plane
        let sum = 0
        for (const [offset, weight] of terms) sum += weight * x.values[base + offset]!
        out[(image * channels! + channel) * points + point] = sum
      }
    }
  }
  return [alike(x, shape, out)]
}

/** Coordinates of a picture of `size` under the affine maps theta [N, rank, rank + 1]. */
function affineGrid(call: Call) {
  const [theta, size] = [input(call, 0), input(call, 1)]
  const spatial = [...size.values.subarray(2)]
  const rank = spatial.length
  const corners = int(call, 'align_corners', 0) !== 0
  demand(theta.shape.join() === [size.values[0], rank, rank + 1].join(), 'theta of another shape')
  const points = elementCount(spatial)
  const shape = [size.values[0]!, ...spatial, rank]
  const out = zeros(shape)
  const point = new Array<number>(rank)
  for (let at = 0; at < points; at++) {
    let rest = at
    for (let axis = rank - 1; axis >= 0; axis--) {
      const extent = spatial[axis]!
      const index = rest % extent
      rest = Math.floor(rest / extent)
      // last axis first, as in the grid
      const centred = (2 * index + 1) / extent - 1
      point[rank - 1 - axis] = corners ? (extent === 1 ? 0 : (2 * index) / (extent - 1) - 1) : centred
    }
    for (let image = 0; image < shape[0]!; image++) {
      for (let row = 0; row < rank; row++) {
        const from = (image * rank + row) * (rank + 1)
        let sum = theta.values[from + rank]!
        for (let column = 0; column < rank; column++) sum += theta.values[from + column]! * point[column]!
        out[(image * points + at) * rank + row] = sum
      }
    }
  }
  return [floats(shape, out)] satisfies Numbers[]
}

/** @source https://onnx.ai/onnx/operators/ */
export const GRID_OPERATORS: OperatorTable = { GridSample: gridSample, AffineGrid: affineGrid }
