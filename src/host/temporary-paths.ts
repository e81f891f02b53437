import { rmSync } from 'node:fs'

/** Paths that must not outlive an interrupted run. */
const temporary = new Set<string>()
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Makes a file or folder that from now on until `forgetTemporary` is removed when the process ends by Ctrl-C, by a
 * request to terminate, or in any other way that lets it act. The signal then takes its usual course.
 *
 * @param make synchronous, and must fail where there is something already: our listeners stand before it runs, since a
 *   signal without a listener ends the process at once, and they run only after it has returned
 */
export function makeTemporary(path: string, make: () => void): void {
  if (temporary.size === 0) {
    process.on('exit', removeAll)
    for (const signal of SIGNALS) process.on(signal, endBySignal)
  }
  temporary.add(path)
  try {
    make()
  } catch (error) {
    forgetTemporary(path)
    throw error
  }
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
