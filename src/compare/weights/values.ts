import { decodeValues } from '../../tensor/decode.ts'
import { DTYPES, type Dtype, elementCount } from '../../tensor/dtype.ts'
import { type Quantization, readTensor, type Tensor } from '../../tensor/tensor.ts'
import type { Values } from './transform.ts'

/**
 * Real values of a piece of a tensor, integers multiplied by their scale.
 * @param start index of the piece's first number in the whole tensor, for scales per axis
 */
export function decodePiece(tensor: Tensor, bytes: Uint8Array, start: number): Values {
  const { dtype } = tensor
  const count = Math.floor((bytes.length * 8) / DTYPES[dtype].bits)
  const left = Math.min(count, elementCount(tensor.shape) - start)
  if (dtype === 'float32' && bytes.byteOffset % 4 === 0) return new Float32Array(bytes.buffer, bytes.byteOffset, left)
  const values = decodeValues(dtype, bytes, left)
  if (tensor.quantization !== undefined) dequantise(values, tensor.quantization, tensor.shape, start)
  if (isWide(tensor)) return values
  return Float32Array.from(values)
}

/** Whether float32 would lose what the comparison needs. */
function isWide({ dtype, quantization }: Pick<Tensor, 'dtype' | 'quantization'>): boolean {
  if (dtype === 'float64' || dtype === 'complex128') return true
  return DTYPES[dtype].bits >= 32 && (quantization !== undefined || DTYPES[dtype].kind !== 'float')
}

function dequantise(values: Float64Array, quantization: Quantization, shape: readonly number[], start: number): void {
  const { scales, zeroPoints, axis } = quantization
  const inner = axis === undefined ? 0 : elementCount(shape.slice(axis + 1))
  for (let k = 0; k < values.length; k++) {
    const channel = scales.length === 1 ? 0 : Math.floor((start + k) / inner) % scales.length
    values[k] = (values[k]! - (zeroPoints[channel] ?? zeroPoints[0] ?? 0)) * scales[channel]!
  }
}

/** Largest |error| that storing a value in this tensor's type causes, by rounding to the nearest. */
export type HalfStep = (index: number, value: number) => number

/** Units in the last place, halved: relative size, and absolute for the smallest values. */
const HALF_ULP: Partial<Record<Dtype, readonly [relative: number, absolute: number]>> = {
  float16: [2 ** -11, 2 ** -25],
  bfloat16: [2 ** -9, 2 ** -134],
  float8_e4m3fn: [2 ** -4, 2 ** -10],
  float8_e4m3fnuz: [2 ** -4, 2 ** -11],
  float8_e5m2: [2 ** -3, 2 ** -17],
  float8_e5m2fnuz: [2 ** -3, 2 ** -18],
}

/** A tensor, and the narrower float type that all its values fit, where its own type is wider. */
export interface Stored {
  readonly tensor: Pick<Tensor, 'dtype' | 'shape' | 'quantization'>
  readonly narrow?: Dtype | undefined
}

/** Half a step of a tensor's storage; undefined where it is as fine as float32. */
export function halfStepOf({ tensor, narrow }: Stored): HalfStep | undefined {
  const { quantization } = tensor
  if (quantization !== undefined) {
    const { scales, axis } = quantization
    if (scales.length === 1) return () => scales[0]! / 2
    const inner = elementCount(tensor.shape.slice((axis ?? 0) + 1))
    return (index) => scales[Math.floor(index / inner) % scales.length]! / 2
  }
  const ulp = HALF_ULP[narrow ?? tensor.dtype]
  if (ulp === undefined) return undefined
  return (_, value) => Math.max(Math.abs(value) * ulp[0], ulp[1])
}

/** Keeps the tensors that were read last, within a budget, so that a pair is not read again for each idea about it. */
export class ValueCache {
  readonly #kept = new Map<Tensor, Values>()
  readonly #budget: number
  #bytes = 0

  /** @param budget bytes of decoded values to keep besides those in use */
  constructor(budget: number) {
    this.#budget = budget
  }

  async load(tensor: Tensor): Promise<Values> {
    const found = this.#kept.get(tensor)
    if (found !== undefined) {
      this.#kept.delete(tensor)
      this.#kept.set(tensor, found)
      return found
    }
    const values = decodePiece(tensor, await readTensor(tensor), 0)
    this.#kept.set(tensor, values)
    this.#bytes += values.byteLength
    for (const [oldest, old] of this.#kept) {
      if (this.#bytes <= this.#budget || oldest === tensor) break
      this.#kept.delete(oldest)
      this.#bytes -= old.byteLength
    }
    return values
  }
}
