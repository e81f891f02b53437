import type { JsonValue } from '../json-value.ts'
import { asText, callableName, isContainer, type PickleContainer, type PickleDict, type PickleValue } from './values.ts'
import { keyName } from './walk.ts'

/** What a format makes of its own values: `{}` leaves one out, undefined leaves it to the converter. */
export type Describer = (value: PickleContainer) => { readonly json?: JsonValue } | undefined

/**
 * Settings found in a pickle as JSON. Names of classes are kept as `class`; tensors, arrays and bytes are left out
 * (they are tensors of the model, or nothing that a person reads); numbers that JSON lacks become text.
 *
 * One converter serves a whole file, since what it may produce is bounded over all calls: structures that repeat
 * themselves through shared references, or very long lists, are cut off with `...` and `shortened` says so.
 */
export class JsonConverter {
  /** whether anything was cut off */
  shortened = false
  readonly #describe: Describer
  readonly #active = new Set<PickleContainer>()
  #left = MAX_VALUES
  #characters = MAX_CHARACTERS

  constructor(describe: Describer = () => undefined) {
    this.#describe = describe
  }

  /** Takes `value` as being converted already: what refers back to it is left out. */
  enter(value: PickleValue): void {
    if (isContainer(value)) this.#active.add(value)
  }

  /** undefined where nothing of the value is left. */
  convert(value: PickleValue | undefined, depth = 0): JsonValue | undefined {
    if (value === undefined) return undefined
    if (--this.#left < 0) return this.#cut()
    if (value === null || typeof value === 'boolean') return value
    if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
    if (typeof value === 'bigint') return this.#text(value.toString().slice(0, 5000))
    if (typeof value === 'string') return this.#text(value)
    if (depth > MAX_DEPTH) return this.#cut()
    if (this.#active.has(value)) return undefined
    this.#active.add(value)
    const described = this.#describe(value)
    const result = described ? described.json : this.#container(value, depth)
    this.#active.delete(value)
    return result
  }

  /** Entries with text keys as a JSON object; those without anything to show are left out. */
  object(entries: Iterable<readonly [PickleValue, PickleValue]>, depth = 0): Record<string, JsonValue> {
    const result: Record<string, JsonValue> = {}
    let position = 0
    for (const [key, item] of entries) {
      if (this.#left < 0) break
      const converted = this.convert(item, depth + 1)
      if (converted === undefined) continue
      const name = keyName(key, position++)
      // defineProperty: a key `__proto__` must become a key
      Object.defineProperty(result, name, { value: converted, enumerable: true, configurable: true, writable: true })
    }
    return result
  }

  #container(value: PickleContainer, depth: number): JsonValue | undefined {
    switch (value.kind) {
      case 'list':
      case 'tuple':
      case 'set':
        return this.#items(value.items, depth)
      case 'dict':
        return this.object(value.entries, depth)
      case 'global':
        return this.#text(value.name)
      case 'bytes': {
        const text = 'inline' in value.content && value.content.inline.length < 200 ? asText(value) : undefined
        return text === undefined || text.includes('\ufffd') ? undefined : this.#text(text)
      }
      case 'object':
        return this.#object(value, depth)
      case 'persistent':
        return undefined
      default:
        return value satisfies never
    }
  }

  #items(items: readonly PickleValue[], depth: number): JsonValue[] {
    const result: JsonValue[] = []
    for (const item of items) {
      if (this.#left < 0) break
      const converted = this.convert(item, depth + 1)
      if (converted !== undefined) result.push(converted)
    }
    return result
  }

  #object(value: PickleContainer & { kind: 'object' }, depth: number): JsonValue | undefined {
    const name = callableName(value)
    const settings = unwrapSettings(value)
    if (settings !== undefined) return this.convert(settings, depth)
    const known = name === undefined ? undefined : OBJECTS[name]
    const short = known?.(value.args)
    if (short !== undefined) return short
    const state = isContainer(value.state) && value.state.kind === 'dict' ? this.object(value.state.entries, depth) : {}
    const entries = value.entries ? this.object(value.entries, depth) : {}
    const merged = { ...state, ...entries }
    if (name !== undefined && PLAIN.has(name)) return merged
    const args = this.#items(value.args, depth)
    const items = value.items ? this.#items(value.items, depth) : []
    return {
      ...(name === undefined ? {} : { class: name }),
      ...(args.length > 0 ? { args } : {}),
      ...(items.length > 0 ? { items } : {}),
      ...merged,
    }
  }

  #text(text: string): string {
    if (text.length > this.#characters) {
      this.shortened = true
      return `${text.slice(0, Math.max(0, this.#characters))}...`
    }
    this.#characters -= text.length
    return text
  }

  #cut(): string {
    this.shortened = true
    return '...'
  }
}

/** A configuration of a few hundred settings has a few thousand values; what follows is a data set, not a setting. */
const MAX_VALUES = 100_000
const MAX_CHARACTERS = 4 << 20
const MAX_DEPTH = 40

/** Classes that hold settings and nothing else. */
const PLAIN = new Set(['argparse.Namespace', 'types.SimpleNamespace', 'easydict.EasyDict', 'addict.addict.Dict'])

/** OmegaConf keeps its content in `_content`, its leaves in `_val`. */
function unwrapSettings(value: PickleContainer & { kind: 'object' }): PickleValue | undefined {
  const name = callableName(value)
  if (!name?.startsWith('omegaconf.')) return undefined
  const state = value.state
  if (!isContainer(state) || state.kind !== 'dict') return undefined
  return entry(state, '_content') ?? entry(state, '_val')
}

function entry(dict: PickleDict, key: string): PickleValue | undefined {
  return dict.entries.get(key)
}

type Describe = (args: readonly PickleValue[]) => JsonValue | undefined

const path: Describe = (args) => {
  const parts = args.map((part) => asText(part) ?? '')
  return parts.join('/').replace(/^\/\//, '/').slice(0, 5000)
}

/** Ten bytes: year (big-endian), month, day, hour, minute, second, microseconds (3). */
const datetime: Describe = ([state]) => {
  const bytes = rawBytes(state)
  if (!bytes || (bytes.length !== 10 && bytes.length !== 4)) return undefined
  const [high, low, month, day, hour, minute, second] = bytes
  const two = (value: number | undefined) => String(value ?? 0).padStart(2, '0')
  const date = `${String(high! * 256 + low!).padStart(4, '0')}-${two(month! & 0x7f)}-${two(day)}`
  return bytes.length === 4 ? date : `${date}T${two(hour)}:${two(minute)}:${two(second)}`
}

function rawBytes(value: PickleValue | undefined): Uint8Array | undefined {
  if (typeof value === 'string') return Uint8Array.from(value, (character) => character.charCodeAt(0) & 0xff)
  if (!isContainer(value) || value.kind !== 'bytes') return undefined
  if ('inline' in value.content) return value.content.inline
  return 'text' in value.content ? rawBytes(value.content.text.slice(0, 64)) : undefined
}

const first: Describe = ([only]) => (typeof only === 'string' || typeof only === 'number' ? only : undefined)

const OBJECTS: Readonly<Record<string, Describe>> = Object.assign(Object.create(null), {
  'pathlib.Path': path,
  'pathlib.PosixPath': path,
  'pathlib.WindowsPath': path,
  'pathlib.PurePath': path,
  'pathlib.PurePosixPath': path,
  'pathlib.PureWindowsPath': path,
  'pathlib._local.PosixPath': path,
  'pathlib._local.WindowsPath': path,
  'datetime.datetime': datetime,
  'datetime.date': datetime,
  'torch.device': (args: readonly PickleValue[]) =>
    args.map((part) => (isContainer(part) ? '?' : String(part).slice(0, 100))).join(':'),
  'uuid.UUID': first,
  'decimal.Decimal': first,
})
