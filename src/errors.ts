/**
 * Two families of failure. A `ToolError` is something the user can act on; its `code` is stable and its message is for
 * people. An `InternalError` is a bug in Modelwright, and is deliberately not a `ToolError`, so that nothing which
 * handles user faults swallows it.
 */
export class ToolError<Code extends string = string> extends Error {
  override readonly name: string = 'ToolError'
  readonly code: Code
  constructor(code: Code, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

/** A bug in Modelwright, never the user's fault. */
export class InternalError extends Error {
  override readonly name = 'InternalError'
}

/**
 * What can be wrong with a file.
 *
 * - `NOT_RECOGNISED`: no reader knows these bytes
 * - `UNSUPPORTED_FORMAT`: recognised, named, but not a format that we read
 * - `UNSUPPORTED_FEATURE`: our format, with something in it that the reader does not handle
 * - `TRUNCATED`: bytes end before what the file promises
 * - `INVALID_FIELD`: a field contradicts the format or the rest of the file
 * - `LIMIT_EXCEEDED`: a size, count or depth is beyond the stated limit
 * - `MISSING_FILE`: a partner file (shard, external data, weights) is not there
 * - `UNSAFE`: the file tries to leave its folder or to make the reader execute something
 */
export type FormatCode =
  | 'NOT_RECOGNISED'
  | 'UNSUPPORTED_FORMAT'
  | 'UNSUPPORTED_FEATURE'
  | 'TRUNCATED'
  | 'INVALID_FIELD'
  | 'LIMIT_EXCEEDED'
  | 'MISSING_FILE'
  | 'UNSAFE'

/** The parts from which the one sentence of a `FormatError` is built. */
export interface FormatErrorParts {
  code: FormatCode
  /** path or name of the file at fault */
  file: string
  /** what was being read, e.g. `header length` or `tensor "conv1.weight"` */
  what: string
  /** absolute byte offset in `file` */
  byteOffset?: number | undefined
  expected?: string | undefined
  found?: string | undefined
  /** what to do about it; a full sentence */
  hint?: string | undefined
  cause?: unknown
}

/** A file that cannot be read. Message: `<file>: <what> at byte <n>: expected <x>, found <y>. <hint>`. */
export class FormatError extends ToolError<FormatCode> {
  override readonly name = 'FormatError'
  readonly file: string
  readonly byteOffset: number | undefined

  constructor(parts: FormatErrorParts) {
    super(parts.code, formatMessage(parts), parts.cause === undefined ? undefined : { cause: parts.cause })
    this.file = parts.file
    this.byteOffset = parts.byteOffset
  }
}

function formatMessage({ file, what, byteOffset, expected, found, hint }: FormatErrorParts): string {
  let text = `${file}: ${what}`
  if (byteOffset !== undefined) text += ` at byte ${byteOffset}`
  if (expected !== undefined) text += `: expected ${expected}`
  if (found !== undefined) text += `${expected === undefined ? ': found' : ', found'} ${found}`
  return hint === undefined ? text : `${text}. ${hint}`
}
