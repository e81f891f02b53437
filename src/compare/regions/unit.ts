import { type Dtype, isFloat } from '../../tensor/dtype.ts'
import type { Side } from '../behaviour/recording.ts'

/** Distance from 1 to the next number of the type that arithmetic is done in. */
const UNITS: Readonly<Partial<Record<Dtype, number>>> = { float16: 2 ** -10, bfloat16: 2 ** -7 }

/** Of an element type; everything wider than half precision is computed, or compared, in float32. */
export const unitOf = (dtype: Dtype | undefined): number => (dtype && UNITS[dtype]) ?? 2 ** -23

/** Share of a model's values in half precision from which on that is its arithmetic. */
const HALF_SHARE = 0.2

const halves = new WeakMap<Side, boolean>()

/** Whether a model computes in half precision. */
export function isHalf(side: Side): boolean {
  const known = halves.get(side)
  if (known !== undefined) return known
  const types = side.order.flatMap((name) => side.recording.runs[0]?.get(name)?.dtype ?? []).filter(isFloat)
  const half = types.filter((type) => unitOf(type) > unitOf('float32')).length > HALF_SHARE * types.length
  halves.set(side, half)
  return half
}
