import type { Layer, Padding } from '../../layers/layer.ts'
import type { GraphView } from './chain.ts'

/** How a window (convolution, pool) lies on its input, per spatial axis; undefined where it depends on unknown sizes. */
export interface Placement {
  /** of the input without any padding */
  readonly sizes: readonly (number | undefined)[]
  /** rows before the first one */
  readonly begin: readonly (number | undefined)[]
  /** rows behind the last one, as stated; undefined for a rule that follows from sizes */
  readonly end: readonly (number | undefined)[]
  /** positions of the window, i.e. the size of the output */
  readonly positions: readonly (number | undefined)[]
  /** for a person: `1 x 1 before and 1 x 1 behind` */
  readonly text: string
}

/** More pads and transposes than this in a row before a window are not looked through. */
const MAX_PADS = 8

/**
 * Where the windows of a layer start and how many there are, pads of its own and of layers right before it taken
 * together: Keras' `same` with stride 1 equals explicit (k - 1) / 2, ZeroPadding2D before `valid` equals pads of the
 * convolution, rows behind the last window do not matter.
 *
 * @returns undefined where a pad before it is computed at run time
 */
export function placeWindow(layer: Layer, { producers }: GraphView): Placement | undefined {
  const kernel = layer.attributes.kernelSize ?? []
  const pads: { begin: readonly number[]; end: readonly number[] }[] = []
  const moves: (readonly number[])[] = []
  let current = producers.get(layer.inputs[0] ?? '')
  for (let at = 0; at < MAX_PADS && current !== undefined; at++) {
    const { kind, attributes } = current
    if (kind === 'transpose' && attributes.permutation) moves.push(attributes.permutation)
    else if (kind === 'pad' && attributes.padding === undefined) return undefined
    else if (
      kind === 'pad' &&
      typeof attributes.padding === 'object' &&
      (attributes.function ?? 'constant') === 'constant'
    ) {
      const side = (amounts: readonly number[]) => spatial(moved(amounts, moves), layer, kernel.length)
      pads.push({ begin: side(attributes.padding.begin), end: side(attributes.padding.end) })
    } else break
    current = producers.get(current.inputs[0] ?? '')
  }
  return place(layer, pads)
}

/** Amounts per axis, after the transposes between them and the window (nearest to the window first). */
function moved(amounts: readonly number[], moves: readonly (readonly number[])[]): readonly number[] {
  let result = amounts
  for (const permutation of [...moves].reverse())
    if (permutation.length === result.length) result = permutation.map((axis) => result[axis]!)
  return result
}

/** The spatial entries of a list with one entry per axis; a list of spatial entries only stays as it is. */
function spatial<T>(list: readonly T[], { attributes }: Layer, rank: number): readonly T[] {
  if (list.length !== rank + 2) return list
  return attributes.dataFormat === 'channels-last' ? list.slice(1, -1) : list.slice(2)
}

function place(layer: Layer, pads: readonly { begin: readonly number[]; end: readonly number[] }[]): Placement {
  const { attributes } = layer
  const kernel = attributes.kernelSize ?? []
  const shape = layer.inputShapes[0]
  const padded = shape?.length === kernel.length + 2 ? spatial(shape, layer, kernel.length) : undefined
  const sizes: (number | undefined)[] = []
  const begin: (number | undefined)[] = []
  const end: (number | undefined)[] = []
  const positions: (number | undefined)[] = []
  for (const [axis, k] of kernel.entries()) {
    const stride = attributes.strides?.[axis] ?? (layer.kind === 'pool' ? k : 1)
    const reach = (k - 1) * (attributes.dilations?.[axis] ?? 1) + 1
    const before = sum(pads.map((pad) => pad.begin[axis] ?? 0))
    const behind = sum(pads.map((pad) => pad.end[axis] ?? 0))
    const size = padded?.[axis] ?? undefined
    const own = ownPadding(attributes.padding, axis, { size, stride, reach })
    sizes.push(size === undefined ? undefined : size - before - behind)
    begin.push(own === undefined ? undefined : before + own.begin)
    end.push(own === undefined ? undefined : behind + own.end)
    const room = size === undefined || own === undefined ? undefined : (size + own.begin + own.end - reach) / stride
    positions.push(room === undefined ? undefined : (attributes.ceilMode ? Math.ceil(room) : Math.floor(room)) + 1)
  }
  const rule =
    typeof attributes.padding === 'string' && attributes.padding !== 'valid' ? ` (${attributes.padding})` : ''
  return { sizes, begin, end, positions, text: `${describe(begin)} before and ${describe(end)} behind${rule}` }
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)

const describe = (values: readonly (number | undefined)[]) => values.map((value) => value ?? '?').join(' x ')

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

/** Whether two windows start and end alike; undefined where that cannot be told without sizes. */
export function samePlacement(left: Placement, right: Placement): boolean | undefined {
  let known = true
  for (const axis of left.begin.keys()) {
    const [a, b] = [left.begin[axis], right.begin[axis]]
    if (a === undefined || b === undefined) known = false
    else if (a !== b) return false
    const [m, n] = [left.positions[axis], right.positions[axis]]
    // sizes that differ already are a fault further up
    if (m !== undefined && n !== undefined && left.sizes[axis] === right.sizes[axis]) {
      if (m !== n) return false
      continue
    }
    const [c, d] = [left.end[axis], right.end[axis]]
    if (c === undefined || d === undefined || c !== d) known = false
  }
  return known ? true : undefined
}
