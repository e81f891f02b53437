import { type Call, findInts, int, text } from './call.ts'
import { demand } from './numbers.ts'

/** How a kernel slides over the spatial axes of an array; one entry per axis. */
export interface Window {
  readonly kernel: readonly number[]
  readonly strides: readonly number[]
  readonly dilations: readonly number[]
  /** added before and after; what lies there depends on the operator */
  readonly begins: readonly number[]
  readonly ends: readonly number[]
  readonly output: readonly number[]
}

/**
 * The window that `kernel_shape`, `strides`, `dilations`, `pads`, `auto_pad` and `ceil_mode` describe.
 * @param spatial sizes of the input after batch and channels
 * @source https://onnx.ai/onnx/operators/onnx__MaxPool.html; a last window that would begin in the padding behind the
 *   input is left out (version 22, and ONNX Runtime for all versions)
 */
export function windowOf(call: Call, spatial: readonly number[], kernel: readonly number[]): Window {
  const rank = spatial.length
  const list = (name: string, standard: number, length = rank) => {
    const stated = findInts(call, name) ?? []
    const values = stated.length === 0 ? new Array<number>(length).fill(standard) : stated
    demand(values.length === length, `${name} of ${values.length} for ${rank} axes`)
    return values
  }
  demand(kernel.length === rank && kernel.every((size) => size > 0), 'kernel of another rank')
  const strides = list('strides', 1)
  const dilations = list('dilations', 1)
  demand(
    [...strides, ...dilations].every((step) => step > 0),
    'strides or dilations below 1',
  )
  const pads = list('pads', 0, 2 * rank)
  const begins = pads.slice(0, rank)
  const ends = pads.slice(rank)
  const auto = text(call, 'auto_pad', 'NOTSET')
  demand(/^(NOTSET|VALID|SAME_UPPER|SAME_LOWER)?$/.test(auto), `auto_pad ${auto}`)
  const ceil = int(call, 'ceil_mode', 0) !== 0
  const output = spatial.map((size, axis) => {
    const stride = strides[axis]!
    const reach = (kernel[axis]! - 1) * dilations[axis]! + 1
    if (auto === 'VALID') begins[axis] = ends[axis] = 0
    if (auto.startsWith('SAME')) {
      const steps = Math.ceil(size / stride)
      const missing = (steps - 1) * stride + reach - size
      // where the stride jumps over input, runtimes disagree: nothing is padded, or pads below 0 cut off the beginning
      demand(missing >= 0 || call.node.op.includes('Conv'), 'same padding with less kernel than stride')
      const total = Math.max(missing, 0)
      begins[axis] = auto === 'SAME_LOWER' ? Math.ceil(total / 2) : Math.floor(total / 2)
      ends[axis] = total - begins[axis]!
      return steps
    }
    const free = size + begins[axis]! + ends[axis]! - reach
    demand(free >= 0, 'a kernel that is larger than the padded input')
    if (!ceil) return Math.floor(free / stride) + 1
    const steps = Math.ceil(free / stride) + 1
    return (steps - 1) * stride >= size + begins[axis]! ? steps - 1 : steps
  })
  return { kernel, strides, dilations, begins, ends, output }
}

/** A list of up to three spatial sizes as exactly three, with `fill` in front. */
export function three(list: readonly number[], fill: number): [number, number, number] {
  demand(list.length <= 3, `${list.length} spatial axes`)
  const [a = fill, b = fill, c = fill] = [...new Array<number>(3 - list.length).fill(fill), ...list]
  return [a, b, c]
}
