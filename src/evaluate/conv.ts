import { elementCount } from '../tensor/dtype.ts'
import { type Call, charge, findInts, input, int, type OperatorTable, text } from './call.ts'
import { multiply, multiplyMatrices, type Packer } from './multiply.ts'
import { demand, floats, type Numbers, zeros } from './numbers.ts'
import { three, type Window, windowOf } from './window.ts'

/** Fewer output channels per group than this and the matrix product would mostly multiply zeros. */
const DIRECT_ROWS = 3

/**
 * Convolution over one to three axes with groups: x [N, C, ...], w [M, C / groups, ...], bias [M].
 * @source https://onnx.ai/onnx/operators/onnx__Conv.html
 */
export function convolve(call: Call, x: Numbers, w: Numbers, bias: Numbers | undefined): Numbers {
  const [batch, channels, ...spatial] = x.shape
  const [filters, perGroup, ...kernel] = w.shape
  demand(batch !== undefined && channels !== undefined && filters !== undefined, 'Conv of rank below 2')
  demand(spatial.length > 0 && kernel.length === spatial.length, 'Conv with a kernel of another rank')
  const stated = findInts(call, 'kernel_shape')
  demand(stated === undefined || stated.join() === kernel.join(), 'kernel_shape unlike the weights')
  const groups = int(call, 'group', 1)
  demand(groups > 0 && channels === perGroup! * groups && filters % groups === 0, 'groups unlike the channels')
  demand(bias === undefined || bias.values.length === filters, 'bias of another length')
  const window = windowOf(call, spatial, kernel)
  const pixels = elementCount(window.output)
  const inner = perGroup! * elementCount(kernel)
  charge(call, batch * filters * pixels * inner)

  const shape = [batch, filters, ...window.output]
  const out = zeros(shape)
  fillBias(out, bias, batch, filters, pixels)
  const rows = filters / groups
  const plane = elementCount(spatial)
  for (let image = 0; image < batch; image++) {
    for (let group = 0; group < groups; group++) {
      const source = { values: x.values, offset: (image * channels + group * perGroup!) * plane, spatial }
      const outOffset = (image * filters + group * rows) * pixels
      const weights = { values: w.values, offset: group * rows * inner, rowStep: inner, columnStep: 1 }
      const target = { out, outOffset, outStep: pixels }
      if (rows < DIRECT_ROWS) convolveRows(target, weights, rows, perGroup!, source, window)
      else multiply(target, { rows, inner, columns: pixels }, weights, packPatches(source, window))
    }
  }
  return floats(shape, out)
}

interface Source {
  readonly values: Float64Array
  /** of the first channel of the group */
  readonly offset: number
  readonly spatial: readonly number[]
}

/** Patches of the input as columns, one row per channel and place in the kernel, made block by block. */
function packPatches({ values, offset, spatial }: Source, window: Window): Packer {
  const [depth, height, width] = three(spatial, 1)
  const [, kernelH, kernelW] = three(window.kernel, 1)
  const [, outH, outW] = three(window.output, 1)
  const [strideD, strideH, strideW] = three(window.strides, 1)
  const [dilationD, dilationH, dilationW] = three(window.dilations, 1)
  const [beginD, beginH, beginW] = three(window.begins, 0)
  const places = elementCount(window.kernel)
  return (panel, row, rows, column, columns) => {
    for (let inside = 0; inside < Math.ceil(columns / 4) * 4; inside++) {
      const pixel = column + inside
      let to = (inside & ~3) * rows + (inside & 3)
      if (inside >= columns) {
        for (let y = 0; y < rows; y++, to += 4) panel[to] = 0
        continue
      }
      const startW = (pixel % outW) * strideW - beginW
      const startH = (Math.floor(pixel / outW) % outH) * strideH - beginH
      const startD = Math.floor(pixel / (outW * outH)) * strideD - beginD
      let place = row % places
      let channel = offset + Math.floor(row / places) * depth * height * width
      let kw = place % kernelW
      let kh = Math.floor(place / kernelW) % kernelH
      let kd = Math.floor(place / (kernelW * kernelH))
      for (let y = 0; y < rows; y++, to += 4) {
        const w = startW + kw * dilationW
        const h = startH + kh * dilationH
        const d = startD + kd * dilationD
        const within = w >= 0 && w < width && h >= 0 && h < height && d >= 0 && d < depth
        panel[to] = within ? values[channel + (d * height + h) * width + w]! : 0
        if (++kw === kernelW) {
          kw = 0
          if (++kh === kernelH) {
            kh = 0
            kd++
          }
        }
        if (++place === places) {
          place = kd = 0
          channel += depth * height * width
        }
      }
    }
  }
}

/** One filter at a time, for depthwise layers: a whole row of results per weight. */
function convolveRows(
  { out, outOffset, outStep }: { out: Float64Array; outOffset: number; outStep: number },
  weights: { values: Float64Array; offset: number },
  rows: number,
  channels: number,
  { values, offset, spatial }: Source,
  window: Window,
): void {
  const [depth, height, width] = three(spatial, 1)
  const [kernelD, kernelH, kernelW] = three(window.kernel, 1)
  const [outD, outH, outW] = three(window.output, 1)
  const [strideD, strideH, strideW] = three(window.strides, 1)
  const [dilationD, dilationH, dilationW] = three(window.dilations, 1)
  const [beginD, beginH, beginW] = three(window.begins, 0)
  let at = weights.offset
  for (let row = 0; row < rows; row++) {
    for (let channel = 0; channel < channels; channel++) {
      for (let kd = 0; kd < kernelD; kd++) {
        for (let kh = 0; kh < kernelH; kh++) {
          for (let kw = 0; kw < kernelW; kw++) {
            const weight = weights.values[at++]!
            const shift = kw * dilationW - beginW
            const first = Math.max(0, Math.ceil(-shift / strideW))
            const last = Math.min(outW - 1, Math.floor((width - 1 - shift) / strideW))
            for (let od = 0; od < outD; od++) {
              const d = od * strideD - beginD + kd * dilationD
              if (d < 0 || d >= depth) continue
              for (let oh = 0; oh < outH; oh++) {
                const h = oh * strideH - beginH + kh * dilationH
                if (h < 0 || h >= height) continue
                const to = outOffset + row * outStep + (od * outH + oh) * outW
                const from = offset + ((channel * depth + d) * height + h) * width + shift
                for (let ow = first; ow <= last; ow++)
                  out[to + ow] = out[to + ow]! + weight * values[from + ow * strideW]!
              }
            }
          }
        }
      }
    }
  }
}

function fillBias(out: Float64Array, bias: Numbers | undefined, batch: number, filters: number, pixels: number): void {
  if (bias === undefined) return
  for (let plane = 0; plane < batch * filters; plane++) {
    out.fill(bias.values[plane % filters]!, plane * pixels, (plane + 1) * pixels)
  }
}

/** Where the results of a transposed convolution lie: what `Conv` with this window would have as input. */
function transposedWindow(call: Call, spatial: readonly number[], kernel: readonly number[]): Window {
  const rank = spatial.length
  const list = (name: string, standard: number, length = rank) => {
    const stated = findInts(call, name) ?? []
    const values = stated.length === 0 ? new Array<number>(length).fill(standard) : stated
    demand(values.length === length, `${name} of ${values.length} for ${rank} axes`)
    return values
  }
  const strides = list('strides', 1)
  const dilations = list('dilations', 1)
  const extra = list('output_padding', 0)
  const pads = list('pads', 0, 2 * rank)
  const wanted = findInts(call, 'output_shape')?.slice(-rank)
  const auto = text(call, 'auto_pad', 'NOTSET')
  const begins: number[] = []
  const ends: number[] = []
  const output = spatial.map((size, axis) => {
    const full = strides[axis]! * (size - 1) + extra[axis]! + (kernel[axis]! - 1) * dilations[axis]! + 1
    const same = auto.startsWith('SAME')
    const target = wanted !== undefined && wanted.length > 0 ? wanted[axis] : same ? size * strides[axis]! : undefined
    if (target === undefined) {
      begins[axis] = auto === 'VALID' ? 0 : pads[axis]!
      ends[axis] = auto === 'VALID' ? 0 : pads[axis + rank]!
      return full - begins[axis]! - ends[axis]!
    }
    const total = Math.max(0, full - target)
    const half = Math.floor(total / 2)
    begins[axis] = auto === 'SAME_UPPER' ? half : total - half
    ends[axis] = total - begins[axis]!
    return target
  })
  demand(
    output.every((size) => size > 0),
    'an empty result',
  )
  return { kernel, strides, dilations, begins, ends, output }
}

/** Rows of the intermediate product that are made at a time. */
const SCATTER_ROWS = 64

/**
 * Transposed convolution: x [N, C, ...], w [C, M / groups, ...], bias [M].
 * @source https://onnx.ai/onnx/operators/onnx__ConvTranspose.html
 */
function convolveTransposed(call: Call): readonly Numbers[] {
  const [x, w, bias] = [input(call, 0), input(call, 1), call.inputs[2]]
  const [batch, channels, ...spatial] = x.shape
  const [rows, perGroup, ...kernel] = w.shape
  demand(batch !== undefined && channels !== undefined && perGroup !== undefined, 'ConvTranspose of rank below 2')
  demand(spatial.length > 0 && kernel.length === spatial.length, 'ConvTranspose with a kernel of another rank')
  const groups = int(call, 'group', 1)
  demand(rows === channels && channels % groups === 0, 'weights for other channels')
  const filters = perGroup * groups
  demand(bias === undefined || bias.values.length === filters, 'bias of another length')
  const window = transposedWindow(call, spatial, kernel)
  const places = elementCount(kernel)
  const pixels = elementCount(spatial)
  charge(call, batch * channels * perGroup * places * pixels)

  const shape = [batch, filters, ...window.output]
  const out = zeros(shape)
  const plane = elementCount(window.output)
  fillBias(out, bias, batch, filters, plane)
  const inner = channels / groups
  const step = Math.min(perGroup, Math.max(1, Math.floor(SCATTER_ROWS / places)))
  const product = zeros([step * places, pixels])
  for (let image = 0; image < batch; image++) {
    for (let group = 0; group < groups; group++) {
      const first = group * inner
      const right = { values: x.values, offset: (image * channels + first) * pixels, rowStep: pixels, columnStep: 1 }
      for (let filter = 0; filter < perGroup; filter += step) {
        const count = Math.min(step, perGroup - filter)
        const left = {
          values: w.values,
          offset: (first * perGroup + filter) * places,
          rowStep: 1,
          columnStep: perGroup * places,
        }
        product.fill(0)
        const target = { out: product, outOffset: 0, outStep: pixels }
        multiplyMatrices(target, { rows: count * places, inner, columns: pixels }, left, right)
        for (let index = 0; index < count; index++) {
          const to = (image * filters + group * perGroup + filter + index) * plane
          scatter(out, to, product, index * places * pixels, spatial, window)
        }
      }
    }
  }
  return [floats(shape, out)]
}

/** Adds what each input pixel contributes through each place of the kernel. */
export function scatter(
  out: Float64Array,
  outOffset: number,
  product: Float64Array,
  from: number,
  spatial: readonly number[],
  window: Window,
): void {
  const [depth, height, width] = three(spatial, 1)
  const [kernelD, kernelH, kernelW] = three(window.kernel, 1)
  const [outD, outH, outW] = three(window.output, 1)
  const [strideD, strideH, strideW] = three(window.strides, 1)
  const [dilationD, dilationH, dilationW] = three(window.dilations, 1)
  const [beginD, beginH, beginW] = three(window.begins, 0)
  let at = from
  for (let kd = 0; kd < kernelD; kd++) {
    for (let kh = 0; kh < kernelH; kh++) {
      for (let kw = 0; kw < kernelW; kw++) {
        for (let d = 0; d < depth; d++) {
          const od = d * strideD - beginD + kd * dilationD
          for (let h = 0; h < height; h++) {
            const oh = h * strideH - beginH + kh * dilationH
            const inside = od >= 0 && od < outD && oh >= 0 && oh < outH
            if (!inside) {
              at += width
              continue
            }
            const to = outOffset + (od * outH + oh) * outW
            for (let w = 0; w < width; w++, at++) {
              const ow = w * strideW - beginW + kw * dilationW
              if (ow >= 0 && ow < outW) out[to + ow] = out[to + ow]! + product[at]!
            }
          }
        }
      }
    }
  }
}

/** @source https://onnx.ai/onnx/operators/ */
export const CONV_OPERATORS: OperatorTable = {
  Conv: (call) => [convolve(call, input(call, 0), input(call, 1), call.inputs[2])],
  ConvTranspose: convolveTransposed,
}
