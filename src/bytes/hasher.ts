import type { ByteSource } from './byte-source.ts'

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
  const readAt = (offset: number) => source.read(offset, Math.min(HASH_CHUNK_BYTES, source.size - offset))
  // The disk works on the next piece while this one is hashed.
  let next = readAt(0)
  for (let offset = 0; offset < source.size; offset += HASH_CHUNK_BYTES) {
    const chunk = await next
    if (offset + chunk.length < source.size) next = readAt(offset + chunk.length)
    hasher.update(chunk)
    onBytes(chunk.length)
  }
  return hasher.hex()
}
