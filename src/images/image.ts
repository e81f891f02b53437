import { type ArrayValue, float32Array } from '../tensor/array-value.ts'

/** Decoded pixels: 8 bits per channel, rows from the top, channels interleaved in the order R, G, B. */
export interface Pixels {
  readonly width: number
  readonly height: number
  readonly channels: number
  readonly data: Uint8Array
}

/** What an image becomes for a model input. */
export interface ImageLayout {
  readonly height: number
  readonly width: number
  readonly channels: number
  readonly channelsLast: boolean
  readonly dtype: 'float32' | 'uint8'
}

/**
 * Pixels as a batch of one. Float inputs get values in 0..1 (pixel / 255); uint8 inputs get the pixels. Both models of
 * a comparison receive the same numbers, so no further normalisation is needed to compare them.
 * @returns shape [1, C, H, W] or [1, H, W, C]
 */
export function imageToArray(
  { width, height, channels, data }: Pixels,
  { channelsLast, dtype }: Pick<ImageLayout, 'channelsLast' | 'dtype'>,
): ArrayValue {
  const shape = channelsLast ? [1, height, width, channels] : [1, channels, height, width]
  const ordered = channelsLast ? data : planes(data, height * width, channels)
  if (dtype === 'uint8') return { dtype, shape, bytes: ordered }
  return float32Array(
    shape,
    Float32Array.from(ordered, (pixel) => pixel / 255),
  )
}

function planes(data: Uint8Array, places: number, channels: number): Uint8Array {
  const out = new Uint8Array(data.length)
  for (let place = 0; place < places; place++) {
    for (let channel = 0; channel < channels; channel++)
      out[channel * places + place] = data[place * channels + channel]!
  }
  return out
}
