import type { ByteSource } from '../../bytes/byte-source.ts'
import { type PickledArray, readPickledArray } from '../../encoding/numpy/pickled-array.ts'
import {
  asInteger,
  asSequence,
  asText,
  callableName,
  isContainer,
  type PickleContainer,
  type PickleObject,
  type PickleValue,
} from '../../encoding/pickle/values.ts'
import { FormatError } from '../../errors.ts'
import { storageType, type TorchType, torchDtype } from './storage-types.ts'

/** A storage as the pickle names it; its bytes lie elsewhere in the file. */
export interface StorageReference {
  readonly key: string
  readonly type: TorchType
  /** elements */
  readonly size: number
  /** first element of a view into the storage (files of torch before 0.4) */
  readonly viewOffset: number
}

/** A strided view of a storage. */
export interface DenseTensor {
  readonly kind: 'dense'
  readonly storage: StorageReference
  readonly type: TorchType
  /** in elements */
  readonly offset: number
  readonly shape: readonly number[]
  /** in elements */
  readonly strides: readonly number[]
  readonly requiresGrad: boolean
  readonly isParameter: boolean
  readonly isBuffer: boolean
  readonly quantizer?: Quantizer
  /** torch keeps conjugation and negation as a flag beside the stored values */
  readonly lazy: readonly ('conj' | 'neg')[]
  /** of the call that rebuilds it, in the pickle */
  readonly byteOffset: number
}

/** How a quantised tensor's codes stand for numbers. */
export type Quantizer =
  | { readonly kind: 'tensor'; readonly scale: number; readonly zeroPoint: number }
  | { readonly kind: 'channel'; readonly scales: Numbers; readonly zeroPoints: Numbers; readonly axis: number }

/** Numbers given as a tensor or, in old files, as a list. */
export type Numbers = DenseTensor | readonly number[]

/** What a call of torch's rebuild functions stands for. */
export type TorchTensor =
  | DenseTensor
  | {
      readonly kind: 'parts'
      readonly layout: string
      readonly shape: readonly number[]
      readonly parts: readonly (readonly [string, TorchTensor])[]
    }
  | { readonly kind: 'empty'; readonly why: string; readonly shape: readonly number[]; readonly dtype?: string }
  | { readonly kind: 'numpy'; readonly array: PickledArray & { kind: 'array' } }

/** Parameter of a parameter of a parameter: torch nests two of these calls at most. */
const MAX_WRAPPING = 8

/**
 * Reads tensors out of symbolic calls: what `torch._utils._rebuild_tensor_v2(storage, offset, size, stride, ...)` would
 * have made, without making it.
 *
 * @source https://github.com/pytorch/pytorch/blob/main/torch/_utils.py
 */
export class TensorRebuilder {
  readonly #source: ByteSource
  readonly #known = new Map<PickleContainer, TorchTensor | null>()

  /** @param source the pickle's: NumPy arrays lie in it */
  constructor(source: ByteSource) {
    this.#source = source
  }

  /**
   * The tensor that `value` stands for; undefined when it is none.
   * @throws {FormatError} INVALID_FIELD when the call's arguments cannot be those of a tensor
   */
  tensorOf(value: PickleContainer, wrapping = 0): TorchTensor | undefined {
    if (value.kind !== 'object') return undefined
    const known = this.#known.get(value)
    if (known !== undefined) return known ?? undefined
    const tensor = this.#rebuild(value, wrapping)
    this.#known.set(value, tensor ?? null)
    return tensor
  }

  #rebuild(value: PickleObject, wrapping: number): TorchTensor | undefined {
    const name = callableName(value)
    if (name === undefined) return undefined
    if (name.startsWith('numpy.')) {
      const array = readPickledArray(value, this.#source, `at byte ${value.offset}`)
      return array?.kind === 'array' ? { kind: 'numpy', array } : undefined
    }
    const builder = Object.hasOwn(BUILDERS, name) ? BUILDERS[name] : undefined
    if (!builder) return undefined
    if (wrapping > MAX_WRAPPING) throw this.bad(value, `at most ${MAX_WRAPPING} calls around a tensor`, 'more')
    return builder({ rebuilder: this, call: value, args: value.args, wrapping })
  }

  /** A part of a sparse or nested tensor: such tensors do not contain each other. */
  part(call: PickleObject, value: PickleValue | undefined, wrapping: number): TorchTensor {
    const tensor = this.inner(call, value, wrapping)
    if (tensor.kind === 'parts') throw this.bad(call, 'dense parts', `a ${tensor.layout} tensor as a part`)
    return tensor
  }

  /** The tensor among the arguments of `call`. */
  inner(call: PickleObject, value: PickleValue | undefined, wrapping: number): TorchTensor {
    const tensor = isContainer(value) ? this.tensorOf(value, wrapping + 1) : undefined
    if (!tensor) throw this.bad(call, 'a tensor as argument', 'something else')
    return tensor
  }

  bad(call: PickleObject, expected: string, found: string): FormatError {
    return new FormatError({
      code: 'INVALID_FIELD',
      file: this.#source.name,
      what: `${callableName(call) ?? 'call'}`,
      byteOffset: call.offset,
      expected,
      found,
    })
  }
}

interface Call {
  rebuilder: TensorRebuilder
  call: PickleObject
  args: readonly PickleValue[]
  wrapping: number
}

type Builder = (call: Call) => TorchTensor | undefined

/** `(storage, offset, size, stride, ...)`: the beginning of the arguments of every dense tensor. */
function dense({ rebuilder, call, args }: Call, type?: TorchType): DenseTensor {
  const storage = readStorage(args[0])
  if (!storage) throw rebuilder.bad(call, 'a storage of a known type', describe(args[0]))
  const offset = asInteger(args[1])
  const shape = sizes(args[2])
  const strides = sizes(args[3])
  if (offset === undefined || offset < 0) throw rebuilder.bad(call, 'an offset', describe(args[1]))
  if (!shape || !strides || shape.length !== strides.length) {
    throw rebuilder.bad(call, 'a size and as many strides', 'something else')
  }
  return {
    kind: 'dense',
    storage,
    type: type ?? storage.type,
    offset,
    shape,
    strides,
    requiresGrad: false,
    isParameter: false,
    isBuffer: false,
    lazy: [],
    byteOffset: call.offset,
  }
}

const rebuildTensor: Builder = (call) => dense(call)

const rebuildTensorV2: Builder = (call) => ({
  ...dense(call),
  requiresGrad: call.args[4] === true,
  lazy: lazyFlags(call.args[6]),
})

/** Version 3 names the element type beside an untyped storage: complex32, uint4 and others that nothing here can decode. */
const rebuildTensorV3: Builder = (call) => {
  const type = call.args[6]
  const name = isContainer(type) && type.kind === 'global' ? type.name : ''
  if (/^torch\.\w+$/.test(name) && torchDtype(name) === undefined) {
    return { kind: 'empty', why: 'its element type is not read', shape: sizes(call.args[2]) ?? [], dtype: name }
  }
  return {
    ...dense(call, dtypeArgument(call, 6)),
    requiresGrad: call.args[4] === true,
    lazy: lazyFlags(call.args[7]),
  }
}

const rebuildQuantized: Builder = (call) => ({
  ...dense(call),
  requiresGrad: call.args[5] === true,
  quantizer: readQuantizer(call),
})

const rebuildParameter: Builder = ({ rebuilder, call, args, wrapping }) => {
  const tensor = rebuilder.inner(call, args[0], wrapping)
  return tensor.kind === 'dense' ? { ...tensor, isParameter: true, requiresGrad: args[1] === true } : tensor
}

/** `(function, class, args, state)`: another rebuild function with its arguments, for subclasses of Tensor. */
const rebuildFromType: Builder = ({ rebuilder, call, args, wrapping }) => {
  const inner = asSequence(args[2])
  if (args[0] === undefined || !inner) throw rebuilder.bad(call, 'a function, a class and arguments', 'something else')
  const made: PickleObject = { kind: 'object', callable: args[0], how: 'call', args: inner, offset: call.offset }
  const tensor = rebuilder.inner(call, made, wrapping)
  const type = isContainer(args[1]) && args[1].kind === 'global' ? args[1].name : ''
  if (tensor.kind !== 'dense') return tensor
  return { ...tensor, isParameter: tensor.isParameter || /\.Parameter$/.test(type), isBuffer: /\.Buffer$/.test(type) }
}

const rebuildSparse: Builder = ({ rebuilder, call, args, wrapping }) => {
  const layout = layoutName(args[0])
  const data = asSequence(args[1])
  if (!data) throw rebuilder.bad(call, 'the parts of a sparse tensor', 'something else')
  const names = PARTS[layout]
  if (!names) throw rebuilder.bad(call, 'a known sparse layout', layout)
  return {
    kind: 'parts',
    layout,
    shape: sizes(data[names.length]) ?? [],
    parts: names.map((name, index) => [name, rebuilder.part(call, data[index], wrapping)] as const),
  }
}

/** Components of the sparse layouts, in the order in which they are pickled, under the names of their accessors. */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  sparse_coo: ['indices', 'values'],
  sparse_csr: ['crow_indices', 'col_indices', 'values'],
  sparse_bsr: ['crow_indices', 'col_indices', 'values'],
  sparse_csc: ['ccol_indices', 'row_indices', 'values'],
  sparse_bsc: ['ccol_indices', 'row_indices', 'values'],
}

const rebuildNested: Builder = ({ rebuilder, call, args, wrapping }) => ({
  kind: 'parts',
  layout: 'nested',
  shape: [],
  parts: ['values', 'sizes', 'strides', 'offsets'].map(
    (name, index) => [name, rebuilder.part(call, args[index], wrapping)] as const,
  ),
})

/** A tensor moved from another device through `(data, dtype, device, requires_grad)`. */
const rebuildFromDevice: Builder = ({ rebuilder, call, args, wrapping }) => rebuilder.inner(call, args[0], wrapping)

const rebuildMeta: Builder = ({ args }) => ({
  kind: 'empty',
  why: 'it was saved on the meta device, without values',
  shape: sizes(args[1]) ?? [],
  ...dtypeText(args[0]),
})

const rebuildWrapper: Builder = ({ args }) => ({
  kind: 'empty',
  why: 'it is a wrapper whose class keeps the values elsewhere',
  shape: sizes(args[2]) ?? [],
  ...dtypeText(args[1]),
})

const BUILDERS: Readonly<Record<string, Builder>> = {
  'torch._utils._rebuild_tensor': rebuildTensor,
  'torch._utils._rebuild_tensor_v2': rebuildTensorV2,
  'torch._utils._rebuild_tensor_v3': rebuildTensorV3,
  'torch._utils._rebuild_qtensor': rebuildQuantized,
  'torch._utils._rebuild_parameter': rebuildParameter,
  'torch._utils._rebuild_parameter_with_state': rebuildParameter,
  'torch._utils._rebuild_sparse_tensor': rebuildSparse,
  'torch._utils._rebuild_sparse_csr_tensor': rebuildSparse,
  'torch._utils._rebuild_nested_tensor': rebuildNested,
  'torch._utils._rebuild_meta_tensor_no_storage': rebuildMeta,
  'torch._utils._rebuild_wrapper_subclass': rebuildWrapper,
  'torch._utils._rebuild_device_tensor_from_numpy': rebuildFromDevice,
  'torch._utils._rebuild_device_tensor_from_cpu_tensor': rebuildFromDevice,
  'torch._utils._rebuild_xla_tensor': rebuildFromDevice,
  'torch._tensor._rebuild_from_type': rebuildFromType,
  'torch._tensor._rebuild_from_type_v2': rebuildFromType,
  'torch.tensor._rebuild_from_type': rebuildFromType,
}

/**
 * `('storage', class, key, location, size)`, in legacy files with `(view key, offset, size)` or None behind.
 * @returns undefined for any other persistent id
 */
export function readStorage(value: PickleValue | undefined): StorageReference | undefined {
  if (!isContainer(value) || value.kind !== 'persistent') return undefined
  const id = asSequence(value.id)
  if (!id || id.length < 5 || asText(id[0]) !== 'storage') return undefined
  const type = isContainer(id[1]) && id[1].kind === 'global' ? storageType(id[1].name) : undefined
  const key = typeof id[2] === 'number' ? String(id[2]) : asText(id[2])
  const size = asInteger(id[4])
  const view = asSequence(id[5])
  const viewOffset = view ? asInteger(view[1]) : 0
  if (!type || key === undefined || size === undefined || size < 0 || viewOffset === undefined || viewOffset < 0) {
    return undefined
  }
  return { key, type, size, viewOffset }
}

function readQuantizer({ rebuilder, call, args, wrapping }: Call): Quantizer {
  const [scheme, ...rest] = asSequence(args[4]) ?? []
  const name = isContainer(scheme) && scheme.kind === 'global' ? scheme.name : ''
  if (name === 'torch.per_tensor_affine' || name === 'torch.per_tensor_symmetric') {
    const [scale, zeroPoint] = rest
    if (typeof scale === 'number' && typeof zeroPoint === 'number') return { kind: 'tensor', scale, zeroPoint }
  }
  if (name.startsWith('torch.per_channel_')) {
    const [scales, zeroPoints] = rest.map((value) => readNumbers(rebuilder, value, wrapping))
    const axis = asInteger(rest[2])
    if (scales && zeroPoints && axis !== undefined) return { kind: 'channel', scales, zeroPoints, axis }
  }
  throw rebuilder.bad(call, 'a quantisation per tensor or per channel', name || 'another')
}

function readNumbers(rebuilder: TensorRebuilder, value: PickleValue, wrapping: number): Numbers | undefined {
  if (!isContainer(value)) return undefined
  const items = asSequence(value)
  if (items) return items.every((item) => typeof item === 'number') ? (items as number[]) : undefined
  const tensor = rebuilder.tensorOf(value, wrapping + 1)
  return tensor?.kind === 'dense' ? tensor : undefined
}

function dtypeArgument({ rebuilder, call, args }: Call, index: number): TorchType {
  const value = args[index]
  const type = isContainer(value) && value.kind === 'global' ? torchDtype(value.name) : undefined
  if (!type) throw rebuilder.bad(call, 'an element type that is known', describe(value))
  return type
}

function dtypeText(value: PickleValue | undefined): { dtype?: string } {
  return isContainer(value) && value.kind === 'global' ? { dtype: value.name } : {}
}

function lazyFlags(metadata: PickleValue | undefined): ('conj' | 'neg')[] {
  if (!isContainer(metadata) || metadata.kind !== 'dict') return []
  return (['conj', 'neg'] as const).filter((flag) => metadata.entries.get(flag) === true)
}

/** `torch.serialization._get_layout('torch.sparse_coo')`, or the layout by name. */
function layoutName(value: PickleValue | undefined): string {
  if (!isContainer(value)) return 'unknown'
  if (value.kind === 'global') return value.name.replace(/^torch\./, '')
  const text = value.kind === 'object' ? asText(value.args[0]) : undefined
  return (text ?? 'unknown').replace(/^torch\./, '').slice(0, 100)
}

function sizes(value: PickleValue | undefined): number[] | undefined {
  const items = asSequence(value)?.map(asInteger)
  return items?.every((item): item is number => item !== undefined && item >= 0) ? (items as number[]) : undefined
}

function describe(value: PickleValue | undefined): string {
  if (value === undefined) return 'nothing'
  if (!isContainer(value)) return String(value).slice(0, 100)
  if (value.kind === 'global') return value.name
  const id = value.kind === 'persistent' ? asSequence(value.id)?.[1] : undefined
  return isContainer(id) && id.kind === 'global' ? id.name : `a ${value.kind}`
}
