import { elementCount } from '../../tensor/dtype.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { Values } from './transform.ts'
import { decodePiece } from './values.ts'

/**
 * What one pass over a tensor's values tells without keeping them. Everything here but `ordered` is blind to the order
 * of elements, so that layouts do not matter.
 */
export interface Fingerprint {
  readonly count: number
  /** equal for equal multisets of values (as float32); unequal otherwise, but for one chance in 2^64 */
  readonly multiset: string
  /** the one value that every element has; undefined where values differ */
  readonly constant: number | undefined
  readonly largest: number
  readonly sumOfSquares: number
  /** sum w^4 / (sum w^2)^2 x count: shape of the distribution, blind to scale */
  readonly kurtosis: number
  /** false with a NaN or an infinity */
  readonly isFinite: boolean
  /** trailing zero bits that all float32 patterns share: 13 for values that float16 holds, 16 for bfloat16 */
  readonly sharedZeroBits: number
}

const view = new Float32Array(65_536)
const bitsView = new Uint32Array(view.buffer)

/** A tensor of at most so many bytes is read in one piece, where that can be done in memory that is used again. */
const MAX_PIECE_BYTES = 16 * 2 ** 20

/** Takes fingerprints, one after the other: they share memory. */
export function fingerprinter(): (tensor: Tensor) => Promise<Fingerprint> {
  let memory = new Uint8Array(0)
  return (tensor) => {
    if (!tensor.readInto || tensor.bytes > MAX_PIECE_BYTES) return fingerprint(tensor, tensor.stream())
    if (memory.length < tensor.bytes) memory = new Uint8Array(Math.max(tensor.bytes, 2 * memory.length))
    return fingerprint(tensor, inOnePiece(tensor, memory.subarray(0, tensor.bytes)))
  }
}

async function* inOnePiece(tensor: Tensor, memory: Uint8Array): AsyncGenerator<Uint8Array> {
  await tensor.readInto!(memory)
  yield memory
}

async function fingerprint(tensor: Tensor, pieces: AsyncIterable<Uint8Array>): Promise<Fingerprint> {
  const state: State = { h1: 0, h2: 0, first: 0, differ: 0, largest: 0, s2: 0, s4: 0, bits: 0, n: 0 }
  for await (const piece of pieces) {
    const values = decodePiece(tensor, piece, state.n)
    for (let start = 0; start < values.length; start += view.length) absorb(state, values, start)
  }
  const count = elementCount(tensor.shape)
  bitsView[0] = state.first
  return {
    count,
    multiset: `${count}:${state.h1 >>> 0}:${state.h2 >>> 0}`,
    constant: state.n > 0 && state.differ === 0 ? view[0] : undefined,
    largest: Math.sqrt(state.largest),
    sumOfSquares: state.s2,
    kurtosis: state.s2 > 0 ? (state.s4 / state.s2 / state.s2) * count : 0,
    isFinite: Number.isFinite(state.s2),
    sharedZeroBits: state.bits === 0 ? 32 : 31 - Math.clz32(state.bits & -state.bits),
  }
}

interface State {
  h1: number
  h2: number
  /** bit pattern of the first element */
  first: number
  /** bits in which any element differs from the first */
  differ: number
  /** squared */
  largest: number
  s2: number
  s4: number
  /** bits that any element has set */
  bits: number
  n: number
}

/** The hot loop: every element of both models passes here once. Integers and doubles stay apart for the compiler. */
function absorb(state: State, values: Values, start: number): void {
  const length = Math.min(view.length, values.length - start)
  view.set(values.subarray(start, start + length))
  let h1 = state.h1 | 0
  let h2 = state.h2 | 0
  let bits = state.bits | 0
  let differ = state.differ | 0
  let { largest, s2, s4 } = state
  if (state.n === 0) state.first = bitsView[0] === NEGATIVE_ZERO ? 0 : bitsView[0]!
  const first = state.first | 0
  for (let k = 0; k < length; k++) {
    const value = view[k]!
    let x = bitsView[k]! | 0
    if (x === (NEGATIVE_ZERO | 0)) x = 0
    bits |= x
    differ |= x ^ first
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
    x ^= x >>> 16
    h1 = (h1 + x) | 0
    h2 = (h2 + Math.imul(x ^ 0x9e3779b9, x | 1)) | 0
    const square = value * value
    s2 += square
    s4 += square * square
    if (square > largest) largest = square
  }
  state.n += length
  state.h1 = h1
  state.h2 = h2
  state.bits = bits
  state.differ = differ
  state.largest = largest
  state.s2 = s2
  state.s4 = s4
}

const NEGATIVE_ZERO = 0x80000000

/** Blind to scale per slice: what survives when each output channel is multiplied by its own factor. */
export interface AxisSignature {
  readonly axis: number
  readonly size: number
  /** quantiles of the slices' fourth moments, each slice at unit length */
  readonly quantiles: Float64Array
}

const QUANTILES = 17

/** One signature per axis of one of these sizes. Costs one pass per axis. */
export function axisSignatures(values: Values, shape: readonly number[], sizes: ReadonlySet<number>): AxisSignature[] {
  const signatures: AxisSignature[] = []
  let inner = values.length
  for (const [axis, size] of shape.entries()) {
    inner /= size
    if (size === 1 || !sizes.has(size)) continue
    const squares = new Float64Array(size)
    const fourths = new Float64Array(size)
    for (let base = 0, slice = 0; base < values.length; base += inner, slice = slice + 1 === size ? 0 : slice + 1) {
      let s2 = 0
      let s4 = 0
      for (let k = base; k < base + inner; k++) {
        const square = values[k]! * values[k]!
        s2 += square
        s4 += square * square
      }
      squares[slice]! += s2
      fourths[slice]! += s4
    }
    const moments = fourths.map((fourth, slice) => (squares[slice]! > 1e-60 ? fourth / squares[slice]! ** 2 : 1)).sort()
    const quantiles = new Float64Array(QUANTILES)
    for (let q = 0; q < QUANTILES; q++) {
      const at = (q / (QUANTILES - 1)) * (size - 1)
      const low = Math.floor(at)
      quantiles[q] = moments[low]! + (moments[Math.min(low + 1, size - 1)]! - moments[low]!) * (at - low)
    }
    signatures.push({ axis, size, quantiles })
  }
  return signatures
}

/** Mean relative difference of two signatures; infinite where sizes differ. 0 means alike. */
export function signatureDistance(a: AxisSignature, b: AxisSignature): number {
  if (a.size !== b.size) return Number.POSITIVE_INFINITY
  let sum = 0
  for (let q = 0; q < QUANTILES; q++) {
    const x = a.quantiles[q]!
    const y = b.quantiles[q]!
    sum += Math.abs(x - y) / (Math.abs(x) + Math.abs(y) + 1e-12)
  }
  return (2 * sum) / QUANTILES
}
