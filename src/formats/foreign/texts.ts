import { type ForeignRow, type ForeignView, hasKey, textMatches } from './view.ts'

const NO_WEIGHTS = 'It describes a network or its surroundings and holds no weights: open the weights beside it.'
const CONVERT = 'Open the model that it was made from, or convert it to ONNX.'
const json = (keys: readonly string[], name: string, hint: string): ForeignRow => ({
  when: (view) => hasKey(view, ...keys),
  name,
  hint,
})
const text = (pattern: RegExp, name: ForeignRow['name'], hint: string): ForeignRow => ({
  when: textMatches(pattern),
  name,
  hint,
})

/** Text forms of models and their companions. More telling rows come first. */
export const TEXTS: readonly ForeignRow[] = [
  json(
    ['nodes', 'arg_nodes'],
    'the graph of an MXNet model (symbol JSON)',
    'Export it together with its .params to ONNX with mxnet.onnx.',
  ),
  json(
    ['class_name', 'config'],
    'the architecture of a Keras model in JSON, without weights',
    'Open the .h5 or .keras file that holds the weights.',
  ),
  json(['nbformat', 'cells'], 'a Jupyter notebook', 'Run it, save the model, and open that file.'),
  json(['base_code', 'program'], 'a PaddlePaddle program (PIR)', 'Convert it with paddle2onnx and open the ONNX file.'),
  json(['learner', 'version'], 'an XGBoost model', 'Trees are not a network: there is nothing to compare here.'),
  json(['file_format_version', 'ICD'], 'the manifest of a graphics driver', 'Give the model file itself.'),
  json(['added_tokens', 'model'], 'a tokenizer of the transformers library', NO_WEIGHTS),
  json(['model_type'], 'the configuration of a transformers model', NO_WEIGHTS),
  json(['_class_name', '_diffusers_version'], 'the configuration of a diffusers pipeline', NO_WEIGHTS),
  json(['net', 'anchors'], 'the settings of darkflow (.meta)', NO_WEIGHTS),
  json(['model', 'train'], 'a training configuration in JSON', NO_WEIGHTS),
  json(
    ['graphs', 'opsetImport'],
    'an ONNX model in JSON form',
    'Write it in binary form: onnx.save_model(model, "model.onnx").',
  ),
  json(
    ['irVersion', 'graph'],
    'an ONNX model in JSON form',
    'Write it in binary form: onnx.save_model(model, "model.onnx").',
  ),
  json(
    ['ir_version', 'graph'],
    'an ONNX model in JSON form',
    'Write it in binary form: onnx.save_model(model, "model.onnx").',
  ),
  json(
    ['weight_map'],
    'the index of weights in several files that are no safetensors',
    'Open the files that its weight_map names one by one (.weights.h5 of Keras, .bin of PyTorch).',
  ),
  {
    when: ({ text = '', json: document, isWhole }) =>
      /^\s*[[{]\s*["[{\d\]}]/.test(text) && (document !== undefined || !isWhole),
    name: 'a JSON document that describes no model we know',
    hint: 'Give the model file itself.',
  },
  {
    when: ({ text = '', isWhole, extension }) => extension === '.json' && isWhole && /^\s*[[{]/.test(text),
    name: 'a damaged JSON document',
    hint: 'It begins like JSON and is not: the copy is incomplete or was edited. Fetch it again.',
  },
  text(
    /<net\s[^>]{0,500}\bversion\s*=/,
    (view) => `an OpenVINO model${irVersion(view)}`,
    'OpenVINO IR is not read. Open the ONNX or framework model that it was made from.',
  ),
  text(
    /<opencv_storage>/,
    'data of OpenCV in XML (a cascade or another classifier)',
    'It is not a network: there is nothing to compare here.',
  ),
  text(/^%YAML:1\.0/, 'data of OpenCV in YAML', 'It is not a network: there is nothing to compare here.'),
  text(/<PMML\s/, 'a PMML model', CONVERT),
  text(/^\s*<svg\b|<svg\s[^>]{0,500}xmlns/, 'a drawing (SVG)', 'Give the model file itself.'),
  {
    when: ({ text = '' }) =>
      /^\s*<\?xml\b/.test(text) || (/^\s*<[A-Za-z][\w:.-]*[\s/>]/.test(text) && text.includes('</')),
    name: ({ text = '' }) => `an XML document (<${/<([A-Za-z][\w:.-]{0,60})/.exec(text)?.[1] ?? 'unknown'}>)`,
    hint: 'It is no model that we know. Give the model file itself.',
  },
  text(
    /\bstablehlo\.|#stablehlo|\bmhlo\./,
    'a StableHLO program in MLIR text',
    'It holds a program, usually without weights. Open the saved model or checkpoint that it was made from.',
  ),
  text(
    /^\s*(?:(?:\/\/[^\n]*|#[\w-]+\s*=[^\n]*)\n\s*)*(?:module\b[^\n]*\{|"builtin\.module"|func\.func\b|builtin\.module\b)/,
    'a program in MLIR text',
    CONVERT,
  ),
  text(/^HloModule\b/, 'an HLO program in text form', CONVERT),
  text(
    /^graph\([^\n]*%|^\s*graph\(%/,
    'the printed graph of a TorchScript module',
    'It holds no weights. Save the module itself with torch.jit.save and open that.',
  ),
  text(/^\s*version\s+1\.0\s*;|^\s*graph\s+\w+\s*\([^)]{0,500}\)\s*->/, 'an NNEF graph', CONVERT),
  text(/^"?\d[\d\s]*\b4206624770\b/, 'a TNN model (.tnnproto)', CONVERT),
  text(
    /^7767517\s+\d+\s+\d+\s+pnnx\./,
    'a PNNX model (.pnnx.param)',
    'Open the .ncnn.param that pnnx writes beside it, or the TorchScript file that it was made from.',
  ),
  text(
    /^[ \t]*ir_version\s*:/m,
    'an ONNX model in text form',
    'Write it in binary form: onnx.save_model(onnx.parser or text_format result, "model.onnx").',
  ),
  text(
    /^\s*<\s*ir_version\s*:/,
    'an ONNX model in its readable syntax',
    'Write it in binary form: onnx.save_model(onnx.parser.parse_model(text), "model.onnx").',
  ),
  text(
    /^[ \t]*item\s*\{[^}]{0,400}\b(?:id|name|display_name)\s*:/m,
    'a label map (names of classes)',
    'It belongs to a detector: open the model beside it.',
  ),
  text(
    /^[ \t]*base_lr\s*:/m,
    'the configuration of a Caffe solver',
    'It names the network: open the file behind "net:" or the .caffemodel.',
  ),
  text(/^[ \t]*(?:platform|backend|max_batch_size)\s*:/m, 'the configuration of a model server (Triton)', NO_WEIGHTS),
  text(
    /^[ \t]*model\s*\{\s*(?:ssd|faster_rcnn|center_net)\b/m,
    'a pipeline configuration of the TensorFlow detection library',
    NO_WEIGHTS,
  ),
  text(
    /^[ \t]*op\s*\{[^}]{0,2000}\btype\s*:/m,
    'a Caffe2 network in text form',
    'It holds no weights: convert init_net.pb and predict_net.pb to ONNX.',
  ),
  text(
    /^[ \t]*node\s*(?::\s*)?\{[^}]{0,400}\bcalculator\s*:/m,
    'a MediaPipe graph',
    'It names its models: open the .tflite files.',
  ),
  text(
    /\[\]\s{0,20}(?:\w{1,40}\s{0,20}(?:\([^)]{0,40}\)){0,3}\s{0,20})?=\s*\{\s*0x[0-9a-f]{2}\b/i,
    'C source with data in an array, as for TensorFlow Lite Micro',
    'Turn the array back into a file (xxd -r) and open that .tflite.',
  ),
  text(/^tree\nversion=/, 'a LightGBM model', 'Trees are not a network: there is nothing to compare here.'),
  text(
    /^booster\[\d+\]:/,
    'a text dump of an XGBoost model',
    'Trees are not a network: there is nothing to compare here.',
  ),
  text(
    /^backend:\s*\w+\s*\nclass_name:|^class_name:\s*\w+/m,
    'the architecture of a Keras model in YAML, without weights',
    'Open the .h5 or .keras file that holds the weights.',
  ),
  text(
    /^\s*(?:strict\s+)?(?:di)?graph\s{0,20}[\w"]{0,80}\s{0,20}\{/,
    'a drawing of a graph (DOT)',
    'It holds no weights: open the model that it was drawn from.',
  ),
  text(
    /^(?:#!\S*python[^\n]*\n|(?:\s*#[^\n]*\n)*\s*(?:import\s+[\w.]+|from\s+[\w.]+\s+import\b|def\s+\w+\(|class\s+\w+[(:]))/,
    'Python source text',
    'It was not run. Run it yourself to make the model, and open the file that it saves.',
  ),
  text(/^\s*(?:#include\b|#pragma\b|\/\*)/, 'C or C++ source text', 'Give the model file itself.'),
  {
    when: ({ text = '', extension }) => extension === '.csv' || extension === '.tsv' || isTable(text),
    name: 'a table of numbers or text (CSV)',
    hint: 'It is data or a training log, not a model.',
  },
  {
    when: ({ text = '' }) => isNameList(text),
    name: 'a list of names, one per line, such as class labels',
    hint: 'It belongs to a model: open the weights beside it.',
  },
  {
    when: ({ text: content }) => content !== undefined,
    name: ({ text: content = '' }) => `plain text ("${content.trim().slice(0, 40).replaceAll(/\s+/g, ' ')}")`,
    hint: 'It is no model that we know. Give the model file itself.',
  },
]

function irVersion({ text: content = '' }: ForeignView): string {
  const version = /<net\s[^>]{0,500}\bversion\s*=\s*"(\d{1,4})"/.exec(content)?.[1]
  return version === undefined ? '' : ` (IR version ${version})`
}

/** Three lines at least with the same number of separators, two or more. */
function isTable(content: string): boolean {
  const lines = content
    .slice(0, 4096)
    .split('\n')
    .slice(0, 4)
    .map((line) => line.trim())
  if (lines.length < 4 || lines.slice(0, 3).some((line) => line === '')) return false
  return [',', '\t', ';'].some((separator) => {
    const counts = lines.slice(0, 3).map((line) => line.split(separator).length)
    return counts[0]! >= 3 && counts.every((count) => count === counts[0])
  })
}

/** At least three short lines of a few words. */
function isNameList(content: string): boolean {
  const lines = content
    .slice(0, 4096)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  return lines.length >= 3 && lines.slice(0, -1).every((line) => line.length <= 60 && /^[\w(][^{}<>;=]*$/.test(line))
}
