import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { FormatError } from '../../errors.ts'
import { byteLength, DTYPES, elementCount } from '../../tensor/dtype.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { type StoredValues, streamValues } from './bundle-values.ts'
import { type Box, findRowOrder, placeBox } from './tensor-slice.ts'

interface Part {
  readonly box: Box
  readonly values: StoredValues
}

/**
 * A variable that is stored in slices, as one tensor. Slices of whole rows are streamed one after the other; any other
 * division is put together in memory.
 *
 * @throws {FormatError} INVALID_FIELD when the slices do not add up to the shape; LIMIT_EXCEEDED beyond
 *   `maxInflatedBytes` in memory; UNSUPPORTED_FEATURE for texts and types below eight bits
 */
export function joinSlices(
  { name, dtype, shape, role }: Pick<Tensor, 'name' | 'dtype' | 'shape' | 'role'>,
  parts: readonly Part[],
  index: ByteSource,
  limits: Limits,
): Tensor {
  const what = `slices of "${name}"`
  const fail = (code: 'INVALID_FIELD' | 'LIMIT_EXCEEDED' | 'UNSUPPORTED_FEATURE', expected: string, found: string) =>
    new FormatError({ code, file: index.name, what, expected, found })
  if (dtype === 'string' || DTYPES[dtype].bits < 8) throw fail('UNSUPPORTED_FEATURE', 'whole numbers of bytes', dtype)
  const count = elementCount(shape)
  const covered = parts.reduce((sum, { box }) => sum + elementCount(box.sizes), 0)
  if (covered !== count) throw fail('INVALID_FIELD', `${count} values in all`, String(covered))
  const bytes = byteLength(dtype, count)
  const rows = findRowOrder(parts, shape)
  if (!rows && bytes > limits.maxInflatedBytes)
    throw fail('LIMIT_EXCEEDED', `at most ${limits.maxInflatedBytes} bytes`, String(bytes))
  return {
    name,
    dtype,
    shape,
    role,
    bytes,
    async *stream() {
      if (rows) {
        for (const { values } of rows) yield* streamValues(values, dtype)
        return
      }
      const all = new Uint8Array(bytes)
      for (const { box, values } of parts) {
        const part = new Uint8Array(byteLength(dtype, elementCount(box.sizes)))
        let at = 0
        for await (const chunk of streamValues(values, dtype)) {
          part.set(chunk, at)
          at += chunk.length
        }
        placeBox(all, shape, part, box, byteLength(dtype, 1))
      }
      yield all
    },
  }
}
