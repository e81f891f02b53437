import { InternalError } from '../errors.ts'
import { BLOCK_ELEMENTS, type BlockDecoder, blockDecoder } from './block-decoder.ts'
import { DTYPES, type Dtype } from './dtype.ts'
import { countElements, type Tensor } from './tensor.ts'

/** What one pass over a tensor's values tells. Complex numbers count by magnitude; text has its count only. */
export interface TensorStatistics {
  /** elements */
  readonly count: number
  /** over the finite values; null where there are none */
  readonly min: number | null
  readonly max: number | null
  readonly mean: number | null
  /** population standard deviation (divided by n) of the finite values */
  readonly std: number | null
  readonly nanCount: number
  readonly positiveInfinityCount: number
  readonly negativeInfinityCount: number
  /** both signs of zero */
  readonly zeroCount: number
  /** not zero, but below the smallest normal number of the tensor's own type: most hardware flushes or crawls */
  readonly denormalCount: number
  /** every value is the same finite number */
  readonly isConstant: boolean
  /** the first values, C order; complex ones as magnitudes */
  readonly excerpt: readonly number[]
}

/** Smallest normal magnitude by type; types not named here have no denormals or use them as a matter of course. */
const SMALLEST_NORMAL: Partial<Record<Dtype, number>> = {
  float64: 2 ** -1022,
  float32: 2 ** -126,
  bfloat16: 2 ** -126,
  float16: 2 ** -14,
}

/** Takes a tensor's bytes piece by piece; `finish` gives the result. Memory: one block of 16,384 values. */
export interface StatisticsCollector {
  add(bytes: Uint8Array): void
  finish(): TensorStatistics
}

/**
 * Begins the statistics of one tensor.
 *
 * Each block of 16,384 values is summed, then its squared deviations from its own mean are summed; blocks are merged by
 * Chan's formula. In float64 this loses no accuracy on any real tensor, and no value is kept.
 *
 * @param tensor dtype and shape; packed types need pieces that begin at a whole byte
 * @param excerptLength how many first values to keep
 * @source T. F. Chan, G. H. Golub, R. J. LeVeque (1979), "Updating Formulae and a Pairwise Algorithm for Computing
 *   Sample Variances", equation 2.1
 */
export function collectStatistics(
  tensor: Pick<Tensor, 'name' | 'dtype' | 'shape'>,
  excerptLength = 16,
): StatisticsCollector {
  const { dtype } = tensor
  const total = countElements(tensor)
  if (dtype === 'string') return { add: () => {}, finish: () => ({ ...EMPTY, count: total }) }
  const { bits } = DTYPES[dtype]
  const decode = blockDecoder(dtype)
  const running = new Running(SMALLEST_NORMAL[dtype] ?? 0)
  const block = new Float64Array(Math.min(BLOCK_ELEMENTS, Math.max(total, 1)))
  const excerpt: number[] = []
  let seen = 0
  return {
    add(bytes) {
      const count = Math.min(Math.floor((bytes.length * 8) / bits), total - seen)
      forEachBlock(decode, bytes, count, block, (size) => {
        for (let i = 0; i < size && excerpt.length < excerptLength; i++) excerpt.push(block[i]!)
        running.add(block, size)
      })
      seen += count
    },
    finish() {
      if (seen !== total) {
        throw new InternalError(`tensor "${tensor.name}" streamed ${seen} of ${total} elements`)
      }
      return { count: total, ...running.result(total), excerpt }
    },
  }
}

/** Statistics of a stored tensor, in one pass over its bytes. */
export async function computeStatistics(tensor: Tensor, excerptLength = 16): Promise<TensorStatistics> {
  const collector = collectStatistics(tensor, excerptLength)
  for await (const chunk of tensor.stream()) collector.add(chunk)
  return collector.finish()
}

/** Decodes `count` elements in blocks, each handed to `visit` in the front of `block`. */
export function forEachBlock(
  decode: BlockDecoder,
  bytes: Uint8Array,
  count: number,
  block: Float64Array,
  visit: (size: number) => void,
): void {
  // a block holds an even number of elements, so that packed types begin at whole bytes
  for (let first = 0; first < count; first += block.length) {
    const size = Math.min(block.length, count - first)
    decode(bytes, first, size, block)
    visit(size)
  }
}

const EMPTY: TensorStatistics = {
  count: 0,
  min: null,
  max: null,
  mean: null,
  std: null,
  nanCount: 0,
  positiveInfinityCount: 0,
  negativeInfinityCount: 0,
  zeroCount: 0,
  denormalCount: 0,
  isConstant: false,
  excerpt: [],
}

class Running {
  readonly #smallestNormal: number
  #count = 0
  #mean = 0
  #squares = 0
  #min = Number.POSITIVE_INFINITY
  #max = Number.NEGATIVE_INFINITY
  #nan = 0
  #positiveInfinity = 0
  #negativeInfinity = 0
  #zeros = 0
  #denormals = 0

  constructor(smallestNormal: number) {
    this.#smallestNormal = smallestNormal
  }

  add(block: Float64Array, size: number): void {
    let sum = 0
    let min = this.#min
    let max = this.#max
    let least = Number.POSITIVE_INFINITY
    for (let i = 0; i < size; i++) {
      const value = block[i]!
      const magnitude = Math.abs(value)
      sum += value
      if (value < min) min = value
      if (value > max) max = value
      if (magnitude < least) least = magnitude
    }
    // one NaN or infinity makes the sum one too, so a finite sum proves a clean block without a test per value
    if (!Number.isFinite(sum)) {
      this.#addCarefully(block, size)
      return
    }
    this.#min = min
    this.#max = max
    if (least === 0 || least < this.#smallestNormal) this.#countSmall(block, size)
    this.#merge(block, size, sum)
  }

  /** Zeros and denormals, in the blocks that have one. */
  #countSmall(block: Float64Array, size: number): void {
    for (let i = 0; i < size; i++) {
      const magnitude = Math.abs(block[i]!)
      if (magnitude === 0) this.#zeros++
      else if (magnitude < this.#smallestNormal) this.#denormals++
    }
  }

  /** Sets apart what is not finite, then adds the rest. */
  #addCarefully(block: Float64Array, size: number): void {
    let kept = 0
    let largest = 0
    for (let i = 0; i < size; i++) {
      const value = block[i]!
      if (Number.isNaN(value)) this.#nan++
      else if (value === Number.POSITIVE_INFINITY) this.#positiveInfinity++
      else if (value === Number.NEGATIVE_INFINITY) this.#negativeInfinity++
      else {
        block[kept++] = value
        largest = Math.max(largest, Math.abs(value))
      }
    }
    if (kept === 0) return
    // float64 values near 1e308 overflow their own sum: they are added one at a time
    const stride = largest > 1e300 ? 1 : kept
    for (let first = 0; first < kept; first += stride) this.add(block.subarray(first, first + stride), stride)
  }

  #merge(block: Float64Array, size: number, sum: number): void {
    const mean = sum / size
    // four sums, because one would wait for each addition to end before the next: a third of the time
    let squares = 0
    let squares1 = 0
    let squares2 = 0
    let squares3 = 0
    let i = 0
    for (; i + 3 < size; i += 4) {
      const difference = block[i]! - mean
      const difference1 = block[i + 1]! - mean
      const difference2 = block[i + 2]! - mean
      const difference3 = block[i + 3]! - mean
      squares += difference * difference
      squares1 += difference1 * difference1
      squares2 += difference2 * difference2
      squares3 += difference3 * difference3
    }
    for (; i < size; i++) squares += (block[i]! - mean) ** 2
    squares += squares1 + squares2 + squares3
    const count = this.#count + size
    const delta = mean - this.#mean
    this.#mean += delta * (size / count)
    this.#squares += squares + delta * delta * ((this.#count * size) / count)
    this.#count = count
  }

  result(total: number): Omit<TensorStatistics, 'count' | 'excerpt'> {
    const some = this.#count > 0
    // deviations beyond 1e154 overflow when squared: such a spread is reported as unknown, not as infinite
    const std = Math.sqrt(this.#squares / this.#count)
    return {
      // + 0 makes a negative zero a plain one
      min: some ? this.#min + 0 : null,
      max: some ? this.#max + 0 : null,
      mean: some && Number.isFinite(this.#mean) ? this.#mean : null,
      std: some && Number.isFinite(std) ? std : null,
      nanCount: this.#nan,
      positiveInfinityCount: this.#positiveInfinity,
      negativeInfinityCount: this.#negativeInfinity,
      zeroCount: this.#zeros,
      denormalCount: this.#denormals,
      isConstant: some && this.#count === total && this.#min === this.#max,
    }
  }
}
