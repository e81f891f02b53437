import { parentPort } from 'node:worker_threads'
import type { InferenceSession, Tensor } from 'onnxruntime-node'
import { InternalError } from '../errors.ts'
import type {
  OpenRequest,
  RunRequest,
  StepRequest,
  StepResult,
  WireValue,
  WorkerReply,
  WorkerRequest,
} from './protocol.ts'
import { fromTensor, type Runtime, sketchTensor, toTensor } from './runtime-values.ts'

/**
 * The thread in which ONNX Runtime works. Its `run` blocks the thread it is called on (microsoft/onnxruntime#19611),
 * so it must not be the one that draws progress and hears Ctrl-C.
 */
let runtime: Runtime | undefined
const sessions = new Map<number, InferenceSession>()
const kept = new Map<string, Tensor>()
/** requests are taken one after the other, in the order in which they come */
let turn: Promise<void> = Promise.resolve()

parentPort?.on('message', (request: WorkerRequest) => {
  turn = turn.then(async () => {
    const reply = await answer(request).catch((error: Error & { code?: string }): WorkerReply => {
      const missing = error.code === 'ERR_MODULE_NOT_FOUND' || error.code === 'MODULE_NOT_FOUND'
      return { kind: 'failed', code: missing ? 'MISSING_PEER' : 'CANNOT_RUN', message: error.message }
    })
    parentPort?.postMessage(reply, memoryOf(reply))
  })
})

/** Values go over with their memory: what is kept as well was copied. */
function memoryOf(reply: WorkerReply): ArrayBuffer[] {
  if (reply.kind === 'opened') return [reply.memory]
  const values: readonly (WireValue | undefined)[] =
    reply.kind === 'ran' ? reply.values : reply.kind === 'stepped' ? reply.results.map(({ value }) => value) : []
  return [...new Set(values.flatMap((value) => (value ? [value.bytes.buffer as ArrayBuffer] : [])))]
}

async function answer(request: WorkerRequest): Promise<WorkerReply> {
  runtime ??= await import('onnxruntime-node')
  switch (request.kind) {
    case 'open':
      return open(runtime, request)
    case 'run':
      return run(runtime, request)
    case 'step':
      return step(request)
    case 'put':
      for (const value of request.values) kept.set(value.name, toTensor(runtime, value))
      return { kind: 'done' }
    case 'drop':
      for (const key of request.keys) kept.delete(key)
      return { kind: 'done' }
    case 'release': {
      const session = sessions.get(request.session)
      sessions.delete(request.session)
      await session?.release()
      return { kind: 'done' }
    }
  }
}

async function open(ort: Runtime, { session: id, model, threads, externalFolder }: OpenRequest): Promise<WorkerReply> {
  const session = await ort.InferenceSession.create(model, {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 4,
    ...(externalFolder === undefined
      ? {}
      : { extra: { session: { model_external_initializers_file_folder_path: externalFolder } } }),
  })
  sessions.set(id, session)
  const inputs = session.inputMetadata.map((input) =>
    input.isTensor
      ? { name: input.name, dtype: input.type, shape: [...input.shape] }
      : { name: input.name, dtype: 'not a tensor', shape: [] },
  )
  return {
    kind: 'opened',
    inputs,
    outputs: [...session.outputNames],
    version: ort.env.versions.node ?? 'unknown',
    memory: model.buffer as ArrayBuffer,
  }
}

async function run(ort: Runtime, { session: id, feeds: given, fetches }: RunRequest): Promise<WorkerReply> {
  const feeds = Object.fromEntries(given.map((value) => [value.name, toTensor(ort, value)]))
  const results = await getSession(id).run(feeds, [...fetches])
  const values = fetches.flatMap((name) => {
    const tensor = results[name]
    return tensor === undefined ? [] : [fromTensor(name, tensor)]
  })
  return { kind: 'ran', values }
}

async function step({ session: id, feeds: taken, fetches }: StepRequest): Promise<WorkerReply> {
  const feeds: Record<string, Tensor> = {}
  for (const { name, kept: key } of taken) {
    const tensor = kept.get(key)
    if (tensor === undefined) throw new InternalError(`no value is kept under "${key}"`)
    feeds[name] = tensor
  }
  const computed = await getSession(id).run(
    feeds,
    fetches.map(({ name }) => name),
  )
  const results = fetches.map(({ name, keep, sketch, send }): StepResult => {
    const tensor = computed[name] as Tensor
    const made = sketch ? sketchTensor(tensor) : undefined
    if (keep !== undefined) kept.set(keep, tensor)
    const value = send ? fromTensor(name, tensor) : undefined
    return {
      name,
      dtype: tensor.type as StepResult['dtype'],
      shape: [...tensor.dims],
      ...(made ? { sketch: made } : {}),
      ...(value ? { value: keep === undefined ? value : { ...value, bytes: value.bytes.slice() } } : {}),
    }
  })
  return { kind: 'stepped', results }
}

function getSession(id: number): InferenceSession {
  const session = sessions.get(id)
  if (session === undefined) throw new InternalError('no session is open')
  return session
}
