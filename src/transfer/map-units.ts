import { type Alignment, alignUnits, type UnitPair } from './align.ts'
import { type EpsilonOf, epsilons } from './epsilons.ts'
import type { TargetEntry } from './ledger.ts'
import { canHold, mapAffine } from './map-affine.ts'
import { mapLinear } from './map-linear.ts'
import { mapPlain } from './map-plain.ts'
import { mapRecurrent, pairCells } from './map-recurrent.ts'
import type { Draft, MappingContext } from './mapping.ts'
import { isLinear, slotOf, type Unit, type UnitSet } from './units.ts'

/** What cannot be read from the files and may be said instead. */
export interface TransferOptions {
  /** height and width change places in every kernel: ports of MATLAB-trained Caffe models work on transposed pictures */
  readonly swapsHeightAndWidth?: boolean
  /** of every BatchNorm of the source whose file states none, instead of its framework's default */
  readonly epsilon?: number
}

/** Every tensor of the target that a unit of the source explains, and what a person should know. */
export function mapUnits(
  source: UnitSet,
  target: UnitSet,
  options: TransferOptions,
): { readonly entries: TargetEntry[]; readonly notes: string[] } {
  const alignment = alignUnits(source, target)
  const epsilon = epsilons(source, target, options.epsilon)
  const context: MappingContext = {
    source,
    target,
    readings: alignment.readings,
    epsilonOf: epsilon.of,
    swapsHeightAndWidth: options.swapsHeightAndWidth ?? false,
  }
  const entries: TargetEntry[] = []
  const add = (pair: UnitPair, drafts: readonly Draft[]) => {
    for (const draft of drafts) entries.push(entryOf(draft, pair))
  }
  const pairOf = new Map(alignment.pairs.map((pair) => [pair.target, pair]))
  const done = new Set<Unit>()
  for (const pair of alignment.pairs.filter((each) => isLinear(each.source)))
    for (const [unit, drafts] of mapBlock(context, alignment, pairOf, pair, epsilon)) {
      add(pairOf.get(unit) ?? { ...pair, foundBy: 'neighbours' }, drafts)
      done.add(unit)
    }
  const recurrent = (set: UnitSet) => set.units.filter(({ kind }) => kind === 'recurrent')
  const cells = pairCells(recurrent(source), recurrent(target))
  for (const [unit, drafts] of mapRecurrent(cells)) {
    const { source: cell, isOnly } = cells.find((each) => each.target.unit === unit)!
    const foundBy = isOnly ? 'shape' : 'order'
    add({ source: cell.unit, target: unit, foundBy, confidence: isOnly ? 0.95 : 0.8, ambiguous: [] }, drafts)
  }
  for (const pair of alignment.pairs) {
    if (done.has(pair.target) || pair.source.kind === 'recurrent') continue
    if (pair.source.kind !== 'affine') add(pair, mapPlain(context, pair))
    else {
      epsilon.keep(pair.source, pair.target)
      add(pair, mapAffine(context, { target: pair.target, source: pair.source, folded: [] }))
    }
  }
  return { entries, notes: epsilon.notes() }
}

/** A kernel with the BatchNorms behind it: which are kept, which are multiplied in, which have to do nothing. */
function mapBlock(
  context: MappingContext,
  alignment: Alignment,
  pairOf: ReadonlyMap<Unit, UnitPair>,
  { source, target }: UnitPair,
  epsilon: EpsilonOf,
): Map<Unit, Draft[]> {
  const chain = affinesBehind(alignment, context.source, source)
  const targetChain = affinesBehind(alignment, context.target, target)
  const held = new Map<Unit, Unit>()
  for (const each of targetChain) {
    const partner = pairOf.get(each)?.source
    if (partner && chain.includes(partner) && canHold(partner, each)) held.set(each, partner)
  }
  const kept = new Set(held.values())
  const folded = chain.filter((unit) => {
    const partner = alignment.targetOf.get(unit)
    return !kept.has(unit) && (partner === undefined || targetChain.includes(partner))
  })
  for (const unit of folded) epsilon.fold(unit)
  for (const [to, from] of held) epsilon.keep(from, to)
  const drafts = new Map([[target, mapLinear(context, source, target, folded)]])
  const hasBias = slotOf(target, 'bias') !== undefined
  const bias = hasBias ? undefined : slotOf(source, 'bias')
  for (const [at, each] of targetChain.entries()) {
    const partner = held.get(each)
    // what finds no bias in the target goes into the first BatchNorm behind
    const carries = at === 0
    drafts.set(
      each,
      mapAffine(context, {
        target: each,
        ...(partner ? { source: partner } : {}),
        ...(carries && bias ? { bias } : {}),
        folded: carries && !hasBias && !partner ? folded : [],
      }),
    )
  }
  return drafts
}

function affinesBehind({ linearOf }: Alignment, { units }: UnitSet, linear: Unit): Unit[] {
  return units.filter((unit) => unit.kind === 'affine' && linearOf.get(unit) === linear)
}

function entryOf(
  { target, from, expression, state, reason }: Draft,
  { source, foundBy, confidence, ambiguous }: UnitPair,
): TargetEntry {
  const [first] = from
  if (ambiguous.length === 0 || first === undefined)
    return {
      target,
      state,
      from,
      ...(expression ? { expression } : {}),
      reason,
      foundBy,
      confidence,
      candidates: [],
      isMissing: expression === undefined,
    }
  // the same place in every unit that fits
  const place = source.slots.findIndex(({ tensor }) => tensor === first)
  const others = ambiguous.flatMap(({ slots }) => slots[place]?.tensor.name ?? [])
  const candidates = [...new Set([first.name, ...others])]
  return {
    target,
    state: 'ambiguous',
    from,
    ...(expression ? { proposal: expression } : {}),
    reason: `fits as well: ${candidates.join(', ')}`,
    foundBy,
    confidence,
    candidates,
    isMissing: true,
  }
}
