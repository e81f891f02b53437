import { Worker } from 'node:worker_threads'
import { ToolError } from '../errors.ts'
import type { ArrayValue } from '../tensor/array-value.ts'
import type { WireInput, WireValue, WorkerReply, WorkerRequest } from './protocol.ts'

/** A model loaded in ONNX Runtime, in a thread of its own. */
export interface Session {
  /** `shape` holds numbers, or names of free dimensions */
  readonly inputs: readonly WireInput[]
  readonly outputs: readonly string[]
  /** of ONNX Runtime */
  readonly version: string
  /**
   * One forward pass.
   * @param fetches outputs wanted; every one that was exposed with `withOutputs` counts
   * @throws {ToolError} CANNOT_RUN with the runtime's own reason
   */
  run(feeds: ReadonlyMap<string, ArrayValue>, fetches: readonly string[]): Promise<Map<string, ArrayValue>>
  close(): Promise<void>
}

/**
 * Loads an ONNX model, graph optimisation off: what runs is what the file says, and every value can be observed
 * without changing it.
 *
 * @param model bytes of the model file
 * @param options.externalFolder where external data lies, for models that keep weights beside the file
 * @throws {ToolError} MISSING_PEER without onnxruntime-node; CANNOT_RUN when the runtime refuses the model
 */
export async function openSession(
  model: Uint8Array,
  options: { externalFolder?: string; threads?: number } = {},
): Promise<Session> {
  const worker = startWorker()
  let answered: Promise<unknown> = Promise.resolve()
  const ask = (request: WorkerRequest) => {
    const reply = exchange(worker, request)
    answered = reply.catch(() => undefined)
    return reply
  }
  // Ending the thread while the runtime works in it aborts the whole process (Napi::Error, no JavaScript sees it).
  const close = async () => {
    await answered
    await worker.terminate()
  }
  try {
    const opened = await ask({
      kind: 'open',
      model,
      threads: options.threads ?? 1,
      ...(options.externalFolder === undefined ? {} : { externalFolder: options.externalFolder }),
    })
    if (opened.kind !== 'opened') throw unexpected(opened)
    return {
      inputs: opened.inputs,
      outputs: opened.outputs,
      version: opened.version,
      async run(feeds, fetches) {
        const wire = [...feeds].map(([name, value]): WireValue => ({ name, ...value }))
        const ran = await ask({ kind: 'run', feeds: wire, fetches })
        if (ran.kind !== 'ran') throw unexpected(ran)
        return new Map(ran.values.map(({ name, dtype, shape, bytes }) => [name, { dtype, shape, bytes }]))
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

function startWorker(): Worker {
  const here = import.meta.url
  if (!here.endsWith('.ts')) return new Worker(new URL('./worker.js', here))
  // From source (tests, scripts) the worker is TypeScript, which threads do not load by themselves on Node 20.
  const file = JSON.stringify(new URL('./worker.ts', here).href)
  return new Worker(`import('tsx/esm/api').then(({ tsImport }) => tsImport(${file}, ${file}))`, { eval: true })
}

function exchange(worker: Worker, request: WorkerRequest): Promise<WorkerReply> {
  return new Promise((resolve, reject) => {
    const done = () => {
      worker.off('message', onMessage)
      worker.off('error', onError)
      worker.off('exit', onExit)
    }
    const onMessage = (reply: WorkerReply) => {
      done()
      if (reply.kind === 'failed') reject(failure(reply))
      else resolve(reply)
    }
    const onError = (error: Error) => {
      done()
      reject(error)
    }
    const onExit = (code: number) => {
      done()
      reject(new ToolError('CANNOT_RUN', `ONNX Runtime ended with exit code ${code}: it may have run out of memory`))
    }
    worker.on('message', onMessage)
    worker.on('error', onError)
    worker.on('exit', onExit)
    worker.postMessage(request)
  })
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

function unexpected(reply: WorkerReply): ToolError {
  return new ToolError('CANNOT_RUN', `ONNX Runtime thread answered "${reply.kind}"`)
}
