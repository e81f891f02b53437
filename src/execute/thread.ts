import { Worker } from 'node:worker_threads'
import { InternalError, ToolError } from '../errors.ts'
import { interner } from './interner.ts'
import type { WireValue, WorkerReply, WorkerRequest } from './protocol.ts'

/** A thread in which ONNX Runtime works through one request after the other. */
export interface Thread {
  /** requests that are not answered yet */
  readonly load: number
  /**
   * @param transfer memory that the thread takes over; it is gone here
   * @throws {ToolError} MISSING_PEER without onnxruntime-node; CANNOT_RUN with the runtime's own reason
   */
  ask<Kind extends WorkerReply['kind']>(
    request: WorkerRequest,
    answer: Kind,
    transfer?: readonly ArrayBuffer[],
  ): Promise<Extract<WorkerReply, { kind: Kind }>>
  /** Ends the thread once it has answered what it was asked. */
  close(): Promise<void>
}

interface Pending {
  resolve(reply: WorkerReply): void
  reject(error: Error): void
}

/** Starts a thread. An idle one does not keep the process alive. */
export function startThread(): Thread {
  const worker = startWorker()
  const pending: Pending[] = []
  const intern = interner()
  let idle: (() => void) | undefined
  let ended: Error | undefined
  const settled = () => {
    if (pending.length > 0) return
    worker.unref()
    idle?.()
  }
  worker.unref()
  // Answers come in the order of the questions: the worker takes one after the other.
  worker.on('message', (reply: WorkerReply) => {
    const asked = pending.shift()
    if (reply.kind === 'failed') asked?.reject(failure(reply))
    else asked?.resolve(sharing(reply, intern))
    settled()
  })
  const end = (error: Error) => {
    ended ??= error
    for (const asked of pending.splice(0)) asked.reject(ended)
    settled()
  }
  worker.on('error', end)
  worker.on('exit', (code) =>
    end(new ToolError('CANNOT_RUN', `ONNX Runtime ended with exit code ${code}: it may have run out of memory`)),
  )
  return {
    get load() {
      return pending.length
    },
    async ask<Kind extends WorkerReply['kind']>(
      request: WorkerRequest,
      answer: Kind,
      transfer: readonly ArrayBuffer[] = [],
    ) {
      if (ended) throw ended
      worker.ref()
      const reply = await new Promise<WorkerReply>((resolve, reject) => {
        pending.push({ resolve, reject })
        worker.postMessage(request, [...transfer])
      })
      if (reply.kind !== answer)
        throw new InternalError(`the runtime's thread answered "${reply.kind}" to "${request.kind}"`)
      return reply as Extract<WorkerReply, { kind: Kind }>
    },
    // Ending the thread while the runtime works in it aborts the whole process (Napi::Error, no JavaScript sees it).
    async close() {
      if (pending.length > 0) await new Promise<void>((resolve) => (idle = resolve))
      ended ??= new ToolError('CANNOT_RUN', 'ONNX Runtime was closed')
      await worker.terminate()
    },
  }
}

/** The reply with values that came before in the memory that they have already. */
function sharing(reply: WorkerReply, intern: (bytes: Uint8Array) => Uint8Array): WorkerReply {
  const shared = (value: WireValue): WireValue => ({ ...value, bytes: intern(value.bytes) })
  if (reply.kind === 'ran') return { ...reply, values: reply.values.map(shared) }
  if (reply.kind !== 'stepped') return reply
  return {
    ...reply,
    results: reply.results.map((result) => (result.value ? { ...result, value: shared(result.value) } : result)),
  }
}

function startWorker(): Worker {
  const here = import.meta.url
  if (!here.endsWith('.ts')) return new Worker(new URL('./worker.js', here))
  // From source (tests, scripts) the worker is TypeScript, which threads do not load by themselves on Node 20.
  const file = JSON.stringify(new URL('./worker.ts', here).href)
  return new Worker(`import('tsx/esm/api').then(({ tsImport }) => tsImport(${file}, ${file}))`, { eval: true })
}

function failure({ code, message }: Extract<WorkerReply, { kind: 'failed' }>): ToolError {
  if (code === 'MISSING_PEER') {
    return new ToolError(
      code,
      'comparing behaviour runs both models and needs onnxruntime-node, which is not installed: ' +
        'ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node. inspect and the comparison of weights work without it.',
    )
  }
  return new ToolError(code, `ONNX Runtime: ${message}`)
}
