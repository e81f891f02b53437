import { join } from 'node:path'
import { measure, megabytes, node, printTable } from './measure.ts'

const TARGET_BYTES = 200e6
/** Each writes 3 GB and forces it to the disk: fewer rounds than elsewhere. */
const ROUNDS = 3

/**
 * Writes the 3 GB model with other values: as a new file of weights, and as a copy of itself.
 * @returns whether memory stayed below the target
 */
export function benchWrite(folder: string): boolean {
  const source = join(folder, 'external-3.onnx')
  const written = measure(
    [
      node('new safetensors', 'write', source, join(folder, 'written.safetensors')),
      node('new NPZ', 'write', source, join(folder, 'written.npz')),
      node('copy of the ONNX, external data', 'write', source, join(folder, 'written.onnx')),
    ],
    ROUNDS,
  )
  printTable(
    ['3 GB written as', 'ms', 'lowest to highest', 'GB/s', 'peak MB'],
    written.map(({ name, milliseconds, range, peakBytes, said }) => [
      name,
      milliseconds.toFixed(0),
      `${range[0].toFixed(0)} to ${range[1].toFixed(0)}`,
      (Number(said.bytes) / 1e6 / milliseconds).toFixed(2),
      megabytes(peakBytes),
    ]),
  )
  return written.every(({ peakBytes }) => peakBytes < TARGET_BYTES)
}
