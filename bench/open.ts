import { join } from 'node:path'
import { type Contender, measure, megabytes, node, printTable, python, ratio } from './measure.ts'

const TARGET_MS = 150
const TARGET_BYTES = 120e6

/** Opens and lists the large files with Modelwright and with the library that each format belongs to. */
export function benchOpen(folder: string, interpreter: string): boolean {
  const at = (name: string) => join(folder, name)
  const rows: string[][] = []
  const [own, pythonOwn] = measure([node('Node alone', 'nothing'), python('Python alone', interpreter, 'nothing')])
  let met = true
  const duel = (title: string, file: string, ...others: readonly [string, string][]) => {
    const contenders: Contender[] = [
      node('Modelwright', 'open', at(file)),
      ...others.map(([name, task]) => python(name, interpreter, task, at(file))),
    ]
    const [ours, ...theirs] = measure(contenders)
    for (const { name, milliseconds, range, wallMs, peakBytes, said } of [ours!, ...theirs]) {
      const beyond = peakBytes - (name === 'Modelwright' ? own! : pythonOwn!).peakBytes
      rows.push([
        title,
        name,
        milliseconds.toFixed(1),
        `${range[0].toFixed(1)} to ${range[1].toFixed(1)}`,
        wallMs.toFixed(0),
        megabytes(peakBytes),
        megabytes(beyond),
        name === 'Modelwright' ? '' : ratio(milliseconds / ours!.milliseconds),
        name === 'Modelwright' ? '' : ratio(peakBytes / ours!.peakBytes),
        String(said.tensors),
      ])
      if (name === 'Modelwright' && (milliseconds >= TARGET_MS || beyond >= TARGET_BYTES)) met = false
    }
  }
  duel('safetensors 1 GB', 'large.safetensors', ['safetensors', 'safetensors'])
  duel('.pt 1 GB', 'large.pt', ['torch.load(weights_only, mmap)', 'torch'])
  duel('ONNX 1 GB inline', 'inline.onnx', ['onnx.load', 'onnx'])
  duel(
    'ONNX 1 GB external',
    'external-1.onnx',
    ['onnx.load(load_external_data=False)', 'onnx'],
    ['onnx.load', 'onnx-external'],
  )
  duel(
    'ONNX 3 GB external',
    'external-3.onnx',
    ['onnx.load(load_external_data=False)', 'onnx'],
    ['onnx.load', 'onnx-external'],
  )
  printTable(
    [
      'file',
      'opened with',
      'ms',
      'lowest to highest',
      'whole process ms',
      'peak MB',
      'beyond own MB',
      'time',
      'memory',
      'tensors',
    ],
    rows,
  )
  console.log(
    `Node alone takes ${megabytes(own!.peakBytes)} MB, Python alone ${megabytes(pythonOwn!.peakBytes)} MB. ` +
      `Target of under ${TARGET_MS} ms and under ${TARGET_BYTES / 1e6} MB beyond Node's own: ${met ? 'met' : 'MISSED'} on every file.\n`,
  )
  return met
}
