import { type NewZipEntry, zipBytes, zipPieces } from '../encoding/zip-write.ts'
import { ToolError } from '../errors.ts'
import type { Dtype } from '../tensor/dtype.ts'
import type { PlannedFile } from './output.ts'
import type { OutputTensor } from './output-tensor.ts'

/** NumPy's own types; those of ml_dtypes would be saved as bytes without a meaning. */
const DESCRIPTIONS: Readonly<Partial<Record<Dtype, string>>> = {
  bool: '|b1',
  int8: '|i1',
  int16: '<i2',
  int32: '<i4',
  int64: '<i8',
  uint8: '|u1',
  uint16: '<u2',
  uint32: '<u4',
  uint64: '<u8',
  float16: '<f2',
  float32: '<f4',
  float64: '<f8',
  complex64: '<c8',
  complex128: '<c16',
}

/**
 * A new `.npz` as `numpy.savez` writes it: one stored `NAME.npy` per tensor, in the order given.
 * @throws {ToolError} NOT_WRITABLE for a type that NumPy does not have, and for names that no archive may hold
 */
export function npzFile(tensors: readonly OutputTensor[]): PlannedFile {
  const entries = tensors.map(toEntry)
  return { path: '', bytes: zipBytes(entries), pieces: () => zipPieces(entries) }
}

function toEntry(tensor: OutputTensor): NewZipEntry {
  const header = npyHeader(tensor)
  return {
    name: `${tensor.name}.npy`,
    bytes: header.length + tensor.bytes,
    async *content() {
      yield header
      yield* tensor.stream()
    },
  }
}

const ALIGNMENT = 64
const PREFIX_BYTES = 10

/**
 * Version 1.0 of the header: blanks bring the elements to a multiple of 64 bytes, and a newline ends it.
 * @source https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
function npyHeader({ name, dtype, shape }: OutputTensor): Uint8Array {
  const descr = DESCRIPTIONS[dtype]
  if (descr === undefined) {
    const what = `tensor "${name}": NumPy has no type for ${dtype}`
    throw new ToolError('NOT_WRITABLE', `${what}: give -o a name that ends in .safetensors`)
  }
  const tuple = shape.length === 1 ? `${shape[0]},` : shape.join(', ')
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${tuple}), }`
  const total = Math.ceil((PREFIX_BYTES + text.length + 1) / ALIGNMENT) * ALIGNMENT
  const padded = `${text.padEnd(total - PREFIX_BYTES - 1)}\n`
  const out = new Uint8Array(total)
  out.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0])
  new DataView(out.buffer).setUint16(8, padded.length, true)
  out.set(new TextEncoder().encode(padded), PREFIX_BYTES)
  return out
}
