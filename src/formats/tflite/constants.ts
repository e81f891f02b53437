import { type ByteRange, type ByteSource, streamRange } from '../../bytes/byte-source.ts'
import { FormatError } from '../../errors.ts'
import { byteLength, DTYPES, type Dtype, elementCount } from '../../tensor/dtype.ts'
import type { Quantization, Tensor, TensorRole } from '../../tensor/tensor.ts'
import type { TfliteTensor } from './model-tables.ts'
import { readTexts } from './strings.ts'
import { dtypeFromTflite } from './types.ts'

/**
 * The Tensor of the Model for a tensor with data. A sparse one is given as stored: its values, one after the other.
 *
 * @param key of the buffer, which several tensors may share
 * @throws {FormatError} INVALID_FIELD when type and shape contradict the number of bytes
 */
export async function toConstant(
  tensor: TfliteTensor,
  name: string,
  data: ByteRange,
  source: ByteSource,
  key: string,
): Promise<Tensor> {
  const what = `tensor "${name}"`
  const dtype = dtypeFromTflite(tensor.type)
  if (dtype === undefined) {
    throw new FormatError({
      code: 'UNSUPPORTED_FEATURE',
      file: source.name,
      what,
      expected: 'an element type of TensorType, 0 to 20',
      found: `type ${tensor.type}`,
    })
  }
  const count = elementCount(tensor.shape)
  if (!tensor.shape.every((size) => size >= 0) || !Number.isSafeInteger(count * 16))
    throw mismatch(source, what, data, 'dimensions that are not negative and countable', `[${tensor.shape.join(', ')}]`)
  const quantization = toQuantization(tensor)
  const common = {
    name,
    dtype,
    role: roleOf(dtype, tensor, quantization),
    ...(quantization ? { quantization } : {}),
  }
  if (dtype === 'string') {
    const { bytes, stream } = await readTexts(source, data, count, what)
    return { ...common, shape: tensor.shape, bytes, stream }
  }
  const dense = byteLength(dtype, count)
  if (!tensor.isSparse && data.length !== dense)
    throw mismatch(source, what, data, `${dense} bytes, as its shape and type say`, String(data.length))
  const shape = tensor.isSparse ? [Math.floor((data.length * 8) / DTYPES[dtype].bits)] : tensor.shape
  return {
    ...common,
    shape,
    bytes: data.length,
    storage: { file: source.name, byteOffset: data.offset, byteLength: data.length, key },
    stream: () => streamRange(source, data),
  }
}

/** One scale for the tensor, or one for each index of an axis. Blocks have none here. */
function toQuantization({ quantization, shape }: TfliteTensor): Quantization | undefined {
  if (quantization === undefined || quantization.isBlockwise) return undefined
  const { scales, zeroPoints, axis } = quantization
  const isPerAxis = scales.length > 1
  if (isPerAxis && scales.length !== shape[axis]) return undefined
  const zeros = zeroPoints.length === scales.length ? zeroPoints : scales.map(() => zeroPoints[0] ?? 0)
  return { scales, zeroPoints: zeros, ...(isPerAxis ? { axis } : {}) }
}

/** The file does not say what a tensor is for. Whole numbers without a scale are shapes, axes and paddings. */
function roleOf(dtype: Dtype, { shape }: TfliteTensor, quantization: Quantization | undefined): TensorRole {
  const { kind } = DTYPES[dtype]
  return (kind === 'float' || kind === 'complex' || quantization) && shape.length > 0 ? 'parameter' : 'constant'
}

function mismatch(source: ByteSource, what: string, data: ByteRange, expected: string, found: string): FormatError {
  return new FormatError({
    code: 'INVALID_FIELD',
    file: source.name,
    what,
    byteOffset: data.offset,
    expected,
    found,
  })
}
