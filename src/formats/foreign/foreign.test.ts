import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { concat, field, number, varint } from '../../../test/build/protobuf.ts'
import { memoryInput } from '../../../test/memory-input.ts'
import { sharedModel, sharedTest } from '../../../test/shared-models.ts'
import { DEFAULT_LIMITS } from '../../bytes/limits.ts'
import { seededRandom } from '../../compare/random.ts'
import { FormatError } from '../../errors.ts'
import { nameForeign } from '../foreign.ts'
import { identify, probeInput } from '../identify.ts'

type Content = string | readonly number[] | Uint8Array
const bytesOf = (content: Content) =>
  typeof content === 'string' ? new TextEncoder().encode(content) : Uint8Array.from(content)
const u32 = (value: number) => new Uint8Array(new Uint32Array([value]).buffer)

/** The sentence that the user reads when he opens `content` under `name`. */
async function sentence(name: string, content: Content, beside: readonly string[] = []): Promise<string> {
  const files = { [name]: bytesOf(content), ...Object.fromEntries(beside.map((other) => [other, new Uint8Array(0)])) }
  const error = await identify(memoryInput(files, name), DEFAULT_LIMITS).catch((caught: unknown) => caught)
  expect(error, `${name} was taken for a model`).toBeInstanceOf(FormatError)
  return (error as Error).message
}

const check = (name: string, content: Content, expected: string | RegExp, beside: readonly string[] = []) =>
  test(`${name}: ${expected}`, async () => {
    const message = await sentence(name, content, beside)
    if (typeof expected === 'string') expect(message).toContain(expected)
    else expect(message).toMatch(expected)
    expect(message).toMatch(/[.?!]$/)
  })

describe('downloads that went wrong', () => {
  const oid = 'c'.repeat(64)
  check(
    'model.mlmodel',
    `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize 97000000\n`,
    `model.mlmodel: this is a Git LFS pointer to an object of 97 MB (sha256:${oid}). Fetch the object itself: run`,
  )
  check(
    'a.tflite',
    '<!DOCTYPE html><html><head><title>Sign in\n to GitHub</title>',
    'this is a web page, "Sign in to GitHub". The download',
  )
  check('a.onnx', '', 'a.onnx: this is an empty file. ')
  check('a.weights', new Uint8Array(64), 'this is a file of 64 zero bytes. ')
  check(
    'a.pt',
    '{"message": "Not Found", "status": "404"}',
    'an error message of a server, in JSON. It says: {"message": "Not Found"',
  )
  check(
    'a.pt',
    '<?xml version="1.0"?><Error><Code>AccessDenied</Code>',
    'an error message of a storage server (AccessDenied)',
  )
  check('a.bin', 'Entry not found', 'a refusal of a server ("Entry not found")')
})

describe('archives', () => {
  check('m.pkl', gzipSync('x'.repeat(50)), 'a gzip-compressed pickle or joblib dump')
  check('m.tar.gz', gzipSync('x'.repeat(50)), 'a gzip-compressed tar archive. Extract it first')
  check('m.gz', [0x1f, 0x8b, 1, 0, 0, 0, 0, 0], 'a gzip file with compression method 1. gzip knows only method 8')
  check('m.joblib', deflateSync('x'.repeat(500)), 'a zlib stream, usually a compressed joblib dump')
  check('m.lz4', [4, 0x22, 0x4d, 0x18, 0x40, 0x40], 'an LZ4 frame, usually a joblib dump')
  check('m.7z', [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c, 0, 4], 'a 7-Zip archive')
  check('m.tar', concat(bytesOf('net.pt'), new Uint8Array(251), bytesOf('ustar\0')), 'a tar archive')
  check('m.zip', [0x50, 0x4b, 0x05, 0x06, ...new Array(18).fill(0)], 'an empty zip archive')
  check(
    'm.zip',
    'hello, this is a note\nwith two lines; and some more {text}',
    'not the .zip archive that its name says, but text. It begins 68 65 6c',
  )
})

describe('compiled engines and other frameworks', () => {
  check('m.rknn', concat(bytesOf('RKNN'), new Uint8Array(12)), 'an RKNN model, compiled for a Rockchip processor')
  check('m.engine', concat(bytesOf('ftrt'), new Uint8Array(12)), 'a TensorRT engine. It is compiled for one device')
  check('m.hef', [1, 0x48, 0x45, 0x46, 0, 0], 'a Hailo executable')
  check('m.dlc', [0xd5, 0x0a, 2, 0, 1, 1, 1], 'a Qualcomm container')
  check('m.om', concat(bytesOf('IMOD'), new Uint8Array(8)), 'an offline model for Ascend')
  check('m.gguf', concat(bytesOf('GGUF'), u32(3), new Uint8Array(8)), 'a GGUF model (version 3)')
  check('m.params', concat(u32(0x112), u32(0), new Uint8Array(8)), 'an MXNet parameter file')
  check('m.ort', concat(u32(24), bytesOf('ORTM'), new Uint8Array(8)), "ONNX Runtime's own format")
  check('m.ms', concat(u32(24), bytesOf('MSL0'), new Uint8Array(8)), 'a MindSpore Lite model (container MSL0)')
  check('m.mlirbc', [0x4d, 0x4c, 0xef, 0x52, 1, 13], 'MLIR bytecode')
  check('m.t7', concat(u32(4), u32(1), u32(3), bytesOf('V 1'), u32(13), bytesOf('nn.Sequential')), 'a Lua Torch model')
  check('m.dnn', [0x42, 0, 0x43, 0, 0x4e, 0, 0, 0, 1], 'a CNTK model of version 1')
  check(
    'm.model',
    concat(Uint8Array.of(0xac, 0xed, 0, 5, 0x73, 0x72, 0, 9), bytesOf('weka.Tree'), new Uint8Array(4)),
    'a serialised Java object of class weka.Tree',
  )
  check(
    'm.mlmodel',
    concat(number(1, 4), field(2, field(10, 'image')), field(500, field(1, 'x'))),
    'a Core ML model (specification version 4)',
  )
  check('m.mnn', [24, 0, 0, 0, 0, 0, 20, 0], 'an MNN model, by its name')
  check('m.bin', [9, 0, 0, 0, 7, 1, 2, 3], 'the weights of an OpenVINO model, by the .xml beside it', ['m.xml'])
  check(
    'm.solverstate',
    concat(number(1, 5000), field(2, 'net_iter_5000.caffemodel'), field(3, field(5, new Uint8Array(4)))),
    'the state of a Caffe solver (iteration 5000). It holds momentum, not weights: open net_iter_5000.caffemodel.',
  )
  check(
    'predict_net.pb',
    concat(field(1, 'net'), field(2, field(1, 'data'), field(2, 'conv1'), field(4, 'Conv'))),
    'a Caffe2 network',
  )
  check('m.model', concat(field(1, field(1, '<unk>')), field(1, field(1, '<s>'))), 'a SentencePiece tokenizer')
  check(
    'events.out.tfevents.1',
    concat(u32(24), u32(0), u32(1), varint(9), new Uint8Array(8), field(3, 'brain.Event:2'), u32(0)),
    'a TensorBoard event file',
  )
  check('__model__', field(1, number(1, 0)), 'a PaddlePaddle program')
})

describe('text under a model name', () => {
  check('m.pt', 'import torch\n\nclass Net(torch.nn.Module):\n', 'Python source text. It was not run.')
  check('m.pt', '# a comment\nfrom os import path\n', 'Python source text')
  check('m.pbtxt', 'item {\n  name: "cat"\n  id: 1\n}\n', 'a label map')
  check('m.pbtxt', 'item {\n  id: 1\n  display_name: "cat"\n}\n', 'a label map')
  check('labels.txt', 'cat\ndog\nred panda\n', 'a list of names, one per line')
  check(
    'config.pbtxt',
    'name: "net"\nplatform: "tensorrt_plan"\nmax_batch_size: 8\n',
    'the configuration of a model server',
  )
  check(
    'pipeline.config',
    'model {\n  ssd {\n    num_classes: 90\n',
    'a pipeline configuration of the TensorFlow detection library',
  )
  check(
    'solver.prototxt',
    'net: "train.prototxt"\nbase_lr: 0.01\nlr_policy: "step"\n',
    'the configuration of a Caffe solver',
  )
  check('cascade.xml', '<?xml version="1.0"?>\n<opencv_storage>\n<cascade/>', 'data of OpenCV in XML')
  check('m.xml', '<?xml version="1.0"?>\n<net name="a" version="11">', 'an OpenVINO model (IR version 11)')
  check('doc.xml', '<?xml version="1.0"?>\n<doxygen a="1">', 'an XML document (<doxygen>)')
  check('m-symbol.json', '{"nodes": [], "arg_nodes": [], "heads": []}', 'the graph of an MXNet model')
  check('m.json', '{"ir_version": "10", "graph": {"node": []}}', 'an ONNX model in JSON form')
  check(
    'm.weights.json',
    '{"metadata": {}, "weight_map": {"/layers/a/vars": "s_0.weights.h5"}}',
    'the index of weights',
  )
  check(
    'm.json',
    '{"class_name": "Sequential", "config": {}, "keras_version": "2.4.0"}',
    'the architecture of a Keras model in JSON',
  )
  check('d.json', '{"file_format_version": "1.0.0", "ICD": {}}', 'the manifest of a graphics driver')
  check('m.meta', '{"net": {}, "anchors": [1], "labels": []}', 'the settings of darkflow')
  check('c.json', '{"model": {"anchors": []}, "train": {}}', 'a training configuration')
  check('tokenizer.json', '{"added_tokens": [], "model": {}}', 'a tokenizer of the transformers library')
  check('x.json', '{"a": 1}', 'a JSON document that describes no model we know')
  check('x.json', '{"a": 1,', 'a damaged JSON document')
  check('m.mlir', 'module {\n  func.func @main() { > }\n', 'a program in MLIR text')
  check(
    'm.mlir',
    '#loc = loc(unknown)\nmodule { %0 = stablehlo.sine %a : tensor<f32> }',
    'a StableHLO program in MLIR text',
  )
  check('m.ir', 'graph(%self.1 : __torch__.Net,\n      %x : Tensor):\n', 'the printed graph of a TorchScript module')
  check('graph.nnef', 'version 1.0;\ngraph net(input) -> (output)\n', 'an NNEF graph')
  check('m.onnx', 'ir_version: 8\nproducer_name: "x"\ngraph {\n', 'an ONNX model in text form')
  check(
    'm.cc',
    'const unsigned char model[] DATA_ALIGN(4) = {\n 0x1c, 0x00, 0x00, 0x00, 0x54, 0x46, 0x4c, 0x33',
    'C source with data in an array',
  )
  check('m.txt', 'booster[0]:\n0:[f1<0.5] yes=1,no=2\n', 'a text dump of an XGBoost model')
  check('log.csv', 'epoch,loss,lr\n1,2.5,0.1\n2,1.5,0.1\n3,1,0.1\n', 'a table of numbers or text')
  check('m.pnnx.param', '7767517\n2 1\npnnx.Input in 0 1 0\n', 'a PNNX model')
  check('n.ipynb', '{"cells": [], "nbformat": 4}', 'a Jupyter notebook')
  check('m.tnnproto', '"1 57 1 4206624770 ,"\n"input 1 3 4 4 ,"', 'a TNN model')
})

describe('pickles', () => {
  const recent = (module: string, name: string) =>
    concat(
      Uint8Array.of(0x80, 4, 0x8c, module.length),
      bytesOf(module),
      Uint8Array.of(0x94, 0x8c, name.length),
      bytesOf(name),
      Uint8Array.of(0x94, 0x93, 0x2e),
    )
  check(
    'm.pkl',
    recent('sklearn.svm._classes', 'SVC'),
    'a scikit-learn model in a pickle (sklearn.svm._classes.SVC). Nothing of it was run',
  )
  check(
    'm.pkl',
    recent('theano.tensor.sharedvar', 'TensorSharedVariable'),
    'a model of Theano, Lasagne, Chainer or a relative',
  )
  check('m.pkl', recent('pandas.core.frame', 'DataFrame'), 'a pandas object in a pickle')
  check('m.pkl', recent('__main__', 'Net'), "a class of its author's own script (__main__.Net)")
  check('m.pkl', recent('joblib.numpy_pickle', 'NumpyArrayWrapper'), 'a joblib dump')
  check(
    'm.pkl',
    concat(Uint8Array.of(0x80, 2), bytesOf('cdatetime\ndatetime\n.')),
    'a Python pickle (protocol 2; it names datetime.datetime)',
  )
})

describe('files of real frameworks', () => {
  const folder = resolve(import.meta.dirname, '../../../test/fixtures/frameworks/other')
  const real = (name: string, expected: string) =>
    test.skipIf(!existsSync(resolve(folder, name)))(`${name}: ${expected}`, async () =>
      expect(await sentence(name, new Uint8Array(readFileSync(resolve(folder, name))))).toContain(expected),
    )
  real('plain.joblib', 'a joblib dump')
  real('gzip.joblib', 'a gzip-compressed pickle or joblib dump')
  real('zlib.joblib', 'a zlib stream, usually a compressed joblib dump')
  real('xz.joblib', 'an xz-compressed file')
  real('lz4.joblib', 'an LZ4 frame')
  for (const protocol of [0, 2, 5]) real(`arrays-protocol-${protocol}.pkl`, `a Python pickle (protocol ${protocol}`)

  const shared = (file: string, expected: string) =>
    sharedTest(`${file}: ${expected}`, async () =>
      expect(await sentence(file.split('/').at(-1)!, new Uint8Array(readFileSync(sharedModel(file))))).toContain(
        expected,
      ),
    )
  shared('mtcnn-pnet/keras-joblib-lz4/pnet.lz4', 'an LZ4 frame around a joblib dump')
  shared('model-explorer/stablehlo_sin.mlir', 'a StableHLO program in MLIR text')
})

test('folders: Core ML packages and compiled models', async () => {
  const open = (...names: string[]) =>
    identify(memoryInput(Object.fromEntries(names.map((name) => [name, new Uint8Array(1)]))), DEFAULT_LIMITS)
  await expect(open('Manifest.json', 'Data/model.bin')).rejects.toThrow('a Core ML package (.mlpackage)')
  await expect(open('coremldata.bin', 'model.mil')).rejects.toThrow('a compiled Core ML model')
})

test('random bytes are not guessed: the first are shown', async () => {
  const random = seededRandom(7)
  const noise = Uint8Array.from({ length: 4000 }, () => Math.floor(random() * 256))
  for (const name of ['m.onnx', 'm.pth']) {
    const message = await sentence(name, noise)
    expect(message).toMatch(/format not recognised at byte 0: expected one of .*, found ([0-9a-f]{2} ){16}\("/)
  }
})

test('naming never throws and takes no time, whatever the bytes', async () => {
  const random = seededRandom(8)
  const samples = [
    ' '.repeat(65_536),
    '\n'.repeat(65_536),
    '# '.repeat(32_768),
    'item { '.repeat(9000),
    'op {'.repeat(16_384),
    `graph${' '.repeat(65_000)}`,
    `x[]${' '.repeat(65_000)}`,
    `layer${' '.repeat(65_000)}`,
    '<net '.repeat(13_000),
    '1'.repeat(65_536),
    '[net '.repeat(13_000),
    '{'.repeat(65_536),
  ].map(bytesOf)
  for (let round = 0; round < 60; round++) {
    const length = Math.floor(random() * 300)
    samples.push(Uint8Array.from({ length }, () => Math.floor(random() * (round % 2 ? 256 : 128))))
  }
  for (const bytes of samples) {
    for (const name of ['m.bin', 'm.cfg', 'm.prototxt']) {
      const probe = await probeInput(memoryInput({ [name]: bytes }, name), DEFAULT_LIMITS)
      nameForeign(probe)
      await identify(memoryInput({ [name]: bytes }, name), DEFAULT_LIMITS).catch((error: unknown) =>
        expect(error).toBeInstanceOf(FormatError),
      )
    }
  }
})
