import type { Model } from '../model/model.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { tieKey } from '../tensor/ties.ts'
import { applyMap, type MapEntry } from './apply-map.ts'
import { splitFused } from './fused-units.ts'
import { joinSlices } from './join-slices.ts'
import type { Ledger, SourceEntry, TargetEntry } from './ledger.ts'
import { mapUnits, type TransferOptions } from './map-units.ts'
import { unitsOf } from './model-units.ts'
import type { UnitSet } from './units.ts'

/**
 * Finds for every tensor of the target what it is made of, without looking at the target's values, and for every tensor
 * of the source what it went into. Reads no values but small constants of the graphs.
 *
 * @param edits entries of a mapping file; they replace what was found for their targets
 * @throws {ToolError} INVALID_MAP naming the entry that does not fit
 */
export async function planTransfer(
  source: Model,
  target: Model,
  options: TransferOptions = {},
  edits: readonly MapEntry[] = [],
): Promise<Ledger> {
  const [left, right] = [await unitsOf(source), await unitsOf(target)]
  const [from, to] = [splitFused(left, right), splitFused(right, left)]
  const { entries, notes } = mapUnits(from, to, options)
  const byTarget = new Map<Tensor, TargetEntry>()
  for (const entry of joinSlices(entries)) if (!byTarget.has(entry.target)) byTarget.set(entry.target, entry)
  const ties = tiesOf(target, byTarget)
  const reasonFor = reasons(to)
  const found = target.tensors.map(
    (tensor) => byTarget.get(tensor) ?? ties(tensor) ?? unmapped(tensor, reasonFor(tensor)),
  )
  const targets = applyMap(found, source, edits)
  const hints = options.swapsHeightAndWidth ? [] : heritage(source, target, from)
  return { targets, sources: sourceEntries(source, targets, reasons(from)), notes: [...notes, ...hints] }
}

/** Square kernels do not show whether a port exchanged height and width, as ports of MATLAB-trained Caffe models did. */
function heritage(source: Model, target: Model, { units }: UnitSet): string[] {
  const isCaffe = (model: Model) => model.format === 'caffe'
  if (isCaffe(source) === isCaffe(target)) return []
  const windows = units
    .flatMap(({ kind, slots }) => (kind === 'conv' ? slots : []))
    .filter(({ tensor }) => tensor.shape.length === 4)
  if (windows.length === 0) return []
  return [
    'kernels were carried without exchanging height and width: say --swap-hw if the port works on transposed pictures, as ports of MATLAB-trained Caffe models do',
  ]
}

/** Why a tensor takes no part; undefined for a parameter of the network. */
function reasons({ auxiliary, units }: UnitSet): (tensor: Tensor) => string | undefined {
  const loose = new Set(
    units.filter(({ kind }) => kind === 'other').flatMap(({ slots }) => slots.map(({ tensor }) => tensor)),
  )
  return (tensor) => {
    const isConstant = tensor.role === 'constant' && loose.has(tensor)
    return auxiliary.get(tensor) ?? (isConstant ? 'constant of the graph (anchors, masks, positions)' : undefined)
  }
}

/** Tensors of the same memory get the same values. */
function tiesOf(
  target: Model,
  byTarget: ReadonlyMap<Tensor, TargetEntry>,
): (tensor: Tensor) => TargetEntry | undefined {
  const filled = new Map<string, TargetEntry>()
  for (const tensor of target.tensors) {
    const key = tieKey(tensor)
    const entry = byTarget.get(tensor)
    if (key !== undefined && entry) filled.set(key, entry)
  }
  return (tensor) => {
    const entry = filled.get(tieKey(tensor) ?? '')
    if (entry === undefined || entry.target.dtype !== tensor.dtype || entry.target.shape.join() !== tensor.shape.join())
      return undefined
    return { ...entry, target: tensor, reason: `tied to "${entry.target.name}": ${entry.reason}` }
  }
}

function unmapped(target: Tensor, auxiliary: string | undefined): TargetEntry {
  const isParameter = auxiliary === undefined
  return {
    target,
    state: isParameter ? 'no-counterpart' : 'derived',
    from: [],
    reason: isParameter ? 'nothing in the reference corresponds to it' : auxiliary,
    foundBy: 'rule',
    confidence: 1,
    candidates: [],
    isMissing: isParameter,
  }
}

function sourceEntries(
  source: Model,
  targets: readonly TargetEntry[],
  reasonFor: (tensor: Tensor) => string | undefined,
): SourceEntry[] {
  const uses = new Map<Tensor, TargetEntry[]>()
  for (const entry of targets)
    for (const tensor of entry.from) {
      const known = uses.get(tensor)
      if (known) known.push(entry)
      else uses.set(tensor, [entry])
    }
  return source.tensors.map((tensor): SourceEntry => {
    const used = uses.get(tensor)
    if (used) {
      const into = used.map(({ target }) => target.name)
      const [first] = used
      return {
        source: tensor,
        state: used.length > 1 && first!.state === 'mapped' ? 'split' : first!.state,
        into,
        reason: first!.reason,
        isLost: first!.state === 'ambiguous',
      }
    }
    const reason = reasonFor(tensor)
    if (reason !== undefined) {
      const isCopy = /^(optimiser|averaged)/.test(reason)
      return { source: tensor, state: isCopy ? 'dropped' : 'derived', into: [], reason, isLost: false }
    }
    return {
      source: tensor,
      state: 'no-counterpart',
      into: [],
      reason: 'nothing in the target corresponds to it',
      isLost: true,
    }
  })
}
