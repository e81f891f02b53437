import { type ProbedField, probeFields, probeNested, probeText } from '../../encoding/protobuf-probe.ts'
import type { Match, Probe } from '../format.ts'

/** Binary by the fields of its first layer, text by a `layer {` with a type. */
export function matchCaffe(probe: Probe): Match {
  const { head, size, fileName, isFolder } = probe
  if (isFolder) return 'no'
  if (matchText(head)) return 'yes'
  const fields = probeFields(head, size)
  // A network's name is text; TensorFlow's MetaGraphDef has a message there, and a graph where layers would be.
  const name = fields?.find(({ id }) => id === 1)
  if (name && probeText(head, name) === undefined) return 'no'
  if (fields?.some((field) => isLayer(head, field) || isV1Layer(head, field))) return 'yes'
  // A damaged caffemodel is worth the decoder's error with its byte offset: name and layers are what one begins with.
  const begins = head[0] === 0x0a || head[0] === 0x12 || (head[0] === 0xa2 && head[1] === 0x06)
  const binary = head.subarray(0, 64).some((byte) => byte < 9 || byte > 0x7e)
  return fileName.endsWith('.caffemodel') && begins && binary ? 'maybe' : 'no'
}

/** Whether the head is text with a layer at its outermost level; TensorFlow has `node`, Caffe2 `op`. */
export function matchText(head: Uint8Array): boolean {
  if (head.subarray(0, 512).includes(0)) return false
  const text = new TextDecoder('latin1').decode(head)
  if (!/^\s*(?:#[^\n]*\n\s*)*[A-Za-z_]+\s*[:{]/.test(text.slice(0, 8192))) return false
  const start = /(?:^|[\s}])layers?\s*(?::\s*)?\{/.exec(text)?.index
  if (start === undefined) return false
  return /\btype\s*:/.test(text.slice(start)) && /\b(?:name|top|bottom)\s*:\s*["']/.test(text.slice(start))
}

/** LayerParameter: name (1) and type (2) are text; written in this order, before the blobs. */
function isLayer(head: Uint8Array, field: ProbedField): boolean {
  if (field.id !== 100) return false
  const inner = nested(head, field)
  return inner !== undefined && isName(inner, 1) && isName(inner, 2)
}

/** V1LayerParameter: a name (4) and a number for the type (5), or a V0 layer (1) with name and type. */
function isV1Layer(head: Uint8Array, field: ProbedField): boolean {
  if (field.id !== 2) return false
  const inner = nested(head, field)
  if (inner === undefined) return false
  const type = inner.fields.find(({ id, wireType }) => id === 5 && wireType === 0)
  if (isName(inner, 4) && type?.value !== undefined && type.value < 64) return true
  const layer = inner.fields.find(({ id }) => id === 1)
  const v0 = layer && nested(inner.head, layer)
  return v0 !== undefined && isName(v0, 1) && isName(v0, 2)
}

/** The fields inside a field, and the bytes that their offsets count from. */
interface Nested {
  readonly head: Uint8Array
  readonly fields: readonly ProbedField[]
}

function nested(head: Uint8Array, field: ProbedField): Nested | undefined {
  const fields = probeNested(head, field)
  return fields && { head: head.subarray(field.start, field.end), fields }
}

function isName({ head, fields }: Nested, id: number): boolean {
  const field = fields.find((candidate) => candidate.id === id)
  const text = field && field.length < 1024 ? probeText(head, field) : undefined
  return text !== undefined && text !== '' && !/[\n\r\t]/.test(text)
}
