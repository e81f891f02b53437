import {
  codebookArray,
  floatArray,
  halfArray,
  int8Array,
  ncnnBin,
  ncnnParam,
  rawArray,
  words,
} from '../../test/build/ncnn.ts'
import type { Seed } from './corpus.ts'

/** Seeds of formats whose fixtures are built by code instead of committed. */
export const BUILT_SEEDS: readonly Seed[] = [
  ncnnSeed('text', {
    'net.param': ncnnParam(
      'Input data 0 1 data 0=4 1=5 2=2',
      'Convolution conv 1 1 data a 0=2 1=1 5=1 6=4',
      'PReLU slope 1 1 a b 0=2',
      'InnerProduct fc 1 1 b c 0=3 1=0 2=6 -23310=2,0.5,1.5',
    ),
    'net.bin': ncnnBin(floatArray([1, 2, 3, 4]), rawArray([5, 6]), rawArray([0.1, 0.2]), halfArray([1, 2, 3, 4, 5, 6])),
  }),
  ncnnSeed('storage', {
    'net.param': ncnnParam(
      'Input data 0 1 data 0=4 1=5 2=2',
      'Split split 1 2 data a b',
      'ConvolutionDepthWise dw 1 1 a c 0=2 1=1 5=0 6=2 7=2 8=1',
      'BatchNorm bn 1 1 c d 0=2',
      'Scale scale 1 1 b e 0=2 1=1',
      'BinaryOp add 2 1 d e f 0=0',
      'InnerProduct fc 1 1 f g 0=2 1=1 2=4',
    ),
    'net.bin': ncnnBin(
      int8Array([1, -2]),
      rawArray([0.5, 0.25]),
      rawArray([1]),
      ...[rawArray([1, 2]), rawArray([1, 2]), rawArray([1, 2]), rawArray([1, 2])],
      ...[rawArray([1, 2]), rawArray([3, 4])],
      ...[codebookArray([0.5, 1.5], [0, 1, 1, 0]), rawArray([1, 2])],
    ),
  }),
  ncnnSeed('binary', {
    'net.param.bin': words(
      ...[7767517, 2, 2],
      ...[16, 0, 1, 0, 0, 4, 1, 5, 2, 2, -233],
      ...[6, 1, 1, 0, 1, 0, 1, 1, 1, 5, 1, 6, 2, -233],
    ),
    'net.bin': ncnnBin(floatArray([1, 2]), rawArray([3])),
  }),
]

function ncnnSeed(name: string, files: Readonly<Record<string, Uint8Array>>): Seed {
  const victims = Object.keys(files)
  return { format: 'ncnn', origin: `built: ncnn ${name}`, files, main: victims[0]!, victims }
}
