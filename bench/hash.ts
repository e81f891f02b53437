import { statSync } from 'node:fs'
import { join } from 'node:path'
import { type Contender, measure, megabytes, node, printTable, ratio } from './measure.ts'

/** Digest of a whole file, and of every tensor in it, against reading the file and against bare SHA-256. */
export function benchHash(folder: string): void {
  const small = join(folder, 'large.safetensors')
  const large = join(folder, 'external-3.onnx')
  const data = `${large}.data`
  duel('1 GB safetensors', small, [
    node('plain reading, 4 MiB at a time', 'read', small),
    node('the same with SHA-256 of node:crypto', 'sha256', small),
    node('Modelwright, digest of the file', 'hash', small),
    node('Modelwright, digest of every tensor', 'tensors', small),
  ])
  duel('3 GB ONNX, external data', data, [
    node('plain reading, 4 MiB at a time', 'read', data),
    node('the same with SHA-256 of node:crypto', 'sha256', data),
    node('Modelwright, digest of every tensor', 'tensors', large),
  ])
}

function duel(title: string, file: string, contenders: readonly Contender[]): void {
  const gigabytes = statSync(file).size / 1e9
  const measured = measure(contenders)
  const [plain, bare] = measured
  printTable(
    [title, 'ms', 'GB/s', 'peak MB', 'of plain reading', 'of bare SHA-256'],
    measured.map(({ name, milliseconds, peakBytes }) => [
      name,
      milliseconds.toFixed(0),
      ((gigabytes * 1000) / milliseconds).toFixed(2),
      megabytes(peakBytes),
      ratio(milliseconds / plain!.milliseconds),
      ratio(milliseconds / bare!.milliseconds),
    ]),
  )
}
