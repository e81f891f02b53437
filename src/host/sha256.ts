import { createHash } from 'node:crypto'
import type { Hasher } from '../bytes/hasher.ts'

/** A running SHA-256. */
export function createSha256(): Hasher {
  const hash = createHash('sha256')
  return {
    update: (bytes) => {
      hash.update(bytes)
    },
    hex: () => hash.digest('hex'),
  }
}
