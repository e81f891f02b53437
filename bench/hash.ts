import { statSync } from 'node:fs'
import { join } from 'node:path'
import { measure, megabytes, node, printTable, ratio } from './measure.ts'

/** Digest of a whole file, and of every tensor in it, against reading the file and against bare SHA-256. */
export function benchHash(folder: string): void {
  const file = join(folder, 'large.safetensors')
  const gigabytes = statSync(file).size / 1e9
  const measured = measure([
    node('plain reading, 4 MiB at a time', 'read', file),
    node('the same with SHA-256 of node:crypto', 'sha256', file),
    node('Modelwright, digest of the file', 'hash', file),
    node('Modelwright, digest of every tensor', 'tensors', file),
  ])
  const [plain, bare] = measured
  printTable(
    ['what (1 GB safetensors)', 'ms', 'GB/s', 'peak MB', 'of plain reading', 'of bare SHA-256'],
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
