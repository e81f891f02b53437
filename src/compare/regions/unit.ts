import type { Dtype } from '../../tensor/dtype.ts'

/** Distance from 1 to the next number of the type that arithmetic is done in. */
const UNITS: Readonly<Partial<Record<Dtype, number>>> = { float16: 2 ** -10, bfloat16: 2 ** -7 }

/** Of an element type; everything wider than half precision is computed, or compared, in float32. */
export const unitOf = (dtype: Dtype | undefined): number => (dtype && UNITS[dtype]) ?? 2 ** -23
