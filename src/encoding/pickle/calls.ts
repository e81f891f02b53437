import type { PickleDict, PickleValue } from './values.ts'
import { asSequence, isContainer } from './values.ts'

/** Copying the items of an argument costs work that the file's size does not bound: it is paid for here. */
export type Spend = (items: number) => void

/**
 * What a call of a harmless function gives, where that is plain data and nothing is needed to know it but the
 * arguments. undefined: not such a call; it stays symbolic.
 */
export function plainResult(name: string, args: readonly PickleValue[], spend: Spend): PickleValue | undefined {
  return BUILDERS[name]?.(args, spend)
}

type Builder = (args: readonly PickleValue[], spend: Spend) => PickleValue | undefined

const dict: Builder = ([from], spend) => {
  if (from === undefined) return { kind: 'dict', entries: new Map() }
  if (isContainer(from) && from.kind === 'dict') {
    spend(from.entries.size)
    return { kind: 'dict', entries: new Map(from.entries) }
  }
  const pairs = asSequence(from)
  if (!pairs) return undefined
  spend(pairs.length)
  const result: PickleDict = { kind: 'dict', entries: new Map() }
  for (const pair of pairs) {
    const sides = asSequence(pair)
    if (sides?.length !== 2) return undefined
    result.entries.set(sides[0]!, sides[1]!)
  }
  return result
}

/** `defaultdict(factory, items)`: the factory is a name and of no use to us. */
const defaultDict: Builder = ([, from], spend) => dict(from === undefined ? [] : [from], spend)

const sequence =
  (kind: 'list' | 'tuple' | 'set'): Builder =>
  ([from], spend) => {
    if (from === undefined) return { kind, items: [] }
    const items = isContainer(from) && from.kind === 'set' ? from.items : asSequence(from)
    if (!items) return undefined
    spend(items.length)
    return { kind, items: [...items] }
  }

/** `_codecs.encode(text, 'latin1')`: how protocols below 3 write bytes. */
const encode: Builder = ([text, encoding]) => {
  if (encoding !== 'latin1' && encoding !== 'latin-1') return undefined
  if (typeof text === 'string') return { kind: 'bytes', content: { text } }
  return isContainer(text) && text.kind === 'bytes' ? text : undefined
}

const bytes: Builder = ([from, encoding]) => {
  if (from === undefined) return { kind: 'bytes', content: { inline: new Uint8Array(0) } }
  if (isContainer(from) && from.kind === 'bytes') return from
  return typeof from === 'string' && encoding !== undefined ? encode([from, encoding], () => {}) : undefined
}

const both = (name: string, builder: Builder): [string, Builder][] => [
  [`builtins.${name}`, builder],
  [`__builtin__.${name}`, builder],
]

const BUILDERS: Readonly<Record<string, Builder>> = Object.assign(
  Object.create(null),
  Object.fromEntries([
    ...both('dict', dict),
    ...both('list', sequence('list')),
    ...both('tuple', sequence('tuple')),
    ...both('set', sequence('set')),
    ...both('frozenset', sequence('set')),
    ...both('bytes', bytes),
    ...both('bytearray', bytes),
    ['collections.OrderedDict', dict],
    ['collections.Counter', dict],
    ['collections.defaultdict', defaultDict],
    ['collections.deque', sequence('list')],
    ['_codecs.encode', encode],
    ['torch.Size', sequence('tuple')],
    ['torch.jit._pickle.build_intlist', sequence('list')],
    ['torch.jit._pickle.build_doublelist', sequence('list')],
    ['torch.jit._pickle.build_boollist', sequence('list')],
    ['torch.jit._pickle.build_tensorlist', sequence('list')],
    ['torch.jit._pickle.restore_type_tag', ([value]) => value],
  ]),
)
