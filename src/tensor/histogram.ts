import { BLOCK_ELEMENTS, blockDecoder } from './block-decoder.ts'
import { DTYPES } from './dtype.ts'
import { forEachBlock, type TensorStatistics } from './statistics.ts'
import { countElements, type Tensor } from './tensor.ts'

/** Equal bins from `min` to `max`; the last one includes `max`. */
export interface Histogram {
  readonly min: number
  readonly max: number
  /** values per bin; their sum is the number of finite values */
  readonly counts: readonly number[]
}

/**
 * Counts a tensor's finite values in equal bins between its extremes, in a second pass over its bytes.
 *
 * @param range from the first pass
 * @returns undefined for text and where no value is finite; one bin for a constant tensor
 */
export async function computeHistogram(
  tensor: Tensor,
  range: Pick<TensorStatistics, 'min' | 'max'>,
  bins = 20,
): Promise<Histogram | undefined> {
  const { dtype } = tensor
  const { min, max } = range
  if (dtype === 'string' || min === null || max === null) return undefined
  const total = countElements(tensor)
  const counts = new Array<number>(min === max ? 1 : bins).fill(0)
  const last = counts.length - 1
  // halves keep the span of -1e308 to 1e308 finite
  const scale = min === max ? 0 : counts.length / (max / 2 - min / 2) / 2
  const decode = blockDecoder(dtype)
  const block = new Float64Array(BLOCK_ELEMENTS)
  let seen = 0
  for await (const chunk of tensor.stream()) {
    const count = Math.min(Math.floor((chunk.length * 8) / DTYPES[dtype].bits), total - seen)
    forEachBlock(decode, chunk, count, block, (size) => {
      for (let i = 0; i < size; i++) {
        const value = block[i]!
        if (!(value >= min && value <= max)) continue
        const bin = Math.floor((value - min) * scale)
        counts[Math.min(bin, last)]!++
      }
    })
    seen += count
  }
  return { min, max, counts }
}
