import { type ByteSource, streamRange } from './byte-source.ts'

/** A running digest; `hex` ends it. */
export interface Hasher {
  update(bytes: Uint8Array): void
  /** the digest in lower-case hexadecimal; call once, last */
  hex(): string
}

/** Begins a digest. The host gives one over the platform's SHA-256, so that this room needs no `node:*`. */
export type CreateHasher = () => Hasher

/** 4 MiB: large enough to keep a disk busy, small enough to keep memory flat. */
const HASH_CHUNK_BYTES = 4 << 20

/**
 * Digest of a whole file, read in pieces.
 * @param onBytes called with the number of bytes just read, for progress
 */
export async function hashSource(
  source: ByteSource,
  createHasher: CreateHasher,
  onBytes: (count: number) => void = () => {},
): Promise<string> {
  const hasher = createHasher()
  for await (const chunk of streamRange(source, { offset: 0, length: source.size }, HASH_CHUNK_BYTES)) {
    hasher.update(chunk)
    onBytes(chunk.length)
  }
  return hasher.hex()
}
