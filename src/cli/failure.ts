import { InternalError, ToolError } from '../errors.ts'
import { printable } from '../report/printable.ts'

/** What stderr says of a failure. */
export function describeFailure(error: unknown): string {
  if (error instanceof ToolError) return `modelwright: ${printable(error.message)}`
  const { message, stack } = error instanceof Error ? error : new InternalError(String(error))
  return `modelwright: Internal error: ${message}. This is a bug in Modelwright; please report it with the lines below.\n${stack}`
}
