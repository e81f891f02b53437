import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  createWriteStream,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { finished } from 'node:stream/promises'
import { expect, test } from 'vitest'
import { seededRandom } from '../src/compare/random.ts'
import { safetensorsFile } from '../src/writers/safetensors.ts'
import { npyFile } from './build/npy-file.ts'

/** 48 MB of weights: enough that writing them takes a while. */
async function writeModel(path: string): Promise<void> {
  const random = seededRandom(3)
  const tensors = Array.from({ length: 12 }, (_, index) => {
    const values = Float32Array.from({ length: 1 << 20 }, () => random() - 0.5)
    const bytes = new Uint8Array(values.buffer)
    return {
      name: `layers.${index}.weight`,
      dtype: 'float32' as const,
      shape: [1024, 1024],
      bytes: bytes.length,
      async *stream() {
        yield bytes
      },
    }
  })
  const out = createWriteStream(path)
  for await (const { bytes } of safetensorsFile(tensors, {}).pieces()) out.write(bytes)
  out.end()
  await finished(out)
}

test('Ctrl-C while a transfer is written leaves no half-written file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'modelwright-interrupt-'))
  try {
    const model = join(folder, 'model.safetensors')
    await writeModel(model)
    const main = resolve(import.meta.dirname, '../src/cli/main.ts')
    const out = join(folder, 'out.safetensors')
    const begun = new Promise<void>((done) => {
      const watcher = watch(folder, (_, name) => {
        if (!name?.includes('.part')) return
        watcher.close()
        done()
      })
    })
    const child = spawn(process.execPath, ['--import', 'tsx', main, 'transfer', model, '--into', model, '-o', out], {
      stdio: 'ignore',
    })
    const ended = once(child, 'exit')
    await Promise.race([begun, ended])
    child.kill('SIGINT')
    expect((await ended)[1]).toBe('SIGINT')
    const left = readdirSync(folder).filter((name) => name !== 'model.safetensors')
    // the last byte may have been on the disk before the signal came: then the file is whole
    expect(left.filter((name) => name !== 'out.safetensors' && name !== 'out.safetensors.map.json')).toEqual([])
    if (left.includes('out.safetensors')) expect(readFileSync(out).length).toBe(readFileSync(model).length)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('Ctrl-C while ONNX Runtime works in its thread ends compare at once and leaves nothing behind', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'modelwright-interrupt-'))
  try {
    const inputs = join(folder, 'image.npy')
    writeFileSync(inputs, npyFile('<f4', [30_000, 3, 16, 12], new Uint8Array(30_000 * 3 * 16 * 12 * 4).fill(60)))
    const report = openSync(join(folder, 'report.json'), 'w')
    const examples = resolve(import.meta.dirname, '../examples/digits')
    const models = [join(examples, 'reference/digits.onnx'), join(examples, 'mistakes/bn-epsilon/digits.onnx')]
    const options = ['--inputs', inputs, '--html', join(folder, 'report.html'), '--json']
    const main = resolve(import.meta.dirname, '../src/cli/main.ts')
    const child = spawn(process.execPath, ['--import', 'tsx', main, 'compare', ...models, ...options], {
      stdio: ['ignore', report, 'ignore'],
    })
    const ended = once(child, 'exit')
    await Promise.race([new Promise((done) => setTimeout(done, 2500)), ended])
    expect(child.exitCode).toBe(null)
    child.kill('SIGINT')
    // a shell makes 130 of this
    expect(await Promise.race([ended, new Promise((done) => setTimeout(done, 1500))])).toEqual([null, 'SIGINT'])
    expect(readdirSync(folder).sort()).toEqual(['image.npy', 'report.json'])
    expect(readFileSync(join(folder, 'report.json')).length).toBe(0)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
