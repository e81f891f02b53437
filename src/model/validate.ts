import type { Limits } from '../bytes/limits.ts'
import { FormatError, InternalError } from '../errors.ts'
import { elementCount } from '../tensor/dtype.ts'
import { denseBytes, type Tensor } from '../tensor/tensor.ts'
import type { Model } from './model.ts'

/**
 * The physical invariants of every Model, checked on every reader's result in one place: shapes are whole and small
 * enough, stored ranges lie inside their files, sizes agree with dtype and shape, names are unique, codes of warnings are
 * written as those of errors.
 *
 * A violation that the file caused is a FormatError; one that only the reader can have caused is an InternalError.
 */
export function validateModel(model: Model, limits: Limits): Model {
  const file = model.files[0]
  if (file === undefined) throw new InternalError(`reader "${model.format}" returned no file`)
  const sizes = new Map(model.files.map(({ name, bytes }) => [name, bytes]))
  const names = new Set<string>()
  for (const tensor of model.tensors) {
    if (names.has(tensor.name))
      throw new InternalError(`reader "${model.format}" returned two tensors "${tensor.name}"`)
    names.add(tensor.name)
    checkShape(tensor, file.name, limits)
    checkStorage(tensor, sizes)
  }
  for (const { code } of model.warnings) {
    if (!/^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/.test(code))
      throw new InternalError(`reader "${model.format}" warns with the code "${code}", expected UPPER_CASE`)
  }
  return model
}

function checkShape({ name, shape, dtype, bytes }: Tensor, file: string, limits: Limits): void {
  const what = `tensor "${name}"`
  if (shape.length > limits.maxRank) {
    throw new FormatError({
      code: 'LIMIT_EXCEEDED',
      file,
      what,
      expected: `at most ${limits.maxRank} dimensions`,
      found: String(shape.length),
    })
  }
  if (
    !shape.every((size) => Number.isSafeInteger(size) && size >= 0) ||
    !Number.isSafeInteger(elementCount(shape) * 16)
  ) {
    throw new FormatError({
      code: 'INVALID_FIELD',
      file,
      what,
      expected: 'dimensions that are whole, not negative and countable',
      found: `[${shape.join(', ')}]`,
    })
  }
  const dense = denseBytes(dtype, shape)
  if (dense !== undefined && dense !== bytes) {
    throw new InternalError(`tensor "${name}" of ${dtype} [${shape.join(', ')}] takes ${dense} bytes, not ${bytes}`)
  }
}

function checkStorage({ name, storage }: Tensor, sizes: ReadonlyMap<string, number>): void {
  if (storage?.byteOffset === undefined || storage.byteLength === undefined) return
  const size = sizes.get(storage.file)
  if (size === undefined || storage.byteOffset + storage.byteLength <= size) return
  throw new FormatError({
    code: 'TRUNCATED',
    file: storage.file,
    what: `tensor "${name}"`,
    byteOffset: storage.byteOffset,
    expected: `${storage.byteLength} bytes`,
    found: `${Math.max(0, size - storage.byteOffset)} before the end of the file (${size} bytes)`,
    hint: 'The copy is incomplete; compare its size or sha256 with the source.',
  })
}
