import { z } from 'zod'

/** A number that may be infinite or NaN inside; JSON has neither, so both become null. */
export const finite = z.number().nullable()

/** `value`, or null where JSON cannot say it. */
export function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null
}

/** Report as text: stable order of keys, two spaces, a final newline. */
export function renderJson(report: unknown): string {
  return `${JSON.stringify(report, null, 2)}\n`
}
