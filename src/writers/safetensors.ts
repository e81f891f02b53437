import { ToolError } from '../errors.ts'
import { SAFETENSORS_TYPES } from '../formats/safetensors/header.ts'
import { DTYPES, type Dtype, elementCount } from '../tensor/dtype.ts'
import { inOrder, type PlannedFile } from './output.ts'
import type { OutputTensor } from './output-tensor.ts'

/** Our dtype to the name in the file; the order of the table is the official writer's. */
const TYPES: ReadonlyMap<Dtype, { readonly name: string; readonly rank: number }> = new Map(
  [...SAFETENSORS_TYPES].map(([name, dtype], rank) => [dtype, { name, rank }]),
)

const RESERVED = '__metadata__'
const HEADER_ALIGNMENT = 8

/**
 * A new safetensors file, byte for byte what the official library writes: widest types first (so that every tensor is
 * aligned), names in order within a type, the header padded with blanks to 8 bytes.
 *
 * @param metadata text pairs under `__metadata__`; `{ format: 'pt' }` is what PyTorch's loaders look for
 * @throws {ToolError} NOT_WRITABLE for a type that the format does not have
 * @source https://github.com/huggingface/safetensors (safetensors/src/tensor.rs, `prepare`)
 */
export function safetensorsFile(
  tensors: readonly OutputTensor[],
  metadata: Readonly<Record<string, string>>,
): PlannedFile {
  const sorted = tensors
    .map((tensor) => ({ tensor, type: typeOf(tensor) }))
    .sort((one, other) => other.type.rank - one.type.rank || compareBytes(one.tensor.name, other.tensor.name))
  const entries: string[] = []
  if (Object.keys(metadata).length > 0) entries.push(`"${RESERVED}":${JSON.stringify(metadata)}`)
  let position = 0
  for (const { tensor, type } of sorted) {
    const { name, shape, bytes } = tensor
    const entry = { dtype: type.name, shape, data_offsets: [position, position + bytes] }
    entries.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`)
    position += bytes
  }
  const json = new TextEncoder().encode(`{${entries.join(',')}}`)
  const headerBytes = Math.ceil(json.length / HEADER_ALIGNMENT) * HEADER_ALIGNMENT
  const header = new Uint8Array(8 + headerBytes).fill(0x20)
  new DataView(header.buffer).setBigUint64(0, BigInt(headerBytes), true)
  header.set(json, 8)
  return {
    path: '',
    bytes: header.length + position,
    pieces: () =>
      inOrder(
        content(
          header,
          sorted.map(({ tensor }) => tensor),
        ),
      ),
  }
}

function typeOf({ name, dtype, shape }: OutputTensor): { readonly name: string; readonly rank: number } {
  const type = TYPES.get(dtype)
  if (type === undefined) throw new ToolError('NOT_WRITABLE', `tensor "${name}": safetensors has no type for ${dtype}`)
  if (name === RESERVED) throw new ToolError('NOT_WRITABLE', `a tensor cannot be called "${RESERVED}" in safetensors`)
  const bits = elementCount(shape) * DTYPES[dtype].bits
  if (bits % 8 !== 0)
    throw new ToolError('NOT_WRITABLE', `tensor "${name}": safetensors stores ${dtype} in whole bytes only`)
  return type
}

/** Rust compares names by their UTF-8 bytes; JavaScript's `<` goes by UTF-16 units. */
function compareBytes(one: string, other: string): number {
  const [left, right] = [[...one], [...other]]
  for (let at = 0; at < Math.min(left.length, right.length); at++) {
    const difference = left[at]!.codePointAt(0)! - right[at]!.codePointAt(0)!
    if (difference !== 0) return difference
  }
  return left.length - right.length
}

async function* content(header: Uint8Array, tensors: readonly OutputTensor[]): AsyncGenerator<Uint8Array> {
  yield header
  for (const tensor of tensors) yield* tensor.stream()
}
