import type { AttributeValue, Node } from '../model/graph.ts'

type Attributes = Node['attributes'] | undefined

/** A whole or real number under the first of `names` that has one. */
export function findNumber(attributes: Attributes, ...names: readonly string[]): number | undefined {
  for (const name of names) {
    const value = asNumber(attributes?.[name])
    if (value !== undefined) return value
  }
  return undefined
}

/** A list of numbers; a single number counts as a list of one. */
export function findNumbers(attributes: Attributes, ...names: readonly string[]): number[] | undefined {
  for (const name of names) {
    const value = attributes?.[name]
    const single = asNumber(value)
    if (single !== undefined) return [single]
    if (!Array.isArray(value)) continue
    const list = value.map(asNumber)
    if (list.every((item) => item !== undefined)) return list
  }
  return undefined
}

export function findText(attributes: Attributes, ...names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = attributes?.[name]
    if (typeof value === 'string') return value
  }
  return undefined
}

/** A boolean, also as 0 / 1. */
export function findFlag(attributes: Attributes, ...names: readonly string[]): boolean | undefined {
  for (const name of names) {
    const value = attributes?.[name]
    if (typeof value === 'boolean') return value
    const number = asNumber(value)
    if (number !== undefined) return number !== 0
    if (value === 'true' || value === 'false') return value === 'true'
  }
  return undefined
}

/** A nested record, e.g. Caffe's `convolution_param` or a Keras layer's `config`. */
export function findRecord(attributes: Attributes, ...names: readonly string[]): Node['attributes'] | undefined {
  for (const name of names) {
    const value = attributes?.[name]
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value as Node['attributes']
  }
  return undefined
}

function asNumber(value: AttributeValue | undefined): number | undefined {
  if (typeof value === 'number') return value
  if (typeof value === 'bigint') return Number(value)
  return undefined
}

/** `list` made `length` long by repeating its only item (`3` means `[3, 3]`). */
export function spread(list: readonly number[] | undefined, length: number): number[] | undefined {
  if (list === undefined || list.length === 0) return undefined
  return list.length === 1 ? new Array<number>(length).fill(list[0]!) : [...list]
}

/** Only the entries that have a value, so that absent stays absent under exactOptionalPropertyTypes. */
export function defined<T extends object>(entries: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined)) as never
}
