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

/** Explicit fraction bits, and half a step of the smallest values. */
const NARROW_FLOATS: Partial<Record<Dtype, readonly [fractionBits: number, smallest: number]>> = {
  float16: [10, 2 ** -25],
  bfloat16: [7, 2 ** -134],
  float8_e4m3fn: [3, 2 ** -10],
  float8_e4m3fnuz: [3, 2 ** -11],
  float8_e5m2: [2, 2 ** -17],
  float8_e5m2fnuz: [2, 2 ** -18],
}

const scratch = new Float32Array(1)
const scratchBits = new Uint32Array(scratch.buffer)

/** The power of two at or below |value|, a float32. */
function binade(value: number): number {
  scratch[0] = value
  scratchBits[0] = scratchBits[0]! & 0x7f800000
  return scratch[0]!
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
  const narrowFloat = NARROW_FLOATS[narrow ?? tensor.dtype]
  if (narrowFloat === undefined) return undefined
  const [fractionBits, smallest] = narrowFloat
  const relative = 2 ** -(fractionBits + 1)
  return (_, value) => Math.max(binade(value) * relative, smallest)
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
