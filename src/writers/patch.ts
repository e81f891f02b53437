import { type ByteSource, streamRange } from '../bytes/byte-source.ts'
import { ToolError } from '../errors.ts'

/** New bytes for a range of a file, of the same length. */
export interface Patch {
  /** the tensor that they belong to, for messages */
  readonly tensor: string
  /** from the beginning of the file or archive entry */
  readonly offset: number
  /** in bytes */
  readonly length: number
  /** @param old reads what is there now, for a patch that keeps some of it */
  bytes(old: () => Promise<Uint8Array>): Promise<Uint8Array>
}

/**
 * Patches in order of their place. Where two tensors are one and the same memory (tied weights), both must say the same,
 * and one of them is kept.
 *
 * @throws {ToolError} TIED_TENSORS when they differ, or when two tensors share part of their bytes
 */
export async function orderPatches(source: ByteSource, patches: readonly Patch[]): Promise<readonly Patch[]> {
  const sorted = patches
    .filter(({ length }) => length > 0)
    .sort((one, other) => one.offset - other.offset || one.length - other.length)
  const kept: Patch[] = []
  for (const patch of sorted) {
    const before = kept.at(-1)
    if (before === undefined || before.offset + before.length <= patch.offset) {
      kept.push(patch)
      continue
    }
    const names = `"${before.tensor}" and "${patch.tensor}"`
    if (before.offset !== patch.offset || before.length !== patch.length)
      throw new ToolError('TIED_TENSORS', `${names} share a part of their stored bytes and cannot both be written`)
    if (!equal(await applied(source, before), await applied(source, patch)))
      throw new ToolError('TIED_TENSORS', `${names} are one array in the target, but were given different values`)
  }
  return kept
}

function equal(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index])
}

function applied(source: ByteSource, patch: Patch): Promise<Uint8Array> {
  return patch.bytes(() => source.read(patch.offset, patch.length))
}

/** Pieces of the old file, in which memory stays flat. */
const COPY_BYTES = 1 << 20

/** `source` with `patches` (ordered, apart from each other) in place of what was there. */
export async function* patched(source: ByteSource, patches: readonly Patch[]): AsyncGenerator<Uint8Array> {
  let position = 0
  for (const patch of patches) {
    yield* streamRange(source, { offset: position, length: patch.offset - position }, COPY_BYTES)
    yield await applied(source, patch)
    position = patch.offset + patch.length
  }
  yield* streamRange(source, { offset: position, length: source.size - position }, COPY_BYTES)
}
