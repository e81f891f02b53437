import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { FormatError } from '../../errors.ts'
import { swapBytes } from '../../tensor/byte-order.ts'
import { byteLength, elementCount } from '../../tensor/dtype.ts'
import { contiguousStrides, isContiguous, streamStrided } from '../../tensor/strided.ts'
import type { Tensor, TensorRole, TensorStorage } from '../../tensor/tensor.ts'
import type { NumpyScalar, NumpyType } from './numpy-type.ts'

/** A NumPy array somewhere in a file. */
export interface NumpyArray {
  readonly type: NumpyType
  readonly shape: readonly number[]
  /** first dimension varies fastest */
  readonly fortranOrder: boolean
  /** the file or entry that holds the elements, opened when they are read */
  open(): Promise<ByteSource>
  /** of the first element in what `open` gives */
  readonly offset: number
  /** where that is, for the report */
  readonly storage: TensorStorage
}

/** The parts of the tensors that an array becomes: one, or one per field of a structured type. */
interface Part {
  readonly name: string
  readonly type: NumpyScalar
  readonly shape: readonly number[]
  /** in bytes */
  readonly strides: readonly number[]
  readonly offset: number
}

/** Bytes of all elements of `array` in the file; not safe integers when the shape is absurd. */
export function arrayBytes(array: Pick<NumpyArray, 'type' | 'shape'>): number {
  return array.type.kind === 'object' ? 0 : elementCount(array.shape) * array.type.itemBytes
}

/**
 * The tensors of an array: one named `name`, or `name.field` for each field of records. Values are read when streamed;
 * text is read once here, since only its content tells how long it is.
 *
 * @throws {FormatError} INVALID_FIELD for objects, which have no bytes; LIMIT_EXCEEDED for very long text
 */
export async function numpyTensors(
  name: string,
  array: NumpyArray,
  role: TensorRole,
  limits: Limits,
): Promise<Tensor[]> {
  const file = array.storage.file
  if (array.type.kind === 'object') {
    throw new FormatError({
      code: 'UNSUPPORTED_FEATURE',
      file,
      what: `array "${name}"`,
      expected: 'numbers or text',
      found: 'Python objects inside another structure',
    })
  }
  const strides = strideBytes(array.shape, array.type.itemBytes, array.fortranOrder)
  const tensors: Tensor[] = []
  for (const part of partsOf(name, array.type, array.shape, strides, array.offset)) {
    tensors.push(
      part.type.dtype === 'string' ? await textTensor(part, array, role, limits) : tensorOf(part, array, role),
    )
  }
  return tensors
}

function strideBytes(shape: readonly number[], itemBytes: number, fortranOrder: boolean): number[] {
  return fortranOrder
    ? contiguousStrides([...shape].reverse(), itemBytes).reverse()
    : contiguousStrides(shape, itemBytes)
}

function* partsOf(
  name: string,
  type: NumpyType,
  shape: readonly number[],
  strides: readonly number[],
  offset: number,
): Generator<Part> {
  if (type.kind === 'object') return
  if (type.kind !== 'record') {
    yield { name, type, shape, strides, offset }
    return
  }
  for (const field of type.fields) {
    const inner = field.type.kind === 'object' ? 0 : field.type.itemBytes
    yield* partsOf(
      name === '' ? field.name : `${name}.${field.name}`,
      field.type,
      [...shape, ...field.shape],
      [...strides, ...contiguousStrides(field.shape, inner)],
      offset + field.offset,
    )
  }
}

function tensorOf(part: Part, array: NumpyArray, role: TensorRole): Tensor {
  const { type, offset } = part
  const isRaw = type.kind === 'raw'
  const layout = { offset, shape: part.shape, strides: part.strides, itemBytes: type.itemBytes }
  const shape = isRaw ? [...part.shape, type.itemBytes] : part.shape
  const contiguous = isContiguous(layout)
  const bytes = byteLength(type.dtype, elementCount(shape))
  const { storage } = array
  return {
    name: part.name,
    dtype: type.dtype,
    shape,
    bytes,
    role,
    storage: {
      file: storage.file,
      ...(storage.key === undefined ? {} : { key: storage.key }),
      ...(contiguous && storage.byteOffset !== undefined
        ? { byteOffset: storage.byteOffset + offset - array.offset, byteLength: bytes }
        : {}),
      ...(contiguous ? {} : { strides: part.strides.map((stride) => stride / type.itemBytes) }),
      ...(!contiguous && storage.byteOffset !== undefined
        ? { viewOffset: storage.byteOffset + offset - array.offset }
        : {}),
      ...(type.swapUnit > 1 ? { swapUnit: type.swapUnit } : {}),
    },
    async *stream() {
      for await (const chunk of streamStrided(await array.open(), layout)) yield swapBytes(chunk, type.swapUnit)
    },
  }
}

/** Text as `u32 length, bytes` for each element, padding removed. */
async function textTensor(part: Part, array: NumpyArray, role: TensorRole, limits: Limits): Promise<Tensor> {
  const { type } = part
  const stored = elementCount(part.shape) * type.itemBytes
  const count = elementCount(part.shape)
  if (stored > limits.maxStringBytes || count > limits.maxItems) {
    throw new FormatError({
      code: 'LIMIT_EXCEEDED',
      file: array.storage.file,
      what: `text array "${part.name}"`,
      expected: `at most ${limits.maxStringBytes} bytes and ${limits.maxItems} elements`,
      found: `${stored} bytes, ${count} elements`,
    })
  }
  const stream = async function* (): AsyncGenerator<Uint8Array> {
    const layout = { offset: part.offset, shape: part.shape, strides: part.strides, itemBytes: type.itemBytes }
    if (type.itemBytes === 0) {
      if (count > 0) yield new Uint8Array(4 * count)
      return
    }
    for await (const chunk of streamStrided(await array.open(), layout)) yield encodeText(chunk, type)
  }
  let bytes = 0
  for await (const chunk of stream()) bytes += chunk.length
  return {
    name: part.name,
    dtype: 'string',
    shape: part.shape,
    bytes,
    role,
    storage: { file: array.storage.file },
    stream,
  }
}

const encoder = new TextEncoder()

function encodeText(chunk: Uint8Array, type: NumpyScalar): Uint8Array {
  const pieces: Uint8Array[] = []
  let total = 0
  for (let start = 0; start < chunk.length; start += type.itemBytes) {
    const item = chunk.subarray(start, start + type.itemBytes)
    const text = type.kind === 'bytes' ? trimZeros(item) : encoder.encode(decodeUtf32(swapBytes(item, type.swapUnit)))
    const length = new Uint8Array(4)
    new DataView(length.buffer).setUint32(0, text.length, true)
    pieces.push(length, text)
    total += 4 + text.length
  }
  const out = new Uint8Array(total)
  let position = 0
  for (const piece of pieces) {
    out.set(piece, position)
    position += piece.length
  }
  return out
}

function trimZeros(bytes: Uint8Array): Uint8Array {
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end--
  return bytes.subarray(0, end)
}

function decodeUtf32(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let end = bytes.length
  while (end >= 4 && view.getUint32(end - 4, true) === 0) end -= 4
  let text = ''
  for (let index = 0; index < end; index += 4) {
    const code = view.getUint32(index, true)
    text += code > 0x10ffff ? '\ufffd' : String.fromCodePoint(code)
  }
  return text
}
