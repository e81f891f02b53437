/**
 * What the process's exit status means. Commands return one; only `main.ts` sets it. A run that Ctrl-C ends has the
 * status that the shell gives to it, 130: nothing half-written is left (`host/temporary-paths.ts`).
 */
export const ExitCode = {
  /** ran, and found nothing to report */
  clean: 0,
  /** ran, and found a difference or a finding */
  found: 1,
  /** could not run, or nothing was compared: wrong usage, unreadable file, internal error */
  failed: 2,
} as const

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]
