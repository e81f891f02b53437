/**
 * An `.npy` file of version 1.0.
 * @param descr element type as numpy writes it, e.g. `<f4`
 */
export function npyFile(descr: string, shape: readonly number[], content: Uint8Array): Uint8Array {
  const dimensions = shape.length === 1 ? `${shape[0]},` : shape.join(', ')
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${dimensions}), }`
  const padded = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`
  const head = Buffer.alloc(10)
  head.write('\x93NUMPY\x01\0', 'latin1')
  head.writeUInt16LE(padded.length, 8)
  return new Uint8Array(Buffer.concat([head, Buffer.from(padded, 'latin1'), content]))
}
