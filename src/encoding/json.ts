import type { ByteSource } from '../bytes/byte-source.ts'
import type { Limits } from '../bytes/limits.ts'
import { FormatError } from '../errors.ts'
import type { JsonValue } from './json-value.ts'

/**
 * The JSON document in `source`.
 * @throws {FormatError} LIMIT_EXCEEDED above `limits.maxHeaderBytes`; INVALID_FIELD when it is not JSON
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
  return parseJson(source.name, await source.read(0, source.size))
}

/** Parses JSON text; `base` is the offset of `bytes` in the file, for the error message. */
export function parseJson(file: string, bytes: Uint8Array, base = 0): JsonValue {
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
  try {
    return JSON.parse(text) as JsonValue
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
}

/** A JSON object, or undefined for anything else. */
export function asObject(value: JsonValue | undefined): { readonly [key: string]: JsonValue } | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as { readonly [key: string]: JsonValue })
    : undefined
}
