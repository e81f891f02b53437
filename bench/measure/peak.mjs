import { readFileSync } from 'node:fs'

/** Highest resident memory of this process so far, in bytes. */
export function peakBytes() {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024
  } catch {
    // No /proc: the system's own count, which may include the process that started this one.
    return process.resourceUsage().maxRSS * 1024
  }
}

/** Ends a measurement: the line that the benchmark reads. */
export function report(values) {
  console.log(JSON.stringify({ ...values, peakBytes: peakBytes() }))
}
