// One measurement in a process of its own, on the built package: node modelwright.mjs TASK FILE...

import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
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
