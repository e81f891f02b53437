import { Worker } from 'node:worker_threads'
import type { Job } from './explore.ts'
import {
  type Counts,
  createWindow,
  DEADLINE_MS,
  type Failure,
  openWindow,
  type Reply,
  type Request,
} from './protocol.ts'

/** What became of one job. */
export interface JobResult {
  readonly counts: Counts
  /** inputs that showed something new and were kept as seeds */
  readonly found: number
  readonly covered: number
  readonly signatures: readonly string[]
}

/** Old space of a worker: a case that fills it is over the memory limit, wherever it put the bytes. */
const MAX_HEAP_MB = 512
const POLL_MS = 50
/** Busy machines make any single measurement of time long; a hang is one that shows in each of these. */
const HANG_TRIALS = 3

interface Thread {
  readonly worker: Worker
  readonly shared: SharedArrayBuffer
}

/** Runs a job in a thread that is killed and replaced when a case hangs or fills the heap. */
export async function runJob(job: Job, onFailure: (failure: Failure) => void): Promise<JobResult> {
  const total: Counts = { inputs: 0, read: 0, refused: 0, other: 0, slowestMs: 0, peakBytes: 0 }
  const signatures = new Set<string>()
  let found = 0
  let covered = 0
  for (let round = 0; total.inputs < job.inputs; round++) {
    const rest: Job = {
      ...job,
      inputs: job.inputs - total.inputs,
      seed: job.seed + round * 7919,
      cuts: round === 0 ? job.cuts : 0,
    }
    const suspects: Uint8Array[] = []
    await runUntilLost(rest, {
      counts(counts) {
        for (const key of ['inputs', 'read', 'refused', 'other'] as const) total[key] += counts[key]
        total.slowestMs = Math.max(total.slowestMs, counts.slowestMs)
        total.peakBytes = Math.max(total.peakBytes, counts.peakBytes)
      },
      done(reply) {
        found += reply.found
        covered = Math.max(covered, reply.covered)
        for (const signature of reply.signatures) signatures.add(signature)
      },
      failure(failure) {
        if (failure.kind === 'hang') suspects.push(failure.encoded)
        else onFailure(failure)
      },
      lost(kind, encoded) {
        total.inputs++
        total.other++
        if (kind === 'hang') suspects.push(encoded)
        else
          onFailure({
            kind: 'memory',
            format: job.format,
            signature: 'heap',
            detail: `a heap of ${MAX_HEAP_MB} MB was full`,
            encoded,
          })
      },
    })
    for (const encoded of suspects) {
      const milliseconds = await fastest(encoded)
      if (milliseconds < DEADLINE_MS) continue
      onFailure({
        kind: 'hang',
        format: job.format,
        signature: 'deadline',
        detail: `${milliseconds} ms at best`,
        encoded,
      })
    }
  }
  return { counts: total, found, covered, signatures: [...signatures] }
}

interface Listener {
  counts(counts: Counts): void
  done(reply: Extract<Reply, { kind: 'done' }>): void
  failure(failure: Failure): void
  lost(kind: 'hang' | 'memory', encoded: Uint8Array): void
}

async function runUntilLost(job: Job, listener: Listener): Promise<void> {
  const thread = await startThread()
  await new Promise<void>((resolve, reject) => {
    const watch = watchDeadline(thread, () => {
      listener.lost('hang', currentCase(thread))
      finish()
    })
    const finish = () => {
      clearInterval(watch)
      resolve()
    }
    thread.worker.on('message', (reply: Reply) => {
      if (reply.kind === 'counts') listener.counts(reply.counts)
      if (reply.kind === 'failure') listener.failure(reply.failure)
      if (reply.kind !== 'done') return
      listener.done(reply)
      finish()
    })
    thread.worker.on('error', (error: NodeJS.ErrnoException) => {
      clearInterval(watch)
      if (error.code !== 'ERR_WORKER_OUT_OF_MEMORY') return reject(error)
      listener.lost('memory', currentCase(thread))
      resolve()
    })
    thread.worker.postMessage({ kind: 'job', job } satisfies Request)
  })
  await thread.worker.terminate()
}

/** Milliseconds that a case takes alone in fresh threads, at best; the deadline and more when it never ends. */
async function fastest(encoded: Uint8Array): Promise<number> {
  let best = Number.POSITIVE_INFINITY
  for (let trial = 0; trial < HANG_TRIALS && best >= DEADLINE_MS; trial++) {
    const thread = await startThread()
    const milliseconds = await new Promise<number>((resolve) => {
      const watch = watchDeadline(thread, () => {
        clearInterval(watch)
        resolve(DEADLINE_MS)
      })
      thread.worker.on('error', () => resolve(DEADLINE_MS))
      thread.worker.on('message', (reply: Reply) => {
        if (reply.kind !== 'case-done') return
        clearInterval(watch)
        resolve(reply.milliseconds)
      })
      thread.worker.postMessage({ kind: 'case', encoded } satisfies Request)
    })
    await thread.worker.terminate()
    best = Math.min(best, milliseconds)
  }
  return best
}

async function startThread(): Promise<Thread> {
  const shared = createWindow()
  const worker = new Worker(new URL('./start-worker.mjs', import.meta.url), {
    workerData: shared,
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  })
  await new Promise<void>((resolve, reject) => {
    worker.once('message', () => resolve())
    worker.once('error', reject)
  })
  worker.removeAllListeners('error')
  return { worker, shared }
}

/** Calls `onLate` once when the same case runs for longer than the deadline. */
function watchDeadline({ shared }: Thread, onLate: () => void): NodeJS.Timeout {
  const { counters } = openWindow(shared)
  let last = -1
  let since = performance.now()
  const timer = setInterval(() => {
    const now = Atomics.load(counters, 0)
    if (now !== last || now % 2 === 0) {
      last = now
      since = performance.now()
    } else if (performance.now() - since > DEADLINE_MS) {
      clearInterval(timer)
      onLate()
    }
  }, POLL_MS)
  return timer
}

function currentCase({ shared }: Thread): Uint8Array {
  const { counters, content } = openWindow(shared)
  return content.slice(0, Atomics.load(counters, 1))
}
