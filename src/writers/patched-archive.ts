import { type ByteSource, streamRange } from '../bytes/byte-source.ts'
import type { Limits } from '../bytes/limits.ts'
import { crc32 } from '../encoding/crc32.ts'
import type { ZipArchive, ZipEntry } from '../encoding/zip.ts'
import { findZipPlaces, type ZipPlace } from '../encoding/zip-layout.ts'
import { type NewZipEntry, zipBytes, zipPieces } from '../encoding/zip-write.ts'
import type { Piece, PlannedFile } from './output.ts'
import { type Patch, patched } from './patch.ts'

/**
 * A zip archive with patches in some of its entries. Where those are stored, every byte of the archive stays but the
 * patched ones and the checksums of their entries (local header, directory, data descriptor). Where one is deflated,
 * its new content is stored instead, and the archive is put together again from the entries as they are.
 *
 * @param patches by entry name, in order; offsets count in the entry's content
 */
export async function patchedArchive(
  source: ByteSource,
  { entries }: ZipArchive,
  patches: ReadonlyMap<string, readonly Patch[]>,
  limits: Limits,
): Promise<Pick<PlannedFile, 'bytes' | 'pieces'>> {
  const places = await findZipPlaces(source, entries.keys(), limits)
  const touched = [...patches].map(([name, own]) => ({ place: places.get(name)!, patches: own }))
  if (touched.every(({ place }) => place.method === 0))
    return { bytes: source.size, pieces: () => changeInPlace(source, touched) }
  const anew = rebuilt(source, entries, places, touched)
  return { bytes: zipBytes(anew), pieces: () => zipPieces(anew) }
}

interface Touched {
  readonly place: ZipPlace
  readonly patches: readonly Patch[]
}

async function* changeInPlace(source: ByteSource, touched: readonly Touched[]): AsyncGenerator<Piece> {
  const absolute = touched.flatMap(({ place, patches }) =>
    patches.map((patch) => ({ ...patch, offset: place.dataAt + patch.offset })),
  )
  absolute.sort((one, other) => one.offset - other.offset)
  const places = touched.map(({ place }) => place).sort((one, other) => one.dataAt - other.dataAt)
  const sums = new Map<ZipPlace, number>()
  let offset = 0
  let current = 0
  for await (const bytes of patched(source, absolute)) {
    yield { offset, bytes }
    const end = offset + bytes.length
    for (let index = current; index < places.length && places[index]!.dataAt < end; index++) {
      const place = places[index]!
      const placeEnd = place.dataAt + place.dataBytes
      if (placeEnd <= end) current = index + 1
      const [from, to] = [Math.max(offset, place.dataAt), Math.min(end, placeEnd)]
      if (from < to) sums.set(place, crc32(bytes.subarray(from - offset, to - offset), sums.get(place) ?? 0))
    }
    offset = end
  }
  for (const [{ crcAt }, crc] of sums) {
    const checksum = new Uint8Array(4)
    new DataView(checksum.buffer).setUint32(0, crc, true)
    for (const at of crcAt) yield { offset: at, bytes: checksum }
  }
}

function rebuilt(
  source: ByteSource,
  entries: ReadonlyMap<string, ZipEntry>,
  places: ReadonlyMap<string, ZipPlace>,
  touched: readonly Touched[],
): NewZipEntry[] {
  const patches = new Map(touched.map(({ place, patches: own }) => [place.name, own]))
  return [...entries.values()].map((entry) => {
    const { name, bytes } = entry
    const own = patches.get(name)
    if (own !== undefined) return { name, bytes, content: () => patchedEntry(entry, own) }
    const { method, dataAt, dataBytes, crc } = places.get(name)!
    return {
      name,
      bytes,
      packed: { method, bytes: dataBytes, crc },
      content: () => streamRange(source, { offset: dataAt, length: dataBytes }),
    }
  })
}

async function* patchedEntry(entry: ZipEntry, patches: readonly Patch[]): AsyncGenerator<Uint8Array> {
  yield* patched(await entry.open(), patches)
}
