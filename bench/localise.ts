import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Contender, measure, megabytes, node, printTable, python, ratio } from './measure.ts'

/**
 * Layer-wise comparison of a ResNet-18 with a copy under other names in which one epsilon is wrong, side by side with
 * Polygraphy, and what ONNX Runtime alone takes.
 */
export function benchLocalise(folder: string, interpreter: string): void {
  const pair = [join(folder, 'resnet18.onnx'), join(folder, 'resnet18-fault.onnx')]
  const files = [...pair, join(folder, 'image.npy')]
  const exposed = pair.map((file) => withEveryValue(file, interpreter))
  const contenders: Contender[] = [
    node('ONNX Runtime (Node), both models, every value', 'sessions', ...exposed),
    node('Modelwright, every value, cause proved, minimal repro', 'localise', ...files),
    python('Polygraphy, every value saved, loaded, compared', interpreter, 'polygraphy-saved', ...files),
    python('Polygraphy, every value, nothing saved', interpreter, 'polygraphy-all', ...files),
  ]
  const measured = measure(contenders)
  const [runtime, own] = measured
  printTable(
    ['what (ResNet-18, 47 MB, twice)', 'ms', 'whole process ms', 'peak MB', 'time', 'memory', 'values', 'first found'],
    measured.map(({ name, milliseconds, wallMs, peakBytes, said }) => [
      name,
      milliseconds.toFixed(0),
      wallMs.toFixed(0),
      megabytes(peakBytes),
      ratio(milliseconds / own!.milliseconds),
      ratio(peakBytes / runtime!.peakBytes),
      String(said.compared ?? ''),
      String(said.found ?? ''),
    ]),
  )
  const { comparedMs, repro } = own!.said
  console.log(
    `Of Modelwright's time ${comparedMs} ms in its first run were the comparison; the repro takes ${repro} bytes.\n`,
  )
}

/** Models far beyond what would fit as a whole: 5,000 nodes, and 3.1 GB of weights. */
export function benchScale(folder: string, interpreter: string): void {
  const pairs = [
    ['5,000 nodes', 'deep.onnx', 'deep-fault.onnx'],
    ['3.1 GB of weights', 'external-3.onnx', 'external-3.onnx'],
  ] as const
  const rows = pairs.flatMap(([title, first, second]) => {
    const files = [join(folder, first), join(folder, second)]
    const exposed = files.map((file) => withEveryValue(file, interpreter))
    const measured = measure(
      [
        node('ONNX Runtime (Node), every value', 'sessions', ...exposed),
        node('Modelwright compare', 'localise', ...files),
      ],
      1,
    )
    const [runtime] = measured
    return measured.map(({ name, milliseconds, peakBytes, said }) => [
      title,
      name,
      (milliseconds / 1000).toFixed(1),
      megabytes(peakBytes),
      ratio(peakBytes / runtime!.peakBytes),
      String(said.verdict ?? ''),
      String(said.found ?? ''),
    ])
  })
  printTable(['model, twice', 'what', 's', 'peak MB', 'memory', 'verdict', 'first found'], rows)
}

function withEveryValue(file: string, interpreter: string): string {
  const target = file.replace(/\.onnx$/, '.all.onnx')
  const script = join(import.meta.dirname, 'measure', 'libraries.py')
  if (!existsSync(target)) execFileSync(interpreter, [script, 'marked', file], { stdio: 'ignore' })
  return target
}
