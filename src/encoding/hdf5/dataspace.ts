import type { ByteReader } from '../../bytes/byte-reader.ts'
import { expectVersion, type Hdf5Context, readLength } from './context.ts'

/** Shape of a dataset or attribute. */
export interface Dataspace {
  /** `null` holds no element at all, `scalar` one */
  readonly kind: 'scalar' | 'simple' | 'null'
  readonly shape: readonly number[]
  /** what the shape may grow to; Infinity for unlimited */
  readonly maxShape: readonly number[]
}

/** HDF5 itself stops at 32 dimensions. */
const MAX_RANK = 32

/**
 *     version 1: 1 | rank 1 | flags 1 | reserved 5 | sizes | [largest sizes] | [permutation]
 *     version 2: 2 | rank 1 | flags 1 | kind 1 | sizes | [largest sizes]
 *
 * @source HDF5 File Format Specification 3.0, IV.A.2.b
 */
export function parseDataspace(context: Hdf5Context, reader: ByteReader): Dataspace {
  const version = expectVersion(reader, [1, 2], 'dataspace')
  const at = reader.offset
  const rank = reader.u8('rank')
  const flags = reader.u8('dataspace flags')
  const kind = version === 1 ? (rank === 0 ? 0 : 1) : reader.u8('dataspace kind')
  if (version === 1) reader.skip(5)
  if (rank > MAX_RANK) throw reader.invalid('rank', `at most ${MAX_RANK}`, String(rank), at)
  if (kind > 2) throw reader.invalid('dataspace kind', '0, 1 or 2', String(kind), at)
  const shape = Array.from({ length: rank }, () => readLength(context, reader, 'dimension'))
  const maxShape = flags & 1 ? shape.map(() => readLargest(context, reader)) : shape
  return { kind: KINDS[kind]!, shape, maxShape }
}

const KINDS = ['scalar', 'simple', 'null'] as const

function readLargest(context: Hdf5Context, reader: ByteReader): number {
  const start = reader.position
  if (reader.take(context.lengthSize, 'largest dimension').every((byte) => byte === 0xff))
    return Number.POSITIVE_INFINITY
  reader.seek(start)
  return readLength(context, reader, 'largest dimension')
}
