import { ToolError } from '../errors.ts'
import { decodeImage } from '../host/decode-image.ts'
import { type OpenInput, openInput } from '../host/open-input.ts'
import { checkWritable, writeWholeFile } from '../host/write-file.ts'
import { writeOutput } from '../host/write-output.ts'
import { renderJson } from '../report/json.ts'
import { renderTransfer } from '../report/render-transfer.ts'
import type { TransferMap } from '../report/transfer.ts'
import { type SavedOutput, transfer } from '../tasks/transfer.ts'
import type { Output } from '../writers/output.ts'
import type { Call, Command, Console } from './command.ts'
import { ExitCode } from './exit-code.ts'
import { progressBar, stageLine } from './progress.ts'
import { styleFor } from './style.ts'

export const transferCommand: Command = {
  name: 'transfer',
  summary: 'carries the weights of one model into the layout of another',
  arguments: [{ name: 'FROM', description: 'the model whose weights are carried: any format that we read' }],
  options: {
    into: {
      value: 'TO',
      description: 'the model that gives names, shapes and graph; its own weights are not looked at',
    },
    out: {
      value: 'FILE',
      short: 'o',
      description:
        'what to write: a name that ends as TO does gives TO with the new weights; .safetensors and .npz give its weights alone',
    },
    map: { value: 'FILE', description: 'a mapping file with your entries, as written beside an earlier output' },
    'map-out': { value: 'FILE', description: 'where to write the mapping file (default: FILE.map.json)' },
    'dry-run': { description: 'only show what would go where' },
    epsilon: { value: 'X', description: 'of BatchNorms that are folded and whose file states none' },
    'swap-hw': {
      description: 'exchange height and width in every kernel: the port works on transposed pictures (MATLAB heritage)',
    },
    inputs: {
      value: 'FILE|DIR',
      repeated: true,
      description: 'values for the inputs when the result is compared, as in compare',
    },
    force: { description: 'replace files that are there' },
    json: { description: 'print the report as JSON (docs/schemas/transfer.schema.json)' },
  },
  description: `Finds which tensor of TO is made of which tensors of FROM by shapes, graph, names and order, never by the values
that TO happens to hold, and writes TO with the weights of FROM: kernels in the other layout, BatchNorm folded or taken
apart, gates and flattened columns in the other order. Every tensor of both models ends in one state: mapped, folded,
split, merged, derived, dropped, without counterpart, or ambiguous. A parameter that nothing fills is reported and makes
the result incomplete. A mapping file is written beside the output, to be edited and given back. What was written is
compared with FROM, and that verdict is part of the result.`,
  examples: [
    {
      command: 'modelwright transfer net.pt --into port.keras -o port-loaded.keras',
      description: 'a trained PyTorch state dict into its Keras port',
    },
    {
      command: 'modelwright transfer net.onnx --into port.onnx --dry-run',
      description: 'what would go where, and how sure that is',
    },
    {
      command: 'modelwright transfer net.pt --into port.h5 -o loaded.h5 --map loaded.h5.map.json --force',
      description: 'again, with an edited mapping file',
    },
  ],
  exits: {
    0: 'every parameter is accounted for and the comparison matches (dry run: every parameter is accounted for)',
    1: 'a parameter is not accounted for, or the comparison does not match',
    2: 'nothing could be compared, or a file or option is wrong',
  },
  run,
}

async function run(call: Call, console: Console): Promise<ExitCode> {
  const [fromPath] = call.arguments
  const intoPath = call.text('into')
  const out = call.text('out')
  const isDry = call.flag('dry-run')
  if (intoPath === undefined) throw usage('--into TO is missing: the model that is to receive the weights')
  if (out === undefined && !isDry) throw usage('-o FILE is missing: where to write the result (or --dry-run)')
  const opened: OpenInput[] = []
  const open = async (path: string) => {
    const input = await openInput(path)
    opened.push(input)
    return input
  }
  const progress = stageLine(console)
  try {
    const mapPath = out === undefined ? undefined : (call.text('map-out') ?? `${out}.map.json`)
    if (!isDry) await Promise.all([checkWritable(out!), checkWritable(mapPath!)])
    const given = call.text('map')
    const epsilon = parseEpsilon(call.text('epsilon'))
    const save = async (output: Output, map: TransferMap): Promise<SavedOutput> => {
      const bar = progressBar(console, 'writing')
      const sources = [fromPath!, intoPath]
      const files = await writeOutput(out!, output, {
        force: call.flag('force'),
        sources,
        onProgress: (done, total) => bar.update(done, total),
      }).finally(() => bar.done())
      await writeWholeFile(mapPath!, `${JSON.stringify(map, null, 2)}\n`)
      return { files, map: mapPath!, input: await open(out!) }
    }
    const report = await transfer(await open(fromPath!), await open(intoPath), {
      ...(isDry ? {} : { out: out!, save }),
      ...(given === undefined ? {} : { map: await open(given) }),
      ...(epsilon === undefined ? {} : { epsilon }),
      swapsHeightAndWidth: call.flag('swap-hw'),
      compare: { inputs: await Promise.all(call.texts('inputs').map(open)), decodeImage },
      onStage: progress.stage,
    })
    progress.done()
    console.out(
      call.flag('json') ? renderJson(report) : renderTransfer(report, styleFor(console.color), console.columns),
    )
    if (report.verdict === 'complete') return ExitCode.clean
    return report.comparison?.verdict === 'not-compared' ? ExitCode.failed : ExitCode.found
  } finally {
    progress.done()
    await Promise.all(opened.map((input) => input.close()))
  }
}

function parseEpsilon(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const epsilon = Number(text)
  if (epsilon > 0 && epsilon < 1) return epsilon
  throw usage(`--epsilon: expected a number between 0 and 1, found "${text}"`)
}

function usage(message: string): ToolError {
  return new ToolError('USAGE', message)
}
