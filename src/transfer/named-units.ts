import { roleFromName, splitName } from '../compare/weights/names.ts'
import { squeeze } from '../compare/weights/transform.ts'
import type { Layer } from '../layers/layer.ts'
import { elementCount } from '../tensor/dtype.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { Slot, SlotRole, Unit, UnitKind } from './units.ts'

/**
 * Units of a file without a graph, from names and shapes: what lies under one prefix is one layer.
 *
 * @param nameOf what the program called the tensor, where its stored name says less
 * @param settings layers of the same file by name, for the options that a pickled module keeps
 */
export function unitsOfNames(
  tensors: readonly Tensor[],
  nameOf: (tensor: Tensor) => string,
  settings: ReadonlyMap<string, Layer>,
): { readonly units: Unit[]; readonly isOrdered: boolean } {
  const groups = new Map<string, { tensor: Tensor; last: string }[]>()
  for (const tensor of tensors) {
    const { prefix, last } = partsOf(nameOf(tensor))
    const group = groups.get(prefix)
    if (group) group.push({ tensor, last })
    else groups.set(prefix, [{ tensor, last }])
  }
  const units = [...groups].flatMap(([prefix, members]) => unitsOfGroup(prefix, members))
  for (const unit of units) {
    const layer = settings.get(unit.name.replaceAll('.', '/'))
    if (layer !== undefined) Object.assign(unit, { attributes: layer.attributes })
  }
  const isOrdered = !isSortedByName(units)
  const ordered = isOrdered ? units : units.sort((a, b) => compareNaturally(a.name, b.name))
  return { units: ordered.map((unit, index) => Object.assign(unit, { index })), isOrdered }
}

/** Words that belong to a tensor's role though an underscore parts them. */
const COMPOUND = /^(.*?)[./]?((?:recurrent|depthwise|pointwise)_kernel|in_proj_(?:weight|bias))(?::\d+)?$/

function partsOf(name: string): { prefix: string; last: string } {
  const compound = COMPOUND.exec(name)
  return compound ? { prefix: compound[1]!, last: compound[2]! } : splitName(name)
}

interface Member {
  readonly tensor: Tensor
  readonly last: string
}

function unitsOfGroup(prefix: string, members: readonly Member[]): Unit[] {
  const recurrent = members.filter(({ last }) => /^(weight|bias)_(ih|hh)/.test(last))
  const rest = members.filter((member) => !recurrent.includes(member))
  const fused = rest.filter(({ last }) => /^(in_proj_|q_proj_|k_proj_|v_proj_|bias_[kv]$)/.test(last))
  const plain = rest.filter((member) => !fused.includes(member))
  const made = (kind: UnitKind, slots: Slot[], name = prefix): Unit => ({
    name: name || slots[0]!.tensor.name,
    kind,
    slots,
    attributes: {},
    layers: [],
    index: 0,
  })
  const found: Unit[] = []
  if (recurrent.length > 0) found.push(made('recurrent', recurrent.map(recurrentSlot)))
  if (fused.length > 0) found.push(...fusedUnits(fused, prefix, made))
  if (plain.length > 0) found.push(...plainUnits(plain, made, prefix))
  return found
}

type Make = (kind: UnitKind, slots: Slot[], name?: string) => Unit

const recurrentSlot = ({ tensor, last }: Member): Slot => ({
  role: last.startsWith('weight_ih') ? 'kernel' : last.startsWith('weight_hh') ? 'recurrent-kernel' : 'recurrent-bias',
  tensor,
})

/** torch.nn.MultiheadAttention keeps its three projections in one matrix beside a module for the fourth. */
function fusedUnits(members: readonly Member[], prefix: string, made: Make): Unit[] {
  const weight = members.find(({ last }) => last === 'in_proj_weight')
  const bias = members.find(({ last }) => last === 'in_proj_bias')
  const others = members.filter((member) => member !== weight && member !== bias)
  const units: Unit[] = []
  if (weight) {
    const slots: Slot[] = [{ role: 'kernel', tensor: weight.tensor, layout: 'OI' }]
    if (bias) slots.push({ role: 'bias', tensor: bias.tensor })
    units.push(made('dense', slots, `${prefix}.in_proj`))
  }
  for (const { tensor } of others) units.push(made('other', [{ role: 'other', tensor }], tensor.name))
  return units
}

function plainUnits(members: readonly Member[], made: Make, prefix: string): Unit[] {
  const slots = settle(members.map(({ tensor, last }) => ({ tensor, role: roleOf(last, tensor), last })))
  const has = (role: SlotRole) => slots.some((slot) => slot.role === role)
  const kernels = slots.filter(({ role }) => role === 'kernel')
  if (has('mean') && has('variance'))
    return [
      made(
        'affine',
        slots.filter(({ role }) => role !== 'other'),
      ),
    ]
  if (has('recurrent-kernel')) return [made('recurrent', slots)]
  if (has('table')) return [made('embedding', slots)]
  const isSeparable = kernels.length === 2 && kernels.every(({ tensor }) => tensor.shape.length >= 3)
  if (isSeparable)
    return [
      made('conv', [kernels[0]!]),
      made(
        'conv',
        slots.filter((slot) => slot !== kernels[0]),
      ),
    ]
  if (kernels.length === 1 && slots.every(({ role }) => role === 'kernel' || role === 'bias')) {
    const rank = kernels[0]!.tensor.shape.length
    const isTable = rank === 2 && !has('bias') && /embed/i.test(kernels[0]!.tensor.name)
    if (isTable) return [made('embedding', [{ ...kernels[0]!, role: 'table' }])]
    return [made(rank >= 3 ? 'conv' : 'dense', slots)]
  }
  if (has('slope') && slots.length === 1) return [made('slope', slots)]
  if (slots.every(({ role }) => role === 'gamma' || role === 'beta')) return [made('norm', slots)]
  // a bag of arrays: each is a unit of its own
  return slots.map(({ tensor, role }) => {
    const name = slots.length === 1 && prefix ? prefix : tensor.name
    if (role === 'slope') return made('slope', [{ role, tensor }], name)
    if (role === 'kernel' && tensor.shape.length >= 3) return made('conv', [{ role, tensor }], name)
    return made('other', [{ role: 'other', tensor }], name)
  })
}

function roleOf(last: string, tensor: Tensor): SlotRole {
  const role = roleFromName(last, squeeze(tensor.shape).length)
  if (role !== 'unknown') return role
  if (/^(weight|w|kernel)$/i.test(last)) return 'gamma'
  return 'other'
}

interface Settling {
  role: SlotRole
  readonly tensor: Tensor
  readonly last: string
}

/** Within one prefix: `weight` beside running statistics is a BatchNorm's scale, alone a PReLU's slope, and so on. */
function settle(slots: Settling[]): Slot[] {
  const has = (role: SlotRole) => slots.some((slot) => slot.role === role)
  const isVector = ({ tensor }: Settling) => squeeze(tensor.shape).length <= 1
  const set = (slot: Settling | undefined, role: SlotRole) => {
    if (slot) slot.role = role
  }
  const kernel = slots.find(({ role }) => role === 'kernel')
  if (has('mean') && has('variance')) {
    for (const slot of slots.filter(isVector)) if (slot.role === 'bias') set(slot, 'beta')
  } else if (kernel === undefined && slots.every(isVector) && has('gamma')) {
    // torch: weight and bias of a norm; a weight alone is a PReLU's slope
    for (const slot of slots) if (slot.role === 'bias') set(slot, 'beta')
    if (slots.length === 1 && /weight$/i.test(slots[0]!.last)) set(slots[0], 'slope')
  } else if (slots.every(({ last }) => /^\d+$/.test(last))) settleNumbered(slots)
  return slots.map(({ role, tensor }) => ({ role, tensor }))
}

/** Keras' `vars/0` .., Caffe's `layer/0` ..: the order in which a layer makes its variables. */
function settleNumbered(slots: Settling[]): void {
  const vectors = slots.every(({ tensor }) => squeeze(tensor.shape).length <= 1)
  const sameCount = new Set(slots.map(({ tensor }) => elementCount(tensor.shape))).size === 1
  const roles: readonly SlotRole[] = vectors
    ? slots.length === 4 && sameCount
      ? ['gamma', 'beta', 'mean', 'variance']
      : slots.length === 3 && sameCount
        ? ['beta', 'mean', 'variance']
        : slots.length === 2 && sameCount
          ? ['gamma', 'beta']
          : slots.length === 1
            ? ['slope']
            : []
    : isRecurrent(slots)
      ? ['kernel', 'recurrent-kernel', 'bias']
      : slots.length <= 2 && slots.slice(1).every(({ tensor }) => squeeze(tensor.shape).length <= 1)
        ? ['kernel', 'bias']
        : []
  for (const [at, slot] of slots.entries()) slot.role = roles[at] ?? slot.role
}

/** Kernel (I, G H), recurrent kernel (H, G H): the second is G times as wide as it is high. */
function isRecurrent([kernel, recurrent]: readonly Settling[]): boolean {
  const [height, width] = recurrent?.tensor.shape ?? []
  if (height === undefined || width === undefined || recurrent!.tensor.shape.length !== 2) return false
  return kernel!.tensor.shape[1] === width && [3, 4].includes(width / height)
}

/**
 * Files that list their contents by name put `conv2d_10` before `conv2d_2`, and every BatchNorm before the first
 * convolution. Fewer than three units may be in that order by chance.
 */
function isSortedByName(units: readonly Unit[]): boolean {
  return units.length > 2 && units.every((unit, at) => at === 0 || units[at - 1]!.name <= unit.name)
}

/** Numbers inside names by their value. */
export function compareNaturally(a: string, b: string): number {
  const left = a.match(/\d+|\D+/g) ?? []
  const right = b.match(/\d+|\D+/g) ?? []
  for (let at = 0; at < Math.min(left.length, right.length); at++) {
    const [l, r] = [left[at]!, right[at]!]
    if (l === r) continue
    const difference = Number(l) - Number(r)
    return Number.isNaN(difference) ? (l < r ? -1 : 1) : difference
  }
  return left.length - right.length
}
