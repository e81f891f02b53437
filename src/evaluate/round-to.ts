import { decodeValues } from '../tensor/decode.ts'
import type { Dtype } from '../tensor/dtype.ts'
import { encodeValues } from '../tensor/encode.ts'
import { NotCovered } from './numbers.ts'

/** Float types of at most 8 bits: their finite values are few, so that they are listed and searched. */
const NARROW: Readonly<Partial<Record<Dtype, { codes: number; infinite: boolean }>>> = {
  float8_e4m3fn: { codes: 256, infinite: false },
  float8_e4m3fnuz: { codes: 256, infinite: false },
  float8_e5m2: { codes: 256, infinite: true },
  float8_e5m2fnuz: { codes: 256, infinite: false },
  float4_e2m1fn: { codes: 16, infinite: false },
}

const grids = new Map<Dtype, Float64Array>()

/**
 * Values as a float type holds them, rounded to nearest even. float32 and float64 stay as they are: their rounding is
 * what the evaluator is there to tell from defects.
 * @param saturate beyond the largest value of an 8-bit type: that value, or else what stands for "too large"
 */
export function roundTo(dtype: Dtype, values: Float64Array, saturate = true): Float64Array {
  if (dtype === 'float64' || dtype === 'float32') return values
  if (dtype === 'float16' || dtype === 'bfloat16')
    return decodeValues(dtype, encodeValues(dtype, values), values.length)
  const row = NARROW[dtype]
  if (row === undefined) throw new NotCovered(`rounding to ${dtype}`)
  let grid = grids.get(dtype)
  if (grid === undefined) {
    grid = positiveValues(dtype, row.codes)
    grids.set(dtype, grid)
  }
  const beyond =
    saturate || dtype === 'float4_e2m1fn' ? grid.at(-1)! : row.infinite ? Number.POSITIVE_INFINITY : Number.NaN
  const largest = grid.at(-1)!
  const infinity = row.infinite ? Number.POSITIVE_INFINITY : Number.NaN
  return values.map((value) => {
    if (Number.isNaN(value)) return dtype === 'float4_e2m1fn' ? 0 : value
    const size = Math.abs(value)
    const sign = value < 0 || Object.is(value, -0) ? -1 : 1
    if (size === Number.POSITIVE_INFINITY) return saturate ? sign * largest : sign * infinity
    const rounded = nearest(grid, size)
    return sign * (rounded === undefined ? beyond : rounded)
  })
}

/** All finite values from 0 up, in order: position and code's last bit agree, which nearest-even needs. */
function positiveValues(dtype: Dtype, codes: number): Float64Array {
  const packed = codes === 16 ? Uint8Array.from({ length: 8 }, (_, pair) => pair * 2 + (pair * 2 + 1) * 16) : undefined
  const bytes = packed ?? Uint8Array.from({ length: codes }, (_, code) => code)
  const all = decodeValues(dtype, bytes, codes).subarray(0, codes / 2)
  return all.filter(Number.isFinite)
}

/** The nearest listed value; undefined when `size` is nearer to the one after the last. */
function nearest(grid: Float64Array, size: number): number | undefined {
  let low = 0
  let high = grid.length - 1
  if (size >= grid[high]!) {
    const gap = grid[high]! - grid[high - 1]!
    const half = (size - grid[high]!) / gap
    return half < 0.5 || (half === 0.5 && high % 2 === 0) ? grid[high] : undefined
  }
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (grid[middle]! <= size) low = middle
    else high = middle
  }
  const below = size - grid[low]!
  const above = grid[high]! - size
  return grid[below < above || (below === above && low % 2 === 0) ? low : high]
}
