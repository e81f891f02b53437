import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { PickleCursor } from '../../encoding/pickle/cursor.ts'
import { type GlobalReference, type PickleResult, runPickle } from '../../encoding/pickle/machine.ts'
import { openZip, type ZipArchive, type ZipEntry } from '../../encoding/zip.ts'
import { FormatError } from '../../errors.ts'
import type { CodeListing } from '../../model/model.ts'
import type { StorageTable, StoredBytes } from './tensors.ts'

/** One of the pickles in an archive, already run. */
export interface ArchivePickle extends PickleResult {
  /** of the entry */
  readonly source: ByteSource
  readonly storages: StorageTable
}

/** A torch archive (torch >= 1.6, or TorchScript), its pickles run, its storages untouched. */
export interface TorchArchive {
  readonly isTorchScript: boolean
  /** for the mobile interpreter (`.ptl`) */
  readonly isMobile: boolean
  readonly data: ArchivePickle
  /** constants of TorchScript code */
  readonly constants?: ArchivePickle
  readonly bigEndian: boolean
  /** content of `version`: 3 for checkpoints, up to 10 for TorchScript */
  readonly version?: string
  readonly listings: readonly CodeListing[]
  /** entries that users add with `_extra_files` */
  readonly extraFiles: readonly string[]
  readonly references: ReadonlyMap<string, { readonly reference: GlobalReference; readonly file: string }>
}

/** What `data.pkl` names, whatever folder the archive keeps its entries in. */
export const DATA_ENTRY = /^(?:[^/]+\/)?data\.pkl$/

/**
 * Opens an archive that torch wrote. The directory and the pickles are read, a few small entries too; no storage.
 *
 *     NAME/data.pkl            the saved object; storages are persistent ids ('storage', class, KEY, location, elements)
 *     NAME/data/KEY            bytes of a storage
 *     NAME/byteorder           little | big (torch >= 2.1; before: always little)
 *     NAME/version             of the archive
 *     NAME/constants.pkl       TorchScript: tensors that code refers to, storages in NAME/constants/KEY
 *     NAME/code/**.py          TorchScript: the code
 *
 * @param refuse asked first: an error for an archive of another kind
 * @throws {FormatError}
 * @source https://github.com/pytorch/pytorch/blob/main/torch/serialization.py (_save)
 * @source https://github.com/pytorch/pytorch/blob/main/torch/csrc/jit/docs/serialization.md
 */
export async function openTorchArchive(
  main: ByteSource,
  limits: Limits,
  refuse: (entries: readonly string[]) => FormatError | undefined,
): Promise<TorchArchive> {
  const archive = await openZip(main, limits)
  const names = [...archive.entries.keys()]
  const refusal = refuse(names)
  if (refusal) throw refusal
  const dataName = names.find((name) => DATA_ENTRY.test(name)) ?? 'data.pkl'
  const prefix = dataName.slice(0, -'data.pkl'.length)
  const small = (name: string) => readSmall(archive, prefix + name)
  const byteOrder = (await small('byteorder'))?.trim()
  if (byteOrder !== undefined && byteOrder !== 'little' && byteOrder !== 'big') {
    throw new FormatError({
      code: 'INVALID_FIELD',
      file: `${main.name}!${prefix}byteorder`,
      what: 'byte order',
      byteOffset: 0,
      expected: 'little or big',
      found: JSON.stringify(byteOrder.slice(0, 20)),
    })
  }
  const bigEndian = byteOrder === 'big'
  const inflated = new InflatedEntries(limits)
  const references = new Map<string, { reference: GlobalReference; file: string }>()
  const run = (name: string, folders: readonly string[]) =>
    runEntry(
      { archive, main, limits, references, inflated, bigEndian },
      prefix + name,
      folders.map((folder) => prefix + folder),
    )
  const isTorchScript =
    archive.entries.has(`${prefix}constants.pkl`) && names.some((name) => name.startsWith(`${prefix}code/`))
  const data = await run('data.pkl', ['data/'])
  const version = (await small('version'))?.trim()
  const produced = (await small('.data/version'))?.trim()
  return {
    isTorchScript,
    isMobile: archive.entries.has(`${prefix}bytecode.pkl`),
    data,
    ...(isTorchScript ? { constants: await run('constants.pkl', ['constants/', 'data/']) } : {}),
    bigEndian,
    ...(version === undefined && produced === undefined ? {} : { version: version ?? produced ?? '' }),
    listings: [...archive.entries.values()]
      .filter(({ name }) => name.startsWith(`${prefix}code/`) && name.endsWith('.py'))
      .map((entry) => listing(entry, prefix.length, limits)),
    extraFiles: names.filter((name) => name.startsWith(`${prefix}extra/`)).map((name) => name.slice(prefix.length)),
    references,
  }
}

interface Opening {
  archive: ZipArchive
  main: ByteSource
  limits: Limits
  references: Map<string, { reference: GlobalReference; file: string }>
  inflated: InflatedEntries
  bigEndian: boolean
}

async function runEntry(opening: Opening, name: string, folders: readonly string[]): Promise<ArchivePickle> {
  const { archive, main, limits, inflated, bigEndian } = opening
  const source = await archive.get(name).open()
  const references = new Map<string, GlobalReference>()
  const result = await runPickle(new PickleCursor(source, 0, limits), { limits, references })
  for (const reference of references.values()) {
    const known = opening.references.get(reference.name)
    if (known) known.reference.count += reference.count
    else opening.references.set(reference.name, { reference, file: source.name })
  }
  const find = ({ key }: { key: string }): StoredBytes | undefined => {
    for (const folder of folders) {
      const entry = archive.entries.get(folder + key)
      if (entry) return storedBytes(entry, main, inflated)
    }
    return undefined
  }
  return { ...result, source, storages: { bigEndian, find } }
}

function storedBytes(entry: ZipEntry, main: ByteSource, inflated: InflatedEntries): StoredBytes {
  return {
    key: entry.name,
    file: `${main.name}!${entry.name}`,
    byteOffset: 0,
    size: entry.bytes,
    open: () => (entry.compressed ? inflated.open(entry) : entry.open()),
  }
}

/** torch stores storages as they are; where someone zipped them again, several views share one inflation. */
class InflatedEntries {
  readonly #most: number
  readonly #entries = new Map<string, { source: Promise<ByteSource>; bytes: number }>()
  #held = 0

  constructor(limits: Limits) {
    this.#most = Math.min(limits.maxInflatedBytes, 256 << 20)
  }

  open(entry: ZipEntry): Promise<ByteSource> {
    const known = this.#entries.get(entry.name)
    if (known) return known.source
    const source = entry.open()
    this.#entries.set(entry.name, { source, bytes: entry.bytes })
    this.#held += entry.bytes
    for (const [name, { bytes }] of this.#entries) {
      if (this.#held <= this.#most || name === entry.name) break
      this.#entries.delete(name)
      this.#held -= bytes
    }
    return source
  }
}

/** The text of an entry of a few bytes; undefined when there is none. */
async function readSmall(archive: ZipArchive, name: string): Promise<string | undefined> {
  const entry = archive.entries.get(name)
  if (!entry || entry.bytes > 64) return undefined
  const source = await entry.open()
  return new TextDecoder().decode(await source.read(0, source.size))
}

function listing(entry: ZipEntry, prefixLength: number, limits: Limits): CodeListing {
  return {
    name: entry.name.slice(prefixLength),
    bytes: entry.bytes,
    async read() {
      if (entry.bytes > limits.maxStringBytes) {
        throw new FormatError({
          code: 'LIMIT_EXCEEDED',
          file: entry.name,
          what: 'code',
          expected: `at most ${limits.maxStringBytes} bytes`,
          found: String(entry.bytes),
        })
      }
      const source = await entry.open()
      return new TextDecoder().decode(await source.read(0, source.size))
    },
  }
}
