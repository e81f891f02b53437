import { readFileSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { DEFAULT_LIMITS } from '../src/bytes/limits.ts'
import { openInput } from '../src/host/open-input.ts'
import type { Model } from '../src/model/model.ts'
import { readModel } from '../src/tasks/open-model.ts'
import { readTensor } from '../src/tensor/tensor.ts'
import { planOutput } from '../src/writers/plan-output.ts'
import { inMemory } from './build/written.ts'
import { memoryInput } from './memory-input.ts'
import { rewritten } from './rewritten.ts'

/**
 * Every file that a framework made for us is written again with other values in every float tensor, and read: the values
 * are there, and nothing else has changed. What cannot be written is a row here, with its reason.
 */
const REFUSED: Readonly<Record<string, string>> = {
  'graphdef/constants.pb': 'do not lie in the file as they are',
  'graphdef/constants.pbtxt': 'do not lie in the file as they are',
  'graphdef/frozen.pb': 'do not lie in the file as they are',
  'graphdef/frozen.pbtxt': 'do not lie in the file as they are',
  'hdf5/layouts-latest.h5': 'do not lie in the file as they are',
  'hdf5/layouts-old.h5': 'do not lie in the file as they are',
  'npy/object-dict.npy': 'do not lie in the file as they are',
  'npy/object-list.npy': 'do not lie in the file as they are',
  'npy/object-numpy1.npy': 'do not lie in the file as they are',
  'npy/object-protocol-0.npy': 'do not lie in the file as they are',
  'npy/object-protocol-1.npy': 'do not lie in the file as they are',
  'npy/object-protocol-2.npy': 'do not lie in the file as they are',
  'npy/object-protocol-5.npy': 'do not lie in the file as they are',
  'npz/object.npz': 'do not lie in the file as they are',
  'onnx/constant-forms.onnx': 'do not lie in the file as they are',
  'pytorch-1.13/arrays.pt': 'do not lie in the file as they are',
  'pytorch-1.13/legacy-views.pt': 'elements share their bytes',
  'pytorch-1.13/views.pt': 'elements share their bytes',
  'pytorch/arrays.pt': 'do not lie in the file as they are',
  'pytorch/conjugate.pt': 'in another form than they are read',
  'pytorch/legacy-views.pt': 'elements share their bytes',
  'pytorch/views.pt': 'elements share their bytes',
  'tf-checkpoint/partitioned.index': 'do not lie in the file as they are',
}

const folder = resolve(import.meta.dirname, 'fixtures/frameworks')
interface Row {
  readonly file: string
  readonly format: string
  readonly facts: { readonly error?: string; readonly recognisedOnly?: unknown; readonly mayBeUnsupported?: unknown }
}
const rows = (JSON.parse(readFileSync(resolve(folder, 'oracle.json'), 'utf8')).files as Row[]).filter(
  ({ facts, format }) =>
    facts.error === undefined &&
    facts.recognisedOnly === undefined &&
    facts.mayBeUnsupported === undefined &&
    !['pickle', 'onnx-tensor', 'tf-checkpoint-v1'].includes(format),
)

async function contentOf(model: Model): Promise<Map<string, string>> {
  const content = new Map<string, string>()
  for (const tensor of model.tensors) content.set(tensor.name, Buffer.from(await readTensor(tensor)).toString('hex'))
  return content
}

async function rewrite(
  path: string,
  newName?: string,
): Promise<{ wanted: Map<string, string>; found: Map<string, string> } | undefined> {
  const input = await openInput(path)
  try {
    const model = await readModel(input)
    const filled = await rewritten(model.tensors)
    if (filled.length === 0) return undefined
    const wanted = await contentOf(model)
    for (const { target, values } of filled) wanted.set(target.name, Buffer.from(await values()).toString('hex'))
    const main = newName ?? basename(model.files[0]!.name)
    const out = input.isFolder ? 'copy' : main
    const output = await planOutput({ target: model, input, filled, out, limits: DEFAULT_LIMITS })
    const files: Record<string, Uint8Array> = {}
    for (const file of output.files) files[file.path === '' ? main : file.path] = await inMemory(file)
    const again = await readModel(memoryInput(files, output.isFolder ? undefined : main))
    expect(output.isFolder).toBe(input.isFolder)
    expect(again.warnings.map(({ code }) => code)).toEqual(model.warnings.map(({ code }) => code))
    return { wanted, found: await contentOf(again) }
  } finally {
    await input.close()
  }
}

describe('files of frameworks with other values', () => {
  test.each(rows)('$file', async ({ file }) => {
    const refused = REFUSED[file]
    if (refused !== undefined) {
      await expect(rewrite(resolve(folder, file))).rejects.toThrow(refused)
      return
    }
    const result = await rewrite(resolve(folder, file))
    expect(result?.found).toEqual(result?.wanted)
  })
})

const others = [
  'test/fixtures/darknet/detector.cfg',
  'test/fixtures/darknet/classifier.weights',
  'test/fixtures/caffe/tiny-v1.caffemodel',
  'test/fixtures/caffe/tiny-v2.caffemodel',
  'examples/digits/candidate/digits-frozen.pb',
  'examples/digits/candidate/digits.tflite',
  'examples/digits/candidate/digits.keras',
  'examples/digits/reference/digits-torchscript.pt',
].map((file) => resolve(import.meta.dirname, '..', file))

test.each(others)('%s', async (path) => {
  const result = await rewrite(path)
  expect(result?.wanted.size).toBeGreaterThan(0)
  expect(result?.found).toEqual(result?.wanted)
})

test.each([
  ['darknet/detector.cfg', 'new.weights'],
  ['darknet/detector.weights', 'new.weights'],
  ['darknet/detector.cfg', 'new.cfg'],
  ['caffe/tiny-v2.caffemodel', 'new.caffemodel'],
  ['frameworks/tf-checkpoint/two-shards.index', 'new.index'],
  ['frameworks/onnx/external-two.onnx', 'new.onnx'],
  ['frameworks/pytorch/state-dict.pt', 'new.pth'],
])('%s as %s: companions that are found by name follow it', async (file, name) => {
  const result = await rewrite(resolve(import.meta.dirname, 'fixtures', file), name)
  expect(result?.wanted.size).toBeGreaterThan(0)
  expect(result?.found).toEqual(result?.wanted)
})

test.each([
  ['frameworks/safetensors/sharded/model.safetensors.index.json', 'one.pt'],
  ['frameworks/keras-3/sequential.keras', 'x.h5'],
  ['frameworks/npy/float32.npy', 'x.onnx'],
  // Keras would look for another layout behind these names
  ['frameworks/keras-3/sequential.weights.h5', 'x.h5'],
  ['frameworks/keras-3/sequential-legacy.h5', 'x.weights.h5'],
])('%s cannot become %s', async (file, name) => {
  await expect(rewrite(resolve(import.meta.dirname, 'fixtures', file), name)).rejects.toMatchObject({
    code: 'NOT_WRITABLE',
  })
})
