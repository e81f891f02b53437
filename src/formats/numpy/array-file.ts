import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { arrayBytes, numpyTensors } from '../../encoding/numpy/numpy-array.ts'
import { type PickledArray, readPickledArray } from '../../encoding/numpy/pickled-array.ts'
import { PickleCursor } from '../../encoding/pickle/cursor.ts'
import { type GlobalReference, runPickle } from '../../encoding/pickle/machine.ts'
import { isContainer, type PickleValue } from '../../encoding/pickle/values.ts'
import { childrenOf, pathName, walkPickle } from '../../encoding/pickle/walk.ts'
import { FormatError } from '../../errors.ts'
import type { CodeReference, Problem } from '../../model/model.ts'
import { uniqueNames } from '../../model/unique-names.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { type NpyHeader, readNpyHeader } from './npy-header.ts'

/** What one `.npy` file, or one entry of an `.npz`, holds. */
export interface ArrayFile {
  readonly header: NpyHeader
  readonly tensors: readonly Tensor[]
  readonly references: readonly CodeReference[]
  readonly warnings: readonly Problem[]
}

/** Where an array comes from. */
export interface ArrayPlace {
  /** of the tensor, where the file holds just one */
  readonly name: string
  /** what the names of arrays inside pickled objects begin with; empty where the keys alone name them */
  readonly prefix: readonly string[]
  /** its beginning: the header, and the pickle of an object array; may hold less than the whole */
  readonly source: ByteSource
  /** all of it, opened when values are read */
  open(): Promise<ByteSource>
  /** in bytes, of all of it */
  readonly size: number
  /** where it lies in a file on disk, when it lies there as it is */
  readonly storage: { readonly file: string; readonly byteOffset?: number }
}

/**
 * Reads the structure of an array file. An array of Python objects is a pickle: the arrays inside it become tensors
 * named by the keys that lead to them, and what the pickle refers to is listed; nothing of it is executed.
 */
export async function readArrayFile(place: ArrayPlace, limits: Limits): Promise<ArrayFile> {
  const header = await readNpyHeader(place.source, limits)
  if (header.type.kind === 'object') return { header, ...(await readObjects(place, header, limits)) }
  const { type, shape, fortranOrder, dataOffset } = header
  const bytes = arrayBytes({ type, shape })
  if (!Number.isSafeInteger(bytes) || dataOffset + bytes > place.size) {
    throw new FormatError({
      code: Number.isSafeInteger(bytes) ? 'TRUNCATED' : 'INVALID_FIELD',
      file: place.source.name,
      what: `array of shape [${shape.join(', ')}]`,
      byteOffset: dataOffset,
      expected: `${bytes} bytes`,
      found: `${Math.max(0, place.size - dataOffset)} before the end of the file (${place.size} bytes)`,
      hint: 'The copy is incomplete; compare its size or sha256 with the source.',
    })
  }
  const { storage } = place
  const tensors = await numpyTensors(
    place.name,
    {
      type,
      shape,
      fortranOrder,
      open: place.open,
      offset: dataOffset,
      storage: {
        file: storage.file,
        ...(storage.byteOffset === undefined ? {} : { byteOffset: storage.byteOffset + dataOffset }),
      },
    },
    'parameter',
    limits,
  )
  const warnings: Problem[] = []
  const extra = place.size - dataOffset - bytes
  if (extra > 0) {
    const message = `${extra} bytes follow the array and are not read`
    warnings.push({ code: 'TRAILING_BYTES', message, subject: place.storage.file })
  }
  if (type.kind === 'raw') warnings.push(rawWarning(place.name, type.text))
  return { header, tensors, references: [], warnings }
}

async function readObjects(place: ArrayPlace, header: NpyHeader, limits: Limits): Promise<Omit<ArrayFile, 'header'>> {
  const source = await place.open()
  const found = new Map<string, GlobalReference>()
  const result = await runPickle(new PickleCursor(source, header.dataOffset, limits), { limits, references: found })
  // the pickle is that of the array itself: an object array whose items are what was saved
  const outer = isContainer(result.value) ? readPickledArray(result.value, source, place.name) : undefined
  const items = outer?.kind === 'objects' ? outer.items : [result.value]
  const isScalar = outer?.kind === 'objects' ? outer.shape.length === 0 : true
  const root: PickleValue = isScalar ? (items[0] ?? null) : { kind: 'list', items: [...items] }
  const tensors: Tensor[] = []
  const bounds = { file: source.name, opcodes: result.opcodes, limits }
  const rules = {
    leaf: (value: PickleValue): PickledArray | undefined => {
      const array = isContainer(value) ? readPickledArray(value, source, 'inside a pickle') : undefined
      return array?.kind === 'array' ? array : undefined
    },
    children: childrenOf,
  }
  const unique = uniqueNames()
  for (const { path, leaf } of walkPickle(root, rules, bounds)) {
    if (leaf.kind !== 'array') continue
    const key = place.prefix.length > 0 ? [...place.prefix, ...path].join('.') : pathName(path, root)
    for (const tensor of await numpyTensors(key === '' ? place.name : key, leaf.array, 'parameter', limits)) {
      tensors.push({ ...tensor, name: unique(tensor.name) })
    }
  }
  const references = [...found.values()].map((reference) => ({ ...reference, file: source.name }))
  const warnings: Problem[] = []
  for (const { name, kind, byteOffset } of references) {
    if (kind !== 'dangerous') continue
    const message = `the pickle refers to ${name} at byte ${byteOffset}; nothing was executed. Do not load it with allow_pickle=True.`
    warnings.push({ code: 'DANGEROUS_REFERENCE', message, subject: name })
  }
  return { tensors, references, warnings }
}

function rawWarning(name: string, text: string): Problem {
  return {
    code: 'RAW_BYTES',
    message: `NumPy type "${text}" has no numbers that are known; given as bytes (2-byte void is often bfloat16)`,
    subject: name,
  }
}
