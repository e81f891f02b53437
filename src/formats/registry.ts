import { darknet } from './darknet/darknet.ts'
import type { Format } from './format.ts'
import { ncnn } from './ncnn/ncnn.ts'
import { npy } from './numpy/npy.ts'
import { npz } from './numpy/npz.ts'
import { onnx } from './onnx/onnx.ts'

/** Every format that we read, in alphabetical order. Order never decides: `identify` asks all of them. */
export const FORMATS: readonly Format[] = [darknet, ncnn, npy, npz, onnx]
