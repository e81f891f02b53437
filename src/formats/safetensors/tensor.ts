import { type ByteSource, streamRange } from '../../bytes/byte-source.ts'
import type { Framework, Metadata, Problem } from '../../model/model.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { Header, TensorEntry } from './header.ts'

/** Batch normalisation keeps these beside its parameters; the file itself does not tell them apart. */
const STATISTICS = /(^|\.)(running_mean|running_var|num_batches_tracked)$/

/** The Tensor of the Model for an entry of the header of `source`. */
export function toTensor(source: ByteSource, { name, dtype, shape, offset, length }: TensorEntry): Tensor {
  return {
    name,
    dtype,
    shape,
    bytes: length,
    role: STATISTICS.test(name) ? 'buffer' : 'parameter',
    storage: { file: source.name, byteOffset: offset, byteLength: length },
    stream: () => streamRange(source, { offset, length }),
  }
}

/** `format` in the metadata, as the libraries write it. */
const FRAMEWORKS: Readonly<Record<string, Framework>> = {
  pt: 'pytorch',
  tf: 'tensorflow',
  flax: 'flax',
  mlx: 'mlx',
  paddle: 'paddlepaddle',
}

/** What the text pairs of the header say. */
export function describeMetadata(properties: Header['metadata']): Metadata {
  const { format } = properties
  const framework = typeof format === 'string' && Object.hasOwn(FRAMEWORKS, format) ? FRAMEWORKS[format] : undefined
  return {
    ...(framework ? { framework } : {}),
    ...(Object.keys(properties).length > 0 ? { properties } : {}),
  }
}

/** The official implementation refuses metadata that is not text; we can go on without. */
export function metadataWarnings({ metadata }: Header, file: string): Problem[] {
  return Object.entries(metadata)
    .filter(([, value]) => typeof value !== 'string')
    .map(([key]) => ({
      code: 'METADATA_NOT_TEXT',
      message: `"${key}" in __metadata__ of ${file} is not text, as the format demands`,
      subject: key,
    }))
}
