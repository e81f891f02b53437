import { type ArrayValue, float32Array } from '../tensor/array-value.ts'
import { DTYPES, type Dtype, elementCount } from '../tensor/dtype.ts'
import { encodeValues } from '../tensor/encode.ts'
import { normal, seededRandom } from './random.ts'

/**
 * - `natural`: images with the 1/f spectrum of photographs, every channel with its own mean, spread and detail, so
 *   that swapped channels, shifted positions and other interpolation show. All-ones and plain noise hide these.
 * - `strong`: the same, three times as large: reaches clips and saturation
 */
export type ProbeKind = 'natural' | 'strong'

/** What an input wants: fixed sizes, or names for free ones. */
export interface InputSpec {
  readonly name: string
  readonly dtype: Dtype
  readonly shape: readonly (number | string)[]
}

/** Free spatial sizes become this: the usual size of an image classifier's input. */
const FREE_SPATIAL = 224

/**
 * Sizes for the free dimensions of an input: the first is a batch of 1, spatial ones are 224, all others 1.
 * @param known sizes already chosen for named dimensions; new ones are added
 */
export function resolveShape(spec: InputSpec, known: Map<string, number>): number[] {
  return spec.shape.map((size, axis) => {
    if (typeof size === 'number' && size > 0) return size
    const name = typeof size === 'string' && size !== '' ? size : undefined
    const chosen =
      (name === undefined ? undefined : known.get(name)) ?? (axis > 0 && spec.shape.length >= 4 ? FREE_SPATIAL : 1)
    if (name !== undefined) known.set(name, chosen)
    return chosen
  })
}

/** Share of a sequence that a generated mask leaves visible: padding at the end, as in a batch of unlike lengths. */
const VISIBLE = 0.7

/**
 * A seeded input of `shape`, the same on every machine for the same arguments.
 * @param name of the graph input: masks, positions and segments of token models have values of their own
 */
export function generateInput(
  dtype: Dtype,
  shape: readonly number[],
  kind: ProbeKind,
  seed: number,
  name = '',
): ArrayValue {
  const tokens = tokenInput(name, dtype, shape)
  if (tokens) return { dtype, shape, bytes: encodeValues(dtype, tokens) }
  const random = seededRandom(seed * 7919 + elementCount(shape))
  const { kind: family } = DTYPES[dtype]
  const values =
    shape.length >= 3 && family !== 'bool' ? naturalImages(shape, random) : noise(elementCount(shape), random)
  const gain = kind === 'strong' ? 3 : 1
  if (family === 'float') {
    const scaled = values.map((value) => value * gain)
    return dtype === 'float32' ? float32Array(shape, scaled) : { dtype, shape, bytes: encodeValues(dtype, scaled) }
  }
  // Integers: pixels for 8-bit types, small non-negative numbers (token ids, counts) for wider ones.
  const narrow = DTYPES[dtype].bits <= 8
  const integers = values.map((value) => {
    if (dtype === 'bool') return value > 0 ? 1 : 0
    if (!narrow) return Math.min(9, Math.floor(Math.abs(value) * 4))
    const pixel = Math.max(0, Math.min(255, Math.round(128 + 48 * gain * value)))
    return dtype === 'int8' ? pixel - 128 : pixel
  })
  return { dtype, shape, bytes: encodeValues(dtype, integers) }
}

/** What accompanies token ids, by the names that it usually has: whole numbers along the last axis. */
function tokenInput(name: string, dtype: Dtype, shape: readonly number[]): number[] | undefined {
  const length = shape.at(-1) ?? 0
  if (DTYPES[dtype].kind === 'float' || shape.length !== 2) return undefined
  const at = (value: (position: number) => number) =>
    Array.from({ length: elementCount(shape) }, (_, index) => value(index % length))
  if (/mask/i.test(name)) return at((position) => (position < Math.max(1, VISIBLE * length) ? 1 : 0))
  if (/position/i.test(name)) return at((position) => position)
  if (/token_type|segment/i.test(name)) return at((position) => (position * 2 < length ? 0 : 1))
  return undefined
}

function noise(count: number, random: () => number): Float32Array {
  return Float32Array.from({ length: count }, () => normal(random))
}

/**
 * [N, C, H, W] or [N, H, W, C] (channels are the shorter of the two), or [N, L, C]. Each channel is 0.8 of a common
 * field and 0.6 of its own, both octaves of smooth noise with amplitude proportional to their scale.
 */
function naturalImages(shape: readonly number[], random: () => number): Float32Array {
  const rank = shape.length
  const channelsLast = rank < 4 || shape[rank - 1]! < shape[1]!
  const channelAxis = channelsLast ? rank - 1 : 1
  const channels = shape[channelAxis]!
  const [height, width] =
    rank < 4
      ? [1, shape[1]!]
      : channelsLast
        ? [shape[rank - 3]!, shape[rank - 2]!]
        : [shape[rank - 2]!, shape[rank - 1]!]
  const out = new Float32Array(elementCount(shape))
  const images = height * width * channels === 0 ? 0 : out.length / (height * width * channels)
  for (let image = 0; image < images; image++) {
    const common = smoothField(height, width, random)
    for (let channel = 0; channel < channels; channel++) {
      const own = smoothField(height, width, random)
      const mean = 0.35 - 0.3 * (channel % 5)
      const spread = 1 + 0.25 * ((channel % 4) - 1)
      for (let place = 0; place < height * width; place++) {
        const value = mean + spread * (0.8 * common[place]! + 0.6 * own[place]!)
        const index = channelsLast
          ? (image * height * width + place) * channels + channel
          : (image * channels + channel) * height * width + place
        out[index] = value
      }
    }
  }
  return out
}

/** Smooth noise of unit variance whose amplitude grows with scale as in photographs (1/f). */
function smoothField(height: number, width: number, random: () => number): Float32Array {
  const field = new Float32Array(height * width)
  for (let scale = 1; scale <= Math.max(height, width); scale *= 2) {
    const rows = Math.ceil(height / scale) + 2
    const columns = Math.ceil(width / scale) + 2
    const grid = noise(rows * columns, random)
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const row = Math.floor(y / scale)
        const column = Math.floor(x / scale)
        const fy = y / scale - row
        const fx = x / scale - column
        const at = row * columns + column
        const top = grid[at]! * (1 - fx) + grid[at + 1]! * fx
        const bottom = grid[at + columns]! * (1 - fx) + grid[at + columns + 1]! * fx
        field[y * width + x]! += scale * (top * (1 - fy) + bottom * fy)
      }
    }
  }
  const size = Math.sqrt(field.reduce((sum, value) => sum + value * value, 0) / field.length) || 1
  return field.map((value) => value / size)
}
