import { type Profiler, Session } from 'node:inspector'

/** Offsets of the readers' source text that ran, by function. */
export type Covered = ReadonlyMap<string, Uint8Array>

/** Block coverage of `src/` in this thread, as V8 counts it. */
export interface Coverage {
  /** what ran since the last call */
  take(): Covered
  /** whether `covered` holds text that no merged one held */
  isNew(covered: Covered): boolean
  merge(covered: Covered): void
  /** characters of source that ran so far */
  readonly size: number
}

/** Starts counting; optimised code is discarded by V8, so everything runs slower from here on. */
export function startCoverage(): Coverage {
  const session = new Session()
  session.connect()
  session.post('Profiler.enable')
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  const known = new Map<string, Uint8Array>()
  let size = 0
  return {
    take() {
      let scripts: readonly Profiler.ScriptCoverage[] = []
      // The inspector of one's own thread answers before `post` returns.
      session.post('Profiler.takePreciseCoverage', (error, { result }) => {
        if (error === null) scripts = result
      })
      const covered = new Map<string, Uint8Array>()
      for (const { url, scriptId, functions } of scripts) {
        if (!url.includes('/src/')) continue
        for (const { ranges, isBlockCoverage } of functions) {
          const [whole] = ranges
          if (whole === undefined || whole.count === 0 || (whole.startOffset === 0 && ranges.length === 1)) continue
          const ran = new Uint8Array(whole.endOffset - whole.startOffset).fill(1)
          for (const { startOffset, endOffset, count } of isBlockCoverage ? ranges : []) {
            ran.fill(count > 0 ? 1 : 0, startOffset - whole.startOffset, endOffset - whole.startOffset)
          }
          covered.set(`${scriptId}:${whole.startOffset}:${whole.endOffset}`, ran)
        }
      }
      return covered
    },
    isNew(covered) {
      for (const [key, ran] of covered) {
        const before = known.get(key)
        if (before === undefined || ran.some((value, index) => value > before[index]!)) return true
      }
      return false
    },
    merge(covered) {
      for (const [key, ran] of covered) {
        const before = known.get(key) ?? new Uint8Array(ran.length)
        for (let index = 0; index < ran.length; index++) {
          if (ran[index] && !before[index]) {
            before[index] = 1
            size++
          }
        }
        known.set(key, before)
      }
    },
    get size() {
      return size
    },
  }
}
