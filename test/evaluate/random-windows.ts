/** Random nodes that slide a window over pictures, or sample them. */
import { type Dtype, elementCount } from '../../src/tensor/dtype.ts'
import type { TestAttribute } from '../build/onnx-node.ts'
import { type Draw, f32, i64, type Maker } from './draw.ts'

/** Attributes of a window over `spatial` axes that fits. */
function windowFor(draw: Draw, spatial: readonly number[], kernel: readonly number[], dilated = true) {
  const rank = spatial.length
  const auto = draw.chance(0.3) ? draw.one(['SAME_UPPER', 'SAME_LOWER', 'VALID']) : undefined
  // where the stride is larger than the kernel, runtimes disagree on "same" padding
  const stride = (axis: number) => draw.int(1, auto?.startsWith('SAME') ? Math.min(3, kernel[axis]!) : 3)
  const dilations = dilated && auto === undefined ? draw.list(rank, () => draw.int(1, 2)) : undefined
  return {
    strides: draw.list(rank, stride),
    ...(dilations ? { dilations } : {}),
    ...(auto ? { auto_pad: auto } : { pads: draw.list(2 * rank, (axis) => draw.int(0, kernel[axis % rank]! - 1)) }),
  }
}

export const conv: Maker = (draw) => {
  const rank = draw.int(1, 3)
  const group = draw.int(1, 3)
  const [perGroup, filters] = [draw.int(1, 4), draw.int(1, 5) * group]
  const spatial = draw.list(rank, () => draw.int(7, 11))
  const kernel = draw.list(rank, () => draw.int(1, 4))
  const [x, w] = [
    [draw.int(1, 2), perGroup * group, ...spatial],
    [filters, perGroup, ...kernel],
  ]
  return {
    opset: draw.one([1, 11, 22]),
    attributes: { group, kernel_shape: kernel, ...windowFor(draw, spatial, kernel) },
    inputs: [
      f32(x, draw.normals(x)),
      f32(w, draw.normals(w)),
      draw.chance() ? f32([filters], draw.normals([filters])) : undefined,
    ],
  }
}

export const convTranspose: Maker = (draw) => {
  const rank = draw.int(1, 2)
  const group = draw.int(1, 3)
  const [channels, perGroup] = [group * draw.int(1, 3), draw.int(1, 3)]
  const spatial = draw.list(rank, () => draw.int(4, 6))
  const kernel = draw.list(rank, () => draw.int(2, 4))
  const strides = draw.list(rank, () => draw.int(1, 3))
  const dilations = draw.list(rank, () => draw.int(1, 2))
  const sizes = draw.chance(0.3)
    ? {
        output_shape: spatial.map((size, axis) => size * strides[axis]! + draw.int(0, 1)),
        auto_pad: draw.one(['SAME_UPPER', 'SAME_LOWER', 'NOTSET']),
      }
    : {
        pads: draw.list(2 * rank, () => draw.int(0, 1)),
        output_padding: strides.map((stride) => draw.int(0, stride - 1)),
      }
  const [x, w] = [
    [draw.int(1, 2), channels, ...spatial],
    [channels, perGroup, ...kernel],
  ]
  return {
    opset: draw.one([1, 11]),
    attributes: { group, strides, dilations, ...sizes },
    inputs: [
      f32(x, draw.normals(x)),
      f32(w, draw.normals(w)),
      draw.chance() ? f32([perGroup * group], draw.normals([perGroup * group])) : undefined,
    ],
  }
}

export const pool = (
  extra: (draw: Draw, opset: number) => Record<string, TestAttribute>,
  opsets: readonly number[],
  outputs?: readonly Dtype[],
): Maker => {
  return (draw) => {
    const rank = draw.int(1, 3)
    const opset = draw.one(opsets)
    const spatial = draw.list(rank, () => draw.int(7, 10))
    const kernel = draw.list(rank, () => draw.int(1, 4))
    const shape = [draw.int(1, 2), draw.int(1, 3), ...spatial]
    const attributes = { kernel_shape: kernel, ...windowFor(draw, spatial, kernel, opset >= 19), ...extra(draw, opset) }
    return { opset, attributes, inputs: [f32(shape, draw.normals(shape))], ...(outputs ? { outputs } : {}) }
  }
}

export const ceilMode = (draw: Draw, opset: number): Record<string, TestAttribute> =>
  opset >= 10 ? { ceil_mode: draw.int(0, 1) } : {}

export const globalPool: Maker = (draw) => {
  const shape = draw.shape(3, 5, 6)
  return { opset: 11, inputs: [f32(shape, draw.normals(shape))] }
}

export const fusedConv: Maker = (draw) => {
  const { attributes, inputs } = conv(draw)
  const [activation, params] = draw.one<[string, number[] | undefined]>([
    ['Relu', undefined],
    ['LeakyRelu', [0.2]],
    ['Sigmoid', undefined],
    ['Tanh', undefined],
    ['Clip', [-0.5, 1.5]],
    ['HardSigmoid', [0.25, 0.4]],
  ])
  const extra = params === undefined ? {} : { activation_params: { floats: params } }
  return { opset: 1, domain: 'com.microsoft', attributes: { ...attributes, activation, ...extra }, inputs }
}

export const resize: Maker = (draw) => {
  const mode = draw.one(['nearest', 'linear', 'cubic'])
  const shape = [1, draw.int(1, 2), draw.int(3, 8), draw.int(3, 8)]
  const sizes = [1, shape[1]!, draw.int(2, 14), draw.int(2, 14)]
  const bySizes = draw.chance()
  const factors = [1, 1, draw.one([0.5, 2, 3, 1.5]), draw.one([0.5, 2, 3, 1.5])]
  const shrinks = !bySizes && factors.some((factor, axis) => !Number.isInteger(factor * shape[axis]!))
  const modes = [
    'half_pixel',
    'asymmetric',
    'pytorch_half_pixel',
    // at halves its steps of rounding decide which pixel is nearest
    ...(mode === 'nearest' ? [] : ['half_pixel_symmetric']),
    ...(shrinks ? [] : ['align_corners']),
  ]
  const antialias = mode !== 'nearest' && draw.chance(0.3) ? 1 : 0
  const attributes = {
    mode,
    antialias,
    coordinate_transformation_mode: draw.one(modes),
    ...(mode === 'nearest'
      ? { nearest_mode: draw.one(['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil']) }
      : {}),
    ...(mode === 'cubic'
      ? { exclude_outside: antialias ? 0 : draw.int(0, 1), cubic_coeff_a: { float: draw.one([-0.5, -0.75]) } }
      : {}),
  }
  const given = bySizes ? [undefined, undefined, i64(sizes)] : [undefined, f32([4], factors)]
  return { opset: 19, attributes, inputs: [f32(shape, draw.normals(shape)), ...given] }
}

export const upsample: Maker = (draw) => {
  const shape = [1, 2, draw.int(2, 5), draw.int(2, 5)]
  const attributes = {
    mode: draw.one(['nearest', 'linear']),
    scales: { floats: [1, 1, draw.int(1, 3), draw.int(1, 3)] },
  }
  return { opset: 7, attributes, inputs: [f32(shape, draw.normals(shape))] }
}

export const resize10: Maker = (draw) => {
  const shape = [1, 2, 2 * draw.int(2, 5), 2 * draw.int(2, 5)]
  const scales = [1, 1, draw.one([0.5, 1, 2, 3]), draw.one([0.5, 1, 2])]
  return {
    opset: 10,
    attributes: { mode: draw.one(['nearest', 'linear']) },
    inputs: [f32(shape, draw.normals(shape)), f32([4], scales)],
  }
}

export const gridSample: Maker = (draw) => {
  const volume = draw.chance(0.3)
  const spatial = draw.list(volume ? 3 : 2, () => draw.int(2, 6))
  const shape = [2, 2, ...spatial]
  const grid = [2, ...draw.list(spatial.length, () => draw.int(1, 5)), spatial.length]
  const attributes = {
    mode: draw.one(volume ? ['linear', 'nearest'] : ['linear', 'nearest', 'cubic']),
    padding_mode: draw.one(['zeros', 'border', 'reflection']),
    align_corners: draw.int(0, 1),
  }
  const values = draw.list(elementCount(grid), () => draw.real(-1.4, 1.4))
  return { opset: 20, attributes, inputs: [f32(shape, draw.normals(shape)), f32(grid, values)] }
}

export const roiAlign: Maker = (draw) => {
  const shape = [2, 2, draw.int(6, 10), draw.int(6, 10)]
  const count = draw.int(1, 4)
  const rois = draw
    .list(count, () => {
      const [x, y] = [draw.real(0, 10), draw.real(0, 10)]
      return [x, y, Math.fround(x + draw.real(0.5, 9)), Math.fround(y + draw.real(0.5, 9))]
    })
    .flat()
  const attributes = {
    mode: draw.one(['avg', 'max']),
    output_height: draw.int(1, 4),
    output_width: draw.int(1, 4),
    sampling_ratio: draw.int(0, 3),
    spatial_scale: { float: draw.one([0.5, 1]) },
    coordinate_transformation_mode: draw.one(['half_pixel', 'output_half_pixel']),
  }
  return {
    opset: 16,
    attributes,
    inputs: [f32(shape, draw.normals(shape)), f32([count, 4], rois), i64(draw.list(count, () => draw.int(0, 1)))],
  }
}

export const col2Im: Maker = (draw) => {
  const [image, block] = [draw.list(2, () => draw.int(4, 6)), draw.list(2, () => draw.int(1, 3))]
  const strides = draw.list(2, () => draw.int(1, 2))
  const pads = draw.list(4, () => draw.int(0, 1))
  const steps = image.map(
    (size, axis) => Math.floor((size + pads[axis]! + pads[axis + 2]! - block[axis]!) / strides[axis]!) + 1,
  )
  const shape = [2, 2 * elementCount(block), elementCount(steps)]
  return { opset: 18, attributes: { strides, pads }, inputs: [f32(shape, draw.normals(shape)), i64(image), i64(block)] }
}

export const deformConv: Maker = (draw) => {
  const [group, offsetGroup, kernel] = [draw.int(1, 2), draw.int(1, 2), draw.list(2, () => draw.int(1, 3))]
  const [perGroup, each] = [2 * draw.int(1, 2), draw.int(1, 3)]
  const spatial = [draw.int(4, 7), draw.int(4, 7)]
  const strides = draw.list(2, () => draw.int(1, 2))
  const output = spatial.map((size, axis) => Math.floor((size - kernel[axis]!) / strides[axis]!) + 1)
  const shapes = [
    [2, perGroup * group, ...spatial],
    [each * group, perGroup, ...kernel],
    [2, offsetGroup * 2 * elementCount(kernel), ...output],
    [each * group],
    [2, offsetGroup * elementCount(kernel), ...output],
  ]
  const inputs = shapes.map((shape) => f32(shape, draw.normals(shape)))
  return { opset: 19, attributes: { group, offset_group: offsetGroup, strides, kernel_shape: kernel }, inputs }
}
