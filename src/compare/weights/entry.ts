import type { Layer, LayerKind, LayerWeight } from '../../layers/layer.ts'
import { DTYPES, type Dtype, elementCount, isFloat } from '../../tensor/dtype.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { Side, WeightSet } from './comparison.ts'
import { type Fingerprint, fingerprinter } from './fingerprint.ts'
import { roleFromName, splitName } from './names.ts'
import { squeeze } from './transform.ts'

/** What a tensor does in its layer. */
export type Role = LayerWeight['role'] | 'unknown'

/** A tensor that takes part in pairing, with what is known about it. */
export interface Entry {
  readonly tensor: Tensor
  readonly name: string
  readonly side: Side
  /** position in the file */
  readonly index: number
  readonly count: number
  /** sizes other than 1 */
  readonly dims: readonly number[]
  readonly print: Fingerprint
  readonly role: Role
  readonly group: Group
  /** axes of a kernel where the graph says them, e.g. `HWIO` */
  readonly layout?: string | undefined
  /** narrower float type that holds all values, though they are stored wider: they were rounded to it once */
  readonly narrow?: Dtype | undefined
  /** false for constants of the graph that no weighted layer owns: nothing is missing when they have no partner */
  readonly owned: boolean
}

/** Tensors of one layer. */
export interface Group {
  readonly name: string
  readonly side: Side
  /** of the first layer or tensor, for telling which comes earlier */
  readonly order: number
  readonly kind?: LayerKind
  readonly layer?: Layer
  readonly entries: Entry[]
}

/** A tensor that does not take part, and why. */
export interface Auxiliary {
  readonly tensor: Tensor
  readonly reason: string
}

/** One side, ready for pairing. */
export interface PreparedSet {
  readonly side: Side
  readonly set: WeightSet
  readonly entries: readonly Entry[]
  readonly groups: readonly Group[]
  readonly auxiliary: readonly Auxiliary[]
}

/**
 * Sorts out what takes part, finds the layer of each tensor (from the graph, else from names) and takes fingerprints.
 * @param averaged compare the averaged (EMA) copies instead of the trained parameters
 */
export async function prepare(set: WeightSet, side: Side, averaged: boolean): Promise<PreparedSet> {
  const owners = new Map<string, { layer: Layer; weight: LayerWeight; order: number }>()
  for (const [order, layer] of set.layers.entries())
    for (const weight of layer.weights) {
      const known = owners.get(weight.tensor)
      // a Transpose between a kernel and its MatMul is not the kernel's layer
      if (known === undefined || (!WEIGHTED.has(known.layer.kind) && WEIGHTED.has(layer.kind)))
        owners.set(weight.tensor, { layer, weight, order })
    }
  const fingerprint = fingerprinter()
  const groups = new Map<string, Group>()
  const entries: Entry[] = []
  const auxiliary: Auxiliary[] = []
  for (const [index, tensor] of set.tensors.entries()) {
    const owner = owners.get(tensor.name)
    const reason = auxiliaryReason(tensor, averaged, owner !== undefined)
    if (reason !== undefined) {
      auxiliary.push({ tensor, reason })
      continue
    }
    const { prefix, last } = splitName(tensor.name)
    const key = owner ? `layer ${owner.order}` : `name ${prefix || tensor.name}`
    let group = groups.get(key)
    if (group === undefined) {
      group = owner
        ? { name: owner.layer.name, side, order: owner.order, kind: owner.layer.kind, layer: owner.layer, entries: [] }
        : { name: prefix || tensor.name, side, order: set.layers.length + index, entries: [] }
      groups.set(key, group)
    }
    const dims = squeeze(tensor.shape)
    const role = owner && owner.weight.role !== 'other' ? owner.weight.role : roleFromName(last, dims.length)
    const entry: Entry = {
      tensor,
      name: tensor.name,
      side,
      index,
      count: elementCount(tensor.shape),
      dims,
      print: await fingerprint(tensor),
      role,
      group,
      layout: owner?.weight.layout,
      owned: isOwned(tensor, owner?.layer, set),
    }
    group.entries.push(entry)
    entries.push(entry)
  }
  const ordered = [...groups.values()].sort((a, b) => a.order - b.order)
  for (const group of ordered) settleRoles(group)
  markNarrow(entries)
  return { side, set, entries, groups: ordered, auxiliary }
}

const WEIGHTED: ReadonlySet<LayerKind> = new Set([
  'conv',
  'conv-transpose',
  'dense',
  'batch-norm',
  'norm',
  'embedding',
  'recurrent',
  'attention',
  'activation',
])

/** Fewer elements than this can be round numbers by chance, unless most other tensors are narrow too. */
const ENOUGH_TO_TELL = 16

/** Values that fit a narrower type throughout were rounded to it once, whatever type stores them now. */
function markNarrow(entries: readonly Entry[]): void {
  const wide = entries.filter(
    ({ tensor, print }) => isWideFloat(tensor) && print.constant === undefined && print.isFinite,
  )
  const types = wide.map(({ print }) => narrowerType(print))
  const everywhere = wide.reduce((sum, { count }) => sum + count, 0) >= ENOUGH_TO_TELL && !types.includes(undefined)
  const telling = types.filter((_, at) => wide[at]!.count >= ENOUGH_TO_TELL)
  const mostly = telling.filter((type) => type !== undefined).length > telling.length / 2
  for (const [at, entry] of wide.entries())
    if (everywhere || mostly || entry.count >= ENOUGH_TO_TELL) Object.assign(entry, { narrow: types[at] })
}

const isWideFloat = ({ dtype }: Tensor) => dtype === 'float32' || dtype === 'float64'

function narrowerType({ sharedZeroBits, largest }: Fingerprint): Dtype | undefined {
  if (sharedZeroBits >= 16) return 'bfloat16'
  return sharedZeroBits >= 13 && largest <= 65_504 ? 'float16' : undefined
}

function isOwned(tensor: Tensor, layer: Layer | undefined, { layers }: WeightSet): boolean {
  if (layer !== undefined) {
    const count = elementCount(tensor.shape)
    if (layer.kind === 'add' || layer.kind === 'multiply') {
      // a vector may be a bias or a folded scale; anchors and masks are constants of the graph
      if (count <= 1 || squeeze(tensor.shape).length !== 1) return false
      return count > MAX_IMAGE_CHANNELS || !readsPicture(layer, layers)
    }
    return WEIGHTED.has(layer.kind)
  }
  if (layers.some(({ weights, inputs }) => weights.length > 0 && inputs.length > 0)) return false
  return tensor.role !== 'constant'
}

/** Colours, or colours and opacity. */
const MAX_IMAGE_CHANNELS = 4

/** Mean and deviation of the input: what comes before the first layer is preparation of the picture. */
function readsPicture(layer: Layer, layers: readonly Layer[]): boolean {
  const producers = new Map(layers.flatMap((each) => each.outputs.map((name): [string, Layer] => [name, each])))
  let current: Layer | undefined = layer
  for (let steps = 0; steps < 8 && current !== undefined; steps++) {
    const sources: (Layer | undefined)[] = current.inputs.map((name) => producers.get(name))
    const data = sources.filter((source) => source?.kind !== 'constant')
    if (data.length !== 1) return false
    const [next] = data
    if (next === undefined || next.kind === 'input') return true
    if (WEIGHTED.has(next.kind)) return false
    current = next
  }
  return false
}

function auxiliaryReason(tensor: Tensor, averaged: boolean, owned: boolean): string | undefined {
  const { dtype, role, shape, quantization } = tensor
  const last = splitName(tensor.name).last
  if (role === 'optimizer') return 'optimizer state, not used at inference'
  if (role === 'ema' && !averaged) return 'averaged (EMA) copy; the trained parameters were compared'
  if (averaged && role !== 'ema' && role !== 'constant' && role !== 'buffer')
    return 'trained parameters; the averaged (EMA) copy was compared'
  if (/^(num_batches_tracked|num_updates|iterations?|seed_generator_state|global_step)$/i.test(last))
    return 'counter, not used at inference'
  if (dtype === 'string') return 'text'
  const { kind } = DTYPES[dtype]
  if (kind === 'bool') return 'truth values (a mask or flag of the graph)'
  if (kind === 'complex') return 'complex values are not compared'
  if (elementCount(shape) === 0) return 'holds no elements'
  if (!isFloat(dtype) && quantization === undefined) return 'whole numbers without a scale (shape, index or axis)'
  if (elementCount(shape) === 1 && !owned && (role === 'constant' || shape.length === 0))
    return 'single constant of the graph'
  return undefined
}

/** Within a layer known by names only: `weight` beside running statistics is a BatchNorm scale, and so on. */
function settleRoles(group: Group): void {
  const set = (entry: Entry, role: Role) => Object.assign(entry, { role })
  const { entries } = group
  const has = (role: Role) => entries.some((entry) => entry.role === role)
  if (has('mean') && has('variance')) {
    for (const entry of entries) {
      if (entry.dims.length > 1) continue
      if (entry.role === 'kernel' || entry.role === 'unknown' || entry.role === 'slope') set(entry, 'gamma')
      if (entry.role === 'bias') set(entry, 'beta')
    }
    return
  }
  const kernels = entries.filter(({ role, dims }) => role === 'kernel' && dims.length > 1)
  const [vector, another] = entries.filter(({ role }) => role !== 'kernel')
  if (kernels.length === 1 && vector?.role === 'unknown' && !another && kernels[0]!.dims.includes(vector.count))
    set(vector, 'bias')
  if (entries.some(({ role }) => role !== 'unknown')) return
  // numbered: Keras `vars/0` .., Caffe `layer/0` ..
  const [first, second] = entries
  const vectors = entries.filter(({ dims }) => dims.length <= 1)
  if (entries.length === 4 && vectors.length === 4 && new Set(entries.map(({ count }) => count)).size === 1) {
    for (const [at, role] of (['gamma', 'beta', 'mean', 'variance'] as const).entries()) set(entries[at]!, role)
  } else if (first && first.dims.length > 1) {
    set(first, 'kernel')
    if (second && second.dims.length <= 1) set(second, 'bias')
  } else if (first && entries.length === 1) set(first, 'unknown')
}
