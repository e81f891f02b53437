import { join } from 'node:path'
import { type Contender, measure, megabytes, node, printTable, python, ratio } from './measure.ts'

/** Compares a ResNet-18 with itself under other names, against what the same inferences cost alone. */
export function benchCompare(folder: string, interpreter: string): void {
  const files = [join(folder, 'resnet18.onnx'), join(folder, 'resnet18-renamed.onnx'), join(folder, 'image.npy')]
  const contenders: Contender[] = [
    python('ONNX Runtime (Python), both models once', interpreter, 'sessions', ...files),
    node('Modelwright compare: weights, every value, outputs', 'compare', ...files),
    python('Polygraphy, outputs only', interpreter, 'polygraphy', ...files),
    python('Polygraphy, every value (other names paired by order)', interpreter, 'polygraphy-all', ...files),
  ]
  const measured = measure(contenders)
  const [plain] = measured
  printTable(
    [
      'what (ResNet-18, 47 MB, twice)',
      'ms',
      'whole process ms',
      'peak MB',
      'time',
      'memory',
      'values compared',
      'verdict',
    ],
    measured.map(({ name, milliseconds, wallMs, peakBytes, said }) => [
      name,
      milliseconds.toFixed(0),
      wallMs.toFixed(0),
      megabytes(peakBytes),
      ratio(milliseconds / plain!.milliseconds),
      ratio(peakBytes / plain!.peakBytes),
      String(said.compared ?? ''),
      said.verdict === '0.0' ? 'difference 0' : String(said.verdict),
    ]),
  )
}
