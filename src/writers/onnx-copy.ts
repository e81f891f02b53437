import type { ByteRange, ByteSource } from '../bytes/byte-source.ts'
import type { Limits } from '../bytes/limits.ts'
import {
  fieldHead,
  type Spliced,
  type SpliceMessage,
  type SplicePart,
  type SpliceShape,
  spliceMessages,
} from '../encoding/protobuf-splice.ts'

/** What must become of an ONNX file before values can be put into it. */
export interface OnnxChanges {
  /** tensors whose values are coded, by where the first one lies: they get `raw_data` of so many bytes, under that key */
  readonly coded: ReadonlyMap<number, { readonly key: string; readonly bytes: number }>
  /** external files under their new paths */
  readonly renamed: ReadonlyMap<string, string>
  /** external files whose values change: a checksum over them would be wrong */
  readonly touched: ReadonlySet<string>
}

/** Fields of TensorProto. @source https://github.com/onnx/onnx/blob/main/onnx/onnx.proto */
const RAW_DATA = 9
const EXTERNAL_DATA = 13
const TYPED = new Set([4, 5, 6, 7, 10, 11])

/** Gives tensors raw data instead of coded values, and external files their new names; all else stays as it is. */
export function spliceOnnx(source: ByteSource, changes: OnnxChanges, limits: Limits): Promise<Spliced> {
  const tensor: SpliceShape = { children: {}, change: (message) => changeTensor(message, changes) }
  const sparse: SpliceShape = { children: { 1: () => tensor, 2: () => tensor } }
  const attribute: SpliceShape = {
    children: {
      5: () => tensor,
      6: () => graph,
      10: () => tensor,
      11: () => graph,
      22: () => sparse,
      23: () => sparse,
    },
  }
  const node: SpliceShape = { children: { 5: () => attribute } }
  const graph: SpliceShape = { children: { 1: () => node, 5: () => tensor, 15: () => sparse } }
  const training: SpliceShape = { children: { 1: () => graph, 2: () => graph } }
  const body: SpliceShape = { children: { 7: () => node, 11: () => attribute } }
  const model: SpliceShape = { children: { 7: () => graph, 20: () => training, 25: () => body } }
  return spliceMessages(source, model, limits)
}

async function changeTensor(
  message: SpliceMessage,
  { coded, renamed, touched }: OnnxChanges,
): Promise<SplicePart[] | undefined> {
  const { fields } = message
  const values = fields.find(({ id, payload }) => TYPED.has(id) && coded.has(payload.offset))
  if (values !== undefined) {
    const { key, bytes } = coded.get(values.payload.offset)!
    const kept = fields.filter(({ id }) => !TYPED.has(id) && id !== RAW_DATA)
    return [
      ...kept.map(({ whole }): SplicePart => ({ kind: 'old', range: whole })),
      { kind: 'new', bytes: fieldHead(RAW_DATA, bytes) },
      { kind: 'room', length: bytes, key },
    ]
  }
  const external = fields.filter(({ id, wire }) => id === EXTERNAL_DATA && wire === 2)
  if (external.length === 0 || renamed.size + touched.size === 0) return undefined
  const pairs = new Map<ByteRange, { key: string; value: string }>()
  for (const { payload } of external) pairs.set(payload, await readPair(message, payload))
  const location = plain([...pairs.values()].find(({ key }) => key === 'location')?.value ?? '')
  const name = renamed.get(location)
  const stale = touched.has(location) && [...pairs.values()].some(({ key }) => key === 'checksum')
  if (name === undefined && !stale) return undefined
  return fields.flatMap(({ whole, payload }): SplicePart[] => {
    const key = pairs.get(payload)?.key
    if (key === 'checksum' && touched.has(location)) return []
    if (key !== 'location' || name === undefined) return [{ kind: 'old', range: whole }]
    const pair = [...text(1, 'location'), ...text(2, name)]
    return [{ kind: 'new', bytes: Uint8Array.from([...fieldHead(EXTERNAL_DATA, pair.length), ...pair]) }]
  })
}

/** The path as `relativePath` gives it. */
function plain(location: string): string {
  return location
    .split(/[\\/]/)
    .filter((part) => part !== '' && part !== '.')
    .join('/')
}

/** Keys and paths are short; what is longer is no location of a file that was opened. */
const MAX_TEXT_BYTES = 4096

async function readPair(message: SpliceMessage, range: ByteRange): Promise<{ key: string; value: string }> {
  const pair = { key: '', value: '' }
  for (const { id, wire, payload } of await message.fieldsOf(range)) {
    if (wire !== 2 || payload.length > MAX_TEXT_BYTES || (id !== 1 && id !== 2)) continue
    pair[id === 1 ? 'key' : 'value'] = new TextDecoder().decode(await message.read(payload))
  }
  return pair
}

function text(id: number, value: string): Uint8Array {
  const bytes = new TextEncoder().encode(value)
  return Uint8Array.from([...fieldHead(id, bytes.length), ...bytes])
}
