import type { Console } from './command.ts'

/** A line on stderr that says what is being done; drawn only where a person watches. */
export interface StageLine {
  stage(text: string): void
  /** Clears the line; may be called more than once. */
  done(): void
}

/** Progress as words: `comparing weights ...`. */
export function stageLine(console: Console): StageLine {
  let drawn = false
  return {
    stage(text) {
      if (!console.interactive) return
      console.err(`\r\x1b[K${text} ...`)
      drawn = true
    },
    done() {
      if (drawn) console.err('\r\x1b[K')
      drawn = false
    },
  }
}

/** Progress of a long read as a bar: `[######    ]  62 %  reading values`. At most one drawing per percent. */
export function progressBar(
  console: Console,
  what: string,
): { update(done: number, total: number): void; done(): void } {
  let last = -1
  return {
    update(done, total) {
      const percent = total > 0 ? Math.min(100, Math.floor((100 * done) / total)) : 100
      if (!console.interactive || percent === last) return
      last = percent
      const filled = Math.round(percent / 5)
      console.err(`\r\x1b[K[${'#'.repeat(filled)}${' '.repeat(20 - filled)}] ${String(percent).padStart(3)} %  ${what}`)
    },
    done() {
      if (last >= 0) console.err('\r\x1b[K')
      last = -1
    },
  }
}
