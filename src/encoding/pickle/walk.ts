import type { Limits } from '../../bytes/limits.ts'
import { FormatError } from '../../errors.ts'
import { asText, isContainer, type PickleContainer, type PickleValue } from './values.ts'

/** Something found in a pickle, under the path of keys that leads to it. */
export interface Found<Leaf> {
  /** keys, list positions and attribute names from the root */
  readonly path: readonly string[]
  readonly leaf: Leaf
}

/** How a walk understands values. */
export interface WalkRules<Leaf> {
  /** what is looked for; asked once per container, before its children */
  leaf(value: PickleContainer): Leaf | undefined
  /** children under their names; default `childrenOf` */
  children?(value: PickleContainer): Iterable<readonly [string, PickleValue]>
}

/** The yardstick of work: what the pickle holds, and how far following shared references may exceed it. */
export interface WalkBounds {
  readonly file: string
  /** of the pickle, from its `PickleResult` */
  readonly opcodes: number
  readonly limits: Limits
}

/** A value may be reached through this many names on average: tied modules, a model inside its own optimizer. */
const MAX_SHARING = 16
const FREE_STEPS = 10_000

/**
 * All leaves below `root` with their paths, in file order; a leaf that is reached in two ways is found twice.
 *
 * A structure that contains itself is followed once round; one that doubles itself through shared references ("billion
 * laughs") ends in an error after a number of steps in proportion to what the pickle holds. Parts without leaves cost
 * one look.
 *
 * @throws {FormatError} LIMIT_EXCEEDED
 */
export function* walkPickle<Leaf>(
  root: PickleValue,
  rules: WalkRules<Leaf>,
  bounds: WalkBounds,
): Generator<Found<Leaf>> {
  if (!isContainer(root)) return
  const children = rules.children ?? childrenOf
  const leaves = new Map<PickleContainer, Leaf>()
  const leading = findLeading(root, (value) => rules.leaf(value), children, leaves)
  const active = new Set<PickleContainer>()
  const path: string[] = []
  let steps = bounds.opcodes * MAX_SHARING + FREE_STEPS

  function* visit(value: PickleContainer): Generator<Found<Leaf>> {
    if (!leading.has(value) || active.has(value)) return
    if (steps < 0)
      throw beyond(bounds, 'shared structures', 'each few times', 'a structure that repeats itself without end')
    if (path.length > bounds.limits.maxDepth) {
      throw beyond(
        bounds,
        'nesting',
        `at most ${bounds.limits.maxDepth} levels`,
        `more, at ${path.slice(0, 8).join('.')}`,
      )
    }
    const leaf = leaves.get(value)
    if (leaf !== undefined) {
      yield { path: [...path], leaf }
      return
    }
    active.add(value)
    for (const [name, child] of children(value)) {
      steps--
      if (!isContainer(child)) continue
      path.push(name)
      yield* visit(child)
      path.pop()
    }
    active.delete(value)
  }
  yield* visit(root)
}

/** The containers from which a leaf can be reached, found without recursion: depth is no matter here. */
function findLeading<Leaf>(
  root: PickleContainer,
  leafOf: (value: PickleContainer) => Leaf | undefined,
  children: (value: PickleContainer) => Iterable<readonly [string, PickleValue]>,
  leaves: Map<PickleContainer, Leaf>,
): Set<PickleContainer> {
  const parents = new Map<PickleContainer, PickleContainer[]>([[root, []]])
  const pending = [root]
  for (let value = pending.pop(); value; value = pending.pop()) {
    const leaf = leafOf(value)
    if (leaf !== undefined) {
      leaves.set(value, leaf)
      continue
    }
    for (const [, child] of children(value)) {
      if (!isContainer(child)) continue
      const known = parents.get(child)
      if (known) known.push(value)
      else {
        parents.set(child, [value])
        pending.push(child)
      }
    }
  }
  const leading = new Set<PickleContainer>(leaves.keys())
  const upward = [...leaves.keys()]
  for (let value = upward.pop(); value; value = upward.pop()) {
    for (const parent of parents.get(value) ?? []) {
      if (leading.has(parent)) continue
      leading.add(parent)
      upward.push(parent)
    }
  }
  return leading
}

/**
 * The parts of a container under the names that Python code would use: keys of a dict, positions in a list, attributes
 * of an object. Of a call that is not understood, the arguments are `args.N`.
 */
export function* childrenOf(value: PickleContainer): Generator<readonly [string, PickleValue]> {
  switch (value.kind) {
    case 'list':
    case 'tuple':
    case 'set':
      yield* numbered(value.items)
      break
    case 'dict': {
      yield* keyed(value.entries)
      if (value.state !== undefined) yield* attributes(value.state)
      break
    }
    case 'object': {
      if (value.state !== undefined) yield* attributes(value.state)
      if (value.entries) yield* keyed(value.entries)
      if (value.items) yield* numbered(value.items)
      for (const [index, argument] of value.args.entries()) yield [`args.${index}`, argument]
      break
    }
    case 'persistent':
    case 'global':
    case 'bytes':
      break
    default:
      value satisfies never
  }
}

/** Attributes of an object: its `__dict__`, or a pair of `__dict__` and slots, or whatever its class keeps. */
function* attributes(state: PickleValue): Generator<readonly [string, PickleValue]> {
  if (!isContainer(state)) return
  if (state.kind === 'tuple' && state.items.length === 2 && state.items.every(isDictOrNone)) {
    for (const part of state.items) yield* attributes(part)
  } else yield* childrenOf(state)
}

const isDictOrNone = (value: PickleValue) => value === null || (isContainer(value) && value.kind === 'dict')

function* numbered(items: readonly PickleValue[]): Generator<readonly [string, PickleValue]> {
  for (let index = 0; index < items.length; index++) yield [String(index), items[index]!]
}

function* keyed(entries: ReadonlyMap<PickleValue, PickleValue>): Generator<readonly [string, PickleValue]> {
  let position = 0
  for (const [key, value] of entries) yield [keyName(key, position++), value]
}

/**
 * A dict key as part of a name, as Python's `str` has it: text and numbers as they are, `b'name'` for bytes, `(1, 2)` for
 * a short tuple; its position for anything longer.
 */
export function keyName(key: PickleValue, position: number): string {
  if (key === null) return 'None'
  if (key === true) return 'True'
  if (key === false) return 'False'
  if (!isContainer(key)) return String(key)
  const text = key.kind === 'bytes' ? asText(key) : undefined
  if (text !== undefined && text.length < 200) return `b'${text}'`
  if (key.kind === 'tuple' && key.items.length <= 8 && !key.items.some(isContainer)) {
    return `(${key.items.map((item) => String(item).slice(0, 100)).join(', ')})`
  }
  return `[${position}]`
}

function beyond(bounds: WalkBounds, what: string, expected: string, found: string): FormatError {
  return new FormatError({
    code: 'LIMIT_EXCEEDED',
    file: bounds.file,
    what: `pickle: ${what}`,
    expected,
    found,
    hint: 'No known model is built like this; treat the file as hostile.',
  })
}

/** A path as a tensor name: joined by dots; the position in a list at the root stands in brackets. */
export function pathName(path: readonly string[], root: PickleValue): string {
  const isList = isContainer(root) && (root.kind === 'list' || root.kind === 'tuple' || root.kind === 'set')
  const [first, ...rest] = path
  return first === undefined ? '' : [isList ? `[${first}]` : first, ...rest].join('.')
}
