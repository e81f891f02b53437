import { crc32 as zlibCrc32 } from 'node:zlib'

/**
 * CRC-32 as zip archives use it (polynomial 0x04C11DB7, reflected).
 * @param seed the value so far, to go on over the next piece; 0 begins
 */
export function crc32(bytes: Uint8Array, seed = 0): number {
  return zlibCrc32(bytes, seed)
}
