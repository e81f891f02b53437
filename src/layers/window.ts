import type { LayerAttributes } from './layer.ts'
import type { Shape } from './shape.ts'

/** Axes of an activation tensor: where its channels and its spatial sizes are. */
export function spatialAxes(
  rank: number,
  dataFormat: LayerAttributes['dataFormat'],
): { channel: number; spatial: number[] } {
  const isLast = dataFormat === 'channels-last'
  const first = isLast ? 1 : 2
  const spatial = Array.from({ length: Math.max(0, rank - 2) }, (_, i) => first + i)
  return { channel: isLast ? rank - 1 : 1, spatial }
}

/**
 * Output of a sliding window (convolution, pool).
 *
 * Explicit padding: floor((size + begin + end - (k - 1) * d - 1) / s) + 1, or the ceiling, in which case a last window
 * that would begin in the end padding is left out (Caffe, PyTorch, ONNX since 19). `same`: ceil(size / s).
 *
 * @param channels of the output; undefined keeps the input's
 */
export function windowShape(input: Shape, attributes: LayerAttributes, channels: number | null | undefined): Shape {
  if (input === undefined || input.length < 3) return undefined
  const { channel, spatial } = spatialAxes(input.length, attributes.dataFormat)
  const result = [...input]
  if (channels !== undefined) result[channel] = channels
  spatial.forEach((axis, i) => {
    const size = input[axis] ?? null
    const kernel = attributes.kernelSize?.[i]
    result[axis] = size === null || kernel === undefined ? null : windowCount(size, kernel, attributes, i)
  })
  return result
}

function windowCount(size: number, kernel: number, attributes: LayerAttributes, i: number): number | null {
  const { padding = 'valid', ceilMode } = attributes
  const stride = attributes.strides?.[i] ?? 1
  const extent = (kernel - 1) * (attributes.dilations?.[i] ?? 1) + 1
  if (stride < 1) return null
  if (padding === 'same-upper' || padding === 'same-lower') return Math.ceil(size / stride)
  const begin = padding === 'valid' ? 0 : (padding.begin[i] ?? 0)
  const end = padding === 'valid' ? 0 : (padding.end[i] ?? 0)
  const span = (size + begin + end - extent) / stride
  let count = (ceilMode ? Math.ceil(span) : Math.floor(span)) + 1
  if (ceilMode && (count - 1) * stride >= size + begin) count--
  return count > 0 ? count : null
}

/** Output of a transposed convolution: the size whose convolution would give the input. */
export function transposedWindowShape(input: Shape, attributes: LayerAttributes, channels: number | null): Shape {
  if (input === undefined || input.length < 3) return undefined
  const { channel, spatial } = spatialAxes(input.length, attributes.dataFormat)
  const { padding = 'valid' } = attributes
  const result = [...input]
  result[channel] = channels
  spatial.forEach((axis, i) => {
    const size = input[axis] ?? null
    const kernel = attributes.kernelSize?.[i]
    const stride = attributes.strides?.[i] ?? 1
    if (size === null || kernel === undefined) {
      result[axis] = null
      return
    }
    const extent = (kernel - 1) * (attributes.dilations?.[i] ?? 1) + 1
    const extra = attributes.outputPadding?.[i]
    if (padding === 'same-upper' || padding === 'same-lower') result[axis] = size * stride
    else if (padding === 'valid')
      result[axis] = (size - 1) * stride + Math.max(extent, extra === undefined ? stride : 0) + (extra ?? 0)
    else result[axis] = (size - 1) * stride + extent - (padding.begin[i] ?? 0) - (padding.end[i] ?? 0) + (extra ?? 0)
  })
  return result
}
