import { parentPort } from 'node:worker_threads'
import type { InferenceSession, Tensor } from 'onnxruntime-node'
import type { Dtype } from '../tensor/dtype.ts'
import type { WireValue, WorkerReply, WorkerRequest } from './protocol.ts'

/**
 * The thread in which ONNX Runtime works. Its `run` blocks the thread it is called on (microsoft/onnxruntime#19611),
 * so it must not be the one that draws progress and hears Ctrl-C.
 */
let runtime: typeof import('onnxruntime-node') | undefined
const sessions = new Map<number, InferenceSession>()
/** requests are taken one after the other, in the order in which they come */
let turn: Promise<void> = Promise.resolve()

parentPort?.on('message', (request: WorkerRequest) => {
  turn = turn.then(async () => {
    const reply = await answer(request).catch((error: Error & { code?: string }): WorkerReply => {
      const missing = error.code === 'ERR_MODULE_NOT_FOUND' || error.code === 'MODULE_NOT_FOUND'
      return { kind: 'failed', code: missing ? 'MISSING_PEER' : 'CANNOT_RUN', message: error.message }
    })
    parentPort?.postMessage(
      reply,
      reply.kind === 'ran' ? reply.values.map(({ bytes }) => bytes.buffer as ArrayBuffer) : [],
    )
  })
})

async function answer(request: WorkerRequest): Promise<WorkerReply> {
  runtime ??= await import('onnxruntime-node')
  switch (request.kind) {
    case 'open':
      return open(runtime, request)
    case 'run':
      return run(runtime, request)
    case 'release': {
      const session = sessions.get(request.session)
      sessions.delete(request.session)
      await session?.release()
      return { kind: 'released' }
    }
  }
}

async function open(
  ort: typeof import('onnxruntime-node'),
  request: Extract<WorkerRequest, { kind: 'open' }>,
): Promise<WorkerReply> {
  const session = await ort.InferenceSession.create(request.model, {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: request.threads,
    interOpNumThreads: 1,
    logSeverityLevel: 4,
    ...(request.externalFolder === undefined
      ? {}
      : { extra: { session: { model_external_initializers_file_folder_path: request.externalFolder } } }),
  })
  sessions.set(request.session, session)
  const inputs = session.inputMetadata.map((input) =>
    input.isTensor
      ? { name: input.name, dtype: input.type, shape: [...input.shape] }
      : { name: input.name, dtype: 'not a tensor', shape: [] },
  )
  return { kind: 'opened', inputs, outputs: [...session.outputNames], version: ort.env.versions.node ?? 'unknown' }
}

async function run(
  ort: typeof import('onnxruntime-node'),
  request: Extract<WorkerRequest, { kind: 'run' }>,
): Promise<WorkerReply> {
  const session = sessions.get(request.session)
  if (session === undefined) throw new Error('no session is open')
  const feeds = Object.fromEntries(request.feeds.map((value) => [value.name, toTensor(ort, value)]))
  const results = await session.run(feeds, [...request.fetches])
  const values = request.fetches.flatMap((name) => {
    const tensor = results[name]
    return tensor === undefined ? [] : [fromTensor(name, tensor)]
  })
  return { kind: 'ran', values }
}

function toTensor(ort: typeof import('onnxruntime-node'), value: WireValue): Tensor {
  if (value.dtype === 'string') return new ort.Tensor('string', [...(value.text ?? [])], value.shape)
  return new ort.Tensor(value.dtype as 'float32', typedArray(value) as Float32Array, value.shape)
}

function typedArray({ dtype, bytes }: WireValue): ArrayBufferView {
  // What crossed the thread border starts at the beginning of its own memory.
  const { buffer } = bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice()
  switch (dtype) {
    case 'float32':
      return new Float32Array(buffer)
    case 'float64':
      return new Float64Array(buffer)
    case 'int64':
      return new BigInt64Array(buffer)
    case 'uint64':
      return new BigUint64Array(buffer)
    case 'int32':
      return new Int32Array(buffer)
    case 'uint32':
      return new Uint32Array(buffer)
    case 'int16':
      return new Int16Array(buffer)
    case 'uint16':
      return new Uint16Array(buffer)
    case 'float16': {
      const half = (globalThis as { Float16Array?: new (buffer: ArrayBufferLike) => ArrayBufferView }).Float16Array
      return half === undefined ? new Uint16Array(buffer) : new half(buffer)
    }
    case 'int8':
      return new Int8Array(buffer)
    default:
      return new Uint8Array(buffer)
  }
}

function fromTensor(name: string, tensor: Tensor): WireValue {
  const shape = [...tensor.dims]
  if (tensor.type === 'string')
    return { name, dtype: 'string', shape, bytes: new Uint8Array(0), text: tensor.data as unknown as string[] }
  const { buffer, byteOffset, byteLength } = tensor.data as unknown as Uint8Array
  // A copy: the runtime's memory must not cross the thread border.
  return { name, dtype: tensor.type as Dtype, shape, bytes: new Uint8Array(buffer, byteOffset, byteLength).slice() }
}
