import { elementCount } from '../tensor/dtype.ts'
import { type Part, reshape, transpose } from './build-expression.ts'
import type { Convention, Unit } from './units.ts'

/**
 * One way to read a kernel's axes. Canonical order is that of PyTorch: (O, I, spatial ...) for convolutions and dense
 * layers, (I, O, spatial ...) for transposed convolutions, I and O per group where PyTorch has them so. Beside the
 * letters of `LayerWeight.layout`, J and K are inputs over two axes (heads of an attention layer), as C and M are outputs.
 */
export interface Reading {
  /** letters by axis, see `LayerWeight.layout` */
  readonly layout: string
  readonly isTransposed: boolean
  /** O, I and the spatial sizes, in canonical order */
  readonly canonical: readonly number[]
}

/**
 * How a kernel may be read, likeliest first. One reading where the graph states the layout; several where only the
 * shape is known, those first that agree with the bias beside it.
 * @source anchors of the table: docs/transfer.md, "Layouts"
 */
export function readingsOf(unit: Unit, convention: Convention): Reading[] {
  const kernel = unit.slots.find(({ role }) => role === 'kernel')
  if (kernel === undefined) return []
  const { shape } = kernel.tensor
  const isTransposed = unit.kind === 'conv-transpose'
  if (kernel.layout !== undefined && kernel.layout.length === shape.length)
    return [readingOf(kernel.layout, shape, isTransposed)]
  const bias = unit.slots.find(({ role }) => role === 'bias')
  const outputs = bias && elementCount(bias.tensor.shape)
  const readings = layoutsFor(shape.length, convention, `${unit.name} ${kernel.tensor.name}`).map((layout) =>
    readingOf(layout.replace('T', ''), shape, layout.startsWith('T')),
  )
  if (outputs === undefined) return readings
  const agreeing = readings.filter((reading) => outputsOf(reading) === outputs)
  // a grouped transposed convolution has more outputs than its kernel tells
  return agreeing.length > 0 ? agreeing : readings
}

/** Outputs that the kernel shows: per group for a transposed convolution. */
export function outputsOf({ canonical, isTransposed }: Reading): number {
  return canonical[isTransposed ? 1 : 0]!
}

/** Layouts of a framework by rank; `T` marks a transposed convolution. */
const LAYOUTS: Readonly<Record<Convention, Readonly<Record<number, readonly string[]>>>> = {
  torch: {
    2: ['OI', 'IO'],
    3: ['OIW', 'TIOW'],
    4: ['OIHW', 'TIOHW'],
    5: ['OIDHW', 'TIODHW'],
  },
  keras: {
    2: ['IO', 'OI'],
    3: ['WIO', 'WCM', 'TWOI'],
    4: ['HWIO', 'HWCM', 'THWOI'],
    5: ['DHWIO', 'TDHWOI'],
  },
  tflite: { 2: ['OI', 'IO'], 4: ['OHWI', '1HWC', 'TOHWI'] },
}

/** Those of the model's own convention, then those of others: names may mislead. */
function layoutsFor(rank: number, convention: Convention, name: string): readonly string[] {
  const own = LAYOUTS[convention][rank] ?? []
  const others = (['torch', 'keras', 'tflite'] as const).flatMap((each) => LAYOUTS[each][rank] ?? [])
  const all = [...new Set([...own, ...others])]
  if (/depthwise/i.test(name)) return preferring(all, (layout) => layout.includes('M'))
  if (/transpose|deconv|upconv/i.test(name)) return preferring(all, (layout) => layout.startsWith('T'))
  return all
}

const preferring = (all: readonly string[], wanted: (layout: string) => boolean): string[] => {
  // only within the convention: a depthwise kernel of PyTorch is an ordinary OIHW
  const first = all[0] ?? ''
  return all.some((layout) => wanted(layout) && sameFamily(layout, first))
    ? [...all.filter(wanted), ...all.filter((layout) => !wanted(layout))]
    : [...all]
}

/** Spatial axes in front, or behind. */
const sameFamily = (a: string, b: string) => /^T?[DHW]/.test(a) === /^T?[DHW]/.test(b)

function readingOf(layout: string, shape: readonly number[], isTransposed: boolean): Reading {
  const size = (letter: string) => (layout.includes(letter) ? shape[layout.indexOf(letter)]! : 1)
  const outputs = layout.includes('O') ? size('O') : size('C') * size('M')
  const inputs = size('I') * size('J') * size('K')
  const spatial = [...layout].flatMap((letter, axis) => ('DHW'.includes(letter) ? [shape[axis]!] : []))
  return {
    layout,
    isTransposed,
    canonical: isTransposed ? [inputs, outputs, ...spatial] : [outputs, inputs, ...spatial],
  }
}

/** Letters of the canonical order that a layout has, `1` left out. */
function lettersOf({ layout, isTransposed }: Reading): string[] {
  const outputs = ['O', 'C', 'M'].filter((letter) => layout.includes(letter))
  const inputs = ['I', 'J', 'K'].filter((letter) => layout.includes(letter))
  const front = isTransposed ? [...inputs, ...outputs] : [...outputs, ...inputs]
  return [...front, ...[...layout].filter((letter) => 'DHW'.includes(letter))]
}

/** A stored kernel in canonical order. */
export function toCanonical(kernel: Part, reading: Reading): Part {
  const ones = [...reading.layout].flatMap((letter, axis) => (letter === '1' ? [axis] : []))
  const order = [...lettersOf(reading).map((letter) => reading.layout.indexOf(letter)), ...ones]
  return reshape(transpose(kernel, order), reading.canonical)
}

/** A canonical kernel as it is stored in `shape`. */
export function fromCanonical(kernel: Part, reading: Reading, shape: readonly number[]): Part {
  const letters = lettersOf(reading)
  const ones = [...reading.layout].filter((letter) => letter === '1').length
  const sizes = [...letters.map((letter) => shape[reading.layout.indexOf(letter)]!), ...new Array<number>(ones).fill(1)]
  let nextOne = letters.length
  const order = [...reading.layout].map((letter) => (letter === '1' ? nextOne++ : letters.indexOf(letter)))
  return reshape(transpose(reshape(kernel, sizes), order), shape)
}

/** For a person: `OIHW -> HWIO`. */
export function layoutLabel(from: Reading, to: Reading): string {
  return from.layout === to.layout ? 'unchanged' : `${from.layout} -> ${to.layout}`
}

/**
 * What kernels must have in common to be partners, whatever their layouts: outputs, inputs per group, window. A dense
 * layer is a convolution without window, sizes of 1 in the window do not count.
 */
export function kernelKey({ canonical, isTransposed }: Reading): string {
  const [first, second, ...spatial] = canonical
  return `${isTransposed ? 'transposed' : 'linear'} ${first} ${second} ${spatial.filter((size) => size !== 1).join(' ')}`.trim()
}
