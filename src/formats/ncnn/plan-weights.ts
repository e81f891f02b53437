import { type ByteSource, checkRange } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { FormatError } from '../../errors.ts'
import { type Dtype, elementCount } from '../../tensor/dtype.ts'
import { hasNoWeights } from './layer-types.ts'
import { describeWeights, ImpossibleShape, type WeightSpec } from './layer-weights.ts'
import type { NcnnLayer, NcnnParam } from './param.ts'

/** Where one array of one layer lies in the `.bin`. */
export interface PlannedWeight {
  readonly layer: string
  /** position of the layer in the `.param` */
  readonly layerIndex: number
  readonly spec: WeightSpec
  readonly dtype: Dtype
  /** of the values, behind the tag */
  readonly byteOffset: number
  /** of the values, padding not counted */
  readonly byteLength: number
  /** 256 float32 values that the stored bytes index; `byteOffset` is that of the indices */
  readonly codebookOffset?: number
}

/** Tags of a stored array; anything else but 0 means a table of 256 floats and an index per value. */
export const TAG_FLOAT16 = 0x01306b47
export const TAG_INT8 = 0x000d4b38
export const TAG_FLOAT32_SCALED = 0x0002c056

const CODEBOOK_BYTES = 256 * 4
/** one read serves the tags of many small arrays */
const WINDOW_BYTES = 4096

/**
 * Walks the `.bin` in the order of the layers: a tag here and there, no values. What `load_model` of each layer would
 * consume is what this consumes, and the file must end exactly there.
 *
 * ```
 * tagged: | tag u32 | values, padded to 4 bytes |      tag 0: float32, no padding
 * raw:    | float32 values |
 * ```
 * @throws {FormatError} UNSUPPORTED_FEATURE for a layer whose weights we do not know; TRUNCATED naming the array that
 *   runs out; INVALID_FIELD for bytes left over or sizes that contradict each other
 * @source https://github.com/Tencent/ncnn/blob/master/src/modelbin.cpp
 */
export async function planWeights(
  param: NcnnParam,
  paramFile: string,
  bin: ByteSource,
  limits: Limits,
): Promise<PlannedWeight[]> {
  const readU32 = windowedU32(bin)
  const planned: PlannedWeight[] = []
  let position = 0
  for (const [layerIndex, layer] of param.layers.entries()) {
    for (const spec of specsOf(layer, paramFile)) {
      const what = `"${layer.name}/${spec.name}" of ${layer.type}`
      const count = elementCount(spec.shape)
      if (!Number.isSafeInteger(count * 8) || spec.shape.some((size) => size < 0))
        throw sizeError(layer, paramFile, `[${spec.shape.join(', ')}]`)
      if (planned.length >= limits.maxItems) throw tooMany(paramFile, limits)
      let tag = 0
      if (spec.stored === 'tagged') {
        checkRange(bin, position, 4, `tag of ${what}`)
        tag = await readU32(position)
        position += 4
      }
      const kind = TAGS.get(tag) ?? { dtype: 'float32' as const, width: 1 }
      const codebookOffset = TAGS.has(tag) ? undefined : position
      if (codebookOffset !== undefined) position += CODEBOOK_BYTES
      const byteLength = count * kind.width
      const padded = Math.ceil(byteLength / 4) * 4
      checkRange(bin, position, padded, what)
      planned.push({
        layer: layer.name,
        layerIndex,
        spec,
        dtype: kind.dtype,
        byteOffset: position,
        byteLength,
        ...(codebookOffset === undefined ? {} : { codebookOffset }),
      })
      position += padded
    }
  }
  if (position !== bin.size) {
    throw new FormatError({
      code: 'INVALID_FIELD',
      file: bin.name,
      what: 'end of the last layer',
      byteOffset: position,
      expected: 'the end of the file',
      found: `${bin.size - position} more bytes`,
      hint: `It is not the weights file of ${paramFile}, or that file was edited.`,
    })
  }
  return planned
}

const TAGS: ReadonlyMap<number, { dtype: Dtype; width: number }> = new Map([
  [0, { dtype: 'float32', width: 4 }],
  [TAG_FLOAT32_SCALED, { dtype: 'float32', width: 4 }],
  [TAG_FLOAT16, { dtype: 'float16', width: 2 }],
  [TAG_INT8, { dtype: 'int8', width: 1 }],
])

function specsOf(layer: NcnnLayer, paramFile: string): readonly WeightSpec[] {
  if (hasNoWeights(layer.type)) return []
  let specs: readonly WeightSpec[] | undefined
  try {
    specs = describeWeights(layer.type, (id, fallback) => wholeParam(layer, id, fallback, paramFile))
  } catch (error) {
    if (error instanceof ImpossibleShape) throw sizeError(layer, paramFile, error.message)
    throw error
  }
  if (specs !== undefined) return specs
  throw new FormatError({
    code: 'UNSUPPORTED_FEATURE',
    file: paramFile,
    what: `layer "${layer.name}" of type ${layer.type}`,
    byteOffset: layer.byteOffset,
    expected: 'a layer whose weights are known',
    found: 'one of unknown size, behind which nothing in the weights file can be found',
    hint: 'Move the .bin away to see the graph alone.',
  })
}

function wholeParam(layer: NcnnLayer, id: number, fallback: number, paramFile: string): number {
  const value = layer.params.get(id) ?? fallback
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= -233) return value
  throw new FormatError({
    code: 'INVALID_FIELD',
    file: paramFile,
    what: `parameter ${id} of layer "${layer.name}" (${layer.type})`,
    byteOffset: layer.byteOffset,
    expected: 'a whole number',
    found: String(value).slice(0, 40),
  })
}

function sizeError(layer: NcnnLayer, paramFile: string, found: string): FormatError {
  return new FormatError({
    code: 'INVALID_FIELD',
    file: paramFile,
    what: `weights of layer "${layer.name}" (${layer.type})`,
    byteOffset: layer.byteOffset,
    expected: 'a size that the kernel and the number of outputs divide',
    found,
  })
}

function tooMany(file: string, limits: Limits): FormatError {
  return new FormatError({
    code: 'LIMIT_EXCEEDED',
    file,
    what: 'number of weight arrays',
    expected: `at most ${limits.maxItems}`,
    found: 'more',
  })
}

function windowedU32(source: ByteSource): (offset: number) => Promise<number> {
  let start = 0
  let window: DataView = new DataView(new ArrayBuffer(0))
  return async (offset) => {
    if (offset < start || offset + 4 > start + window.byteLength) {
      const bytes = await source.read(offset, Math.min(WINDOW_BYTES, source.size - offset))
      window = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      start = offset
    }
    return window.getUint32(offset - start, true)
  }
}
