import { type ByteRange, memorySource } from '../bytes/byte-source.ts'
import type { Limits } from '../bytes/limits.ts'
import { crc32c, maskCrc } from '../encoding/crc32c.ts'
import { openTable } from '../encoding/leveldb-table.ts'
import { decodeMessage } from '../encoding/protobuf.ts'
import { FormatError, ToolError } from '../errors.ts'
import { BundleEntryType } from '../formats/tensorflow/bundle-entry.ts'
import type { ModelFile } from '../model/model.ts'
import type { Located } from './locate.ts'
import type { PlannedFile } from './output.ts'

/** Behind each block: compression and checksum. */
const TRAILER_BYTES = 5
/** Tag of BundleEntryProto.crc32c, four bytes wide. */
const CRC_TAG = 0x35

/**
 * The index of a TensorFlow checkpoint with the checksums of the new values: in each tensor's entry, and in turn those of
 * the blocks that hold the entries. Everything else stays: the values have the same places and sizes.
 *
 * @param shards what is written into the data files
 * @throws {ToolError} NOT_WRITABLE for a compressed index, or one that states no checksum
 * @source tensorflow/core/util/tensor_bundle/tensor_bundle.cc; https://github.com/google/leveldb/blob/main/doc/table_format.md
 */
export async function planBundleIndex(
  index: ModelFile,
  shards: ReadonlyMap<ModelFile, readonly Located[]>,
  limits: Limits,
): Promise<Pick<PlannedFile, 'bytes' | 'pieces'>> {
  const { source } = index
  if (source.size > limits.maxHeaderBytes) {
    const parts = { what: 'index', expected: `at most ${limits.maxHeaderBytes} bytes`, found: String(source.size) }
    throw new FormatError({ code: 'LIMIT_EXCEEDED', file: source.name, ...parts })
  }
  const wanted = new Map<string, Located>()
  for (const [file, located] of shards)
    for (const one of located) wanted.set(placeKey(shardNumber(file.name), one.patch.offset, one.patch.length), one)
  const table = await openTable(source, limits)
  const entries: { readonly crcAt: number; readonly located: Located }[] = []
  for await (const { key, value, byteOffset } of table.entries()) {
    if (key.length === 0) continue
    const entry = await decodeMessage(BundleEntryType, memorySource(source.name, value), limits)
    const place = placeKey(entry.shardId ?? 0, entry.offset ?? 0, entry.size ?? 0)
    const located = wanted.get(place)
    if (located === undefined || entry.slices.length > 0) continue
    const at = findChecksum(value, entry.crc32c, located)
    entries.push({ crcAt: byteOffset + at, located })
    wanted.delete(place)
  }
  const [missing] = wanted.values()
  if (missing !== undefined) throw notWritable(missing, 'its values have no entry of their own in the index')
  const ranges = table.blocks.map(({ range }) => range)
  for (const range of ranges) {
    const [compression] = await source.read(range.offset + range.length, 1)
    if (compression !== 0) throw notWritable(entries[0]?.located, 'the index of the checkpoint is compressed')
  }
  return {
    bytes: source.size,
    async *pieces() {
      const bytes = (await source.read(0, source.size)).slice()
      const view = new DataView(bytes.buffer)
      for (const { crcAt, located } of entries) {
        const { patch, file } = located
        const values = await patch.bytes(() => file.source.read(patch.offset, patch.length))
        view.setUint32(crcAt, maskCrc(crc32c(values)), true)
      }
      for (const { offset, length } of touchedBlocks(ranges, entries)) {
        const crc = crc32c(bytes.subarray(offset, offset + length + 1))
        view.setUint32(offset + length + TRAILER_BYTES - 4, maskCrc(crc), true)
      }
      yield { offset: 0, bytes }
    },
  }
}

function touchedBlocks(ranges: readonly ByteRange[], entries: readonly { crcAt: number }[]): ByteRange[] {
  return ranges.filter(({ offset, length }) =>
    entries.some(({ crcAt }) => crcAt >= offset && crcAt + 4 <= offset + length),
  )
}

function placeKey(shard: number, offset: number, bytes: number): string {
  return `${shard} ${offset} ${bytes}`
}

/** From the name of a data file: `variables.data-00001-of-00002` is shard 1. */
function shardNumber(name: string): number {
  return Number(/\.data-(\d+)-of-\d+$/.exec(name)?.[1] ?? Number.NaN)
}

/** Where the four bytes of the checksum lie in an entry: it is its only field of that width. */
function findChecksum(value: Uint8Array, crc: number | undefined, located: Located): number {
  if (crc === undefined) throw notWritable(located, 'the index states no checksum for it')
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength)
  for (let at = value.length - 5; at >= 0; at--) {
    if (value[at] === CRC_TAG && view.getUint32(at + 1, true) === crc >>> 0) return at + 1
  }
  throw notWritable(located, 'its entry in the index has another form than expected')
}

function notWritable(located: Located | undefined, why: string): ToolError {
  const what = located === undefined ? 'the checkpoint' : `tensor "${located.target.name}"`
  return new ToolError('NOT_WRITABLE', `${what} cannot be replaced where it is: ${why}`)
}
