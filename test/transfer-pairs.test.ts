import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FAMILIES, score } from '../scripts/transfer/score.ts'

/**
 * Weights carried between formats into a target full of noise: at least 98 % of its parameters come out as the target
 * really has them. `npm run transfer:table` does it for all 448 pairs.
 */
const { folder } = FAMILIES.digits!
const DIGITS = [
  'reference/digits.pt',
  'reference/digits.onnx',
  'reference/digits-folded.onnx',
  'candidate/digits.keras',
  'candidate/digits.h5',
  'candidate/digits.tflite',
  'candidate/digits.onnx',
  'candidate/digits-renamed.onnx',
]

describe.each(DIGITS)('from %s', (from) => {
  test.each(DIGITS.filter((file) => file !== from))('into %s', async (into) => {
    const { total, right, missing } = await score(join(folder, from), join(folder, into))
    expect([right, missing]).toEqual([total, 0])
  })
})

const SHARED = [
  ['mlperf-tiny-resnet8', 'pretrainedResnet.h5', 'pretrainedResnet.tflite'],
  ['mlperf-tiny-resnet8', 'pretrainedResnet.tflite', 'pretrainedResnet.h5'],
  ['ultraface-slim-320', 'pytorch/version-slim-320.pth', 'ncnn/slim_320.bin'],
  ['ultraface-slim-320', 'caffe/slim-320.caffemodel', 'onnx/version-slim-320.onnx'],
  ['ultraface-slim-320', 'onnx/version-slim-320.onnx', 'tflite/version-slim-320_without_postprocessing.tflite'],
  ['mtcnn-pnet', 'caffe/det1.caffemodel', 'tfjs/pnet_model-weights_manifest.json'],
] as const

for (const [family, from, into] of SHARED) {
  const { folder: here } = FAMILIES[family]!
  if (!existsSync(here))
    test.skip(`${family}: ${from} into ${into} (no ../shared/data/models beside the repository)`, () => {})
  else
    test(`${family}: ${from} into ${into}`, async () => {
      const { total, right } = await score(join(here, from), join(here, into))
      expect(right / total).toBeGreaterThanOrEqual(0.98)
    })
}
