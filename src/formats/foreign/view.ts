import { startsWith } from '../../bytes/byte-reader.ts'
import type { JsonValue } from '../../encoding/json-value.ts'
import type { ForeignFile } from '../foreign.ts'
import type { Probe } from '../format.ts'

/** What the rows look at: the probe, and its head as text or JSON where it is that. */
export interface ForeignView extends Probe {
  /** first characters, when the head is text (UTF-8, or UTF-16 with a byte-order mark); undefined for binary */
  readonly text?: string
  /** whether `text` is all of the file */
  readonly isWhole: boolean
  /** the document, when the file is JSON and small enough to be seen whole */
  readonly json?: JsonValue
  /** last part of the name with its dot, `.tar.gz` as a whole; empty without one */
  readonly extension: string
}

/** A kind of file that we do not read. The first row that recognises a file names it. */
export interface ForeignRow {
  readonly when: (view: ForeignView) => boolean
  /** with article */
  readonly name: string | ((view: ForeignView) => string)
  /** a full sentence: what its owner can do */
  readonly hint: string | ((view: ForeignView) => string)
}

export function viewOf(probe: Probe): ForeignView {
  const text = probe.isFolder ? undefined : textOf(probe.head)
  const isWhole = probe.head.length === probe.size
  const json = text !== undefined && isWhole && /^\s*[[{]/.test(text) ? jsonOf(text) : undefined
  const extension = /\.(?:tar\.)?[a-z0-9_]+$/.exec(probe.fileName)?.[0] ?? ''
  return {
    ...probe,
    ...(text === undefined ? {} : { text }),
    isWhole,
    ...(json === undefined ? {} : { json }),
    extension,
  }
}

export function describe(row: ForeignRow, view: ForeignView): ForeignFile {
  const resolve = (part: string | ((view: ForeignView) => string)) => (typeof part === 'string' ? part : part(view))
  return { name: resolve(row.name), hint: resolve(row.hint) }
}

/** Recognised by its first bytes. */
export const begins =
  (magic: string | readonly number[], offset = 0) =>
  ({ head }: ForeignView): boolean =>
    startsWith(head, magic, offset)

/** Recognised by a pattern in its text. Patterns must be linear: no repeated part may match what follows it. */
export const textMatches =
  (pattern: RegExp) =>
  ({ text }: ForeignView): boolean =>
    text !== undefined && pattern.test(text)

/** Recognised by its name alone: the last resort, for formats without any signature. */
export const named =
  (...extensions: readonly string[]) =>
  ({ fileName, isFolder }: ForeignView): boolean =>
    !isFolder && extensions.some((extension) => fileName.endsWith(extension))

/** A key of a JSON object, also where only the beginning of the document is seen. */
export function hasKey({ json, text }: ForeignView, ...keys: readonly string[]): boolean {
  if (json !== undefined)
    return (
      typeof json === 'object' && json !== null && !Array.isArray(json) && keys.every((key) => Object.hasOwn(json, key))
    )
  return text !== undefined && /^\s*\{/.test(text) && keys.every((key) => text.includes(`"${key}"`))
}

/** `97 MB`, `1.3 GB`, `812 bytes`. */
export function sizeInWords(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB']
  let size = bytes
  let unit = 0
  for (; size >= 1000 && unit < units.length - 1; unit++) size /= 1000
  return `${unit === 0 || size >= 10 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`
}

/** At most five names, and how many there are. */
export function listNames(names: readonly string[]): string {
  const shown = names.slice(0, 5).map((name) => name.slice(0, 80))
  return `${shown.join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`
}

/** Control characters that text has. */
const TEXT_CONTROLS = new Set([0x09, 0x0a, 0x0c, 0x0d, 0x1b])
const SAMPLE_BYTES = 4096

function textOf(head: Uint8Array): string | undefined {
  if (head.length === 0) return undefined
  if (startsWith(head, [0xff, 0xfe]) && head.length % 2 === 0) return new TextDecoder('utf-16le').decode(head)
  if (startsWith(head, [0xfe, 0xff])) return undefined
  const sample = head.subarray(0, SAMPLE_BYTES)
  if (sample.some((byte) => byte < 0x20 && !TEXT_CONTROLS.has(byte))) return undefined
  const text = new TextDecoder('utf-8').decode(head)
  const strange = text.slice(0, SAMPLE_BYTES).split('\ufffd').length - 1
  return strange > sample.length / 50 ? undefined : text
}

function jsonOf(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue
  } catch {
    // not JSON after all: other rows look at it as text
    return undefined
  }
}
