import { zip } from '../../test/build/zip.ts'
import { type ContentKind, EDGE_STRINGS, kindOf } from './dictionary.ts'
import { MAX_INPUT_BYTES, mutateBytes } from './mutate-bytes.ts'
import { mutateJson, mutateLines, mutateMessage } from './mutate-tree.ts'
import type { Dice } from './random.ts'
import { repairHdf5, repairTable } from './repair.ts'
import { type ArchiveEntry, unzip } from './unzip.ts'

/** Archives nest one level in practice (`.npz` in nothing, HDF5 in `.keras`); deeper ones are mutated as bytes. */
const MAX_ARCHIVE_DEPTH = 2

/** One to four changes to a file's content, some blind to its structure and some that keep the outer layers whole. */
export function mutateContent(content: Uint8Array, other: Uint8Array, dice: Dice, depth = 0): Uint8Array {
  let bytes = content
  for (let changes = dice.pick([1, 1, 1, 2, 2, 3, 4]); changes > 0; changes--)
    bytes = mutateOnce(bytes, other, dice, depth)
  return bytes.subarray(0, MAX_INPUT_BYTES)
}

function mutateOnce(bytes: Uint8Array, other: Uint8Array, dice: Dice, depth: number): Uint8Array {
  const kind = kindOf(bytes)
  const structured = dice.chance(0.55) ? STRUCTURED[kind]?.(bytes, other, dice, depth) : undefined
  return structured ?? mutateBytes(bytes, kind, other, dice)
}

type StructuredMutator = (bytes: Uint8Array, other: Uint8Array, dice: Dice, depth: number) => Uint8Array | undefined

const encode = (text: string) => new TextEncoder().encode(text)
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

const STRUCTURED: Readonly<Partial<Record<ContentKind, StructuredMutator>>> = {
  zip: mutateArchive,
  json(bytes, _other, dice) {
    const value = parseJson(decode(bytes))
    return value === undefined ? undefined : encode(JSON.stringify(mutateJson(value, dice)) ?? '')
  },
  text: (bytes, _other, dice) => encode(mutateLines(decode(bytes), dice)),
  protobuf: (bytes, _other, dice) => mutateMessage(bytes, dice),
  safetensors(bytes, _other, dice) {
    const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true))
    const value = length > bytes.length ? undefined : parseJson(decode(bytes.subarray(8, 8 + length)))
    if (value === undefined) return undefined
    const header = encode(JSON.stringify(mutateJson(value, dice)) ?? '')
    const prefix = new Uint8Array(8)
    new DataView(prefix.buffer).setBigUint64(0, BigInt(header.length), true)
    return new Uint8Array(Buffer.concat([prefix, header, bytes.subarray(8 + length)]))
  },
  numpy(bytes, other, dice) {
    if (bytes.length < 16) return undefined
    const short = bytes[6] === 1
    const start = short ? 10 : 12
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    const length = short ? view.getUint16(8, true) : view.getUint32(8, true)
    const header = mutateBytes(bytes.slice(start, start + length), 'numpy', other.subarray(start, start + 100), dice)
    const result = new Uint8Array(Buffer.concat([bytes.subarray(0, start), header, bytes.subarray(start + length)]))
    if (short) new DataView(result.buffer).setUint16(8, header.length, true)
    else new DataView(result.buffer).setUint32(8, header.length, true)
    return result
  },
  hdf5(bytes, other, dice) {
    const result = mutateBytes(bytes, 'hdf5', other, dice).slice()
    repairHdf5(result)
    return result
  },
  table(bytes, other, dice) {
    const result = mutateBytes(bytes, 'table', other, dice).slice()
    repairTable(result)
    return result
  },
}

function mutateArchive(bytes: Uint8Array, _other: Uint8Array, dice: Dice, depth: number): Uint8Array | undefined {
  const entries = depth < MAX_ARCHIVE_DEPTH ? unzip(bytes) : undefined
  if (entries === undefined || entries.length === 0) return undefined
  const entry = dice.pickWeighted(entries, ({ name, content }) => weigh(name, content))
  const others = entries.map((candidate): ArchiveEntry => {
    if (candidate !== entry) return candidate
    if (dice.chance(0.06)) return { ...entry, name: dice.pick(HOSTILE_NAMES)(entry.name, dice) }
    const donor = dice.pick(entries).content
    return {
      ...entry,
      content: mutateContent(entry.content, donor, dice, depth + 1).slice(),
      deflated: dice.chance(0.2),
    }
  })
  const choice = dice.int(30)
  if (choice === 0) others.splice(others.indexOf(entry), 1)
  if (choice === 1) others.push({ ...entry, name: `${entry.name}${dice.pick(['', '2'])}` })
  return zip(others)
}

/** Structure (pickles, configurations) rather than values. */
function weigh(name: string, content: Uint8Array): number {
  return (/\.(pkl|json|h5|npy|py)$|version|byteorder|constants/.test(name) ? 8 : 1) / (1 + content.length / 4096)
}

const HOSTILE_NAMES: readonly ((name: string, dice: Dice) => string)[] = [
  (name) => `../${name}`,
  (name) => `/${name}`,
  (name) => `a\\..\\${name}`,
  (name) => name.slice(name.indexOf('/') + 1),
  (_name, dice) => dice.pick(EDGE_STRINGS),
]

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Damaged before: it is mutated as bytes instead.
    return undefined
  }
}
