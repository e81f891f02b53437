import type { Model } from '../model/model.ts'
import { isFloat } from '../tensor/dtype.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { tieKey } from '../tensor/ties.ts'
import type { Ledger, SourceEntry, TargetEntry } from './ledger.ts'
import { mapUnits } from './map-units.ts'
import { unitsOf } from './model-units.ts'

export interface TransferOptions {
  /** height and width change places in every kernel: ports of MATLAB-trained Caffe models work on transposed pictures */
  readonly swapsHeightAndWidth?: boolean
}

/**
 * Finds for every tensor of the target what it is made of, without looking at the target's values, and for every tensor
 * of the source what it went into. Reads no values but small constants of the graphs.
 */
export async function planTransfer(source: Model, target: Model, options: TransferOptions = {}): Promise<Ledger> {
  const [from, to] = [await unitsOf(source), await unitsOf(target)]
  const { entries } = mapUnits(from, to, { swapsHeightAndWidth: options.swapsHeightAndWidth ?? false })
  const byTarget = new Map<Tensor, TargetEntry>()
  for (const entry of entries) if (!byTarget.has(entry.target)) byTarget.set(entry.target, entry)
  const ties = tiesOf(target, byTarget)
  const targets = target.tensors.map(
    (tensor) => byTarget.get(tensor) ?? ties(tensor) ?? unmapped(tensor, to.auxiliary.get(tensor)),
  )
  return { targets, sources: sourceEntries(source, targets, from.auxiliary), notes: [] }
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
  const isParameter = auxiliary === undefined && (isFloat(target.dtype) || target.quantization !== undefined)
  return {
    target,
    state: isParameter ? 'no-counterpart' : 'derived',
    from: [],
    reason: isParameter
      ? 'nothing in the reference corresponds to it; its values were left as they are'
      : `left as it is: ${auxiliary ?? 'no parameter'}`,
    foundBy: 'rule',
    confidence: 1,
    candidates: [],
    isMissing: isParameter,
  }
}

function sourceEntries(
  source: Model,
  targets: readonly TargetEntry[],
  auxiliary: ReadonlyMap<Tensor, string>,
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
    const reason = auxiliary.get(tensor)
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
