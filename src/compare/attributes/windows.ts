import type { Layer, Padding } from '../../layers/layer.ts'

/** How a window (convolution, pool) lies on its input, per spatial axis; undefined where it depends on unknown sizes. */
export interface Placement {
  /** rows before the first one */
  readonly begin: readonly (number | undefined)[]
  /** positions of the window, i.e. the size of the output */
  readonly positions: readonly (number | undefined)[]
  /** as stated, for texts: `1,1` or `same` */
  readonly text: string
  /** rows behind the last one, as stated; undefined for a rule that follows from sizes */
  readonly end: readonly (number | undefined)[]
}

/**
 * Where the windows of a layer start and how many there are, pads of its own and of `pads` before it taken together:
 * Keras' `same` with stride 1 equals explicit (k - 1) / 2, ZeroPadding2D before `valid` equals pads of the convolution,
 * rows behind the last window do not matter.
 *
 * @param pads layers that only pad, between the layer before and this one
 * @param input what enters the first of them
 */
export function placeWindow(layer: Layer, pads: readonly Layer[], input: Layer['inputShapes'][number]): Placement {
  const { attributes } = layer
  const kernel = attributes.kernelSize ?? []
  const sizes = spatialSizes(input, attributes.dataFormat, kernel.length)
  const begin: (number | undefined)[] = []
  const end: (number | undefined)[] = []
  const positions: (number | undefined)[] = []
  for (const [axis, k] of kernel.entries()) {
    const stride = attributes.strides?.[axis] ?? 1
    const reach = (k - 1) * (attributes.dilations?.[axis] ?? 1) + 1
    const before = sum(pads.map((pad) => explicit(pad.attributes.padding)?.begin[axis] ?? 0))
    const behind = sum(pads.map((pad) => explicit(pad.attributes.padding)?.end[axis] ?? 0))
    const size = sizes?.[axis] == null ? undefined : sizes[axis]! + before + behind
    const own = ownPadding(attributes.padding, axis, { size, stride, reach })
    begin.push(own === undefined ? undefined : before + own.begin)
    end.push(own === undefined ? undefined : behind + own.end)
    const room = size === undefined || own === undefined ? undefined : (size + own.begin + own.end - reach) / stride
    positions.push(room === undefined ? undefined : (attributes.ceilMode ? Math.ceil(room) : Math.floor(room)) + 1)
  }
  const rule =
    typeof attributes.padding === 'string' && attributes.padding !== 'valid' ? ` (${attributes.padding})` : ''
  return { begin, end, positions, text: `${describe(begin)} before and ${describe(end)} behind${rule}` }
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)

const describe = (values: readonly (number | undefined)[]) => values.map((value) => value ?? '?').join(' x ')

function explicit(padding: Padding | undefined) {
  return typeof padding === 'object' ? padding : undefined
}

interface WindowAxis {
  readonly size: number | undefined
  readonly stride: number
  readonly reach: number
}

function ownPadding(
  padding: Padding | undefined,
  axis: number,
  { size, stride, reach }: WindowAxis,
): { begin: number; end: number } | undefined {
  if (padding === undefined || padding === 'valid') return { begin: 0, end: 0 }
  if (typeof padding === 'object') return { begin: padding.begin[axis] ?? 0, end: padding.end[axis] ?? 0 }
  if (stride > 1 && size === undefined) return undefined
  const total = stride === 1 ? reach - 1 : Math.max(0, (Math.ceil(size! / stride) - 1) * stride + reach - size!)
  const less = Math.floor(total / 2)
  return padding === 'same-upper' ? { begin: less, end: total - less } : { begin: total - less, end: less }
}

/** Height and width of a feature map. */
function spatialSizes(
  shape: Layer['inputShapes'][number],
  format: Layer['attributes']['dataFormat'],
  rank: number,
): readonly (number | null)[] | undefined {
  if (shape === undefined || shape.length !== rank + 2) return undefined
  return format === 'channels-last' ? shape.slice(1, -1) : shape.slice(2)
}

/** Whether two windows start and end alike; undefined where that cannot be told without sizes. */
export function samePlacement(left: Placement, right: Placement): boolean | undefined {
  let known = true
  for (const axis of left.begin.keys()) {
    const [a, b] = [left.begin[axis], right.begin[axis]]
    if (a === undefined || b === undefined) known = false
    else if (a !== b) return false
    const [m, n] = [left.positions[axis], right.positions[axis]]
    if (m !== undefined && n !== undefined) {
      if (m !== n) return false
      continue
    }
    const [c, d] = [left.end[axis], right.end[axis]]
    if (c === undefined || d === undefined || c !== d) known = false
  }
  return known ? true : undefined
}
