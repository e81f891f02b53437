import type { Alignment, UnitPair } from './align.ts'
import { alignUnits } from './align.ts'
import { full, reshape, transpose } from './build-expression.ts'
import { Inputs, type TargetEntry } from './ledger.ts'
import { canHold, mapAffine } from './map-affine.ts'
import { mapLinear } from './map-linear.ts'
import { type Draft, finish, type MappingContext } from './mapping.ts'
import { isLinear, slotOf, type Unit, type UnitSet } from './units.ts'

/** Every tensor of the target that a unit of the source explains. */
export function mapUnits(
  source: UnitSet,
  target: UnitSet,
  options: { swapsHeightAndWidth: boolean },
): {
  readonly entries: TargetEntry[]
  readonly alignment: Alignment
  readonly folds: ReadonlyMap<Unit, readonly Unit[]>
} {
  const alignment = alignUnits(source, target)
  const context: MappingContext = {
    source,
    target,
    readings: alignment.readings,
    epsilonOf: (unit) => unit.attributes.epsilon ?? defaultEpsilon(source.units.includes(unit) ? source : target),
    swapsHeightAndWidth: options.swapsHeightAndWidth,
  }
  const entries: TargetEntry[] = []
  const folds = new Map<Unit, Unit[]>()
  const done = new Set<Unit>()
  const add = (pair: UnitPair, drafts: readonly Draft[]) => {
    for (const draft of drafts) entries.push(entryOf(draft, pair))
  }
  const pairOf = new Map(alignment.pairs.map((pair) => [pair.target, pair]))

  for (const pair of alignment.pairs.filter((each) => isLinear(each.source))) {
    const { source: from, target: to } = pair
    const chain = affinesBehind(alignment, source, from)
    const targetChain = affinesBehind(alignment, target, to)
    const held = new Map<Unit, Unit>()
    for (const each of targetChain) {
      const partner = pairOf.get(each)?.source
      if (partner && chain.includes(partner) && canHold(partner, each)) held.set(each, partner)
    }
    const folded = chain.filter(
      (unit) => ![...held.values()].includes(unit) && !isElsewhere(alignment, unit, targetChain),
    )
    folds.set(from, folded)
    add(pair, mapLinear(context, from, to, folded))
    const bias = slotOf(from, 'bias')
    const homeless = bias !== undefined && slotOf(to, 'bias') === undefined
    const shiftless = folded.length > 0 && slotOf(to, 'bias') === undefined
    for (const [at, each] of targetChain.entries()) {
      const partner = held.get(each)
      const carries = at === 0
      add(
        pairOf.get(each) ?? { ...pair, foundBy: 'neighbours' },
        mapAffine(context, {
          target: each,
          ...(partner ? { source: partner } : {}),
          ...(carries && homeless ? { bias } : {}),
          folded: carries && shiftless && !partner ? folded : [],
        }),
      )
      done.add(each)
    }
  }
  for (const pair of alignment.pairs) {
    if (isLinear(pair.source) || done.has(pair.target)) continue
    add(pair, mapOther(context, pair))
  }
  return { entries, alignment, folds }
}

/** PyTorch, ONNX and Caffe default to 1e-5, Keras to 1e-3. */
const defaultEpsilon = ({ convention }: UnitSet) => (convention === 'keras' ? 1e-3 : 1e-5)

function affinesBehind({ linearOf }: Alignment, { units }: UnitSet, linear: Unit): Unit[] {
  return units.filter((unit) => linearOf.get(unit) === linear)
}

/** Paired with a unit that stands somewhere else than behind the kernel. */
function isElsewhere({ pairs }: Alignment, unit: Unit, chain: readonly Unit[]): boolean {
  const pair = pairs.find(({ source }) => source === unit)
  return pair !== undefined && !chain.includes(pair.target)
}

function mapOther(context: MappingContext, { source, target }: UnitPair): Draft[] {
  if (source.kind === 'affine') return mapAffine(context, { target, source, folded: [] })
  return target.slots.flatMap((slot): Draft[] => {
    const inputs = new Inputs()
    const found = slotOf(source, slot.role) ?? (source.slots.length === 1 ? source.slots[0] : undefined)
    if (found === undefined) {
      const value = slot.role === 'beta' || slot.role === 'bias' ? 0 : slot.role === 'gamma' ? 1 : undefined
      if (value === undefined) return []
      return [
        finish(
          slot.tensor,
          inputs,
          full(value, slot.tensor.shape),
          'no-counterpart',
          `${value === 0 ? 'zeros' : 'ones'}: the reference has none`,
        ),
      ]
    }
    const part = inputs.part(found.tensor)
    const wide = (shape: readonly number[]) => shape.filter((size) => size !== 1)
    const [from, to] = [wide(found.tensor.shape), wide(slot.tensor.shape)]
    if (from.join() === to.join())
      return [finish(slot.tensor, inputs, reshape(part, slot.tensor.shape), 'mapped', 'unchanged')]
    const order = to.map((size) => from.indexOf(size))
    if (from.length !== to.length || new Set(order).size !== from.length || order.includes(-1)) return []
    return [
      finish(
        slot.tensor,
        inputs,
        reshape(transpose(reshape(part, from), order), slot.tensor.shape),
        'mapped',
        `axes (${order.join(', ')})`,
      ),
    ]
  })
}

function entryOf(
  { target, inputs, expression, state, reason }: Draft,
  { foundBy, confidence, ambiguous }: UnitPair,
): TargetEntry {
  const isAmbiguous = ambiguous.length > 0 && inputs.tensors.length > 0
  return {
    target,
    state: isAmbiguous ? 'ambiguous' : state,
    from: inputs.tensors,
    ...(expression && !isAmbiguous ? { expression } : {}),
    reason: isAmbiguous ? `fits "${inputs.tensors[0]!.name}" as well as other tensors of the same shape` : reason,
    foundBy,
    confidence,
    candidates: isAmbiguous ? [inputs.tensors[0]!.name] : [],
    isMissing: isAmbiguous || expression === undefined,
  }
}
