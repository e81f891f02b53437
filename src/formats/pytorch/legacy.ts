import { ByteReader } from '../../bytes/byte-reader.ts'
import { type ByteSource, sliceSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { PickleCursor } from '../../encoding/pickle/cursor.ts'
import { type GlobalReference, type PickleResult, runPickle } from '../../encoding/pickle/machine.ts'
import { asDict, asSequence, asText, isContainer, type PickleValue } from '../../encoding/pickle/values.ts'
import { FormatError } from '../../errors.ts'
import type { CodeListing } from '../../model/model.ts'
import { DTYPES } from '../../tensor/dtype.ts'
import { readStorage, type StorageReference } from './rebuild.ts'
import type { StorageTable, StoredBytes } from './tensors.ts'

/** 0x1950a86a20f9469cfc6c, the number that the first pickle of a legacy file holds. */
const MAGIC_NUMBER = 119547037146038801333356n
const MAGIC_BYTES = [0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e]

/** Whether a file begins with the pickled magic number: LONG1 behind PROTO and FRAME, or a line of text (protocol 0). */
export function isLegacyHead(head: Uint8Array): boolean {
  if (head[0] === 0x4c) {
    const line = `L${MAGIC_NUMBER}L\n.`
    return [...line].every((character, index) => head[index] === character.charCodeAt(0))
  }
  if (head[0] !== 0x80) return false
  return [2, 11].some((start) => MAGIC_BYTES.every((byte, index) => head[start + index] === byte))
}

/** A file in the format of torch before 1.6, its pickles run, its storages untouched. */
export interface LegacyFile {
  readonly data: PickleResult
  readonly storages: StorageTable
  readonly references: ReadonlyMap<string, GlobalReference>
  /** source code of the classes of a whole module, as it was when it was saved */
  readonly listings: readonly CodeListing[]
  /** number that torch gives this format: 1001 */
  readonly protocolVersion: string
  /** bytes behind the last storage */
  readonly trailingBytes: number
}

/**
 * Opens a file that torch wrote before 1.6 (or with `_use_new_zipfile_serialization=False`).
 *
 *     pickle: magic number | pickle: 1001 | pickle: sys_info | pickle: the object | pickle: [storage keys]
 *     for each key: number of elements i64 | elements
 *
 * All little-endian. The element type of a storage stands in the persistent ids of the object.
 *
 * @throws {FormatError}
 * @source https://github.com/pytorch/pytorch/blob/main/torch/serialization.py (_legacy_save)
 */
export async function openLegacyFile(main: ByteSource, limits: Limits): Promise<LegacyFile> {
  const cursor = new PickleCursor(main, 0, limits)
  const references = new Map<string, GlobalReference>()
  const bad = (what: string, byteOffset: number, expected: string, found: string) =>
    new FormatError({ code: 'INVALID_FIELD', file: main.name, what, byteOffset, expected, found })
  const next = async (what: string, test: (value: PickleValue) => boolean, expected: string) => {
    const at = cursor.offset
    const { value } = await runPickle(cursor, { limits, references })
    if (!test(value)) throw bad(what, at, expected, 'something else')
    return value
  }
  await next('magic number', (value) => value === MAGIC_NUMBER, String(MAGIC_NUMBER))
  const protocol = await next('protocol version', (value) => typeof value === 'number', 'a number')
  if (protocol !== 1001) {
    throw new FormatError({
      code: 'UNSUPPORTED_FEATURE',
      file: main.name,
      what: 'version of the legacy format',
      expected: '1001',
      found: String(protocol),
    })
  }
  await next('system information', (value) => asDict(value) !== undefined, 'a dict')
  const storages = new Map<string, StorageReference>()
  const sources = new Map<string, string>()
  const data = await runPickle(cursor, { limits, references, resolve: (id) => resolve(id, storages, sources) })
  const keysAt = cursor.offset
  const keys = asSequence((await runPickle(cursor, { limits, references })).value)
  if (!keys) throw bad('storage keys', keysAt, 'a list', 'something else')
  const { found, end } = await locate(main, cursor.offset, keys, storages)
  return {
    data,
    storages: { bigEndian: false, find: ({ key }) => found.get(key) },
    references,
    listings: [...sources].map(([name, text]) => ({
      name,
      bytes: new TextEncoder().encode(text).length,
      read: async () => text,
    })),
    protocolVersion: String(protocol),
    trailingBytes: main.size - end,
  }
}

/** Notes storages; a class that is saved with its source, `('module', class, file, source)`, is the class itself. */
function resolve(
  id: PickleValue,
  storages: Map<string, StorageReference>,
  sources: Map<string, string>,
): PickleValue | undefined {
  const parts = asSequence(id)
  const kind = asText(parts?.[0])
  if (parts && kind === 'module') {
    const [, type, , source] = parts
    const text = asText(source)
    if (isContainer(type) && type.kind === 'global' && text) sources.set(type.name, text)
    return type
  }
  const storage = readStorage({ kind: 'persistent', id })
  if (storage && !storages.has(storage.key)) storages.set(storage.key, storage)
  return undefined
}

/** Finds the beginning of each storage; the files are read in steps of 8 bytes here. */
async function locate(
  main: ByteSource,
  start: number,
  keys: readonly PickleValue[],
  storages: ReadonlyMap<string, StorageReference>,
): Promise<{ found: Map<string, StoredBytes>; end: number }> {
  const found = new Map<string, StoredBytes>()
  let position = start
  for (const value of keys) {
    const key = typeof value === 'number' ? String(value) : asText(value)
    const storage = key === undefined ? undefined : storages.get(key)
    const bad = (expected: string, actual: string) =>
      new FormatError({
        code: 'INVALID_FIELD',
        file: main.name,
        what: `storage "${key ?? '?'}"`,
        byteOffset: position,
        expected,
        found: actual,
      })
    if (key === undefined || !storage || found.has(key))
      throw bad('the key of one storage of the object', 'another key')
    const reader = new ByteReader(await readSome(main, position, 8), { name: main.name, base: position })
    const size = reader.u64(`size of storage "${key}"`)
    if (size !== storage.size) throw bad(`${storage.size} elements, as the pickle says`, String(size))
    const bytes = size * Math.max(1, DTYPES[storage.type.dtype].bits / 8)
    const byteOffset = position + 8
    if (byteOffset + bytes > main.size) {
      throw new FormatError({
        code: 'TRUNCATED',
        file: main.name,
        what: `storage "${key}"`,
        byteOffset,
        expected: `${bytes} bytes`,
        found: `${Math.max(0, main.size - byteOffset)} before the end of the file (${main.size} bytes)`,
        hint: 'The copy is incomplete; compare its size or sha256 with the source.',
      })
    }
    found.set(key, {
      key,
      file: main.name,
      byteOffset,
      size: bytes,
      open: async () => sliceSource(main, { offset: byteOffset, length: bytes }),
    })
    position = byteOffset + bytes
  }
  return { found, end: position }
}

async function readSome(source: ByteSource, offset: number, length: number): Promise<Uint8Array> {
  return source.read(Math.min(offset, source.size), Math.max(0, Math.min(length, source.size - offset)))
}
