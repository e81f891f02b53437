import { ToolError } from '../errors.ts'
import { decodeImage } from '../host/decode-image.ts'
import { type OpenInput, openInput } from '../host/open-input.ts'
import { createSha256 } from '../host/sha256.ts'
import { checkWritable, writeWholeFile } from '../host/write-file.ts'
import { checkFreeFolder, writeNewFolder } from '../host/write-folder.ts'
import { renderComparisonPage } from '../report/html/comparison-page.ts'
import { renderJson } from '../report/json.ts'
import { printable } from '../report/printable.ts'
import { renderComparison } from '../report/render-comparison.ts'
import type { Settings } from '../settings/parse-settings.ts'
import { bisectFaults } from '../tasks/bisect.ts'
import { compareWithEvidence } from '../tasks/compare.ts'
import { readSettings } from '../tasks/read-settings.ts'
import { type Evidence, reproduce } from '../tasks/repro.ts'
import { verifyRepro } from '../tasks/verify-repro.ts'
import type { Call, Command, Console } from './command.ts'
import { ExitCode } from './exit-code.ts'
import { packageVersion } from './package-version.ts'
import { type StageLine, stageLine } from './progress.ts'
import { styleFor } from './style.ts'

const DEFAULT_SETTINGS = 'modelwright.yaml'
/** More are refused: every value of the network is compared on each. */
const MAX_SAMPLES = 16

export const compareCommand: Command = {
  name: 'compare',
  summary: 'shows whether two models are the same, and where they part first',
  arguments: [
    {
      name: 'REFERENCE',
      description: 'the model that is right by definition: a file or folder of any format that we read',
    },
    { name: 'CANDIDATE', description: 'the port, export or rewrite of it, in the same or another format' },
  ],
  options: {
    inputs: {
      value: 'FILE|DIR',
      repeated: true,
      description:
        'values for the inputs of the reference: .npy named after the graph input, .npz, ONNX TensorProto .pb, images, or a folder of these; generated when absent',
    },
    'candidate-inputs': {
      value: 'FILE|DIR',
      repeated: true,
      description: 'the same samples as the candidate takes them; NHWC for NCHW is found without it',
    },
    config: {
      value: 'FILE',
      description:
        'expected differences and what outputs stand for (docs/accounted.md); modelwright.yaml of the current folder, where there is one',
    },
    seed: { value: 'N', description: 'seed of the generated inputs (default 1)' },
    samples: { value: 'N', description: `how many inputs are generated, 1 to ${MAX_SAMPLES} (default 2)` },
    repro: {
      value: 'DIR',
      description:
        'also write the first fault as a folder: a minimal failing ONNX model, its inputs and expected output, and a README',
    },
    bisect: { description: 'narrow every faulty region down to the smallest part that still differs' },
    json: { description: 'print the report as JSON (docs/schemas/comparison.schema.json)' },
    html: { value: 'FILE', description: 'also write the report as one self-contained page' },
  },
  description: `Pairs every stored tensor of both models by value, whatever its name, order and layout, and says how the two
relate: exact, equal after a named layout change, folded with BatchNorm (the epsilon is solved for), rounded, quantised,
close, different, or missing. Compares the attributes of corresponding layers. Where both models are ONNX, runs both in
ONNX Runtime on the same inputs, runs every stretch of the candidate alone on the reference's own values, judges it by what
rounding explains there, and proves causes by running it again with one thing changed (docs/comparison.md).`,
  examples: [
    {
      command: 'modelwright compare net.pt net.h5',
      description: 'weights of a PyTorch checkpoint against a Keras port',
    },
    {
      command: 'modelwright compare reference.onnx port.onnx --html report.html',
      description: 'two ONNX models on generated inputs, with a page',
    },
    {
      command: 'modelwright compare reference.onnx port.onnx --inputs photos/',
      description: 'the same on real images',
    },
  ],
  exits: {
    0: 'match, perhaps with accounted differences',
    1: 'mismatch, or an expected difference that does not hold',
    2: 'nothing was compared, or a file or option is wrong',
  },
  run,
}

async function run(call: Call, console: Console): Promise<ExitCode> {
  const [referencePath, candidatePath] = call.arguments
  const opened: OpenInput[] = []
  const open = async (path: string) => {
    const input = await openInput(path)
    opened.push(input)
    return input
  }
  const progress = stageLine(console)
  const settings = await settingsFor(call.text('config'))
  const seed = parseSeed(call.text('seed'))
  const samples = wholeNumber('samples', call.text('samples'), 1, MAX_SAMPLES)
  const page = call.text('html')
  const folder = call.text('repro')
  try {
    if (page !== undefined) await checkWritable(page)
    if (folder !== undefined) await checkFreeFolder(folder)
    const evidence = await compareWithEvidence(await open(referencePath!), await open(candidatePath!), {
      inputs: await Promise.all(call.texts('inputs').map(open)),
      candidateInputs: await Promise.all(call.texts('candidate-inputs').map(open)),
      ...(settings ? { settings } : {}),
      seed,
      ...(samples === undefined ? {} : { samples }),
      createHasher: createSha256,
      decodeImage,
      onStage: progress.stage,
    })
    if (call.flag('bisect')) progress.stage('bisecting')
    const report = call.flag('bisect') ? await bisectFaults(evidence) : evidence.report
    const repro = folder === undefined ? undefined : await reproduceInto(folder, evidence, progress)
    progress.done()
    if (page !== undefined) await writeWholeFile(page, renderComparisonPage(report))
    console.out(
      call.flag('json') ? renderJson(report) : renderComparison(report, styleFor(console.color), console.columns),
    )
    if (repro !== undefined && !call.flag('quiet')) console.err(`${repro}\n`)
    return { match: ExitCode.clean, mismatch: ExitCode.found, 'not-compared': ExitCode.failed }[report.verdict]
  } finally {
    progress.done()
    await Promise.all(opened.map((input) => input.close()))
  }
}

/** Writes the repro and says what it shows; where there is nothing to show, says that and writes nothing. */
async function reproduceInto(folder: string, evidence: Evidence, progress: StageLine): Promise<string> {
  progress.stage('making the smallest failing model')
  try {
    const repro = await reproduce(evidence, packageVersion())
    if (repro === undefined) return `${folder}: not written: there is nothing to reproduce, no region differs`
    await writeNewFolder(folder, repro.files, (written) => verifyRepro(written, repro))
    return `${folder}: ${printable(repro.summary)}`
  } catch (error) {
    // the verdict stands, with or without a small case of it
    if (error instanceof ToolError && error.code === 'NO_REPRO')
      return `${folder}: not written: ${printable(error.message)}`
    throw error
  }
}

/** The file that is named, else modelwright.yaml where one lies in the current folder. */
async function settingsFor(path: string | undefined): Promise<Settings | undefined> {
  let input: OpenInput
  try {
    input = await openInput(path ?? DEFAULT_SETTINGS)
  } catch (error) {
    if (path === undefined && error instanceof ToolError && error.code === 'NO_SUCH_FILE') return undefined
    throw error
  }
  try {
    return await readSettings(input)
  } finally {
    await input.close()
  }
}

function parseSeed(text: string | undefined): number {
  return wholeNumber('seed', text, 0, 0xffffffff) ?? 1
}

/** @throws {ToolError} USAGE naming the option and what it takes */
function wholeNumber(option: string, text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value
  throw new ToolError('USAGE', `--${option}: expected a whole number from ${least} to ${most}, found "${text}"`)
}
