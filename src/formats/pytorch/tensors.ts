import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { numpyTensors } from '../../encoding/numpy/numpy-array.ts'
import { FormatError } from '../../errors.ts'
import type { Problem } from '../../model/model.ts'
import { uniqueNames } from '../../model/unique-names.ts'
import { swapBytes } from '../../tensor/byte-order.ts'
import { decodeValues } from '../../tensor/decode.ts'
import { byteLength, DTYPES, type Dtype, elementCount } from '../../tensor/dtype.ts'
import { isContiguous, spanBytes, streamStrided } from '../../tensor/strided.ts'
import { type Quantization, readTensor, type Tensor, type TensorRole } from '../../tensor/tensor.ts'
import type { DenseTensor, Numbers, StorageReference, TorchTensor } from './rebuild.ts'

/** A storage's bytes: an entry of the archive, or a range of a legacy file. */
export interface StoredBytes {
  /** the same for the same memory */
  readonly key: string
  readonly file: string
  /** of its first byte in `file`; absent where it is compressed */
  readonly byteOffset?: number
  /** in bytes */
  readonly size: number
  open(): Promise<ByteSource>
}

/** Where the storages of a file are. */
export interface StorageTable {
  readonly bigEndian: boolean
  find(reference: StorageReference): StoredBytes | undefined
}

/** A quantised tensor of more channels than this is not one. */
const MAX_CHANNELS = 1 << 20
/** Views may repeat their storage (`expand`), and storages be shared; beyond this the file is a bomb. */
const MAX_REPETITION = 64
const FREE_BYTES = 32 << 20

/** Makes Tensors of the symbolic ones that a pickle holds, and remembers what it must say about them. */
export class TensorMaker {
  readonly tensors: Tensor[] = []
  readonly warnings: Problem[] = []
  readonly #file: string
  readonly #storages: StorageTable
  readonly #limits: Limits
  readonly #unique = uniqueNames()
  readonly #numbers = new Map<Numbers, readonly number[]>()
  readonly #seen = new Set<string>()
  #storedBytes = 0
  #denseBytes = 0

  constructor(file: string, storages: StorageTable, limits: Limits) {
    this.#file = file
    this.#storages = storages
    this.#limits = limits
  }

  /** Adds the tensor, or the parts of a sparse one, or a warning for one without values. */
  async add(name: string, found: TorchTensor, roleOf: (name: string, tensor: DenseTensor | undefined) => TensorRole) {
    switch (found.kind) {
      case 'dense':
        this.#push(await this.#dense(name, found, roleOf(name, found)))
        break
      case 'numpy':
        for (const tensor of await numpyTensors(name, found.array.array, roleOf(name, undefined), this.#limits)) {
          this.#push(tensor)
        }
        break
      case 'parts': {
        const size = found.shape.length > 0 ? ` of shape [${found.shape.join(', ')}]` : ''
        const message = `stored as ${found.layout}${size}: given as its parts ${found.parts.map(([part]) => part).join(', ')}`
        this.warnings.push({ code: 'SPARSE_TENSOR', message, subject: name })
        for (const [part, tensor] of found.parts) await this.add(join(name, part), tensor, roleOf)
        break
      }
      case 'empty': {
        const type = `${found.dtype ?? 'unknown type'} [${found.shape.join(', ')}]`
        const message = `tensor "${name}" (${type}) is not listed: ${found.why}`
        this.warnings.push({ code: 'NO_VALUES', message, subject: name })
        break
      }
      default:
        found satisfies never
    }
  }

  #push(tensor: Tensor): void {
    if (this.tensors.length >= this.#limits.maxItems) {
      throw new FormatError({
        code: 'LIMIT_EXCEEDED',
        file: this.#file,
        what: 'tensors',
        expected: `at most ${this.#limits.maxItems}`,
        found: 'more',
      })
    }
    this.tensors.push({ ...tensor, name: this.#unique(tensor.name) })
  }

  async #dense(name: string, found: DenseTensor, role: TensorRole): Promise<Tensor> {
    const { shape, type } = found
    const bad =
      (code: 'INVALID_FIELD' | 'TRUNCATED' | 'UNSUPPORTED_FEATURE' | 'LIMIT_EXCEEDED') =>
      (expected: string, actual: string) =>
        new FormatError({
          code,
          file: this.#file,
          what: `tensor "${name}"`,
          byteOffset: found.byteOffset,
          expected,
          found: actual,
        })
    const bits = DTYPES[type.dtype].bits
    const itemBytes = Math.ceil(bits / 8)
    const count = elementCount(shape)
    if (!Number.isSafeInteger(count * 16))
      throw bad('INVALID_FIELD')('a countable number of elements', `[${shape.join(', ')}]`)
    const storageBits = DTYPES[found.storage.type.dtype].bits
    const start = found.storage.viewOffset * (storageBits / 8) + (found.offset * bits) / 8
    const layout = { offset: start, shape, strides: found.strides.map((stride) => stride * itemBytes), itemBytes }
    const contiguous = isContiguous(layout)
    if (bits < 8 && (!contiguous || !Number.isInteger(start))) {
      throw bad('UNSUPPORTED_FEATURE')('packed elements in order', 'a view of elements below one byte')
    }
    const bytes = byteLength(type.dtype, count)
    const span = bits < 8 ? bytes : spanBytes(layout)
    const stored = this.#storages.find(found.storage)
    const size = stored?.size ?? 0
    if (!Number.isSafeInteger(start + span)) throw bad('INVALID_FIELD')('a view inside its storage', 'one far outside')
    if (span > 0 && start + span > size) {
      throw bad('TRUNCATED')(
        `${start + span} bytes in storage "${found.storage.key}"`,
        stored ? `${size}` : 'no such storage in the file',
      )
    }
    this.#account(found.storage.key, size, bytes, bad('LIMIT_EXCEEDED'))
    const quantization = found.quantizer ? await this.#quantization(found, bad('INVALID_FIELD')) : undefined
    const unit = DTYPES[type.dtype].kind === 'complex' ? itemBytes / 2 : itemBytes
    const swapUnit = this.#storages.bigEndian ? unit : 1
    return {
      name,
      dtype: type.dtype,
      shape,
      bytes,
      role,
      storage: {
        file: stored?.file ?? this.#file,
        ...(stored ? { key: stored.key } : {}),
        ...(contiguous && stored?.byteOffset !== undefined
          ? { byteOffset: stored.byteOffset + start, byteLength: bytes }
          : {}),
        ...(contiguous ? {} : { strides: found.strides }),
        ...(!contiguous && stored?.byteOffset !== undefined ? { viewOffset: stored.byteOffset + start } : {}),
        ...(swapUnit > 1 ? { swapUnit } : {}),
      },
      ...(quantization ? { quantization } : {}),
      async *stream() {
        if (bytes === 0 || !stored) return
        const source = await stored.open()
        const readable = bits < 8 ? { offset: start, shape: [bytes], strides: [1], itemBytes: 1 } : layout
        for await (const chunk of streamStrided(source, readable)) {
          yield resolveSigns(swapBytes(chunk, swapUnit), type.dtype, found.lazy)
        }
      },
    }
  }

  /** Everything that the file says must not exceed what it holds by too much. */
  #account(key: string, size: number, bytes: number, bad: (expected: string, found: string) => FormatError): void {
    if (!this.#seen.has(key)) {
      this.#seen.add(key)
      this.#storedBytes += size
    }
    this.#denseBytes += bytes
    const most = this.#storedBytes * MAX_REPETITION + FREE_BYTES
    if (this.#denseBytes > most) {
      throw bad(`at most ${MAX_REPETITION} times the stored bytes in all tensors together`, `${this.#denseBytes} bytes`)
    }
  }

  async #quantization(
    { quantizer, shape }: DenseTensor,
    bad: (expected: string, found: string) => FormatError,
  ): Promise<Quantization | undefined> {
    if (!quantizer) return undefined
    if (quantizer.kind === 'tensor') return { scales: [quantizer.scale], zeroPoints: [quantizer.zeroPoint] }
    const { axis } = quantizer
    const channels = shape[axis]
    if (channels === undefined || channels > MAX_CHANNELS) throw bad('an axis of the tensor', String(axis))
    const scales = await this.#read(quantizer.scales)
    const zeroPoints = await this.#read(quantizer.zeroPoints)
    if (scales.length !== channels || zeroPoints.length !== channels) {
      throw bad(`${channels} scales and zero points`, `${scales.length} and ${zeroPoints.length}`)
    }
    return { scales, zeroPoints, axis }
  }

  async #read(numbers: Numbers): Promise<readonly number[]> {
    if (!('kind' in numbers)) return numbers
    const known = this.#numbers.get(numbers)
    if (known) return known
    const count = elementCount(numbers.shape)
    if (count > MAX_CHANNELS) return []
    const tensor = await this.#dense('scales or zero points', numbers, 'other')
    const values = [...decodeValues(tensor.dtype, await readTensor(tensor), count)]
    this.#numbers.set(numbers, values)
    return values
  }
}

/**
 * The values that a tensor with flags stands for: `conj` turns the sign of every imaginary part, `neg` that of every
 * number. All such types are IEEE floats, whose sign is the top bit of the last byte.
 */
function resolveSigns(chunk: Uint8Array, dtype: Dtype, flags: readonly ('conj' | 'neg')[]): Uint8Array {
  if (flags.length === 0 || !['float', 'complex'].includes(DTYPES[dtype].kind)) return chunk
  const itemBytes = DTYPES[dtype].bits / 8
  const isComplex = DTYPES[dtype].kind === 'complex'
  const out = chunk.slice()
  for (let end = itemBytes; end <= out.length; end += itemBytes) {
    if (isComplex && flags.includes('conj')) out[end - 1]! ^= 0x80
    if (!flags.includes('neg')) continue
    out[end - 1]! ^= 0x80
    if (isComplex) out[end - 1 - itemBytes / 2]! ^= 0x80
  }
  return out
}

/** Names joined by a dot, where both are there. */
export function join(prefix: string, name: string): string {
  return prefix === '' ? name : `${prefix}.${name}`
}
