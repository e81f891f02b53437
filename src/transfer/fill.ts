import { decodePiece } from '../compare/weights/values.ts'
import { DTYPES, elementCount, isFloat } from '../tensor/dtype.ts'
import { encodeValues } from '../tensor/encode.ts'
import { readTensor, type Tensor } from '../tensor/tensor.ts'
import { evaluate, type Items } from './evaluate-expression.ts'
import { type Expression, invalid, onlyMoves, shapeOf } from './expression.ts'
import type { TargetEntry } from './ledger.ts'
import type { FilledTensor } from './plan.ts'

/** The target's tensors that get new values; each computes them when it is asked. */
export function fillTargets(entries: readonly TargetEntry[]): FilledTensor[] {
  return entries.flatMap(({ target, from, expression }) =>
    expression === undefined ? [] : [{ target, values: () => computeTensor(target, from, expression) }],
  )
}

/**
 * Bytes of one target tensor.
 *
 * Values that only move between equal types are copied bit for bit. Otherwise arithmetic is float64 and the result is
 * rounded once to the target's type; integers with a scale are rounded to its nearest step.
 * @throws {ToolError} INVALID_TRANSFORM where the shape is not the target's
 */
export async function computeTensor(
  target: Tensor,
  from: readonly Tensor[],
  expression: Expression,
): Promise<Uint8Array> {
  const shapes = from.map(({ shape }) => shape)
  const shape = shapeOf(expression, shapes)
  if (shape.join() !== target.shape.join())
    throw invalid(`"${target.name}" has shape [${target.shape.join(', ')}], its transform gives [${shape.join(', ')}]`)
  if (onlyMoves(expression) && from.every((tensor) => hasSameType(tensor, target))) {
    const words = await Promise.all(from.map(readWords))
    if (words.every((each) => each !== undefined)) return bytesOf(evaluate(expression, words as Items[], shapes))
  }
  const inputs = await Promise.all(
    from.map(async (tensor) => Float64Array.from(decodePiece(tensor, await readTensor(tensor), 0))),
  )
  return encodeFor(target, evaluate(expression, inputs, shapes) as Float64Array)
}

function hasSameType(source: Tensor, target: Tensor): boolean {
  return source.dtype === target.dtype && source.quantization === undefined && target.quantization === undefined
}

/** Elements as words of their size; undefined for packed types and those of more than 8 bytes. */
async function readWords(tensor: Tensor): Promise<Items | undefined> {
  const { bits } = DTYPES[tensor.dtype]
  if (![8, 16, 32, 64].includes(bits)) return undefined
  const bytes = await readTensor(tensor)
  const aligned = bytes.byteOffset % 8 === 0 ? bytes : bytes.slice()
  const count = elementCount(tensor.shape)
  const { buffer, byteOffset } = aligned
  if (bits === 8) return new Uint8Array(buffer, byteOffset, count)
  if (bits === 16) return new Uint16Array(buffer, byteOffset, count)
  if (bits === 32) return new Uint32Array(buffer, byteOffset, count)
  return new BigUint64Array(buffer, byteOffset, count)
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Items): Uint8Array =>
  new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength)

function encodeFor({ dtype, quantization, shape }: Tensor, values: Float64Array): Uint8Array {
  if (quantization !== undefined) {
    const { scales, zeroPoints, axis } = quantization
    const inner = axis === undefined ? values.length : elementCount(shape.slice(axis + 1))
    const [low, high] = rangeOf(dtype)
    const steps = values.map((value, at) => {
      const channel = scales.length === 1 ? 0 : Math.floor(at / inner) % scales.length
      const step = Math.round(value / scales[channel]!) + (zeroPoints[channel] ?? zeroPoints[0] ?? 0)
      return Math.min(high, Math.max(low, step))
    })
    return encodeValues(dtype, steps)
  }
  return encodeValues(dtype, isFloat(dtype) ? values : values.map(Math.round))
}

function rangeOf(dtype: Tensor['dtype']): readonly [number, number] {
  const { bits } = DTYPES[dtype]
  return dtype.startsWith('u') ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1]
}
