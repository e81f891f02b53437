import { ByteReader } from '../../bytes/byte-reader.ts'
import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { LAYER_TYPES } from './layer-types.ts'
import { checkCounts, NCNN_MAGIC, type NcnnLayer, type NcnnParam, type NcnnValue, paramError } from './param.ts'

/** Ends a layer's parameters. */
const END = -233
const ARRAY_BASE = -23300
const STRING_BASE = -23400
const MAX_PARAM_ID = 63
/** floats have larger bit patterns, whole numbers that mean sizes have smaller ones */
const MAX_WHOLE = 1 << 27

/**
 * Binary form (`ncnn2mem`), all 32-bit little-endian:
 * magic, layers, blobs; per layer: type number, bottoms, tops, blob numbers..., then pairs id, value until -233.
 * An id of -23300 - n begins an array (count, values), of -23400 - n a text (length, bytes padded to 4).
 *
 * @throws {FormatError} as `readTextParam`; UNSUPPORTED_FEATURE for a layer number that we have no name for
 * @source https://github.com/Tencent/ncnn/blob/master/src/paramdict.cpp (load_param_bin)
 */
export async function readBinaryParam(source: ByteSource, limits: Limits): Promise<NcnnParam> {
  if (source.size > limits.maxHeaderBytes)
    throw paramError(source, 'LIMIT_EXCEEDED', 'param file', 0, `at most ${limits.maxHeaderBytes} bytes`, source.size)
  const reader = new ByteReader(await source.read(0, source.size), { name: source.name })
  const magic = reader.i32('magic')
  if (magic !== NCNN_MAGIC) throw reader.invalid('magic', String(NCNN_MAGIC), String(magic), 0)
  const [layerCount, blobCount] = [reader.i32('number of layers'), reader.i32('number of blobs')]
  checkCounts(source, layerCount, blobCount, 4, limits)
  const layers: NcnnLayer[] = []
  for (let index = 0; index < layerCount; index++) layers.push(readLayer(source, reader, index, blobCount))
  if (reader.remaining > 0)
    throw reader.invalid(`end of the ${layerCount} layers`, 'the end of the file', `${reader.remaining} more bytes`)
  return { layers, blobCount, form: 'binary' }
}

function readLayer(source: ByteSource, reader: ByteReader, index: number, blobCount: number): NcnnLayer {
  const byteOffset = reader.offset
  const typeIndex = reader.i32(`type of layer ${index}`)
  const type = LAYER_TYPES[typeIndex]
  if (type === undefined) {
    const expected = `0 to ${LAYER_TYPES.length - 1}`
    throw paramError(source, 'UNSUPPORTED_FEATURE', `type of layer ${index}`, byteOffset, expected, typeIndex)
  }
  const counts = [reader.i32('number of inputs'), reader.i32('number of outputs')] as const
  const blobs = counts.map((count) => {
    if (count < 0 || count * 4 > reader.remaining)
      throw reader.invalid(`blobs of layer ${index}`, 'a count that fits the file', String(count))
    return Array.from({ length: count }, () => {
      const blob = reader.i32('blob number')
      if (blob < 0 || blob >= blobCount) throw reader.invalid('blob number', `0 to ${blobCount - 1}`, String(blob))
      return `blob_${blob}`
    })
  })
  const params = new Map<number, NcnnValue>()
  for (let id = reader.i32('parameter number'); id !== END; id = reader.i32('parameter number')) {
    const [plain, value] = readValue(reader, id)
    if (!(plain >= 0 && plain <= MAX_PARAM_ID))
      throw reader.invalid(`parameter of layer ${index}`, `0 to ${MAX_PARAM_ID}`, String(id))
    params.set(plain, value)
  }
  return { type, name: `layer_${index}`, bottoms: blobs[0]!, tops: blobs[1]!, params, byteOffset }
}

function readValue(reader: ByteReader, id: number): [number, NcnnValue] {
  if (id > ARRAY_BASE) return [id, readNumber(reader)]
  const count = reader.i32('length')
  if (id <= STRING_BASE) {
    const text = reader.utf8(Math.ceil(count / 4) * 4, 'text')
    return [STRING_BASE - id, text.slice(0, count)]
  }
  if (count < 0 || count * 4 > reader.remaining)
    throw reader.invalid('length of an array', 'a count that fits the file', String(count))
  return [ARRAY_BASE - id, Array.from({ length: count }, () => readNumber(reader))]
}

function readNumber(reader: ByteReader): number {
  const whole = reader.i32('value')
  if (Math.abs(whole) < MAX_WHOLE) return whole
  reader.position -= 4
  return reader.f32('value')
}
