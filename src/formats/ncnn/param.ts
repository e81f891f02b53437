import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { FormatError } from '../../errors.ts'

/** First line of every `.param`, first word of every `.param.bin`. */
export const NCNN_MAGIC = 7767517

/** What a `.param` file says: layers in order of execution, with blob names. */
export interface NcnnParam {
  readonly layers: readonly NcnnLayer[]
  /** number of blobs that the header promises */
  readonly blobCount: number
  /** `text`, or `binary` (no names of layers and blobs: they are numbered) */
  readonly form: 'text' | 'binary'
}

export interface NcnnLayer {
  readonly type: string
  readonly name: string
  readonly bottoms: readonly string[]
  readonly tops: readonly string[]
  /** by number, as in the file; meaning depends on the layer type */
  readonly params: ReadonlyMap<number, NcnnValue>
  /** of the layer's line or record */
  readonly byteOffset: number
}

/** In the binary form a number is 32 bits of unknown type: small ones are taken as whole, others as float. */
export type NcnnValue = number | string | readonly number[]

/** ncnn numbers parameters 0 to 31; an id that begins an array is -23300 - id. */
const ARRAY_BASE = -23300
const MAX_PARAM_ID = 63

/**
 * Text form: magic, `layers blobs`, then a line per layer:
 * `Type name bottoms tops bottom... top... id=value id=v,v,v -233id=count,v,v`
 *
 * @throws {FormatError} INVALID_FIELD with byte offset and line; TRUNCATED when lines are missing
 * @source https://github.com/Tencent/ncnn/blob/master/docs/developer-guide/param-and-model-file-structure.md
 */
export async function readTextParam(source: ByteSource, limits: Limits): Promise<NcnnParam> {
  if (source.size > limits.maxHeaderBytes)
    throw paramError(source, 'LIMIT_EXCEEDED', 'param file', 0, `at most ${limits.maxHeaderBytes} bytes`, source.size)
  const bytes = await source.read(0, source.size)
  const lines = splitLines(bytes)
  const [magic, counts] = [lines.next().value, lines.next().value]
  if (magic?.text !== String(NCNN_MAGIC))
    throw paramError(source, 'INVALID_FIELD', 'magic', 0, String(NCNN_MAGIC), magic?.text.slice(0, 20) ?? 'nothing')
  const numbers = /^(\d{1,9})\s+(\d{1,9})$/.exec(counts?.text ?? '')
  if (!numbers || counts === undefined)
    throw paramError(
      source,
      counts === undefined ? 'TRUNCATED' : 'INVALID_FIELD',
      'layer and blob counts in line 2',
      counts?.byteOffset ?? source.size,
      'two whole numbers',
      JSON.stringify(counts?.text.slice(0, 40) ?? 'the end of the file'),
    )
  const [layerCount, blobCount] = [Number(numbers[1]), Number(numbers[2])]
  checkCounts(source, layerCount, blobCount, counts.byteOffset, limits)
  const layers: NcnnLayer[] = []
  for (const line of lines) {
    if (layers.length === layerCount)
      throw paramError(source, 'INVALID_FIELD', `line ${line.number}`, line.byteOffset, `${layerCount} layers`, 'more')
    layers.push(parseLayerLine(source, line))
  }
  if (layers.length < layerCount)
    throw paramError(source, 'TRUNCATED', 'layers', source.size, `${layerCount} layers`, layers.length)
  return { layers, blobCount, form: 'text' }
}

interface Line {
  readonly text: string
  readonly byteOffset: number
  readonly number: number
}

/** Lines that are not blank, without surrounding space. */
function* splitLines(bytes: Uint8Array): Generator<Line, undefined> {
  const decoder = new TextDecoder('utf-8')
  let number = 0
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(0x0a, start)
    const end = newline < 0 ? bytes.length : newline
    number++
    const text = decoder.decode(bytes.subarray(start, end)).trim()
    if (text !== '') yield { text, byteOffset: start, number }
    start = end + 1
  }
  return undefined
}

function parseLayerLine(source: ByteSource, line: Line): NcnnLayer {
  const fail = (what: string, expected: string, found: string) =>
    paramError(source, 'INVALID_FIELD', `${what} in line ${line.number}`, line.byteOffset, expected, found)
  const words = splitWords(line.text)
  const [type, name, bottomText, topText] = words
  if (
    type === undefined ||
    name === undefined ||
    !/^\d{1,6}$/.test(bottomText ?? '') ||
    !/^\d{1,6}$/.test(topText ?? '')
  )
    throw fail('layer', 'type, name, number of inputs and of outputs', JSON.stringify(line.text.slice(0, 60)))
  const [bottomCount, topCount] = [Number(bottomText), Number(topText)]
  const blobs = words.slice(4, 4 + bottomCount + topCount)
  if (blobs.length < bottomCount + topCount || blobs.some((blob) => /^-?\d+=/.test(blob)))
    throw fail(`blobs of layer "${name}"`, `${bottomCount + topCount} blob names`, `${blobs.length}`)
  const params = new Map<number, NcnnValue>()
  for (const word of words.slice(4 + bottomCount + topCount)) {
    const match = /^(-?\d{1,6})=(.*)$/s.exec(word)
    const id = Number(match?.[1])
    const plain = id <= ARRAY_BASE ? ARRAY_BASE - id : id
    const value = match === null ? undefined : parseValue(match[2]!, id <= ARRAY_BASE)
    if (value === undefined || !(plain >= 0 && plain <= MAX_PARAM_ID))
      throw fail(`parameter of layer "${name}"`, 'number=value', JSON.stringify(word.slice(0, 60)))
    params.set(plain, value)
  }
  return {
    type,
    name,
    bottoms: blobs.slice(0, bottomCount),
    tops: blobs.slice(bottomCount),
    params,
    byteOffset: line.byteOffset,
  }
}

/** Words between spaces; a quoted text after `=` keeps its spaces. */
function splitWords(text: string): string[] {
  return text.match(/-?\d+="[^"]*"?|\S+/g) ?? []
}

/** what is longer is no number, and matching it would cost the square of its length */
const MAX_NUMBER_LENGTH = 40
const isNumber = (text: string) => text.length <= MAX_NUMBER_LENGTH && NUMBER.test(text)
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$|^[+-]?(?:inf|nan)$/i

function parseValue(text: string, countFirst: boolean): NcnnValue | undefined {
  if (text.startsWith('"')) return text.replaceAll('"', '')
  if (!countFirst && /^[A-Za-z]/.test(text) && !isNumber(text)) return text
  const parts = text.split(',').filter((part, index, all) => part !== '' || index < all.length - 1)
  if (!parts.every(isNumber)) return undefined
  const numbers = parts.map(Number)
  if (countFirst) return numbers[0] === numbers.length - 1 ? numbers.slice(1) : undefined
  return text.includes(',') ? numbers : numbers[0]
}

/** @throws {FormatError} unless both counts are positive and within `limits` */
export function checkCounts(source: ByteSource, layers: number, blobs: number, at: number, limits: Limits): void {
  for (const [what, count] of [
    ['layers', layers],
    ['blobs', blobs],
  ] as const) {
    if (count < 1) throw paramError(source, 'INVALID_FIELD', `number of ${what}`, at, 'at least 1', count)
    if (count > limits.maxItems)
      throw paramError(source, 'LIMIT_EXCEEDED', `number of ${what}`, at, `at most ${limits.maxItems}`, count)
  }
}

/** A FormatError about a param file. */
export function paramError(
  source: ByteSource,
  code: 'INVALID_FIELD' | 'TRUNCATED' | 'LIMIT_EXCEEDED' | 'UNSUPPORTED_FEATURE',
  what: string,
  byteOffset: number,
  expected: string,
  found: string | number,
): FormatError {
  return new FormatError({ code, file: source.name, what, byteOffset, expected, found: String(found) })
}
