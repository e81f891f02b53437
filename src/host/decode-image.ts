import type { ByteSource } from '../bytes/byte-source.ts'
import { ToolError } from '../errors.ts'
import type { ImageLayout, Pixels } from '../images/image.ts'

/**
 * Decodes a JPEG, PNG or other still image and resizes it to the wanted size (Lanczos).
 * @throws {ToolError} MISSING_PEER without sharp; BAD_IMAGE when the file is not a readable image
 */
export async function decodeImage(
  source: ByteSource,
  { width, height, channels }: Pick<ImageLayout, 'width' | 'height' | 'channels'>,
): Promise<Pixels> {
  const sharp = await loadSharp()
  try {
    const bytes = await source.read(0, source.size)
    const image = sharp(bytes, { limitInputPixels: 100_000_000 }).rotate().resize(width, height, { fit: 'fill' })
    const shaped =
      channels === 1
        ? image.removeAlpha().greyscale()
        : channels === 3
          ? image.removeAlpha().toColourspace('srgb')
          : image.ensureAlpha()
    const { data, info } = await shaped.raw().toBuffer({ resolveWithObject: true })
    if (info.channels !== channels) throw new Error(`it has ${info.channels} channels, the model takes ${channels}`)
    return { width: info.width, height: info.height, channels: info.channels, data }
  } catch (cause) {
    throw new ToolError('BAD_IMAGE', `${source.name}: cannot be used as an image: ${(cause as Error).message}`, {
      cause,
    })
  }
}

async function loadSharp(): Promise<typeof import('sharp').default> {
  try {
    return (await import('sharp')).default
  } catch (cause) {
    throw new ToolError(
      'MISSING_PEER',
      'reading images needs sharp, which is not installed: npm install sharp. Arrays (.npy, .npz, .pb) work without it.',
      { cause },
    )
  }
}
