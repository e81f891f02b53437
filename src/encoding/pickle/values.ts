/**
 * What a pickle holds, as plain data. Python's own containers become the kinds below; everything that Python would
 * import or call stays symbolic: a `PickleGlobal` is a name and a `PickleObject` a call that nobody made.
 *
 * Containers are shared where the pickle shares them and may contain themselves: code that follows them goes through
 * `walk.ts` or `to-json.ts`, which are bounded.
 */
export type PickleValue = null | boolean | number | bigint | string | PickleContainer

export type PickleContainer =
  | PickleBytes
  | PickleList
  | PickleTuple
  | PickleSet
  | PickleDict
  | PickleGlobal
  | PickleObject
  | PicklePersistent

/**
 * Bytes. Long ones are left in the file, so that opening a file does not read the arrays inside its pickle; text that
 * stands for bytes (`_codecs.encode(text, 'latin1')`, how protocol 2 writes them) is decoded when it is asked for.
 */
export interface PickleBytes {
  readonly kind: 'bytes'
  readonly content:
    | { readonly inline: Uint8Array }
    /** each character is one byte */
    | { readonly text: string }
    /** absolute, in the source of the pickle; `utf8` where each character of UTF-8 text is one byte */
    | { readonly offset: number; readonly length: number; readonly encoding: 'raw' | 'utf8' }
}

export interface PickleList {
  readonly kind: 'list'
  readonly items: PickleValue[]
}

export interface PickleTuple {
  readonly kind: 'tuple'
  readonly items: readonly PickleValue[]
}

export interface PickleSet {
  readonly kind: 'set'
  readonly items: PickleValue[]
}

/** A dict of any class (OrderedDict, defaultdict, Counter); keys that are containers compare by identity. */
export interface PickleDict {
  readonly kind: 'dict'
  readonly entries: Map<PickleValue, PickleValue>
  /** attributes set on the dict object itself, e.g. `_metadata` of a state dict */
  state?: PickleValue
}

/** A class or function by name; never looked up. */
export interface PickleGlobal {
  readonly kind: 'global'
  /** `module.qualified.name`, as the pickle spells it */
  readonly name: string
}

/** The result that a call would have had: `callable(*args)`, then what the pickle put into it. */
export interface PickleObject {
  readonly kind: 'object'
  /** usually a global; an object when the pickle calls the result of a call */
  readonly callable: PickleValue
  /** `call`: a function or class called; `new`: an instance made without its constructor */
  readonly how: 'call' | 'new'
  readonly args: readonly PickleValue[]
  readonly keywords?: PickleValue
  /** argument of BUILD: `__setstate__` or the instance's attributes */
  state?: PickleValue
  /** appended or added items, where the object acts as a list or set */
  items?: PickleValue[]
  /** items set by key, where the object acts as a dict */
  entries?: Map<PickleValue, PickleValue>
  /** of the opcode that makes the call, in the source of the pickle */
  readonly offset: number
}

/** Something that the pickle leaves to its loader: torch's storages. */
export interface PicklePersistent {
  readonly kind: 'persistent'
  readonly id: PickleValue
}

/** Whether `value` is anything but a plain number, text, truth value or None. */
export function isContainer(value: PickleValue | undefined): value is PickleContainer {
  return typeof value === 'object' && value !== null
}

/** The value as a dict, or undefined. */
export function asDict(value: PickleValue | undefined): PickleDict | undefined {
  return isContainer(value) && value.kind === 'dict' ? value : undefined
}

/** The items of a list or tuple, or undefined. */
export function asSequence(value: PickleValue | undefined): readonly PickleValue[] | undefined {
  return isContainer(value) && (value.kind === 'list' || value.kind === 'tuple') ? value.items : undefined
}

/** Name of the class or function that an object comes from, where it is a plain global. */
export function callableName(value: PickleValue | undefined): string | undefined {
  if (!isContainer(value) || value.kind !== 'object') return undefined
  return isContainer(value.callable) && value.callable.kind === 'global' ? value.callable.name : undefined
}

/** A whole number that JavaScript holds exactly, or undefined. */
export function asInteger(value: PickleValue | undefined): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined
}

/** Text, also where Python 2 wrote it as bytes. */
export function asText(value: PickleValue | undefined): string | undefined {
  if (typeof value === 'string') return value
  if (!isContainer(value) || value.kind !== 'bytes') return undefined
  if ('inline' in value.content) return new TextDecoder().decode(value.content.inline)
  return 'text' in value.content ? value.content.text : undefined
}
