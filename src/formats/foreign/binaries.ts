import { type ProbedField, probeFields, probeNested, probeText } from '../../encoding/protobuf-probe.ts'
import { COMPILED, CORE_ML } from './hints.ts'
import { begins, type ForeignRow, type ForeignView, named } from './view.ts'

const TEXT_MODELS = 'Open the model that it was made from, or convert it to ONNX with the framework that wrote it.'
const NOT_A_MODEL = 'Give the model file itself.'
const magic = (bytes: string | readonly number[], name: ForeignRow['name'], hint: string, offset = 0): ForeignRow => ({
  when: begins(bytes, offset),
  name,
  hint,
})

const u32 = ({ head }: ForeignView, offset: number) =>
  head.length >= offset + 4 ? new DataView(head.buffer, head.byteOffset).getUint32(offset, true) : 0

/** Models and programs with a magic number. */
export const BINARIES: readonly ForeignRow[] = [
  magic(
    'GGUF',
    (view) => `a GGUF model (version ${u32(view, 4)})`,
    'GGUF holds language models for llama.cpp and is not read. Open the safetensors or PyTorch files that it was made from.',
  ),
  ...['lmgg', 'fmgg', 'tjgg', 'algg'].map((bytes) =>
    magic(bytes, 'a GGML model, the predecessor of GGUF', 'Open the PyTorch files that it was made from.'),
  ),
  magic(
    [0x12, 1, 0, 0, 0, 0, 0, 0],
    'an MXNet parameter file (.params)',
    'Export it to ONNX with mxnet.onnx, or save the arrays with numpy.savez.',
  ),
  magic(
    [0x4d, 0x4c, 0xef, 0x52],
    'MLIR bytecode (StableHLO, TOSA or another dialect)',
    'It holds a program, usually without weights. Open the saved model or checkpoint that it was made from.',
  ),
  magic('ftrt', 'a TensorRT engine', COMPILED),
  magic('ptrt', 'a TensorRT engine', COMPILED),
  magic('ftrt', 'a TensorRT engine', COMPILED, 24),
  magic('RKNN', 'an RKNN model, compiled for a Rockchip processor', COMPILED),
  magic('CRYPTKNN', 'an encrypted RKNN model', COMPILED),
  magic([0x01, 0x48, 0x45, 0x46], 'a Hailo executable (.hef)', COMPILED),
  magic('KMDL', 'a kmodel, compiled for a Kendryte processor', COMPILED),
  magic('LDMK', 'a kmodel, compiled for a Kendryte processor', COMPILED),
  magic('IMOD', 'an offline model for Ascend processors (.om)', COMPILED),
  magic([0x7f, 0x4d, 0x45, 0x46], 'a Cambricon model', COMPILED),
  {
    when: ({ head }) => head[0] === 0xd5 && head[1] === 0x0a && (head[2] ?? 9) <= 6,
    name: 'a Qualcomm container (DLC or QNN context)',
    hint: COMPILED,
  },
  magic(
    'ORTM',
    "a model in ONNX Runtime's own format (.ort)",
    'Open the .onnx file that it was made from: .ort is a build of it for one runtime.',
    4,
  ),
  magic('ET12', 'an ExecuTorch program (.pte)', COMPILED, 4),
  magic('CIR0', 'a Circle model (ONE)', 'Open the TFLite file that it was made from.', 4),
  ...['MSL0', 'MSL1', 'MSL2'].map((bytes) =>
    magic(bytes, `a MindSpore Lite model (container ${bytes})`, TEXT_MODELS, 4),
  ),
  magic([0x42, 0, 0x43, 0, 0x4e, 0, 0, 0], 'a CNTK model of version 1', TEXT_MODELS),
  magic('CBM1', 'a CatBoost model', 'Trees are not a network: there is nothing to compare here.'),
  magic('binf', 'an XGBoost model', 'Trees are not a network: there is nothing to compare here.'),
  {
    when: isTorch7,
    name: 'a Lua Torch model (Torch7, .t7)',
    hint: 'Convert it: torchfile or torch.utils.serialization of PyTorch before 1.0 read it in Python.',
  },
  magic(
    [0xac, 0xed, 0x00, 0x05],
    (view) => `a serialised Java object${javaClass(view)}`,
    'Open it with the library that wrote it and export to ONNX.',
  ),
  magic(
    'MATLAB 5.0 MAT-file',
    'a MATLAB data file, which MatConvNet and others keep models in',
    'Load it with scipy.io.loadmat and save the arrays with numpy.savez.',
  ),
  magic([0x58, 0x0a, 0, 0, 0], 'an R data file', 'Open it in R and export the model.'),
  magic('RDX', 'an R data file', 'Open it in R and export the model.'),
  {
    when: isTfRecord,
    name: (view) => (isEventFile(view) ? 'a TensorBoard event file (training log)' : 'a TFRecord file (training data)'),
    hint: 'It is a record of training, not a model: open the checkpoint beside it.',
  },
  magic([0xde, 0xc0, 0xef, 0xbe], 'an LMDB database, usually training data', NOT_A_MODEL, 16),
  magic('SQLite format 3', 'an SQLite database', NOT_A_MODEL),
  magic('PAR1', 'a Parquet table', NOT_A_MODEL),
  magic('ARROW1', 'an Arrow table', NOT_A_MODEL),
  magic([0x89, 0x50, 0x4e, 0x47], 'a PNG image', NOT_A_MODEL),
  magic([0xff, 0xd8, 0xff], 'a JPEG image', NOT_A_MODEL),
  magic('GIF8', 'a GIF image', NOT_A_MODEL),
  magic('WEBP', 'a WebP image', NOT_A_MODEL, 8),
  magic('%PDF', 'a PDF document', NOT_A_MODEL),
  magic('WAVE', 'a WAV recording', NOT_A_MODEL, 8),
  magic('ftyp', 'a video or image in an ISO container', NOT_A_MODEL, 4),
  magic([0x7f, 0x45, 0x4c, 0x46], 'a compiled program or library (ELF)', COMPILED),
  magic([0xcf, 0xfa, 0xed, 0xfe], 'a compiled program or library (Mach-O)', COMPILED),
  magic([0, 0x61, 0x73, 0x6d], 'a WebAssembly module', COMPILED),
  {
    when: ({ head }) => head[0] === 0x4d && head[1] === 0x5a && u16(head, 0x3c) > 0x3f && u16(head, 0x3c) < 0x1000,
    name: 'a Windows program or library',
    hint: COMPILED,
  },
]

/** Protocol buffers of others: told apart by the fields of their head. */
export const PROTOBUFS: readonly ForeignRow[] = [
  {
    when: (view) => {
      const all = fields(view)
      const version = all?.find(({ id }) => id === 1)
      return (
        version?.wireType === 0 &&
        (version.value ?? 99) <= 20 &&
        all?.some(({ id, wireType }) => id === 2 && wireType === 2) === true &&
        (all.some(({ id }) => id >= 200 && id <= 3002) || named('.mlmodel')(view))
      )
    },
    name: (view) => `a Core ML model (specification version ${fields(view)?.[0]?.value ?? 'unknown'})`,
    hint: CORE_ML,
  },
  {
    when: (view) => {
      const all = fields(view) ?? []
      return (
        kind(all, 1) === 0 &&
        kind(all, 2) === 2 &&
        kind(all, 3) === 2 &&
        all.every(({ id }) => id <= 4) &&
        /\.caffemodel(\.h5)?$/.test(textField(view, all, 2) ?? '')
      )
    },
    name: (view) => `the state of a Caffe solver (iteration ${fields(view)?.[0]?.value})`,
    hint: (view) => `It holds momentum, not weights: open ${textField(view, fields(view) ?? [], 2)}.`,
  },
  {
    when: ({ extension, head, size }) => extension === '.binaryproto' && probeFields(head, size) !== undefined,
    name: 'a Caffe blob, usually the mean image of a data set',
    hint: 'It belongs to the preprocessing: open the .caffemodel.',
  },
  {
    when: (view) => {
      const all = fields(view) ?? []
      const piece = all[0] && all[0].id === 1 ? probeNested(view.head, all[0]) : undefined
      const text = piece?.[0] && probeText(view.head.subarray(all[0]!.start), piece[0])
      return text === '<unk>' || text === '<pad>' || text === '<s>'
    },
    name: 'a SentencePiece tokenizer',
    hint: 'It is the vocabulary of a language model, not the network: open the weights beside it.',
  },
  {
    when: (view) => isCaffe2(view),
    name: 'a Caffe2 network',
    hint: 'Convert init_net.pb and predict_net.pb to ONNX with caffe2.python.onnx and open that.',
  },
  {
    when: (view) => named('.pdmodel', '__model__')(view) && fields(view) !== undefined,
    name: 'a PaddlePaddle program',
    hint: 'Convert it with paddle2onnx and open the ONNX file.',
  },
  {
    when: (view) => named('.uff')(view) && fields(view) !== undefined,
    name: 'a UFF model (an old import format of TensorRT)',
    hint: 'Open the TensorFlow graph that it was made from.',
  },
]

const fields = ({ head, size, text }: ForeignView): readonly ProbedField[] | undefined =>
  text === undefined ? probeFields(head, size) : undefined
const kind = (all: readonly ProbedField[], id: number) => all.find((field) => field.id === id)?.wireType

function textField({ head }: ForeignView, all: readonly ProbedField[], id: number): string | undefined {
  const field = all.find((one) => one.id === id)
  return field && probeText(head, field)?.slice(0, 200)
}

/** NetDef: name (1), operators (2) whose outputs (2) and type (4) are text. */
function isCaffe2(view: ForeignView): boolean {
  const all = fields(view) ?? []
  const op = all.find(({ id, wireType }) => id === 2 && wireType === 2)
  const inside = op && probeNested(view.head, op)
  if (!op || !inside?.every(({ id }) => id <= 9)) return false
  const type = inside.find(({ id }) => id === 4)
  const output = inside.find(({ id }) => id === 2)
  const within = view.head.subarray(op.start)
  const typeName = type && probeText(within, type)
  return (
    output !== undefined &&
    typeName !== undefined &&
    /^[A-Z][A-Za-z0-9]+$/.test(typeName) &&
    !all.some(({ id }) => id > 10)
  )
}

/** Records: length u64, checksum u32, data, checksum u32. The first must end inside the file. */
function isTfRecord(view: ForeignView): boolean {
  const { head, size, text } = view
  if (head.length < 16 || text !== undefined || u32(view, 4) !== 0) return false
  const length = u32(view, 0)
  const named = /tfevents|\.tfrecords?$/.test(view.fileName)
  return length > 0 && length + 16 <= size && (isEventFile(view) || named)
}

const isEventFile = ({ head }: ForeignView) =>
  new TextDecoder('latin1').decode(head.subarray(0, 200)).includes('brain.Event:')

/** Binary t7: type 4 (object) or 3 (table), index, then for objects `V 1` and a class name. */
function isTorch7(view: ForeignView): boolean {
  const begin = new TextDecoder('latin1').decode(view.head.subarray(0, 64))
  if (/^4\n1\n3\nV 1\n/.test(begin)) return true
  if (u32(view, 0) === 4 && u32(view, 4) === 1 && u32(view, 8) === 3 && begin.slice(12, 15) === 'V 1') return true
  return named('.t7', '.net')(view) && (u32(view, 0) === 3 || u32(view, 0) === 4) && u32(view, 4) === 1
}

/** TC_OBJECT, TC_CLASSDESC, then the class name with its length. */
function javaClass({ head }: ForeignView): string {
  if (head[4] !== 0x73 || head[5] !== 0x72) return ''
  const length = (head[6]! << 8) | head[7]!
  return ` of class ${new TextDecoder('latin1').decode(head.subarray(8, 8 + Math.min(length, 100)))}`
}

const u16 = (head: Uint8Array, offset: number) => (head[offset] ?? 0) | ((head[offset + 1] ?? 0) << 8)
