import { elementCount } from '../../tensor/dtype.ts'
import { sameShape, squeeze, type Transform } from './transform.ts'

/**
 * Known meanings of a 4-D kernel's axes. O outputs, I inputs per group, H, W; for depthwise kernels C channels and
 * M multiplier, whose product O stands for. Names only: values decide which permutation holds.
 */
const KERNEL_LAYOUTS = ['OIHW', 'HWIO', 'OHWI'] as const
const DEPTHWISE_LAYOUTS = ['C1HW', 'HWCM', '1HWC'] as const

/** Largest number of axes (sizes of 1 left out) whose every order is tried: 120 orders. */
const MAX_PERMUTED_RANK = 5

/** What is known of two kernels before their values are looked at. */
export interface LayoutHints {
  readonly referenceLayout?: string | undefined
  readonly candidateLayout?: string | undefined
  /** channel counts after which a flatten may stand */
  readonly channels: ReadonlySet<number>
  /** sizes (C, H, W) of feature maps that the graphs state */
  readonly maps?: readonly (readonly [number, number, number])[]
  /** one input channel per group: the size-1 axis is I */
  readonly depthwise?: boolean
  /** false where the graph says that the layer has no gates */
  readonly gated?: boolean
}

/** Same order of values; null when the shapes are equal too. */
export function identityTransform(from: readonly number[], to: readonly number[]): Transform | null {
  if (sameShape(from, to)) return null
  return { kind: 'reshape', label: `reshape [${from.join(', ')}] -> [${to.join(', ')}]` }
}

/**
 * Every order of axes that leads from shape `from` to shape `to`, apart from the identity, each with its name. Axes of
 * size 1 move no value, so orders that differ only in those count as one; it is given in full rank when both shapes
 * have the same rank.
 */
export function axisPermutations(from: readonly number[], to: readonly number[], hints: LayoutHints): Transform[] {
  const found: Transform[] = []
  const source = squeeze(from)
  const target = squeeze(to)
  if (source.length !== target.length || source.length > MAX_PERMUTED_RANK || source.length < 2) return found
  for (const order of permutations(source.length)) {
    if (order.every((axis, at) => axis === at)) continue
    if (!order.every((axis, at) => source[axis] === target[at])) continue
    const full = from.length === to.length ? inFullRank(order, from, to) : undefined
    found.push(
      full
        ? { kind: 'permutation', label: labelOf(from, to, full, hints), permutation: full }
        : {
            kind: 'permutation',
            label: `axes (${order.join(', ')}) of ${source.join(' x ')}`,
            view: source,
            permutation: order,
          },
    )
  }
  return found
}

/** Places the axes of size 1, so that a known layout results if one can. */
function inFullRank(order: readonly number[], from: readonly number[], to: readonly number[]): number[] {
  const wide = [...from.keys()].filter((axis) => from[axis] !== 1)
  const ones = [...from.keys()].filter((axis) => from[axis] === 1)
  const places = [...to.keys()].filter((axis) => to[axis] === 1)
  const build = (onesOrder: readonly number[]) => {
    const full: number[] = new Array(to.length)
    let next = 0
    for (const at of to.keys()) if (to[at] !== 1) full[at] = wide[order[next++]!]!
    for (const [k, at] of places.entries()) full[at] = ones[onesOrder[k]!]!
    return full
  }
  const choices = permutations(ones.length).map(build)
  return choices.find((choice) => WELL_KNOWN.has(choice.join())) ?? choices[0]!
}

/** Orders that ports use, most of them from (O, I, H, W) or to it. */
const WELL_KNOWN: ReadonlySet<string> = new Set([
  '2,3,1,0',
  '3,2,0,1',
  '0,2,3,1',
  '0,3,1,2',
  '1,2,3,0',
  '3,0,1,2',
  '2,3,0,1',
  '0,1,3,2',
  '3,2,1,0',
])

/** Name of a permutation of axes: `OIHW -> HWIO`, with `H and W swapped` where that is needed to explain it. */
function labelOf(
  from: readonly number[],
  to: readonly number[],
  permutation: readonly number[],
  hints: LayoutHints,
): string {
  const rank = permutation.length
  if (rank === 2) return nameDense(hints)
  if (rank !== 4) return `axes (${permutation.join(', ')})`
  if (permutation.join() === '0,1,3,2') return 'H and W swapped'
  const families = [KERNEL_LAYOUTS, DEPTHWISE_LAYOUTS]
  if (hints.depthwise ?? (from[0] === 1 || from[1] === 1 || to[0] === 1 || to[3] === 1)) families.reverse()
  const stated = hints.referenceLayout && hints.candidateLayout
  if (stated) families.unshift([hints.referenceLayout, hints.candidateLayout] as never)
  for (const layouts of families) {
    for (const source of layouts) {
      for (const target of layouts) {
        if (source === target || !isLayout(source) || !isLayout(target)) continue
        const reached = permutation.map((axis) => source[axis]).join('')
        if (matches(reached, target)) return `${source} -> ${target}`
        if (matches(swapHeightWidth(reached), target)) return `${source} -> ${target}, H and W swapped`
      }
    }
  }
  return `axes (${permutation.join(', ')})`
}

const isLayout = (layout: string) => layout.length === 4

/** Letters agree; `1`, `M` and `I` may stand for one another where the size is 1. */
function matches(reached: string, target: string): boolean {
  const plain = (layout: string) => layout.replaceAll(/[1M]/g, 'I').replaceAll('C', 'O')
  return plain(reached) === plain(target)
}

const swapHeightWidth = (layout: string) => layout.replaceAll(/[HW]/g, (letter) => (letter === 'H' ? 'W' : 'H'))

function nameDense({ referenceLayout, candidateLayout }: LayoutHints): string {
  return referenceLayout && candidateLayout && referenceLayout !== candidateLayout
    ? `transposed dense ${referenceLayout} -> ${candidateLayout}`
    : 'transposed'
}

/** A depth multiplier split from its channels: (C M, 1, H, W) -> (H, W, C, M), and back by plain reshape. */
export function multiplierTransforms(from: readonly number[], to: readonly number[]): Transform[] {
  if (from.length !== 4 || to.length !== 4) return []
  const found: Transform[] = []
  const [h, w, c, m] = to as [number, number, number, number]
  if (from[1] === 1 && from[0] === c * m && c > 1 && m > 1 && from[2] === h && from[3] === w) {
    found.push({
      kind: 'permutation',
      label: `(C M)1HW -> HWCM (C=${c}, M=${m})`,
      view: [c, m, h, w],
      permutation: [2, 3, 0, 1],
    })
  }
  const [h1, w1, c1, m1] = from as [number, number, number, number]
  if (to[1] === 1 && to[0] === c1 * m1 && c1 > 1 && m1 > 1 && to[2] === h1 && to[3] === w1) {
    found.push({
      kind: 'permutation',
      label: `HWCM -> (C M)1HW (C=${c1}, M=${m1})`,
      view: [h1, w1, c1, m1],
      permutation: [2, 3, 0, 1],
    })
  }
  return found
}

/** Flattened orders that exchange H and W too, as axes of (C, H, W); rare: MATLAB and Caffe heritage. */
const SWAPPED_FLATTEN_ORDERS = { 'CHW -> CWH': [0, 2, 1], 'CHW -> WHC': [2, 1, 0] } as const

/**
 * Dense kernels that differ by the order in which a feature map was flattened before them. `C` must be the channel
 * count of a convolution of the model; H x W is what remains.
 */
export function flattenTransforms(from: readonly number[], to: readonly number[], hints: LayoutHints): Transform[] {
  if (from.length !== 2 || to.length !== 2 || elementCount(from) !== elementCount(to)) return []
  const found: Transform[] = []
  for (const inputAxis of [1, 0] as const) {
    const features = from[inputAxis]!
    const outputs = from[1 - inputAxis]!
    for (const targetInputAxis of [1, 0] as const) {
      if (to[targetInputAxis] !== features || to[1 - targetInputAxis] !== outputs) continue
      const prefix = inputAxis === targetInputAxis ? '' : 'transposed, '
      const add = (name: string, sizes: readonly number[], order: readonly number[], what: string) => {
        const shift = inputAxis === 1 ? 1 : 0
        const moved = order.map((axis) => axis + shift)
        const outputAxis = inputAxis === 1 ? 0 : sizes.length
        found.push({
          kind: 'flatten',
          label: `${prefix}flatten order ${name} (${what})`,
          view: inputAxis === 1 ? [outputs, ...sizes] : [...sizes, outputs],
          permutation: targetInputAxis === 1 ? [outputAxis, ...moved] : [...moved, outputAxis],
        })
      }
      for (const channel of hints.channels) {
        if (channel < 2 || features % channel !== 0 || features === channel) continue
        const area = features / channel
        const known = hints.maps?.find(([c, h, w]) => c === channel && h * w === area)
        const what = known ? `C=${channel}, H=${known[1]}, W=${known[2]}` : `C=${channel}, H x W=${area}`
        // the split of the area into H and W changes nothing here, so that they can stay views of H and W when known
        const [h, w] = known ? [known[1], known[2]] : [area, 1]
        add('CHW -> HWC', known ? [channel, h, w] : [channel, area], known ? [1, 2, 0] : [1, 0], what)
        add('HWC -> CHW', known ? [h, w, channel] : [area, channel], known ? [2, 0, 1] : [1, 0], what)
      }
      for (const channel of hints.channels) {
        if (channel < 2 || features % channel !== 0 || features === channel) continue
        for (const [h, w] of factorPairs(features / channel)) {
          if (h === 1 || w === 1) continue
          for (const [name, order] of Object.entries(SWAPPED_FLATTEN_ORDERS))
            add(name, [channel, h, w], order, `C=${channel}, H=${h}, W=${w}`)
        }
      }
    }
  }
  return found
}

function factorPairs(area: number): [number, number][] {
  const pairs: [number, number][] = []
  for (let h = 1; h * h <= area; h++) {
    if (area % h !== 0) continue
    pairs.push([h, area / h])
    if (h * h !== area) pairs.push([area / h, h])
  }
  // feature maps are nearly square: those first
  return pairs.sort(([a, b], [c, d]) => Math.abs(Math.log(a / b)) - Math.abs(Math.log(c / d)))
}

/** Matrices regrouped after transposition, as attention projections are: W^T of (E, h d) as (E, h, d) and the like. */
export function regroupedTransforms(from: readonly number[], to: readonly number[]): Transform[] {
  const count = elementCount(from)
  const found: Transform[] = []
  const seen = new Set<number>()
  for (const shape of [from, to]) {
    let rows = 1
    for (const size of shape.slice(0, -1)) {
      rows *= size
      // of `to`: the transposed matrix has these rows
      const viewRows = shape === from ? rows : count / rows
      if (viewRows <= 1 || viewRows >= count || seen.has(viewRows)) continue
      seen.add(viewRows)
      found.push({
        kind: 'permutation',
        label: `transposed as ${viewRows} x ${count / viewRows}`,
        view: [viewRows, count / viewRows],
        permutation: [1, 0],
      })
    }
  }
  return found
}

/** The same transforms with one or two axes reversed, for kernels rotated or with input channels in reverse. */
export function reversedTransforms(
  from: readonly number[],
  to: readonly number[],
  bases: readonly (Transform | null)[],
  hints: LayoutHints,
): Transform[] {
  const found: Transform[] = []
  for (const base of bases) {
    const view = base?.view ?? from
    const permutation = base?.permutation ?? view.map((_, axis) => axis)
    const shape = permutation.map((axis) => view[axis]!)
    if (shape.length !== to.length || shape.length < 3) continue
    const axes = [...shape.keys()].filter((axis) => shape[axis]! > 1)
    const spatial = spatialAxes(shape, hints.candidateLayout)
    const sets = axes.map((axis) => [axis])
    if (spatial.length === 2 && spatial.every((axis) => shape[axis]! > 1)) sets.push([...spatial])
    for (const reversed of sets) {
      const isSpatial = reversed.every((axis) => spatial.includes(axis))
      const what = isSpatial
        ? `kernel flipped along ${reversed.length === 2 ? 'H and W' : spatial[0] === reversed[0] ? 'H' : 'W'}`
        : 'channels reversed'
      found.push({
        kind: isSpatial ? 'flip' : 'channels-reversed',
        label: base === null || base.kind === 'reshape' ? what : `${base.label}, ${what}`,
        view,
        permutation,
        reversed,
      })
    }
  }
  return found
}

/** Where H and W are in a kernel of this shape: from its layout, else the two neighbouring axes that look like it. */
export function spatialAxes(shape: readonly number[], layout?: string): number[] {
  if (layout !== undefined && layout.length === shape.length && layout.includes('H'))
    return [layout.indexOf('H'), layout.indexOf('W')]
  if (shape.length !== 4) return []
  const starts = [2, 0, 1] as const
  const area = (at: number) => shape[at]! * shape[at + 1]!
  // kernels are square as a rule: 7 x 7 is it in (16, 3, 7, 7), not 3 x 7
  const square = starts.filter((at) => shape[at] === shape[at + 1] && shape[at]! > 1)
  const best = (square.length > 0 ? square : starts).reduce((a, b) => (area(b) < area(a) ? b : a))
  return [best, best + 1]
}

/** Recurrent kernels with their three or four gate blocks in another order, transposed or not. */
export function gateTransforms(
  from: readonly number[],
  to: readonly number[],
  hints?: Pick<LayoutHints, 'gated'>,
): Transform[] {
  // a kernel of four axes is a convolution's, even when it is 1 x 1
  if (hints?.gated === false || Math.max(from.length, to.length) >= 4) return []
  const source = squeeze(from)
  const target = squeeze(to)
  const found: Transform[] = []
  if (source.length === 0 || source.length > 2 || source.length !== target.length) return found
  const orders =
    source.length === 2
      ? [
          [0, 1],
          [1, 0],
        ]
      : [[0]]
  for (const permutation of orders) {
    const shape = permutation.map((axis) => source[axis]!)
    if (!sameShape(shape, target)) continue
    for (const gates of [4, 3]) {
      for (const [axis, size] of shape.entries()) {
        if (size % gates !== 0 || size === gates) continue
        for (const order of permutations(gates)) {
          if (order.every((gate, at) => gate === at)) continue
          const block = size / gates
          const fromIndex = order.flatMap((gate) => Array.from({ length: block }, (_, k) => gate * block + k))
          found.push({
            kind: 'gates',
            label: `${permutation[0] === 1 ? 'transposed, ' : ''}${gates} blocks in the order ${order.join(' ')}`,
            view: source,
            permutation,
            reorder: { axis, from: fromIndex },
          })
        }
      }
    }
  }
  return found
}

/** All orders of 0 .. n-1, the identity first. */
export function permutations(n: number): number[][] {
  if (n === 0) return [[]]
  const found: number[][] = []
  const used = new Array<boolean>(n).fill(false)
  const current: number[] = []
  const extend = () => {
    if (current.length === n) {
      found.push([...current])
      return
    }
    for (let k = 0; k < n; k++) {
      if (used[k]) continue
      used[k] = true
      current.push(k)
      extend()
      current.pop()
      used[k] = false
    }
  }
  extend()
  return found
}
