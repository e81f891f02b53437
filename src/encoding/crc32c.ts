/**
 * CRC-32C (Castagnoli), as LevelDB tables and TensorFlow's files use it: polynomial 0x1EDC6F41, reflected.
 *
 * @param seed the value so far, to go on over the next piece; 0 begins
 * @source RFC 3720, appendix B.4
 */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  let crc = ~seed
  let at = 0
  const whole = bytes.length - (bytes.length % 4)
  for (; at < whole; at += 4) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    crc =
      TABLES[768 + (crc & 0xff)]! ^
      TABLES[512 + ((crc >>> 8) & 0xff)]! ^
      TABLES[256 + ((crc >>> 16) & 0xff)]! ^
      TABLES[crc >>> 24]!
  }
  for (; at < bytes.length; at++) crc = TABLES[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8)
  return ~crc >>> 0
}

/** The stored form: rotated and shifted, so that a checksum over data that holds checksums stays useful. */
export function maskCrc(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}

/** Four tables of 256: entry [k][b] advances byte b over k more zero bytes ("slicing by four"). */
const TABLES = makeTables()

function makeTables(): Int32Array {
  const tables = new Int32Array(1024)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
    tables[byte] = crc
  }
  for (let at = 256; at < 1024; at++) {
    const before = tables[at - 256]!
    tables[at] = tables[before & 0xff]! ^ (before >>> 8)
  }
  return tables
}
