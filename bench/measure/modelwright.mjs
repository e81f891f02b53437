// One measurement in a process of its own, on the built package: node modelwright.mjs TASK FILE...

import { createHash } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import { report } from './peak.mjs'

const [task, ...files] = process.argv.slice(2)
const TASKS = {
  nothing,
  open: openModel,
  read: readPlain,
  sha256: hashPlain,
  hash: hashModelwright,
  tensors: hashTensors,
  compare,
  localise,
  sessions,
  write,
}
await TASKS[task]()

function nothing() {
  report({ milliseconds: 0 })
}

async function openModel() {
  const { openInput, readModel } = await import('../../dist/index.js')
  const start = performance.now()
  const model = await readModel(await openInput(files[0]))
  const listed = model.tensors.map(({ name, dtype, shape }) => `${name} ${dtype} ${shape}`)
  report({ milliseconds: performance.now() - start, tensors: listed.length })
}

async function chunks(onChunk) {
  const handle = await open(files[0])
  const start = performance.now()
  const buffer = Buffer.allocUnsafe(4 << 20)
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.length)
    if (bytesRead === 0) break
    onChunk(buffer.subarray(0, bytesRead))
  }
  return performance.now() - start
}

async function readPlain() {
  report({ milliseconds: await chunks(() => {}) })
}

async function hashPlain() {
  const hash = createHash('sha256')
  const milliseconds = await chunks((chunk) => hash.update(chunk))
  report({ milliseconds, digest: hash.digest('hex') })
}

async function hashModelwright() {
  const { openFileSource } = await import('../../dist/host/file-source.js')
  const { hashSource } = await import('../../dist/bytes/hasher.js')
  const { createSha256 } = await import('../../dist/index.js')
  const source = await openFileSource(files[0])
  const start = performance.now()
  const digest = await hashSource(source, createSha256)
  report({ milliseconds: performance.now() - start, digest })
}

async function hashTensors() {
  const { openInput, readModel, createSha256 } = await import('../../dist/index.js')
  const start = performance.now()
  const model = await readModel(await openInput(files[0]))
  for (const tensor of model.tensors) {
    const hasher = createSha256()
    for await (const chunk of tensor.stream()) hasher.update(chunk)
    hasher.hex()
  }
  report({ milliseconds: performance.now() - start, tensors: model.tensors.length })
}

async function compare() {
  const sdk = await import('../../dist/index.js')
  const start = performance.now()
  const [reference, candidate, inputs] = await Promise.all(files.map((file) => sdk.openInput(file)))
  const { verdict, coverage } = await sdk.compare(reference, candidate, { inputs: [inputs] })
  report({ milliseconds: performance.now() - start, verdict, compared: coverage.compared })
}

/** Every tensor of FILE with all signs turned, written as OUT, which is removed again. */
async function write() {
  const { openInput, readModel, writeOutput } = await import('../../dist/index.js')
  const { DEFAULT_LIMITS } = await import('../../dist/bytes/limits.js')
  const { planOutput } = await import('../../dist/writers/plan-output.js')
  const [file, out] = files
  const start = performance.now()
  const input = await openInput(file)
  const target = await readModel(input)
  const filled = target.tensors.map((tensor) => ({
    target: tensor,
    async values() {
      const bytes = new Uint8Array(tensor.bytes)
      let end = 0
      for await (const chunk of tensor.stream()) {
        bytes.set(chunk, end)
        end += chunk.length
      }
      for (let at = 3; at < bytes.length; at += 4) bytes[at] ^= 0x80
      return bytes
    },
  }))
  const output = await planOutput({ target, input, filled, out, limits: DEFAULT_LIMITS })
  const written = await writeOutput(out, output, { force: true, sources: [file] })
  const milliseconds = performance.now() - start
  for (const path of written) await rm(path)
  report({ milliseconds, bytes: output.files.reduce((sum, { bytes }) => sum + bytes, 0) })
}

/** Finds the fault, proves its cause, and makes the smallest model that shows it. */
async function localise() {
  const sdk = await import('../../dist/index.js')
  const start = performance.now()
  const [reference, candidate, inputs] = await Promise.all(files.map((file) => sdk.openInput(file)))
  const evidence = await sdk.compareWithEvidence(reference, candidate, { inputs: [inputs] })
  const compared = performance.now() - start
  const repro = await sdk.reproduce(evidence, 'bench')
  const { verdict, regions, coverage } = evidence.report
  const first = regions.find(({ state }) => state === 'different')
  report({
    milliseconds: performance.now() - start,
    verdict,
    compared: coverage.compared,
    comparedMs: Math.round(compared),
    found: first ? `${first.reference}: ${first.causes?.[0]?.label ?? first.cause ?? ''}` : '',
    repro: repro ? [...repro.files].find(([path]) => path.endsWith('.onnx'))?.[1].length : 0,
  })
}

/** What ONNX Runtime alone takes for the same: both models loaded and run once, every value an output, all held. */
async function sessions() {
  const { default: ort } = await import('onnxruntime-node')
  const start = performance.now()
  const held = []
  for (const file of files) {
    const session = await ort.InferenceSession.create(file, {
      graphOptimizationLevel: 'disabled',
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      logSeverityLevel: 4,
    })
    const feeds = session.inputMetadata.map(({ name, shape }) => {
      const sizes = shape.map((size) => (typeof size === 'number' ? size : 1))
      const count = sizes.reduce((product, size) => product * size, 1)
      return [name, new ort.Tensor('float32', new Float32Array(count).fill(0.5), sizes)]
    })
    held.push(session, await session.run(Object.fromEntries(feeds)))
  }
  report({ milliseconds: performance.now() - start, compared: Object.keys(held[1]).length })
}
