import { COMPILED, CORE_ML } from './hints.ts'
import { type ForeignRow, type ForeignView, named } from './view.ts'

const byName = (extensions: readonly string[], name: string, hint: string): ForeignRow => ({
  when: (view) => view.text === undefined && named(...extensions)(view),
  name,
  hint,
})
const inside =
  (...names: readonly string[]) =>
  ({ isFolder, siblings }: ForeignView) =>
    isFolder && names.every((name) => siblings.includes(name))

/** Folders that other tools call a model. */
export const FOLDERS: readonly ForeignRow[] = [
  { when: inside('manifest.json', 'data/'), name: 'a Core ML package (.mlpackage)', hint: CORE_ML },
  { when: inside('coremldata.bin'), name: 'a compiled Core ML model (.mlmodelc)', hint: CORE_ML },
  { when: inside('model.espresso.net'), name: 'a compiled Core ML model (.mlmodelc)', hint: CORE_ML },
  {
    when: inside('_metadata', '_checkpoint_metadata'),
    name: 'an Orbax checkpoint (JAX)',
    hint: 'Restore it in Python and save the arrays with numpy.savez or safetensors.',
  },
  {
    when: inside('inference.pdmodel'),
    name: 'a PaddlePaddle model',
    hint: 'Convert it with paddle2onnx and open the ONNX file.',
  },
]

/** Formats without any signature: the name is all there is, so the sentence says so. */
export const NAMES: readonly ForeignRow[] = [
  byName(['.mnn'], 'an MNN model, by its name', 'Open the model that it was converted from (ONNX, TensorFlow, Caffe).'),
  byName(
    ['.pdiparams', '.pdparams', '.pdopt'],
    'PaddlePaddle weights, by the name',
    'Convert the model with paddle2onnx and open the ONNX file.',
  ),
  byName(['.tmfile'], 'a Tengine model, by its name', 'Open the model that it was converted from.'),
  byName(['.tnnmodel'], 'weights of a TNN model, by the name', 'Open the model that it was converted from.'),
  byName(['.nb'], 'a Paddle Lite model, by its name', COMPILED),
  byName(['.engine', '.plan', '.trt'], 'a TensorRT engine, by its name', COMPILED),
  byName(
    ['.msgpack'],
    'MessagePack data, usually weights of Flax, by the name',
    'Load it with flax.serialization and save the arrays with safetensors.',
  ),
  byName(['.cntk', '.dnn'], 'a CNTK model, by its name', 'Export it to ONNX with CNTK and open that.'),
  byName(['.bson'], 'BSON data, as Flux.jl writes, by the name', 'Load it in Julia and export the arrays.'),
  byName(['.pnnx.bin'], 'weights of a PNNX model, by the name', 'Open the .ncnn.param that pnnx writes beside it.'),
  byName(['.espresso.weights'], 'weights of a compiled Core ML model, by the name', CORE_ML),
  {
    when: ({ text, fileName, siblings }) =>
      text === undefined && fileName.endsWith('.bin') && siblings.includes(fileName.replace(/\.bin$/, '.xml')),
    name: 'the weights of an OpenVINO model, by the .xml beside it',
    hint: 'OpenVINO IR is not read. Open the ONNX or framework model that it was made from.',
  },
  {
    when: ({ text, fileName, siblings }) =>
      text === undefined && /\.(params|bin)$/.test(fileName) && siblings.some((name) => name.endsWith('-symbol.json')),
    name: 'the parameters of an MXNet model, by the symbol file beside it',
    hint: 'Export both to ONNX with mxnet.onnx.',
  },
]
