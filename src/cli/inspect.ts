import { ToolError } from '../errors.ts'
import { openInput } from '../host/open-input.ts'
import { createSha256 } from '../host/sha256.ts'
import { renderJson } from '../report/json.ts'
import { renderInspection } from '../report/render-inspection.ts'
import { renderTensorReport } from '../report/render-tensor.ts'
import { inspect, inspectTensor } from '../tasks/inspect.ts'
import type { Call, Command, Console } from './command.ts'
import { ExitCode } from './exit-code.ts'
import { describeFailure } from './failure.ts'
import { progressBar } from './progress.ts'
import { styleFor } from './style.ts'

export const inspectCommand: Command = {
  name: 'inspect',
  summary: 'says what a model file is, what it holds, and whether its values are sound',
  arguments: [
    {
      name: 'FILE',
      repeated: true,
      description: 'a model file, or a folder such as a SavedModel; the format is recognised by content',
    },
  ],
  options: {
    json: { description: 'print JSON (docs/schemas/inspection.schema.json); an array when several files are given' },
    digests: { description: 'add the SHA-256 of every tensor, over its raw little-endian bytes in C order' },
    tensor: { value: 'NAME', description: 'show one tensor: statistics, histogram, first values' },
    'input-shape': {
      value: 'NAME=1,3,224,224',
      repeated: true,
      description:
        'sizes for an input whose sizes are free, for shapes and multiply-accumulates; NAME= may be left out for the only input',
    },
    depth: { value: 'N', description: 'levels of the module tree (default 3)' },
    'header-only': { description: 'read the structure only: no values (health, digests) and no digest of the file' },
  },
  description: `Recognises the format by content and reads it without its framework. Nothing in the file is executed: what a pickle
would import or call is listed, and marked when it is dangerous. Shows who made the file, the module tree with shapes,
parameters and multiply-accumulates, operators, element types, the health of every tensor (NaN, infinity, all zero,
constant, denormal, suspicious scale), tied weights and the training state found.`,
  examples: [
    { command: 'modelwright inspect resnet50.pth', description: 'what a downloaded checkpoint is' },
    {
      command: 'modelwright inspect model.onnx --input-shape 1,3,320,320',
      description: 'with shapes for a model whose input size is free',
    },
    { command: 'modelwright inspect model.h5 --tensor conv1/conv1/kernel:0', description: 'one tensor' },
    {
      command: 'modelwright inspect model.pt --json --digests',
      description: 'for scripts: every tensor with its digest',
    },
  ],
  exits: {
    0: 'every file was read',
    1: 'every file was read; a pickle refers to something dangerous',
    2: 'a file could not be read, or an option is wrong',
  },
  run,
}

async function run(call: Call, console: Console): Promise<ExitCode> {
  const reports: unknown[] = []
  let exit: ExitCode = ExitCode.clean
  for (const path of call.arguments) {
    try {
      const { report, text, dangerous } = await inspectOne(path, call, console)
      reports.push(report)
      if (!call.flag('json')) console.out(reports.length > 1 ? `\n${text}` : text)
      if (dangerous && exit === ExitCode.clean) exit = ExitCode.found
    } catch (error) {
      // One bad file among several must not hide the others.
      if (!(error instanceof ToolError) || error.code === 'USAGE' || call.arguments.length === 1) throw error
      console.err(`${describeFailure(error)}\n`)
      exit = ExitCode.failed
    }
  }
  if (call.flag('json') && reports.length > 0)
    console.out(renderJson(call.arguments.length === 1 ? reports[0] : reports))
  return exit
}

async function inspectOne(
  path: string,
  call: Call,
  console: Console,
): Promise<{ report: unknown; text: string; dangerous: boolean }> {
  const depth = parseDepth(call.text('depth'))
  const inputShapes = parseInputShapes(call.texts('input-shape'))
  const input = await openInput(path)
  const bar = progressBar(console, path)
  const onProgress = bar.update
  const style = styleFor(console.color)
  try {
    const name = call.text('tensor')
    if (name !== undefined) {
      const report = await inspectTensor(input, name, { createHasher: createSha256, onProgress })
      bar.done()
      return { report, text: renderTensorReport(report, style, console.columns), dangerous: false }
    }
    const headerOnly = call.flag('header-only')
    const report = await inspect(input, {
      ...(headerOnly ? {} : { createHasher: createSha256 }),
      health: !headerOnly,
      digests: call.flag('digests'),
      inputShapes,
      onProgress,
    })
    bar.done()
    const text = renderInspection(report, style, {
      columns: console.columns,
      ...(depth === undefined ? {} : { depth }),
    })
    return { report, text, dangerous: report.references.some(({ kind }) => kind === 'dangerous') }
  } finally {
    bar.done()
    await input.close()
  }
}

function parseDepth(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const depth = Number(text)
  if (Number.isInteger(depth) && depth >= 1 && depth <= 100) return depth
  throw new ToolError('USAGE', `--depth: expected a whole number from 1 to 100, found "${text}"`)
}

/** `NAME=1,3,224,224`, or `1,3,224,224` for the only input (the empty name). */
function parseInputShapes(texts: readonly string[]): Record<string, number[]> {
  return Object.fromEntries(
    texts.map((text) => {
      const split = text.lastIndexOf('=')
      const sizes = text
        .slice(split + 1)
        .split(/[,x]/)
        .map(Number)
      if (sizes.length === 0 || !sizes.every((size) => Number.isInteger(size) && size > 0 && size < 2 ** 31)) {
        throw new ToolError('USAGE', `--input-shape: expected NAME=1,3,224,224, found "${text}"`)
      }
      return [split < 0 ? '' : text.slice(0, split), sizes]
    }),
  )
}
