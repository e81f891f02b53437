import { execFileSync } from 'node:child_process'
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openInput } from '../../src/host/open-input.ts'
import { readModel } from '../../src/tasks/open-model.ts'
import { npyFile } from '../build/npy-file.ts'
import { concat, field, number } from '../build/protobuf.ts'
import { safetensorsFile } from '../build/safetensors-file.ts'
import { ending, endingOfPath, withinSeconds } from './attempt.ts'

/** `outside` holds what a hostile model would like to have read; `model` is the folder that it may see. */
let root: string
let folder: string
const secret = npyFile('<f4', [4], new Uint8Array(16))
const windows = process.platform === 'win32'

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'modelwright-places-'))
  folder = join(root, 'model')
  mkdirSync(folder)
  writeFileSync(join(root, 'secret.bin'), secret)
})
afterEach(() => rmSync(root, { recursive: true }))

const put = (name: string, content: Uint8Array | string) => {
  writeFileSync(join(folder, name), content)
  return join(folder, name)
}

/** Names that lead out of the folder, to a file that exists. */
const ESCAPES = ['../secret.bin', 'sub/../../secret.bin', '/etc/hostname', '..\\secret.bin', 'C:\\secret.bin', 'a\0b']

describe('a partner file is opened only inside the folder of the model', () => {
  test.each(ESCAPES)('ONNX external data: %s', async (location) => {
    expect(await endingOfPath(put('model.onnx', externalOnnx(location)))).toMatch(/^UNSAFE .*It was not opened\./)
  })

  test.each(ESCAPES)('safetensors index: %s', async (location) => {
    const index = JSON.stringify({ metadata: {}, weight_map: { w: location } })
    expect(await endingOfPath(put('model.safetensors.index.json', index))).toMatch(/^UNSAFE /)
  })

  test.each(ESCAPES)('TensorFlow.js manifest: %s', async (location) => {
    const weights = [{ name: 'w', shape: [4], dtype: 'float32' }]
    const model = { format: 'layers-model', modelTopology: {}, weightsManifest: [{ paths: [location], weights }] }
    expect(await endingOfPath(put('model.json', JSON.stringify(model)))).toMatch(/^UNSAFE /)
  })

  test.each(ESCAPES)('TensorFlow checkpoint state: %s', async (location) => {
    put('checkpoint', `model_checkpoint_path: ${JSON.stringify(location)}\n`)
    expect(await endingOfPath(folder)).toMatch(/^(UNSAFE|MISSING_FILE|NOT_RECOGNISED) /)
  })
})

describe.skipIf(windows)('links', () => {
  test('an ONNX data file that is a link to the outside is refused', async () => {
    symlinkSync('../secret.bin', join(folder, 'weights.bin'))
    const found = await endingOfPath(put('model.onnx', externalOnnx('weights.bin')))
    expect(found).toMatch(/^UNSAFE .*a link that leads outside\. It was not opened\./)
  })

  test('so is a shard, and one behind a linked folder', async () => {
    writeFileSync(join(root, 'shard.safetensors'), safetensorsFile({ w: { dtype: 'F32', shape: [1], bytes: 4 } }))
    symlinkSync(join(root, 'shard.safetensors'), join(folder, 'a.safetensors'))
    symlinkSync(root, join(folder, 'sub'))
    for (const name of ['a.safetensors', 'sub/shard.safetensors']) {
      const index = JSON.stringify({ metadata: {}, weight_map: { w: name } })
      expect(await endingOfPath(put('model.safetensors.index.json', index))).toMatch(
        /^UNSAFE .*a link that leads outside/,
      )
    }
  })

  test('a link within the folder is followed, and the model itself may be a link', async () => {
    put('real.bin', new Uint8Array(16))
    symlinkSync('real.bin', join(folder, 'weights.bin'))
    put('model.onnx', externalOnnx('weights.bin'))
    expect(await endingOfPath(join(folder, 'model.onnx'))).toBe('read')
    symlinkSync(join(folder, 'real.bin'), join(root, 'elsewhere.npy'))
    writeFileSync(join(folder, 'real.bin'), secret)
    expect(await endingOfPath(join(root, 'elsewhere.npy'))).toBe('read')
  })

  test('links in a circle end', async () => {
    symlinkSync('b.bin', join(folder, 'a.bin'))
    symlinkSync('a.bin', join(folder, 'b.bin'))
    expect(await endingOfPath(put('model.onnx', externalOnnx('a.bin')))).toMatch(/^(CANNOT_READ|MISSING_FILE) /)
    expect(await endingOfPath(join(folder, 'a.bin'))).toMatch(/^NO_SUCH_FILE /)
  })
})

describe.skipIf(windows)('what is no file', () => {
  test('a pipe and a device as the model', async () => {
    execFileSync('mkfifo', [join(folder, 'pipe.onnx')])
    for (const path of [join(folder, 'pipe.onnx'), '/dev/zero', '/dev/tty']) {
      const found = await withinSeconds(5, () => endingOfPath(path))
      expect(found).toMatch(/^NO_SUCH_FILE .*(device, socket or pipe|no such)/)
    }
  })

  test('a pipe and a folder as a partner: there is no such file', async () => {
    execFileSync('mkfifo', [join(folder, 'weights.bin')])
    mkdirSync(join(folder, 'weights2.bin'))
    for (const name of ['weights.bin', 'weights2.bin']) {
      const found = await withinSeconds(5, () => endingOfPath(put('model.onnx', externalOnnx(name))))
      expect(found).toMatch(/^MISSING_FILE /)
    }
  })
})

test('an empty file, an empty folder, and nothing at all', async () => {
  expect(await endingOfPath(put('empty.pt', ''))).toMatch(/^UNSUPPORTED_FORMAT .*an empty file/)
  rmSync(join(folder, 'empty.pt'))
  expect(await endingOfPath(folder)).toMatch(/^NOT_RECOGNISED .*a folder with nothing/)
  expect(await endingOfPath(join(folder, 'none.pt'))).toMatch(/^NO_SUCH_FILE .*there is no such file/)
})

test('a file that shrinks while it is read', async () => {
  const path = put('weights.npy', npyFile('<f4', [1 << 20], new Uint8Array(4 << 20)))
  const input = await openInput(path)
  const model = await readModel(input)
  truncateSync(path, 1 << 20)
  const found = await ending(async () => {
    for await (const chunk of model.tensors[0]!.stream()) expect(chunk.length).toBeGreaterThan(0)
  })
  await input.close()
  expect(found).toMatch(/^TRUNCATED .*before the end of the file \(1048576 bytes\)/)
})

test('a file that is gone after it was opened can still be read; one handle serves all its names', async () => {
  put('real.bin', new Uint8Array(16))
  if (!windows) linkSync(join(folder, 'real.bin'), join(folder, 'hard.bin'))
  const names = Array.from({ length: 3000 }, (_, index) => `${'./'.repeat(index % 900)}real.bin`)
  const before = windows ? 0 : readdirSync('/proc/self/fd').length
  const input = await openInput(put('model.onnx', externalOnnx(...names)))
  await readModel(input)
  if (process.platform === 'linux') expect(readdirSync('/proc/self/fd').length - before).toBeLessThan(20)
  await input.close()
})

/** A ModelProto whose initialisers, float32 [4], lie at `locations`. */
function externalOnnx(...locations: readonly string[]): Uint8Array {
  const tensors = locations.map((location, index) => {
    const place = field(13, field(1, 'location'), field(2, location))
    return field(5, number(1, 4), number(2, 1), field(8, `w${index}`), place, number(14, 1))
  })
  const node = field(1, field(1, 'w0'), field(2, 'y'), field(4, 'Identity'))
  return concat(number(1, 8), field(7, node, field(2, 'g'), ...tensors), field(8, field(1, ''), number(2, 17)))
}
