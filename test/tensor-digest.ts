import { createHash } from 'node:crypto'
import type { Tensor } from '../src/tensor/tensor.ts'

/** A tensor as the oracles describe it. */
export interface ExpectedTensor {
  readonly name: string
  readonly dtype: string
  readonly shape: readonly number[]
  readonly sha256?: string
  readonly values?: unknown
  readonly valuesHex?: unknown
}

/** Name, dtype, shape and sha256 of the stream of a tensor. */
export async function digestTensor(tensor: Tensor): Promise<ExpectedTensor> {
  const hash = createHash('sha256')
  for await (const chunk of tensor.stream()) hash.update(chunk)
  return { name: tensor.name, dtype: tensor.dtype, shape: [...tensor.shape], sha256: hash.digest('hex') }
}

/** The elements of a `string` tensor: in the stream each is its length (u32) and its UTF-8 bytes. */
export async function textsOf(tensor: Tensor): Promise<string[]> {
  const chunks: Uint8Array[] = []
  for await (const chunk of tensor.stream()) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  const texts: string[] = []
  for (let position = 0; position < bytes.length; ) {
    const length = bytes.readUInt32LE(position)
    texts.push(bytes.toString('utf8', position + 4, position + 4 + length))
    position += 4 + length
  }
  return texts
}

/** Nested lists of values, flattened. */
export function flat(values: unknown): unknown[] {
  return Array.isArray(values) ? values.flatMap(flat) : [values]
}
