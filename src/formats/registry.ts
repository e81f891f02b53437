import { caffe } from './caffe/caffe.ts'
import { darknet } from './darknet/darknet.ts'
import type { Format } from './format.ts'
import { kerasH5 } from './keras/keras-h5.ts'
import { kerasV3 } from './keras/keras-v3.ts'
import { ncnn } from './ncnn/ncnn.ts'
import { npy } from './numpy/npy.ts'
import { npz } from './numpy/npz.ts'
import { onnx } from './onnx/onnx.ts'
import { pytorch } from './pytorch/pytorch.ts'
import { safetensors } from './safetensors/safetensors.ts'
import { tfCheckpoint } from './tensorflow/checkpoint.ts'
import { tfGraphDef } from './tensorflow/graph-def.ts'
import { tfSavedModel } from './tensorflow/saved-model.ts'
import { tfjs } from './tfjs/tfjs.ts'
import { tflite } from './tflite/tflite.ts'

/** Every format that we read, in alphabetical order. Order never decides: `identify` asks all of them. */
export const FORMATS: readonly Format[] = [
  caffe,
  darknet,
  kerasH5,
  kerasV3,
  ncnn,
  npy,
  npz,
  onnx,
  pytorch,
  safetensors,
  tfCheckpoint,
  tfGraphDef,
  tfSavedModel,
  tfjs,
  tflite,
]

/** A format as people call it, by its id. */
export function formatTitle(id: string): string {
  return FORMATS.find((format) => format.id === id)?.title ?? id
}
