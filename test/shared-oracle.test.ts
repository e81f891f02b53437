import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { DEFAULT_LIMITS } from '../src/bytes/limits.ts'
import { identify, probeInput } from '../src/formats/identify.ts'
import { onnx } from '../src/formats/onnx/onnx.ts'
import { readTensorProto } from '../src/formats/onnx/tensor-proto-file.ts'
import { FORMATS } from '../src/formats/registry.ts'
import { openInput } from '../src/host/open-input.ts'
import { validateModel } from '../src/model/validate.ts'
import { digestTensor, type ExpectedTensor, flat, textsOf } from './tensor-digest.ts'

/**
 * Every model file of the shared collection against what the frameworks read in it: names, element types, shapes and
 * the sha256 of all values. The collection is not part of the project; without it these tests are skipped.
 */
const folder = resolve(import.meta.dirname, '../../shared/data/models')

interface Oracle {
  expected: { file: string; format: string; tensors?: ExpectedTensor[] }[]
  tensor_files: (ExpectedTensor & { file: string; tensor_sha256?: string })[]
}

const oracle: Oracle | undefined = existsSync(resolve(folder, 'oracle.json'))
  ? JSON.parse(readFileSync(resolve(folder, 'oracle.json'), 'utf8'))
  : undefined

/** Our format for the oracle's description of one; a pattern where we only name what the file is. */
const FORMAT_OF: Readonly<Record<string, string | RegExp>> = {
  caffe: 'caffe',
  'hdf5 (keras)': 'keras-h5',
  'lz4 frame of a joblib pickle': /joblib|lz4/i,
  'mlir (stablehlo)': /stablehlo/i,
  ncnn: 'ncnn',
  'npy (pickled dict)': 'npy',
  onnx: 'onnx',
  'tensorflow graphdef (text)': 'tf-graphdef',
  'tensorflow saved_model': 'tf-saved-model',
  tflite: 'tflite',
  'tfjs graph-model': 'tfjs',
  'tfjs layers-model': 'tfjs',
  'tfjs weights manifest': 'tfjs',
  'torch (legacy, not zip)': 'pytorch',
}

describe.skipIf(oracle === undefined)('shared models (skipped: no ../shared/data/models beside the repository)', () => {
  test('every format has a row in FORMAT_OF, and its reader is there', () => {
    const known = new Set(FORMATS.map(({ id }) => id))
    const missing = Object.values(FORMAT_OF).filter((id) => typeof id === 'string' && !known.has(id))
    expect(missing).toEqual([])
    expect((oracle?.expected ?? []).filter(({ format }) => !(format in FORMAT_OF))).toEqual([])
  })

  test.each(oracle?.expected ?? [])('$file ($format)', async ({ file, format, tensors = [] }) => {
    const wanted = FORMAT_OF[format]
    const input = await openInput(resolve(folder, file))
    try {
      if (wanted instanceof RegExp) {
        await expect(identify(input, DEFAULT_LIMITS)).rejects.toMatchObject({
          code: 'UNSUPPORTED_FORMAT',
          message: expect.stringMatching(wanted),
        })
        return
      }
      const found = await identify(input, DEFAULT_LIMITS)
      expect(found.id).toBe(wanted)
      const model = validateModel(await found.read(input, DEFAULT_LIMITS), DEFAULT_LIMITS)
      const read: ExpectedTensor[] = []
      for (const tensor of model.tensors) read.push(await digestTensor(tensor))
      const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1)
      const facts = tensors.map(({ name, dtype, shape, sha256 }) => ({ name, dtype, shape, sha256 }))
      expect(read.sort(byName)).toEqual(facts.sort(byName))
    } finally {
      await input.close()
    }
  })

  const dtypes: Readonly<Record<string, string>> = {
    FLOAT: 'float32',
    DOUBLE: 'float64',
    INT64: 'int64',
    STRING: 'string',
  }
  test.each(oracle?.tensor_files ?? [])('$file (one tensor)', async (expected) => {
    const input = await openInput(resolve(folder, expected.file))
    try {
      const tensor = await readTensorProto(input.main, DEFAULT_LIMITS)
      const { sha256, ...facts } = await digestTensor(tensor)
      expect(facts).toEqual({ name: expected.name, dtype: dtypes[expected.dtype], shape: expected.shape })
      if (expected.values === undefined) expect(sha256).toBe(expected.tensor_sha256)
      else expect(await textsOf(tensor)).toEqual(flat(expected.values))
      expect(onnx.match(await probeInput(input, DEFAULT_LIMITS))).toBe('no')
    } finally {
      await input.close()
    }
  })
})
