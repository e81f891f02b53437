import type { Layer } from '../../layers/layer.ts'
import { causeAt } from './causes.ts'
import type { WeightCause } from './comparison.ts'
import type { Entry, PreparedSet } from './entry.ts'
import type { Draft, Matching } from './matching.ts'

/** Order in which a feature map enters a dense layer. */
type FlattenOrder = 'CHW' | 'HWC'

/**
 * Dense kernels after a flatten whose rows are not regrouped as the two data layouts ask for. Each side flattens in
 * the order of its data layout (with the transposes before it); the kernel must follow.
 */
export function findFlattenCauses(matching: Matching): WeightCause[] {
  const causes: WeightCause[] = []
  for (const draft of matching.drafts) {
    const { reference, candidate } = draft
    if (reference.dims.length !== 2 || reference.tensor.shape.length !== 2 || candidate.tensor.shape.length !== 2)
      continue
    if (draft.relation === 'different' || draft.relation === 'close') continue
    const found = draft.options.map((option) => /flatten order (\w+ -> \w+)/.exec(option?.label ?? '')?.[1])
    const orders = [flattenOrder(matching.reference, reference), flattenOrder(matching.candidate, candidate)] as const
    const states = orders.map(({ state }) => state)
    if ([reference, candidate].some(({ group }) => (group.layer?.inputShapes[0]?.length ?? 2) > 2)) continue
    if (states.includes('no-flatten') || (states.includes('guess') && !looksFlattened(matching, draft))) {
      continue
    }
    const [from, to] = [orders[0].order, orders[1].order]
    if (from === undefined || to === undefined) continue
    const expected = from === to ? undefined : `${from} -> ${to}`
    if (found.includes(expected)) continue
    draft.accepted = false
    const has = found[0] === undefined ? `its rows are in the reference's order` : `its rows were regrouped ${found[0]}`
    const needs =
      expected === undefined ? 'both sides flatten alike' : `the reference flattens ${from}, the candidate ${to}`
    causes.push(
      causeAt(draft, {
        label: 'flatten-order',
        confidence: states.includes('guess') ? 0.85 : 0.95,
        proved: true,
        detail: `dense kernel "${candidate.name}": ${needs}, but ${has}`,
      }),
    )
  }
  return causes
}

/** `certain`: the graph leads from a feature map to this layer; `guess`: only the data layout is known. */
interface Flattened {
  readonly state: 'certain' | 'guess' | 'no-flatten'
  readonly order?: FlattenOrder
}

function flattenOrder(side: PreparedSet, { group, dims }: Entry): Flattened {
  const { layer } = group
  const general = dataOrder(side)
  if (layer === undefined || layer.inputs.length === 0)
    return { state: 'guess', ...(general ? { order: general } : {}) }
  const producers = new Map<string, Layer>()
  for (const each of side.set.layers) for (const output of each.outputs) producers.set(output, each)
  let current: Layer | undefined = producers.get(layer.inputs[0]!)
  let channelsMoved: 'first' | 'last' | undefined
  const seen = new Set<Layer>()
  while (current !== undefined && !seen.has(current)) {
    seen.add(current)
    const { kind, attributes } = current
    if (kind === 'dense' || kind === 'recurrent' || kind === 'attention' || kind === 'embedding')
      return { state: 'no-flatten' }
    if (kind === 'transpose') {
      // the transpose nearest to the flatten decides
      const order = attributes.permutation?.join()
      channelsMoved ??= order === '0,2,3,1' ? 'last' : order === '0,3,1,2' ? 'first' : undefined
    }
    const format = attributes.dataFormat ?? kernelFormat(current)
    if (kind === 'global-pool') return { state: 'no-flatten' }
    if (SPATIAL.has(kind) && (format !== undefined || kind === 'conv')) {
      const shape = current.outputShapes[0]
      const size = shape?.slice(1).reduce<number>((product, each) => product * (each ?? Number.NaN), 1)
      // (N, tokens, channels): what the dense layer reads is no whole feature map
      if (size !== undefined && !Number.isNaN(size) && !dims.includes(size)) return { state: 'no-flatten' }
      const area = shape?.slice(1)
      if (area && area.filter((size) => size !== 1 && size !== null).length <= 1 && !area.includes(null))
        return { state: 'no-flatten' }
      const order =
        channelsMoved ?? (format === 'channels-first' ? 'first' : format === 'channels-last' ? 'last' : undefined)
      const name = order === 'first' ? 'CHW' : order === 'last' ? 'HWC' : general
      return { state: 'certain', ...(name ? { order: name } : {}) }
    }
    current = producers.get(current.inputs[0] ?? '')
  }
  return { state: 'guess', ...(general ? { order: general } : {}) }
}

const SPATIAL: ReadonlySet<Layer['kind']> = new Set(['conv', 'conv-transpose', 'pool', 'resize'])

function kernelFormat({ weights }: Layer): 'channels-first' | 'channels-last' | undefined {
  const layout = weights.find(({ role }) => role === 'kernel')?.layout
  return layout === undefined ? undefined : /^(OIHW|IOHW|C1HW)$/.test(layout) ? 'channels-first' : 'channels-last'
}

/** Data layout of a side as a whole: from its layers, its kernels' layouts, or its framework. */
function dataOrder({ set, entries }: PreparedSet): FlattenOrder | undefined {
  for (const { attributes, kind } of set.layers)
    if (attributes.dataFormat && (kind === 'conv' || kind === 'pool'))
      return attributes.dataFormat === 'channels-first' ? 'CHW' : 'HWC'
  for (const { layout } of entries) {
    if (layout === 'OIHW') return 'CHW'
    if (layout === 'HWIO' || layout === 'OHWI' || layout === 'HWCM' || layout === '1HWC') return 'HWC'
  }
  if (/^(pytorch|caffe|darknet|ncnn|paddle|mxnet)$/.test(set.framework ?? '')) return 'CHW'
  if (/^(keras|tensorflow|tflite|tfjs)$/.test(set.framework ?? '')) return 'HWC'
  return kernelOrder(entries)
}

/** The square pair of small axes is last in OIHW, first in HWIO, in the middle in OHWI; more than one pair tells nothing. */
function kernelOrder(entries: readonly Entry[]): FlattenOrder | undefined {
  for (const { tensor } of entries) {
    const { shape } = tensor
    if (shape.length !== 4) continue
    const pairs = [0, 1, 2].filter((at) => shape[at] === shape[at + 1] && shape[at]! > 1 && shape[at]! <= 11)
    if (pairs.length === 1) return pairs[0] === 2 ? 'CHW' : 'HWC'
  }
  return undefined
}

/** Without a graph: the inputs are a multiple of some convolution's channels and no dense layer gives that many. */
function looksFlattened({ drafts, hints, reference, candidate }: Matching, draft: Draft): boolean {
  const frameworks = [reference.set.framework, candidate.set.framework]
  const inputs = inputSizes(draft, frameworks)
  const dense = drafts.filter(({ reference }) => reference.dims.length === 2 && reference.tensor.shape.length === 2)
  return inputs.some((size) => {
    if (hints.channels.has(size)) return false
    if (![...hints.channels].some((channel) => channel >= 8 && size % channel === 0 && size > channel)) return false
    return !dense.some(
      (other) =>
        other !== draft && other.reference.dims.includes(size) && !inputSizes(other, frameworks).includes(size),
    )
  })
}

function inputSizes({ reference, candidate, options }: Draft, frameworks: readonly (string | undefined)[]): number[] {
  const label = options.find((option) => option?.kind === 'flatten')
  if (label) return [Math.max(...reference.dims)]
  for (const [at, { layout, tensor }] of [reference, candidate].entries()) {
    if (layout === 'OI' || (!layout && frameworks[at] === 'pytorch')) return [tensor.shape[1]!]
    if (layout === 'IO' || (!layout && frameworks[at] === 'keras')) return [tensor.shape[0]!]
  }
  return [Math.max(...reference.dims)]
}
