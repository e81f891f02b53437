import type { Attributes } from '../../encoding/hdf5/open-hdf5.ts'

/** Old files spread a list over `name0`, `name1` ... because a header holds 64 KiB; no file known has more than 20. */
const MAX_PARTS = 10_000

/** A list of texts from an attribute, put together where Keras had to cut it; undefined when there is none. */
export async function readNames(attributes: Attributes, name: string): Promise<readonly string[] | undefined> {
  const whole = await readTextList(attributes, name)
  if (whole !== undefined) return whole
  const parts: string[] = []
  for (let index = 0; index < MAX_PARTS; index++) {
    const part = await readTextList(attributes, `${name}${index}`)
    if (part === undefined) return index === 0 ? undefined : parts
    for (const text of part) parts.push(text)
  }
  return parts
}

async function readTextList(attributes: Attributes, name: string): Promise<readonly string[] | undefined> {
  const value = await attributes.get(name)
  // An empty list is stored as an empty array of numbers.
  if (!Array.isArray(value)) return typeof value === 'string' ? [value] : undefined
  return (value as readonly unknown[]).filter((item): item is string => typeof item === 'string')
}

/** A text attribute. */
export async function readText(attributes: Attributes, name: string): Promise<string | undefined> {
  const value = await attributes.get(name)
  return typeof value === 'string' ? value : undefined
}
