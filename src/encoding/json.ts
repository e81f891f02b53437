import type { ByteSource } from '../bytes/byte-source.ts'
import { DEFAULT_LIMITS, type Limits } from '../bytes/limits.ts'
import { FormatError } from '../errors.ts'
import type { JsonValue } from './json-value.ts'

/**
 * The JSON document in `source`.
 * @throws {FormatError} LIMIT_EXCEEDED above `limits.maxHeaderBytes` or below `limits.maxDepth` levels; INVALID_FIELD
 *   when it is not JSON
 */
export async function readJson(source: ByteSource, limits: Limits): Promise<JsonValue> {
  if (source.size > limits.maxHeaderBytes) {
    throw new FormatError({
      code: 'LIMIT_EXCEEDED',
      file: source.name,
      what: 'JSON document',
      expected: `at most ${limits.maxHeaderBytes} bytes`,
      found: String(source.size),
    })
  }
  return parseJson(source.name, await source.read(0, source.size), 0, limits.maxDepth)
}

/** Whoever walks the document later may do it by recursion. */
function checkDepth(file: string, root: JsonValue, maxDepth: number): void {
  let level: readonly JsonValue[] = [root]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > maxDepth) {
      const limit = { expected: `at most ${maxDepth} levels`, found: 'more' }
      throw new FormatError({ code: 'LIMIT_EXCEEDED', file, what: 'nesting of the JSON document', ...limit })
    }
    level = level.flatMap((value) => (typeof value === 'object' && value !== null ? Object.values(value) : []))
  }
}

/**
 * Parses JSON text. What it returns is shallow enough to be walked, or printed, by recursion.
 *
 * @param base offset of `bytes` in the file, for the error message
 * @throws {FormatError} INVALID_FIELD when it is not JSON; LIMIT_EXCEEDED below `maxDepth` levels
 */
export function parseJson(
  file: string,
  bytes: Uint8Array,
  base = 0,
  maxDepth: number = DEFAULT_LIMITS.maxDepth,
): JsonValue {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new FormatError({
      code: 'INVALID_FIELD',
      file,
      what: 'JSON document',
      byteOffset: base,
      expected: 'UTF-8 text',
      found: 'other bytes',
      cause,
    })
  }
  let value: JsonValue
  try {
    value = JSON.parse(text) as JsonValue
  } catch (cause) {
    const at = /position (\d+)/.exec((cause as Error).message)?.[1]
    const found = (cause as Error).message
    throw new FormatError({
      code: 'INVALID_FIELD',
      file,
      what: 'JSON document',
      byteOffset: base + Number(at ?? 0),
      expected: 'JSON',
      found,
      cause,
    })
  }
  checkDepth(file, value, maxDepth)
  return value
}

/** A JSON object, or undefined for anything else. */
export function asObject(value: JsonValue | undefined): { readonly [key: string]: JsonValue } | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as { readonly [key: string]: JsonValue })
    : undefined
}
