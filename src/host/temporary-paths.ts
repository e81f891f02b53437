import { rmSync } from 'node:fs'

/** Paths that must not outlive an interrupted run. */
const temporary = new Set<string>()
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * From now until `forgetTemporary`, `path` (a file or folder) is removed when the process ends by Ctrl-C, by a request
 * to terminate, or by any other way that lets it act. The signal then takes its usual course.
 */
export function noteTemporary(path: string): void {
  if (temporary.size === 0) {
    process.on('exit', removeAll)
    for (const signal of SIGNALS) process.on(signal, endBySignal)
  }
  temporary.add(path)
}

/** The path is final, or gone. */
export function forgetTemporary(path: string): void {
  if (temporary.delete(path) && temporary.size === 0) stopWatching()
}

function stopWatching(): void {
  process.off('exit', removeAll)
  for (const signal of SIGNALS) process.off(signal, endBySignal)
}

function removeAll(): void {
  for (const path of temporary) rmSync(path, { force: true, recursive: true })
  temporary.clear()
}

function endBySignal(signal: NodeJS.Signals): void {
  removeAll()
  stopWatching()
  // Without our listener the signal does what it would have done; another's listener has had its turn already.
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal)
}
