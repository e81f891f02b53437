import { ByteReader } from '../../bytes/byte-reader.ts'
import { type ByteSource, checkRange, streamRange } from '../../bytes/byte-source.ts'
import { FormatError } from '../../errors.ts'
import type { NodeParameter } from '../../model/graph.ts'
import type { Problem } from '../../model/model.ts'
import { elementCount } from '../../tensor/dtype.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { DarknetLayer } from './layers.ts'

/**
 * ```
 * | major i32 | minor i32 | revision i32 | images seen: u64 (version 0.2 and later) or u32 | float32 values ... |
 * ```
 * A major or minor of 1000 and more is a flag of the first years: connected layers are stored as (in, out).
 */
export interface WeightsHeader {
  readonly version: string
  /** images that training has seen */
  readonly seen: bigint
  readonly transposed: boolean
  /** of the values */
  readonly dataOffset: number
}

/** @throws {FormatError} TRUNCATED below 16 bytes */
export async function readWeightsHeader(source: ByteSource): Promise<WeightsHeader> {
  const reader = new ByteReader(await source.read(0, Math.min(20, source.size)), { name: source.name })
  const [major, minor, revision] = [reader.i32('major version'), reader.i32('minor version'), reader.i32('revision')]
  for (const [what, value] of [
    ['major version', major],
    ['minor version', minor],
    ['revision', revision],
  ] as const)
    if (value < 0 || value > MAX_VERSION) throw reader.invalid(what, `0 to ${MAX_VERSION}`, String(value), 0)
  const wide = major * 10 + minor >= 2 && major < 1000 && minor < 1000
  const seen = wide ? reader.bigU64('images seen') : BigInt(reader.u32('images seen'))
  const transposed = major > 1000 || minor > 1000
  return { version: `${major}.${minor}.${revision}`, seen, transposed, dataOffset: reader.position }
}

/** No Darknet ever counted further, the flag of 1000 included. */
export const MAX_VERSION = 2000

/** The tensors of a `.weights` file. */
export interface PlannedWeights {
  readonly tensors: readonly Tensor[]
  /** by layer index */
  readonly byLayer: ReadonlyMap<number, readonly NodeParameter[]>
  readonly warnings: readonly Problem[]
  /** whether the file has all layers, or ends behind an earlier one */
  readonly complete: boolean
}

/**
 * Lays the layers' arrays over the file; they must fill it to its last byte. A file that ends exactly behind a layer
 * is a backbone (`darknet53.conv.74`): the rest is reported as a warning.
 * @throws {FormatError} TRUNCATED naming the layer that runs out; INVALID_FIELD with the number of bytes left over
 */
export function planWeights(
  layers: readonly DarknetLayer[],
  source: ByteSource,
  header: WeightsHeader,
  cfgFile: string,
): PlannedWeights {
  const tensors: Tensor[] = []
  const byLayer = new Map<number, NodeParameter[]>()
  const warnings: Problem[] = []
  let position = header.dataOffset
  let missing: DarknetLayer | undefined
  for (const layer of layers.filter(({ weights }) => weights.length > 0)) {
    if (position === source.size && tensors.length > 0) {
      missing ??= layer
      continue
    }
    const owned: NodeParameter[] = []
    for (const weight of layer.weights) {
      const { name: role, shape: plain } = weight
      const shape = weight.transposedWhenOld && header.transposed ? plain.toReversed() : plain
      const name = `${layer.name}/${role}`
      const range = { offset: position, length: elementCount(shape) * 4 }
      checkRange(
        source,
        range.offset,
        range.length,
        `"${name}" [${shape.join(', ')}] (${cfgFile}, line ${layer.section.line})`,
      )
      tensors.push({
        name,
        dtype: 'float32',
        shape,
        bytes: range.length,
        role: weight.role,
        storage: { file: source.name, byteOffset: range.offset, byteLength: range.length },
        stream: () => streamRange(source, range),
      })
      owned.push({ role, tensor: name })
      position += range.length
    }
    byLayer.set(layer.index, owned)
  }
  if (position !== source.size) {
    throw new FormatError({
      code: 'INVALID_FIELD',
      file: source.name,
      what: 'end of the last layer',
      byteOffset: position,
      expected: 'the end of the file',
      found: `${source.size - position} more bytes`,
      hint: `It is not the weights file of ${cfgFile}, or that file was edited (classes, filters).`,
    })
  }
  if (missing)
    warnings.push({
      code: 'PARTIAL_WEIGHTS',
      message: `The weights end exactly behind an earlier layer: "${missing.name}" and all later layers have none. It looks like a backbone for pre-training.`,
      subject: missing.name,
    })
  if (header.transposed)
    warnings.push({
      code: 'TRANSPOSED_CONNECTED',
      message: `Version ${header.version} stores the matrices of [connected] as (in, out); they are shown as stored.`,
    })
  return { tensors, byLayer, warnings, complete: missing === undefined }
}
