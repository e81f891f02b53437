/**
 * A value in a few hundred numbers, enough to tell whether two values are the same within rounding, so that no model's
 * activations have to be held to pair them.
 *
 * `buckets` is a count sketch: element i is added, with a seeded sign, to a bucket that its flat position chooses. It
 * is linear, so the distance of two sketches estimates the distance of the values: unbiased in the square, with a
 * relative standard deviation of sqrt(2 / BUCKETS) there, 4.4 % of the distance itself.
 * @source Charikar, Chen, Farach-Colton, "Finding frequent items in data streams" (2002)
 */
export interface ValueSketch {
  readonly shape: readonly number[]
  /** elements */
  readonly count: number
  readonly nan: number
  readonly infinite: number
  /** over finite elements; min > max when there is none */
  readonly min: number
  readonly max: number
  readonly sum: number
  readonly sumAbs: number
  /** L2 */
  readonly norm: number
  /** of the elements in C order */
  readonly buckets: Float64Array
  /**
   * the same with axis 1 moved to the end, as a port with channels last would store the value; absent below rank 3 and
   * where it makes no difference
   */
  readonly channelsLast?: Float64Array
  /**
   * values at QUANTILES equal steps of rank, ends included, whatever the order of the elements; inner ones to three
   * digits; finite elements only
   */
  readonly quantiles: Float64Array
}

const BUCKETS = 256
/** how many quantiles a sketch holds */
export const QUANTILES = 33

/** Which order of the reference's elements stands against which of the candidate's. */
export type SketchOrder = 'same' | 'reference-channels-last' | 'candidate-channels-last'

/** The sketch of `values`, C order, any range; non-finite elements are counted and else taken as 0. */
export function sketchOf(values: ArrayLike<number>, shape: readonly number[]): ValueSketch {
  // One pass without a question about the elements; it is made again over a copy in the rare case that one was needed.
  const first = totals(values)
  if (Number.isFinite(first.squares)) return complete(values, values, shape, first, 0, 0)
  const finite = Float64Array.from(values, (value) => (value - value === 0 ? value : 0))
  let nan = 0
  let infinite = 0
  let min = Number.POSITIVE_INFINITY
  let max = Number.NEGATIVE_INFINITY
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (Number.isNaN(value)) nan++
    else if (value - value !== 0) infinite++
    else {
      min = Math.min(min, value)
      max = Math.max(max, value)
    }
  }
  return complete(values, finite, shape, { ...totals(finite), min, max }, nan, infinite)
}

interface Totals {
  readonly min: number
  readonly max: number
  readonly sum: number
  readonly sumAbs: number
  readonly squares: number
  readonly buckets: Float64Array
}

function totals(values: ArrayLike<number>): Totals {
  const cells = new Float64Array(2 * BUCKETS)
  let min = Number.POSITIVE_INFINITY
  let max = Number.NEGATIVE_INFINITY
  let sum = 0
  let sumAbs = 0
  let squares = 0
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    min = value < min ? value : min
    max = value > max ? value : max
    sum += value
    sumAbs += Math.abs(value)
    squares += value * value
    cells[codeOf(i)]! += value
  }
  return { min, max, sum, sumAbs, squares, buckets: fold(cells) }
}

/** Cells of both signs to buckets. Keeping them apart until the end saves a branch for each element. */
function fold(cells: Float64Array): Float64Array {
  const buckets = new Float64Array(BUCKETS)
  for (let bucket = 0; bucket < BUCKETS; bucket++) buckets[bucket] = cells[2 * bucket + 1]! - cells[2 * bucket]!
  return buckets
}

function complete(
  values: ArrayLike<number>,
  finite: ArrayLike<number>,
  shape: readonly number[],
  { min, max, sum, sumAbs, squares, buckets }: Totals,
  nan: number,
  infinite: number,
): ValueSketch {
  const channelsLast = sketchChannelsLast(finite, shape)
  return {
    shape: [...shape],
    count: values.length,
    nan,
    infinite,
    min,
    max,
    sum,
    sumAbs,
    norm: Math.sqrt(squares),
    buckets,
    ...(channelsLast ? { channelsLast } : {}),
    quantiles: quantilesOf(values, min, max),
  }
}

/**
 * relL2 of the candidate from the reference, estimated: ||c - r|| / ||r||. Infinity where sizes or numbers of
 * non-finite elements differ, where an order is asked for that a side has no sketch of, or only the reference is 0.
 */
export function sketchDistance(reference: ValueSketch, candidate: ValueSketch, order: SketchOrder = 'same'): number {
  const own = order === 'reference-channels-last' ? reference.channelsLast : reference.buckets
  const other = order === 'candidate-channels-last' ? candidate.channelsLast : candidate.buckets
  if (reference.count !== candidate.count || own === undefined || other === undefined) return Number.POSITIVE_INFINITY
  if (reference.nan !== candidate.nan || reference.infinite !== candidate.infinite) return Number.POSITIVE_INFINITY
  let squares = 0
  for (let bucket = 0; bucket < BUCKETS; bucket++) squares += (own[bucket]! - other[bucket]!) ** 2
  if (squares === 0) return 0
  return reference.norm === 0 ? Number.POSITIVE_INFINITY : Math.sqrt(squares) / reference.norm
}

/** Bucket and sign of a flat position: 9 bits of a well-mixed hash (the finaliser of MurmurHash3). */
function codeOf(position: number): number {
  let hash = Math.imul(position ^ (position >>> 16), 0x85eb_ca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
  return (hash ^ (hash >>> 16)) & (2 * BUCKETS - 1)
}

function sketchChannelsLast(values: ArrayLike<number>, shape: readonly number[]): Float64Array | undefined {
  const [batch = 1, channels = 1, ...rest] = shape
  const inner = rest.reduce((product, size) => product * size, 1)
  if (shape.length < 3 || channels === 1 || inner === 1) return undefined
  const cells = new Float64Array(2 * BUCKETS)
  let from = 0
  for (let n = 0; n < batch; n++) {
    for (let c = 0; c < channels; c++) {
      let to = n * channels * inner + c
      for (let s = 0; s < inner; s++, to += channels) cells[codeOf(to)]! += values[from++]!
    }
  }
  return fold(cells)
}

/** Below this, sorting is quicker than counting. */
const SORTED_COUNT = 4096

function quantilesOf(values: ArrayLike<number>, min: number, max: number): Float64Array {
  if (min > max) return new Float64Array(QUANTILES)
  const out = values.length <= SORTED_COUNT ? sortedQuantiles(values) : countedQuantiles(values)
  out[0] = min
  out[QUANTILES - 1] = max
  return out
}

function sortedQuantiles(values: ArrayLike<number>): Float64Array {
  const sorted = new Float64Array(values).sort()
  // NaN sorts behind everything, infinities to the ends.
  let begin = 0
  let end = sorted.length
  while (sorted[begin] === Number.NEGATIVE_INFINITY) begin++
  while (!(sorted[end - 1]! < Number.POSITIVE_INFINITY)) end--
  const out = new Float64Array(QUANTILES)
  for (let step = 0; step < QUANTILES; step++) out[step] = sorted[begin + rankAt(step, end - begin)]!
  return out
}

/** By counting the upper half of each float32: sign, exponent, seven bits of the fraction. */
function countedQuantiles(values: ArrayLike<number>): Float64Array {
  const single = values instanceof Float32Array ? values : new Float32Array(values)
  const bits = new Int32Array(single.buffer, single.byteOffset, single.length)
  const counts = new Uint32Array(65_536)
  for (let i = 0; i < bits.length; i++) counts[bits[i]! >>> 16]!++
  const finite = countFinite(counts)
  const out = new Float64Array(QUANTILES)
  let step = 0
  let seen = 0
  for (let place = 0; place < KEYS && step < QUANTILES; place++) {
    const key = keyAt(place)
    seen += counts[key]!
    while (step < QUANTILES && rankAt(step, finite) < seen) out[step++] = middleOf(key)
  }
  return out
}

const rankAt = (step: number, count: number) => Math.round((step / (QUANTILES - 1)) * (count - 1))

/** keys of finite values: all but those with the exponent 255 */
const KEYS = 2 * 0x7f80

/** The key at a place of the ascending order: negative values backwards, then positive ones. */
function keyAt(place: number): number {
  return place < 0x7f80 ? 0xff7f - place : place - 0x7f80
}

function countFinite(counts: Uint32Array): number {
  let finite = 0
  for (let place = 0; place < KEYS; place++) finite += counts[keyAt(place)]!
  return finite
}

const scratch = new DataView(new ArrayBuffer(4))

function middleOf(key: number): number {
  scratch.setUint32(0, key * 65_536 + 32_768)
  const value = scratch.getFloat32(0)
  return key % 0x8000 === 0 ? 0 : value
}
