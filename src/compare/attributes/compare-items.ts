import type { Layer } from '../../layers/layer.ts'
import type { Chain, ChainItem, GraphView } from './chain.ts'
import type { AttributeFault } from './compare-attributes.ts'
import { placeWindow, samePlacement } from './windows.ts'

/** A difference between two chains, at a layer of the reference. */
export interface ItemFault extends AttributeFault {
  readonly reference: Layer
  readonly candidate: Layer
}

/** Where two chains are. */
export interface Surroundings {
  readonly owner: readonly [Layer, Layer]
  readonly views: readonly [GraphView, GraphView]
}

/**
 * Compares what lies between two corresponding places: activations with activations, pools with pools, each in order.
 * (A ReLU and a max pool may change places, so order between kinds is not compared.)
 *
 * @param surroundings the layers that the chains lead into, and both graphs
 */
export function compareItems(left: Chain, right: Chain, { owner, views }: Surroundings): ItemFault[] {
  // an operator that is not understood may be the missing one (a hard-swish in parts, a written-out GELU)
  if (left.opaque || right.opaque) return []
  const faults: ItemFault[] = []
  for (const kind of ['activation', 'pool', 'global-pool', 'resize', 'softmax'] as const) {
    const a = left.items.filter((item) => item.kind === kind && item.function !== 'noop')
    const b = right.items.filter((item) => item.kind === kind && item.function !== 'noop')
    if (kind === 'activation') faults.push(...compareActivations(a, b, owner))
    else if (kind === 'softmax') faults.push(...compareSoftmax(a, b, owner))
    else if (a.length === b.length) {
      for (const [at, item] of a.entries()) {
        const other = b[at]!
        const found = kind === 'resize' ? resizeFaults(item, other) : poolFaults(item, other, views)
        faults.push(...found.map((fault) => ({ ...fault, reference: item.layer, candidate: other.layer })))
      }
    }
  }
  return faults
}

function compareActivations(
  left: readonly ChainItem[],
  right: readonly ChainItem[],
  owner: readonly [Layer, Layer],
): ItemFault[] {
  const a = left.filter((item) => item.function !== '')
  const b = right.filter((item) => item.function !== '')
  const [reference, candidate] = [a[0]?.layer ?? owner[0], b[0]?.layer ?? owner[1]]
  if (a.length > b.length) {
    const lost = a.find((item) => !b.some((other) => other.function === item.function)) ?? a[0]!
    return [
      {
        label: 'activation-missing',
        confidence: 0.85,
        decides: true,
        detail: `no ${lost.function} in the candidate`,
        reference: lost.layer,
        candidate,
      },
    ]
  }
  if (a.length < b.length) {
    const extra = b.find((item) => !a.some((other) => other.function === item.function)) ?? b[0]!
    return [
      {
        label: 'activation-extra',
        confidence: 0.85,
        decides: true,
        detail: `${extra.function} in the candidate only`,
        reference,
        candidate: extra.layer,
      },
    ]
  }
  return a.flatMap((item, at) => activationFault(item, b[at]!))
}

function activationFault(left: ChainItem, right: ChainItem): ItemFault[] {
  const place = { reference: left.layer, candidate: right.layer }
  const [bounds, others] = [clipBounds(left), clipBounds(right)]
  if (left.function !== right.function && bounds && others && bounds[0] === others[0]) {
    const text = ([low, high]: readonly [number, number]) => `${number(low)} .. ${number(high)}`
    const detail = `clips to ${text(others)} in the candidate, ${text(bounds)} in the reference`
    return [{ label: 'clip-range', confidence: 0.95, decides: true, detail, values: [bounds, others], ...place }]
  }
  if (left.function !== right.function && (isWrittenHard(left, right) || isWrittenHard(right, left))) return []
  if (left.function !== right.function) {
    const detail = `${right.function} in the candidate, ${left.function} in the reference`
    const values = [left.function, right.function] as const
    return [{ label: 'activation-type', confidence: 0.9, decides: true, detail, values, ...place }]
  }
  // a fused activation states no parameter of its own
  const isOwn = (item: ChainItem) => item.layer.kind === 'activation'
  if (!isOwn(left) || !isOwn(right)) return []
  const [a, b] = [left.layer.attributes, right.layer.attributes]
  if (a.alpha !== undefined && b.alpha !== undefined && Math.abs(a.alpha - b.alpha) > 1e-6 * Math.abs(a.alpha)) {
    const detail = `slope or parameter ${number(b.alpha)} in the candidate, ${number(a.alpha)} in the reference (${left.function})`
    const values = [a.alpha, b.alpha] as const
    return [{ label: 'activation-parameter', confidence: 0.95, decides: true, detail, values, ...place }]
  }
  if (a.clipRange && b.clipRange && !a.clipRange.every((bound, at) => sameBound(bound, b.clipRange![at]!))) {
    const detail = `clips to ${b.clipRange.map(number).join(' .. ')} in the candidate, ${a.clipRange.map(number).join(' .. ')} in the reference`
    const values = [a.clipRange, b.clipRange] as const
    return [{ label: 'clip-range', confidence: 0.95, decides: true, detail, values, ...place }]
  }
  return []
}

/** Exporters write hard sigmoid and hard swish as ReLU6(x + 3) / 6; its ReLU6 is no other activation. */
const isWrittenHard = (whole: ChainItem, part: ChainItem) =>
  (whole.function === 'hard-sigmoid' || whole.function === 'hard-swish') && part.function === 'relu6'

/** Both bounds of a clip, where they are finite: ReLU is no clip. */
function clipBounds({ function: name, layer }: ChainItem): readonly [number, number] | undefined {
  const range = layer.kind === 'activation' ? layer.attributes.clipRange : undefined
  if (range) return range[1] < 1e30 ? range : undefined
  return name === 'relu6' ? [0, 6] : undefined
}

const sameBound = (a: number, b: number) => a === b || Math.abs(a - b) <= 1e-6 * Math.abs(a)

const number = (value: number) => String(Number(value.toPrecision(6)))

function compareSoftmax(
  left: readonly ChainItem[],
  right: readonly ChainItem[],
  owner: readonly [Layer, Layer],
): ItemFault[] {
  if (left.length > right.length)
    return [
      {
        label: 'activation-missing',
        confidence: 0.8,
        decides: true,
        detail: 'no softmax in the candidate',
        reference: left[0]!.layer,
        candidate: owner[1],
      },
    ]
  if (left.length < right.length)
    return [
      {
        label: 'activation-extra',
        confidence: 0.8,
        decides: true,
        detail: 'softmax in the candidate only',
        reference: owner[0],
        candidate: right[0]!.layer,
      },
    ]
  return left.flatMap((item, at): ItemFault[] => {
    const other = right[at]!
    const [a, b] = [axisFromEnd(item.layer), axisFromEnd(other.layer)]
    // axes of feature maps move with the data layout; only matrices are compared
    if (a === undefined || b === undefined || a === b) return []
    const detail = `softmax over axis ${b} in the candidate, ${a} in the reference`
    return [
      { label: 'softmax-axis', confidence: 0.8, decides: true, detail, reference: item.layer, candidate: other.layer },
    ]
  })
}

function axisFromEnd({ attributes, inputShapes }: Layer): number | undefined {
  const rank = inputShapes[0]?.length
  if (attributes.axis === undefined || rank === undefined || rank > 3) return undefined
  return attributes.axis < 0 ? attributes.axis : attributes.axis - rank
}

function poolFaults(left: ChainItem, right: ChainItem, views: Surroundings['views']): AttributeFault[] {
  const [a, b] = [left.layer.attributes, right.layer.attributes]
  if (left.function !== '' && right.function !== '' && left.function !== right.function)
    return [
      {
        label: 'pooling-type',
        confidence: 0.95,
        decides: true,
        detail: `${right.function} pool in the candidate, ${left.function} in the reference`,
      },
    ]
  if (left.kind === 'global-pool') return []
  const strides = [a.strides ?? a.kernelSize, b.strides ?? b.kernelSize] as const
  if (strides[0] && strides[1] && !strides[0].every((value, axis) => value === strides[1]![axis]))
    return [
      {
        label: 'stride',
        confidence: 0.9,
        decides: true,
        detail: `pool strides ${strides[1].join(' x ')} in the candidate, ${strides[0].join(' x ')} in the reference`,
      },
    ]
  const [p, q] = [placeWindow(left.layer, views[0]), placeWindow(right.layer, views[1])]
  if (p === undefined || q === undefined) return []
  const faults: AttributeFault[] = []
  if (p.begin.length === q.begin.length && samePlacement(p, q) === false) {
    const begins = p.begin.every((value, axis) => value === q.begin[axis])
    const ceils = a.ceilMode !== undefined && b.ceilMode !== undefined && a.ceilMode !== b.ceilMode
    faults.push({
      label: begins && ceils ? 'pooling-ceil-mode' : 'padding',
      confidence: 0.9,
      decides: true,
      detail: begins
        ? `pool gives ${q.positions.join(' x ')} in the candidate, ${p.positions.join(' x ')} in the reference`
        : `pool pads ${q.text} in the candidate, ${p.text} in the reference`,
    })
  } else if (
    a.ceilMode !== undefined &&
    b.ceilMode !== undefined &&
    a.ceilMode !== b.ceilMode &&
    samePlacement(p, q) === undefined
  ) {
    faults.push({
      label: 'pooling-ceil-mode',
      confidence: 0.5,
      decides: false,
      detail: `pool rounds ${b.ceilMode ? 'up' : 'down'} in the candidate, ${a.ceilMode ? 'up' : 'down'} in the reference; whether that differs depends on the input's size`,
    })
  }
  const padded = [...p.begin, ...p.end].some((value) => value !== 0)
  if (
    left.function === 'average' &&
    padded &&
    a.countIncludePad !== undefined &&
    b.countIncludePad !== undefined &&
    a.countIncludePad !== b.countIncludePad
  )
    faults.push({
      label: 'pooling-count-include-pad',
      confidence: 0.95,
      decides: true,
      detail: `average pool ${b.countIncludePad ? 'counts' : 'does not count'} padding in the candidate`,
    })
  return faults
}

function resizeFaults({ layer: left }: ChainItem, { layer: right }: ChainItem): AttributeFault[] {
  const [a, b] = [left.attributes, right.attributes]
  const [mode, other] = [a.resizeMode, b.resizeMode].map((name) => name?.replace(/^(bi|tri)/, ''))
  if (mode && other && mode !== other)
    return [
      {
        label: 'resize-mode',
        confidence: 0.85,
        decides: true,
        detail: `${b.resizeMode} in the candidate, ${a.resizeMode} in the reference`,
      },
    ]
  const rules = [a.coordinateMode, b.coordinateMode].map((mode) =>
    mode?.replace('pytorch_half_pixel', 'half_pixel').replaceAll('_', '-'),
  )
  if (rules[0] && rules[1] && rules[0] !== rules[1] && a.resizeMode !== 'nearest')
    return [
      {
        label: 'resize-coordinates',
        confidence: 0.85,
        decides: true,
        detail: `${rules[1]} in the candidate, ${rules[0]} in the reference`,
      },
    ]
  return []
}
