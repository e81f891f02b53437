import { elementCount } from '../tensor/dtype.ts'
import { type Call, charge, findInts, input, int, type OperatorTable } from './call.ts'
import { scatter } from './conv.ts'
import { multiplyMatrices } from './multiply.ts'
import { alike, demand, zeros } from './numbers.ts'
import { windowOf } from './window.ts'

/** Adds patches back into pictures. @source https://onnx.ai/onnx/operators/onnx__Col2Im.html */
function col2Im(call: Call) {
  const [x, image, block] = [input(call, 0), input(call, 1), input(call, 2)]
  const [size, kernel] = [[...image.values], [...block.values]]
  const window = windowOf(call, size, kernel)
  const [batch, rows, places] = x.shape as [number, number, number]
  const channels = rows / elementCount(kernel)
  demand(Number.isInteger(channels) && places === elementCount(window.output), 'patches of another number')
  const shape = [batch, channels, ...size]
  const out = zeros(shape)
  const plane = elementCount(size)
  const patch = elementCount(kernel) * places
  for (let index = 0; index < batch * channels; index++) {
    scatter(out, index * plane, x.values, index * patch, window.output, { ...window, output: size })
  }
  return [alike(x, shape, out)]
}

/** Convolution whose kernel's places are moved per result. @source https://onnx.ai/onnx/operators/onnx__DeformConv.html */
function deformConv(call: Call) {
  const [x, w, offset] = [input(call, 0), input(call, 1), input(call, 2)]
  const [bias, mask] = [call.inputs[3], call.inputs[4]]
  const [batch, channels, height, width] = x.shape as [number, number, number, number]
  const [filters, perGroup, kernelH, kernelW] = w.shape as [number, number, number, number]
  const [groups, offsetGroups] = [int(call, 'group', 1), int(call, 'offset_group', 1)]
  demand(x.shape.length === 4 && channels === perGroup * groups && channels % offsetGroups === 0, 'groups')
  const stated = findInts(call, 'kernel_shape') ?? [kernelH, kernelW]
  demand(stated.join() === [kernelH, kernelW].join(), 'kernel_shape unlike the weights')
  const { output, strides, dilations, begins } = windowOf(call, [height, width], [kernelH, kernelW])
  const [rows, columns] = output as [number, number]
  const [pixels, places] = [rows * columns, kernelH * kernelW]
  demand(offset.shape.join() === [batch, offsetGroups * places * 2, rows, columns].join(), 'offset of another shape')
  demand(bias === undefined || bias.values.length === filters, 'bias of another length')
  charge(call, batch * filters * pixels * perGroup * places)
  const shape = [batch, filters, rows, columns]
  const out = zeros(shape)
  const samples = zeros([channels * places, pixels])
  for (let image = 0; image < batch; image++) {
    for (let channel = 0; channel < channels; channel++) {
      const base = (image * channels + channel) * height * width
      const owner = Math.floor((channel * offsetGroups) / channels)
      for (let place = 0; place < places; place++) {
        const from = (image * offsetGroups + owner) * places + place
        for (let pixel = 0; pixel < pixels; pixel++) {
          const row =
            Math.floor(pixel / columns) * strides[0]! - begins[0]! + Math.floor(place / kernelW) * dilations[0]!
          const column = (pixel % columns) * strides[1]! - begins[1]! + (place % kernelW) * dilations[1]!
          const y = row + offset.values[from * 2 * pixels + pixel]!
          const z = column + offset.values[(from * 2 + 1) * pixels + pixel]!
          const weight = mask === undefined ? 1 : mask.values[from * pixels + pixel]!
          samples[(channel * places + place) * pixels + pixel] = weight * sampled(x.values, base, height, width, y, z)
        }
      }
    }
    for (let group = 0; group < groups; group++) {
      const each = filters / groups
      const inner = perGroup * places
      for (let filter = group * each; filter < (group + 1) * each; filter++) {
        if (bias)
          out.fill(bias.values[filter]!, (image * filters + filter) * pixels, (image * filters + filter + 1) * pixels)
      }
      multiplyMatrices(
        { out, outOffset: (image * filters + group * each) * pixels, outStep: pixels },
        { rows: each, inner, columns: pixels },
        { values: w.values, offset: group * each * inner, rowStep: inner, columnStep: 1 },
        { values: samples, offset: group * inner * pixels, rowStep: pixels, columnStep: 1 },
      )
    }
  }
  return [alike(x, shape, out)]
}

/** Between four pixels; those outside the picture count as 0. */
function sampled(values: Float64Array, base: number, height: number, width: number, y: number, x: number): number {
  const [top, left] = [Math.floor(y), Math.floor(x)]
  const [v, h] = [y - top, x - left]
  const pixel = (row: number, column: number) =>
    row < 0 || row >= height || column < 0 || column >= width ? 0 : values[base + row * width + column]!
  const above = (1 - h) * pixel(top, left) + h * pixel(top, left + 1)
  const below = (1 - h) * pixel(top + 1, left) + h * pixel(top + 1, left + 1)
  return (1 - v) * above + v * below
}

/** @source https://onnx.ai/onnx/operators/ */
export const PATCH_OPERATORS: OperatorTable = { Col2Im: col2Im, DeformConv: deformConv }
