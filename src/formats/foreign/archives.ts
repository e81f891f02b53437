import { describeBytes } from '../../bytes/byte-reader.ts'
import { COMPILED, CORE_ML } from './hints.ts'
import { begins, type ForeignRow, type ForeignView, listNames } from './view.ts'

const has = (pattern: RegExp) => (view: ForeignView) => view.zipEntries?.some((name) => pattern.test(name)) ?? false
const MODEL_FILE = /\.(onnx|pt|pth|h5|hdf5|keras|tflite|pb|safetensors|caffemodel|weights|npz|npy|param|mlmodel|gguf)$/i

const contains = (text: string, name: string) => text.includes(name)
const latin1 = (head: Uint8Array) => new TextDecoder('latin1').decode(head.subarray(0, 4096))

/** Compressed streams and archives, and what they hold where that shows. */
export const ARCHIVES: readonly ForeignRow[] = [
  {
    when: begins([0x04, 0x22, 0x4d, 0x18]),
    name: ({ head }) =>
      contains(latin1(head), 'joblib') ? 'an LZ4 frame around a joblib dump' : 'an LZ4 frame, usually a joblib dump',
    hint: 'joblib dumps are pickles, which run code when loaded. If you trust it, load it in Python and save the arrays with numpy.savez.',
  },
  {
    when: ({ head }) => head[0] === 0x1f && head[1] === 0x8b && head[2] !== 8,
    name: ({ head }) => `a gzip file with compression method ${head[2]}`,
    hint: 'gzip knows only method 8 (deflate): the file is damaged.',
  },
  {
    when: begins([0x1f, 0x8b]),
    name: ({ fileName }) =>
      /\.(tgz|tar\.gz)$/.test(fileName)
        ? 'a gzip-compressed tar archive'
        : /\.(joblib|pkl|pickle)(\.gz)?$/.test(fileName)
          ? 'a gzip-compressed pickle or joblib dump'
          : 'a gzip-compressed file',
    hint: ({ fileName }) =>
      /\.(joblib|pkl|pickle)(\.gz)?$/.test(fileName)
        ? 'Pickles run code when loaded. If you trust it, load it in Python and save the arrays with numpy.savez.'
        : 'Extract it first and open the model inside.',
  },
  {
    when: (view) =>
      view.text === undefined && view.head[0] === 0x78 && [0x01, 0x5e, 0x9c, 0xda].includes(view.head[1] ?? 0),
    name: 'a zlib stream, usually a compressed joblib dump',
    hint: 'joblib dumps are pickles, which run code when loaded. If you trust it, load it in Python and save the arrays with numpy.savez.',
  },
  {
    when: begins('ZF0x'),
    name: 'a compressed dump of an old joblib (before 0.10)',
    hint: 'Load it with that joblib in Python, if you trust it, and save the arrays with numpy.savez.',
  },
  {
    when: begins([0x28, 0xb5, 0x2f, 0xfd]),
    name: 'a Zstandard-compressed file',
    hint: 'Extract it first (zstd -d) and open the model inside.',
  },
  {
    when: begins([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]),
    name: 'an xz-compressed file',
    hint: 'Extract it first (xz -d; joblib writes this too, around a pickle) and open the model inside.',
  },
  {
    when: begins('BZh'),
    name: 'a bzip2-compressed file',
    hint: 'Extract it first (bunzip2) and open the model inside.',
  },
  {
    when: begins([0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c]),
    name: 'a 7-Zip archive',
    hint: 'Extract it first and open the model inside.',
  },
  { when: begins('Rar!'), name: 'a RAR archive', hint: 'Extract it first and open the model inside.' },
  { when: begins('ustar', 257), name: 'a tar archive', hint: 'Extract it first and open the model inside.' },
  ...zipRows(),
  {
    // last: an archive by name only
    when: ({ extension, zipEntries, isFolder }) =>
      !isFolder &&
      zipEntries === undefined &&
      ['.zip', '.gz', '.tgz', '.tar.gz', '.tar', '.7z', '.rar', '.xz', '.bz2', '.zst', '.lz4'].includes(extension),
    name: ({ extension, text }) =>
      `not the ${extension} archive that its name says, but ${text === undefined ? 'other data' : 'text'}`,
    hint: ({ head }) => `It begins ${describeBytes(head)}: the download or copy went wrong.`,
  },
]

function zipRows(): ForeignRow[] {
  const model = (pattern: RegExp, name: string, hint: string): ForeignRow => ({ when: has(pattern), name, hint })
  return [
    model(/\.mlmodelc?(\/|$)|^[^/]+\.mlpackage\//, 'a zip archive with a Core ML model', CORE_ML),
    model(/^MAR-INF\//, 'a TorchServe archive (.mar)', 'Extract it and open the weights inside (.pt, .pth).'),
    model(
      /(^|\/)(coefficients|updaterState)\.bin$/,
      'a Deeplearning4j model',
      'Export it to ONNX or Keras HDF5 and open that.',
    ),
    model(/^TrainingInfo\//, 'an ML.NET model', 'Save it as ONNX (ConvertToOnnx) and open that.'),
    model(
      /\.nntxt$/,
      'a Neural Network Libraries (NNabla) archive',
      'Convert it with nnabla_cli to ONNX and open that.',
    ),
    model(/^(model\.params|model|dlc\.metadata)$/, 'a Qualcomm DLC container', COMPILED),
    model(
      /^classes\.dex$|^AndroidManifest\.xml$/,
      'an Android app',
      'Extract it and look for the model under assets/.',
    ),
    model(/^(word|xl|ppt)\//, 'an office document', 'Give the model file itself.'),
    model(/^META-INF\/MANIFEST\.MF$/, 'a Java archive', 'Extract it and open the model inside, if there is one.'),
    {
      when: ({ zipEntries }) => zipEntries?.length === 0,
      name: 'an empty zip archive',
      hint: 'Nothing is inside: fetch it again from its source.',
    },
    {
      when: has(MODEL_FILE),
      name: ({ zipEntries = [] }) =>
        `a zip archive with ${listNames(zipEntries.filter((name) => MODEL_FILE.test(name)))}`,
      hint: 'Extract it first and open the model inside.',
    },
    {
      when: ({ zipEntries }) => zipEntries !== undefined,
      name: ({ zipEntries = [] }) => `a zip archive without a model (${listNames(zipEntries)})`,
      hint: 'None of its entries is a model that we know by name. Extract it and open the file that you mean.',
    },
  ]
}
