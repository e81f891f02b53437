import { FormatError } from '../../errors.ts'
import type { Node } from '../../model/graph.ts'
import type { Problem } from '../../model/model.ts'
import { decodeValues } from '../../tensor/decode.ts'
import { elementCount } from '../../tensor/dtype.ts'
import { type Quantization, readTensor, type Tensor } from '../../tensor/tensor.ts'
import type { TensorAnnotation } from './schema.ts'

/** A stored tensor that something reads as quantised, with the stored tensors of its parameters. */
export interface QuantizedUse {
  readonly data: string
  readonly scale: string
  readonly zeroPoint?: string
  /** of the channels, where there is a scale for each; may count from the end */
  readonly axis: number
  readonly blockSize?: number
}

/** Scales and zero points of all tensors together: beyond this a file is not what it says (a large model: 3 MB). */
const MAX_PARAMETER_BYTES = 64 << 20

/** Which inputs an operator reads as data, scale and zero point; the axis is fixed or an attribute. */
const QUANTIZED_INPUTS: Readonly<Record<string, readonly (readonly [number, number, number, number | 'axis'])[]>> = {
  DequantizeLinear: [[0, 1, 2, 'axis']],
  QLinearConv: [
    [0, 1, 2, 0],
    [3, 4, 5, 0],
  ],
  QLinearMatMul: [
    [0, 1, 2, -2],
    [3, 4, 5, -1],
  ],
  QGemm: [
    [0, 1, 2, 0],
    [3, 4, 5, -1],
  ],
}

/**
 * The stored tensors that `node` reads as quantised.
 * @param lookUp name of the stored tensor that a value is, if it is one
 */
export function quantizedUses(
  node: Pick<Node, 'op' | 'attributes'>,
  inputs: readonly string[],
  lookUp: (value: string) => string | undefined,
): QuantizedUse[] {
  const uses: QuantizedUse[] = []
  if (!Object.hasOwn(QUANTIZED_INPUTS, node.op)) return uses
  for (const [dataAt, scaleAt, zeroAt, axisRule] of QUANTIZED_INPUTS[node.op]!) {
    const [data, scale, zeroPoint] = [dataAt, scaleAt, zeroAt].map((index) => lookUp(inputs[index] ?? ''))
    if (data === undefined || scale === undefined) continue
    const { axis, block_size: blockSize } = node.attributes
    uses.push({
      data,
      scale,
      ...(zeroPoint === undefined ? {} : { zeroPoint }),
      axis: axisRule === 'axis' ? (typeof axis === 'number' ? axis : 1) : axisRule,
      ...(typeof blockSize === 'number' && blockSize > 0 ? { blockSize } : {}),
    })
  }
  return uses
}

/** The same from `quantization_annotation` of a graph. */
export function annotatedUses(
  annotations: readonly TensorAnnotation[],
  lookUp: (value: string) => string | undefined,
): QuantizedUse[] {
  return annotations.flatMap(({ tensorName, quantParameterTensorNames }) => {
    const named = (key: string) => lookUp(quantParameterTensorNames.find((pair) => pair.key === key)?.value ?? '')
    const [data, scale, zeroPoint] = [lookUp(tensorName ?? ''), named('SCALE_TENSOR'), named('ZERO_POINT_TENSOR')]
    if (data === undefined || scale === undefined) return []
    return [{ data, scale, ...(zeroPoint === undefined ? {} : { zeroPoint }), axis: 0 }]
  })
}

/**
 * Reads the parameters of all quantised tensors. They are few and small; no other values are read on opening.
 * @returns by tensor name; a tensor whose parameters are out of reach (blocks, a missing file) is left out
 */
export async function readQuantization(
  uses: readonly QuantizedUse[],
  tensors: ReadonlyMap<string, Tensor>,
  warnings: Problem[],
): Promise<Map<string, Quantization>> {
  const found = new Map<string, Quantization>()
  const cache = new Map<string, Promise<readonly number[] | undefined>>()
  const noZeros = new Map<number, readonly number[]>()
  let budget = MAX_PARAMETER_BYTES
  const numbers = (tensor: Tensor): Promise<readonly number[] | undefined> => {
    let known = cache.get(tensor.name)
    if (known === undefined) {
      budget -= tensor.bytes
      known = budget < 0 ? Promise.resolve(undefined) : readNumbers(tensor)
      cache.set(tensor.name, known)
    }
    return known
  }
  for (const use of uses) {
    const data = tensors.get(use.data)
    const scale = tensors.get(use.scale)
    if (!data || !scale || found.has(use.data)) continue
    const axis = use.axis < 0 ? use.axis + data.shape.length : use.axis
    const channels = elementCount(scale.shape)
    const perTensor = channels === 1 && use.blockSize === undefined
    if (!perTensor && (use.blockSize !== undefined || scale.shape.length !== 1 || channels !== data.shape[axis])) {
      warnings.push({
        code: 'BLOCKED_QUANTIZATION',
        message: `"${use.data}" is quantised in blocks: scales "${use.scale}" [${scale.shape.join(', ')}]`,
        subject: use.data,
      })
      continue
    }
    const scales = await numbers(scale)
    if (scales === undefined) continue
    const zeroTensor = use.zeroPoint === undefined ? undefined : tensors.get(use.zeroPoint)
    const zeros = zeroTensor && elementCount(zeroTensor.shape) === channels ? await numbers(zeroTensor) : undefined
    const zeroPoints = zeros ?? noZeros.get(channels) ?? Array<number>(channels).fill(0)
    if (!zeros) noZeros.set(channels, zeroPoints)
    found.set(use.data, {
      scales,
      zeroPoints,
      ...(perTensor ? {} : { axis }),
    })
  }
  return found
}

async function readNumbers(tensor: Tensor): Promise<readonly number[] | undefined> {
  if (tensor.dtype === 'string') return undefined
  try {
    return Array.from(decodeValues(tensor.dtype, await readTensor(tensor), elementCount(tensor.shape)))
  } catch (error) {
    // Values that cannot be read have their own warning or error; the tensor is then shown without its scale.
    if (error instanceof FormatError) return undefined
    throw error
  }
}
