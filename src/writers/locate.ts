import type { ByteSource } from '../bytes/byte-source.ts'
import { checkRange } from '../bytes/byte-source.ts'
import { ToolError } from '../errors.ts'
import type { Model, ModelFile } from '../model/model.ts'
import { swapBytes } from '../tensor/byte-order.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { FilledTensor } from '../transfer/plan.ts'
import { valuesOf } from './output-tensor.ts'
import type { Patch } from './patch.ts'

/** Where a tensor's bytes are replaced: in a file, or in an entry of the archive that the file is. */
export interface Located {
  readonly target: Tensor
  readonly file: ModelFile
  /** name of the entry, where `file` is an archive */
  readonly entry?: string
  readonly patch: Patch
}

/** Files of the model that are files on disk, not entries of an archive. */
export function filesOnDisk(model: Model): readonly ModelFile[] {
  const main = model.files[0]!
  return model.files.filter(({ name }) => !name.startsWith(`${main.name}!`))
}

/**
 * The place of a tensor whose stored bytes are its values, one for one.
 * @throws {ToolError} NOT_WRITABLE saying why the values cannot be replaced where they are
 */
export function locate(model: Model, filled: FilledTensor): Located {
  const { target } = filled
  const { storage } = target
  if (target.dtype === 'string') throw notWritable(target, 'it holds text')
  const { byteOffset, byteLength, swapUnit = 1 } = storage ?? {}
  if (storage?.strides !== undefined) throw notWritable(target, 'it is a view whose values lie apart from each other')
  if (storage === undefined || byteOffset === undefined || byteLength === undefined)
    throw notWritable(target, 'its values are not stored one after the other, or are packed')
  if (byteLength !== target.bytes)
    throw notWritable(target, `it takes ${target.bytes} bytes, but ${byteLength} are stored`)
  const patch: Patch = {
    tensor: target.name,
    offset: byteOffset,
    length: byteLength,
    bytes: async () => swapBytes(await valuesOf(filled), swapUnit),
  }
  for (const file of filesOnDisk(model)) {
    if (storage.file === file.name) {
      checkRange(file.source, byteOffset, byteLength, `tensor "${target.name}"`)
      return { target, file, patch }
    }
    if (storage.file.startsWith(`${file.name}!`))
      return { target, file, entry: storage.file.slice(file.name.length + 1), patch }
  }
  throw notWritable(target, `it lies in ${storage.file}, which is not one of the model's files`)
}

/** How much of a tensor is compared with the file before its place is believed. */
const PROBE_BYTES = 1 << 16

/**
 * Makes sure that what is stored at the place is what the reader gives, so that nothing is written over which has
 * another form (packed, coded, with flags): a guard against readers and files alike.
 *
 * @param source the file, or the entry's content
 * @throws {ToolError} NOT_WRITABLE
 */
export async function checkPlace(target: Tensor, source: ByteSource, { offset }: Patch): Promise<void> {
  const swapUnit = target.storage?.swapUnit ?? 1
  for await (const chunk of target.stream()) {
    const length = Math.min(chunk.length, PROBE_BYTES)
    const stored = swapBytes(await source.read(offset, length), swapUnit)
    if (stored.every((byte, index) => byte === chunk[index])) return
    throw notWritable(target, 'its values are stored in another form than they are read')
  }
}

/** The one sentence for what cannot be written in place. */
export function notWritable({ name }: Pick<Tensor, 'name'>, why: string): ToolError {
  const instead = 'Give -o a name that ends in .safetensors or .npz to write the weights alone'
  return new ToolError('NOT_WRITABLE', `tensor "${name}" cannot be replaced where it is: ${why}. ${instead}`)
}
