import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Payload } from '../../encoding/protobuf.ts'
import { streamPayloads } from '../../encoding/protobuf-values.ts'
import { FormatError } from '../../errors.ts'
import type { NodeParameter } from '../../model/graph.ts'
import type { Problem } from '../../model/model.ts'
import { uniqueNames } from '../../model/unique-names.ts'
import { DTYPES, type Dtype, elementCount } from '../../tensor/dtype.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { wholeElements } from '../../tensor/whole-elements.ts'
import type { BlobProto } from './messages.ts'
import type { CaffeNet } from './net.ts'

/** Tensors of a caffemodel, and which of them each layer owns. */
export interface CaffeTensors {
  readonly tensors: readonly Tensor[]
  /** by layer name; of two layers with one name, the first */
  readonly byLayer: ReadonlyMap<string, readonly NodeParameter[]>
  readonly warnings: readonly Problem[]
}

/** NVIDIA's fork stores `raw_data` of these types. */
const RAW_TYPES: ReadonlyMap<number, Dtype> = new Map([
  [0, 'float64'],
  [1, 'float32'],
  [2, 'float16'],
])

/**
 * `layer/INDEX` for each blob. A shape of the first versions (num, channels, height, width) stays four-dimensional:
 * a bias is [1, 1, 1, N] there and [N] in files with `shape`.
 * @throws {FormatError} INVALID_FIELD when shape and number of values disagree
 */
export function tensorsOf(net: CaffeNet, source: ByteSource): CaffeTensors {
  const tensors: Tensor[] = []
  const byLayer = new Map<string, NodeParameter[]>()
  const warnings: Problem[] = []
  const unique = uniqueNames()
  for (const layer of net.layers) {
    const isStatistics = layer.type === 'BatchNorm'
    const owned: NodeParameter[] = []
    for (const [index, blob] of layer.blobs.entries()) {
      const name = unique(`${layer.name}/${index}`)
      const tensor = tensorOf(name, blob, source, isStatistics)
      if (tensor === undefined) {
        warnings.push({ code: 'EMPTY_BLOB', message: `Blob "${name}" has a shape but no values.`, subject: name })
        continue
      }
      tensors.push(tensor)
      owned.push({ role: `blob ${index}`, tensor: name })
    }
    if (owned.length > 0 && !byLayer.has(layer.name)) byLayer.set(layer.name, owned)
  }
  return { tensors, byLayer, warnings }
}

function tensorOf(name: string, blob: BlobProto, source: ByteSource, isStatistics: boolean): Tensor | undefined {
  const [dtype, payloads] = valuesOf(name, blob, source)
  const width = DTYPES[dtype].bits / 8
  const bytes = payloads.reduce((sum, { length }) => sum + length, 0)
  const shape = blob.shape?.dim ?? legacyShape(blob) ?? [bytes / width]
  const expected = elementCount(shape) * width
  if (bytes === 0 && expected > 0) return undefined
  if (bytes !== expected || !shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
    throw new FormatError({
      code: 'INVALID_FIELD',
      file: source.name,
      what: `values of blob "${name}"`,
      byteOffset: payloads[0]?.offset,
      expected: `${expected} bytes for ${dtype} [${shape.join(', ')}]`,
      found: String(bytes),
    })
  }
  const [only] = payloads
  const range = only && payloads.length === 1 ? { byteOffset: only.offset, byteLength: only.length } : {}
  return {
    name,
    dtype,
    shape,
    bytes,
    role: isStatistics ? 'buffer' : 'parameter',
    storage: { file: source.name, ...range },
    stream: () => wholeElements(streamPayloads(source, payloads), width),
  }
}

function valuesOf(name: string, blob: BlobProto, source: ByteSource): [Dtype, readonly Payload[]] {
  if (blob.rawData.length > 0) {
    const dtype = RAW_TYPES.get(blob.rawType ?? 1)
    if (dtype !== undefined) return [dtype, blob.rawData]
    throw new FormatError({
      code: 'UNSUPPORTED_FEATURE',
      file: source.name,
      what: `raw type of blob "${name}"`,
      byteOffset: blob.rawData[0]?.offset,
      expected: '0 (double), 1 (float) or 2 (half)',
      found: String(blob.rawType),
    })
  }
  return blob.doubleData.length > 0 ? ['float64', blob.doubleData] : ['float32', blob.data]
}

function legacyShape({ num, channels, height, width }: BlobProto): number[] | undefined {
  const dims = [num, channels, height, width]
  return dims.some((size) => size !== undefined) ? dims.map((size) => size ?? 0) : undefined
}
