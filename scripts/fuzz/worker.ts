import { parentPort, workerData } from 'node:worker_threads'
import { watchAllocations } from './allocations.ts'
import { type FuzzCase, type Outcome, runCase } from './case.ts'
import { decodeCase, encodeCase } from './case-file.ts'
import { type Coverage, startCoverage } from './coverage.ts'
import { explore } from './explore.ts'
import { type Counts, DEADLINE_MS, openWindow, type Reply, type Request } from './protocol.ts'

const window = openWindow(workerData as SharedArrayBuffer)
const REPORT_EVERY = 100
let coverage: Coverage | undefined

watchAllocations()
// A rejection that nobody waits for is the reader's fault too; it comes up here while the next case runs.
process.on('unhandledRejection', (error) =>
  fail('crash', `unhandled rejection ${error}`, current, String((error as Error)?.stack)),
)
let current: Uint8Array = new Uint8Array(0)
let counts = fresh()
const signatures = new Set<string>()

parentPort!.on('message', async (request: Request) => {
  if (request.kind === 'case') {
    const { milliseconds } = await guarded(decodeCase(request.encoded))
    return reply({ kind: 'case-done', milliseconds })
  }
  if (request.job.coverage) coverage ??= startCoverage()
  const { found } = await explore(request.job, coverage, async (input) => {
    const outcome = await guarded(input)
    count(outcome)
    if (outcome.verdict === 'crash' || outcome.verdict === 'memory')
      fail(outcome.verdict, outcome.signature, current, outcome.detail ?? '')
    else if (outcome.milliseconds > DEADLINE_MS) fail('hang', outcome.signature, current, `${outcome.milliseconds} ms`)
    return outcome
  })
  report()
  reply({ kind: 'done', found, covered: coverage?.size ?? 0, signatures: [...signatures] })
  signatures.clear()
})
reply({ kind: 'ready' })

/** Runs a case while it lies in the shared window, where the pool finds it if it never ends. */
async function guarded(input: FuzzCase): Promise<Outcome> {
  current = encodeCase(input)
  window.content.set(current.subarray(0, window.content.length))
  Atomics.store(window.counters, 1, Math.min(current.length, window.content.length))
  Atomics.add(window.counters, 0, 1)
  try {
    return await runCase(input)
  } finally {
    Atomics.add(window.counters, 0, 1)
  }
}

function count({ verdict, milliseconds, peakBytes, signature }: Outcome): void {
  counts.inputs++
  if (verdict === 'read') counts.read++
  else if (verdict === 'refused') counts.refused++
  else counts.other++
  counts.slowestMs = Math.max(counts.slowestMs, milliseconds)
  counts.peakBytes = Math.max(counts.peakBytes, peakBytes)
  signatures.add(signature)
  if (counts.inputs >= REPORT_EVERY) report()
}

function report(): void {
  reply({ kind: 'counts', counts })
  counts = fresh()
}

function fresh(): Counts {
  return { inputs: 0, read: 0, refused: 0, other: 0, slowestMs: 0, peakBytes: 0 }
}

function fail(kind: 'crash' | 'hang' | 'memory', signature: string, encoded: Uint8Array, detail: string): void {
  reply({ kind: 'failure', failure: { kind, format: decodeCase(encoded).format, signature, detail, encoded } })
}

function reply(message: Reply): void {
  parentPort!.postMessage(message)
}
