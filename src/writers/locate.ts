import type { ByteSource } from '../bytes/byte-source.ts'
import { ToolError } from '../errors.ts'
import type { Model, ModelFile } from '../model/model.ts'
import { swapBytes } from '../tensor/byte-order.ts'
import { DTYPES } from '../tensor/dtype.ts'
import { isInjective, scatterStrided, spanBytes } from '../tensor/strided.ts'
import { MAX_WHOLE_TENSOR_BYTES, type Tensor } from '../tensor/tensor.ts'
import type { FilledTensor } from '../transfer/plan.ts'
import { valuesOf } from './output-tensor.ts'
import type { Patch } from './patch.ts'

/** Where bytes of a tensor are replaced: in a file, or in an entry of the archive that the file is. */
export interface Located {
  readonly target: Tensor
  readonly file: ModelFile
  /** name of the entry, where `file` is an archive */
  readonly entry?: string
  /** its place is known only after `codedAt` has been given room, where there is one */
  readonly patch: Patch
  readonly codedAt?: number
  /** where in the tensor's bytes the patch begins */
  readonly from: number
}

/** Files of the model that are files on disk, not entries of an archive. */
export function filesOnDisk(model: Model): readonly ModelFile[] {
  const main = model.files[0]!
  return model.files.filter(({ name }) => !name.startsWith(`${main.name}!`))
}

/**
 * The places of a tensor whose stored bytes are its values, one for one: mostly one, more where its values go on in
 * another file.
 *
 * @throws {ToolError} NOT_WRITABLE saying why the values cannot be replaced where they are
 */
export function locate(model: Model, filled: FilledTensor): Located[] {
  const { target } = filled
  const { storage } = target
  if (target.dtype === 'string') throw notWritable(target, 'it holds text')
  if (storage?.codedAt !== undefined) return [locateCoded(model, filled, storage.codedAt)]
  if (storage?.strides !== undefined) return [locateView(model, filled, storage.strides)]
  const parts = storage?.parts ?? [
    { file: storage?.file, byteOffset: storage?.byteOffset, byteLength: storage?.byteLength },
  ]
  const swapUnit = storage?.swapUnit ?? 1
  let from = 0
  const located: Located[] = []
  for (const { file, byteOffset, byteLength } of parts) {
    if (file === undefined || byteOffset === undefined || byteLength === undefined)
      throw notWritable(target, 'its values do not lie in the file as they are')
    const begin = from
    const bytes = async () => swapBytes((await valuesOf(filled)).subarray(begin, begin + byteLength), swapUnit)
    const patch: Patch = { tensor: target.name, offset: byteOffset, length: byteLength, bytes }
    located.push({ target, ...findFile(model, target, file), patch, from })
    from += byteLength
  }
  if (from === target.bytes) return located
  throw notWritable(target, `it takes ${target.bytes} bytes, but ${from} are stored`)
}

/** Values that are coded one by one get a place of their own when the file is spliced. */
function locateCoded(model: Model, filled: FilledTensor, codedAt: number): Located {
  const { target } = filled
  const patch: Patch = { tensor: target.name, offset: 0, length: target.bytes, bytes: () => valuesOf(filled) }
  return { target, ...findFile(model, target, target.storage!.file), patch, codedAt, from: 0 }
}

/** A view (transposed, channels last): its elements are put between whatever else lies there. */
function locateView(model: Model, filled: FilledTensor, strides: readonly number[]): Located {
  const { target } = filled
  const { viewOffset, file, swapUnit = 1 } = target.storage!
  const itemBytes = DTYPES[target.dtype].bits / 8
  const layout = { shape: target.shape, strides: strides.map((stride) => stride * itemBytes), itemBytes }
  const whole = strides.length === target.shape.length && Number.isInteger(itemBytes)
  if (viewOffset === undefined || !whole || !isInjective(layout))
    throw notWritable(target, 'it is a view in which elements share their bytes, or are packed')
  const length = spanBytes(layout)
  if (length > MAX_WHOLE_TENSOR_BYTES) throw notWritable(target, `it is a view over ${length} bytes`)
  const patch: Patch = {
    tensor: target.name,
    offset: viewOffset,
    length,
    async bytes(old) {
      const span = (await old()).slice()
      scatterStrided(span, layout, swapBytes(await valuesOf(filled), swapUnit))
      return span
    },
  }
  return { target, ...findFile(model, target, file), patch, from: 0 }
}

function findFile(model: Model, target: Tensor, name: string): Pick<Located, 'file' | 'entry'> {
  for (const file of filesOnDisk(model)) {
    if (name === file.name) return { file }
    if (name.startsWith(`${file.name}!`)) return { file, entry: name.slice(file.name.length + 1) }
  }
  throw notWritable(target, `it lies in ${name}, which is not one of the model's files`)
}

/** How much of a tensor is compared with the file before its place is believed. */
const PROBE_BYTES = 1 << 16

/**
 * Makes sure that what is stored at the place is what the reader gives, so that nothing is written over which has
 * another form (packed, coded, with flags): a guard against readers and files alike.
 *
 * @param source the file, or the entry's content
 * @throws {ToolError} NOT_WRITABLE; FormatError when the place is not in the file
 */
export async function checkPlace({ target, patch, from }: Located, source: ByteSource): Promise<void> {
  const { strides, swapUnit = 1 } = target.storage ?? {}
  await source.read(patch.offset + patch.length, 0)
  // of a view only the first element is sure to lie at its beginning
  const most = strides === undefined ? Math.min(PROBE_BYTES, patch.length) : DTYPES[target.dtype].bits / 8
  let skipped = 0
  for await (const chunk of target.stream()) {
    const begin = Math.max(0, from - skipped)
    skipped += chunk.length
    if (begin >= chunk.length) continue
    const length = Math.min(chunk.length - begin, most)
    // a piece may end within a number: what is swapped is compared in whole numbers only
    const stored = swapBytes(await source.read(patch.offset, length), swapUnit)
    if (stored.every((byte, index) => byte === chunk[begin + index])) return
    throw notWritable(target, 'its values are stored in another form than they are read')
  }
}

/** The one sentence for what cannot be written in place. */
export function notWritable({ name }: Pick<Tensor, 'name'>, why: string): ToolError {
  const instead = 'Give -o a name that ends in .safetensors or .npz to write the weights alone'
  return new ToolError('NOT_WRITABLE', `tensor "${name}" cannot be replaced where it is: ${why}. ${instead}`)
}
