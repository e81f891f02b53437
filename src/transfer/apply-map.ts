import { ToolError } from '../errors.ts'
import type { Model } from '../model/model.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { type Expression, inputsOf, printExpression, shapeOf } from './expression.ts'
import type { LedgerState, TargetEntry } from './ledger.ts'
import { parseExpression } from './parse-expression.ts'

/** One line of a mapping file. */
export interface MapEntry {
  readonly target: string
  readonly from: readonly string[]
  /** null leaves the target's values as they are */
  readonly transform: string | null
  readonly state: LedgerState
  readonly reason: string
}

/**
 * The ledger with a person's entries in place of those that were found. An entry that says what was found anyway stays
 * as it is, so that a mapping file given back unchanged changes nothing.
 * @throws {ToolError} INVALID_MAP with the place: `entries[3].transform`
 */
export function applyMap(found: readonly TargetEntry[], source: Model, edits: readonly MapEntry[]): TargetEntry[] {
  const byName = new Map(source.tensors.map((tensor) => [tensor.name, tensor]))
  const targets = new Set(found.map(({ target }) => target.name))
  const edited = new Map<string, { edit: MapEntry; at: number }>()
  for (const [at, edit] of edits.entries()) {
    if (!targets.has(edit.target)) throw invalidMap(at, 'target', `the target has no tensor "${edit.target}"`)
    if (edited.has(edit.target)) throw invalidMap(at, 'target', `"${edit.target}" is already in an entry before`)
    edited.set(edit.target, { edit, at })
  }
  return found.map((entry) => {
    const mine = edited.get(entry.target.name)
    return mine === undefined || saysTheSame(mine.edit, entry) ? entry : withEdit(entry, mine.edit, mine.at, byName)
  })
}

function saysTheSame({ from, transform, state }: MapEntry, entry: TargetEntry): boolean {
  const names = entry.from.map(({ name }) => name)
  const text = entry.expression ? printExpression(entry.expression) : null
  return transform === text && from.join('\n') === names.join('\n') && state === entry.state
}

function withEdit(entry: TargetEntry, edit: MapEntry, at: number, sources: ReadonlyMap<string, Tensor>): TargetEntry {
  const from = edit.from.map((name, index) => {
    const tensor = sources.get(name)
    if (tensor === undefined) throw invalidMap(at, `from[${index}]`, `the source has no tensor "${name}"`)
    return tensor
  })
  const changed = {
    target: entry.target,
    reason: edit.reason,
    foundBy: 'map-file',
    confidence: 1,
    candidates: [],
  } as const
  if (edit.transform === null) {
    // left alone on purpose: a person says so and why
    const isMissing = edit.state !== 'dropped' && edit.state !== 'derived'
    return { ...changed, state: edit.state, from: [], isMissing }
  }
  const expression = parse(edit.transform, at)
  for (const index of inputsOf(expression))
    if (index >= from.length)
      throw invalidMap(at, 'transform', `$${index} is used, but "from" names ${from.length} tensors`)
  const shape = check(expression, from, at)
  if (shape.join() !== entry.target.shape.join())
    throw invalidMap(
      at,
      'transform',
      `gives shape [${shape.join(', ')}], "${edit.target}" has [${entry.target.shape.join(', ')}]`,
    )
  const state = edit.state === 'ambiguous' ? 'mapped' : edit.state
  return { ...changed, state, from, expression, isMissing: false }
}

function parse(text: string, at: number): Expression {
  try {
    return parseExpression(text)
  } catch (error) {
    throw invalidMap(at, 'transform', (error as Error).message)
  }
}

function check(expression: Expression, from: readonly Tensor[], at: number): readonly number[] {
  try {
    return shapeOf(
      expression,
      from.map(({ shape }) => shape),
    )
  } catch (error) {
    throw invalidMap(at, 'transform', (error as Error).message)
  }
}

function invalidMap(at: number, field: string, message: string): ToolError {
  return new ToolError('INVALID_MAP', `entries[${at}].${field}: ${message}`)
}
