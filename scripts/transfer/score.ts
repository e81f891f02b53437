import { join } from 'node:path'
import { decodePiece } from '../../src/compare/weights/values.ts'
import { openInput } from '../../src/host/open-input.ts'
import type { Model } from '../../src/model/model.ts'
import { readModel } from '../../src/tasks/open-model.ts'
import { elementCount, isFloat } from '../../src/tensor/dtype.ts'
import { readTensor, type Tensor } from '../../src/tensor/tensor.ts'
import { computeTensor } from '../../src/transfer/fill.ts'
import type { Ledger, TargetEntry } from '../../src/transfer/ledger.ts'
import { planTransfer } from '../../src/transfer/plan-transfer.ts'

const root = join(import.meta.dirname, '../..')
const digits = join(root, 'examples/digits')
const shared = join(root, '../shared/data/models')

/** The same network in several formats. */
export const FAMILIES: Readonly<Record<string, { folder: string; files: readonly string[] }>> = {
  digits: {
    folder: digits,
    files: [
      'reference/digits.pt',
      'reference/digits-checkpoint.pt',
      'reference/digits-module.pt',
      'reference/digits-torchscript.pt',
      'reference/digits.onnx',
      'reference/digits-folded.onnx',
      'reference/digits.npz',
      'reference/digits.safetensors',
      'candidate/digits.h5',
      'candidate/digits.weights.h5',
      'candidate/digits.keras',
      'candidate/saved_model',
      'candidate/digits-frozen.pb',
      'candidate/digits.tflite',
      'candidate/digits-fp16.tflite',
      'candidate/digits-int8.tflite',
      'candidate/digits.onnx',
      'candidate/digits.npz',
      'candidate/digits.safetensors',
      'candidate/digits-renamed.onnx',
    ],
  },
  'mlperf-tiny-resnet8': {
    folder: join(shared, 'mlperf-tiny-resnet8'),
    files: ['pretrainedResnet.h5', 'pretrainedResnet.tflite', 'pretrainedResnet_quant.tflite'],
  },
  'ultraface-slim-320': {
    folder: join(shared, 'ultraface-slim-320'),
    files: [
      'onnx/version-slim-320.onnx',
      'onnx/version-slim-320_simplified.onnx',
      'onnx/version-slim-320_without_postprocessing.onnx',
      'pytorch/version-slim-320.pth',
      'caffe/slim-320.caffemodel',
      'ncnn/slim_320.bin',
      'tflite/version-slim-320_without_postprocessing.tflite',
    ],
  },
  'mtcnn-pnet': {
    folder: join(shared, 'mtcnn-pnet'),
    files: [
      'caffe/det1.caffemodel',
      'pytorch-npy/pnet.npy',
      'pytorch-pt/pnet.pt',
      'tf1-npy/det1.npy',
      'tfjs/pnet_model-weights_manifest.json',
    ],
  },
}

/**
 * Share of a tensor's largest value by which a right one may be off: converters fold with other epsilons (TensorFlow
 * takes none below 1.001e-5, up to 9e-4 off). A wrong partner or layout is off by its full size.
 */
const LIMIT = 2e-3

/** How many numbers of the target's parameters a transfer gets right. */
export interface Score {
  readonly total: number
  readonly right: number
  /** of these, bit for bit */
  readonly exact: number
  /** left as they were, and said so */
  readonly missing: number
  readonly ledger: Ledger
}

/**
 * Carries one model into another whose values are replaced by noise, and compares with what the other really holds.
 *
 * Where the target keeps BatchNorm apart and the source does not, the target's own values cannot come back: there the
 * result is carried back into the source's layout, and counts where it gives the source again.
 */
export async function score(fromPath: string, intoPath: string): Promise<Score> {
  const [source, target] = [await openInput(fromPath), await openInput(intoPath)]
  try {
    const [from, into] = [await readModel(source), await readModel(target)]
    const blank = withNoise(into)
    const ledger = await planTransfer(from, blank)
    const result = await judge(ledger, into)
    if (result.wrong.length > 0 && ledger.targets.some(isIdentity)) {
      const back = await planTransfer(filled(blank, ledger), from)
      const returned = await judge(back, from)
      if (returned.wrong.length === 0 && returned.missing === 0) result.right = result.total - result.missing
    }
    return { ...result, ledger }
  } finally {
    await Promise.all([source.close(), target.close()])
  }
}

/** A BatchNorm that had to be made up. */
function isIdentity({ reason }: TargetEntry): boolean {
  return reason.startsWith('1 - epsilon') || reason.includes('the reference has no BatchNorm here')
}

async function judge(ledger: Ledger, original: Model) {
  const byName = new Map(original.tensors.map((tensor) => [tensor.name, tensor]))
  const result = { total: 0, right: 0, exact: 0, missing: 0, wrong: [] as string[] }
  for (const { target, from, expression, state } of ledger.targets) {
    if (state === 'derived') continue
    const count = elementCount(target.shape)
    result.total += count
    if (expression === undefined) {
      result.missing += count
      continue
    }
    const expected = decodePiece(target, await readTensor(byName.get(target.name)!), 0)
    const found = decodePiece(target, await computeTensor(target, from, expression), 0)
    let largest = 0
    for (const value of expected) largest = Math.max(largest, Math.abs(value))
    const limit = Math.max(LIMIT * largest, 1e-6, ...[target, ...from].map((each) => step(each, largest)))
    if (expected.every((value, at) => value === found[at])) result.exact += count
    if (expected.every((value, at) => Math.abs(value - found[at]!) <= limit)) result.right += count
    else result.wrong.push(target.name)
  }
  return result
}

/** What storing in a narrower type may have cost. */
function step({ dtype, quantization }: Tensor, largest: number): number {
  if (quantization) return 1.01 * Math.max(...quantization.scales)
  return dtype === 'float16' ? 1e-3 * largest : 0
}

/** The target as a person has it who has not loaded anything: other values in every array of more than a few numbers. */
function withNoise(model: Model): Model {
  const tensors = model.tensors.map((tensor, seed) => {
    if (!isFloat(tensor.dtype) || elementCount(tensor.shape) <= 8) return tensor
    return {
      ...tensor,
      async *stream() {
        const bytes = new Uint8Array(tensor.bytes)
        for (let at = 0; at < bytes.length; at++) bytes[at] = (Math.imul(at + 1, 2654435761 + 2 * seed) >>> 13) & 0x3f
        yield bytes
      },
    }
  })
  return { ...model, tensors }
}

function filled(model: Model, ledger: Ledger): Model {
  const entries = new Map(ledger.targets.map((entry) => [entry.target.name, entry]))
  const tensors = model.tensors.map((tensor) => {
    const entry = entries.get(tensor.name)
    if (entry?.expression === undefined) return tensor
    const { from, expression } = entry
    return {
      ...tensor,
      async *stream() {
        yield await computeTensor(tensor, from, expression)
      },
    }
  })
  return { ...model, tensors }
}
