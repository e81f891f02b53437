/**
 * Bob Jenkins' lookup3 (`hashlittle`, initial value 0) over all bytes: the checksum of HDF5's newer structures.
 * @source http://burtleburtle.net/bob/c/lookup3.c (public domain), as HDF5 specifies it
 */
export function lookup3(bytes: Uint8Array): number {
  let a = (0xdeadbeef + bytes.length) | 0
  let b = a
  let c = a
  const rotate = (value: number, count: number) => (value << count) | (value >>> (32 - count))
  const word = (at: number) =>
    (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)
  let at = 0
  for (; bytes.length - at > 12; at += 12) {
    a = (a + word(at)) | 0
    b = (b + word(at + 4)) | 0
    c = (c + word(at + 8)) | 0
    a = ((a - c) | 0) ^ rotate(c, 4)
    c = (c + b) | 0
    b = ((b - a) | 0) ^ rotate(a, 6)
    a = (a + c) | 0
    c = ((c - b) | 0) ^ rotate(b, 8)
    b = (b + a) | 0
    a = ((a - c) | 0) ^ rotate(c, 16)
    c = (c + b) | 0
    b = ((b - a) | 0) ^ rotate(a, 19)
    a = (a + c) | 0
    c = ((c - b) | 0) ^ rotate(b, 4)
    b = (b + a) | 0
  }
  if (bytes.length === at) return c >>> 0
  a = (a + word(at)) | 0
  b = (b + word(at + 4)) | 0
  c = (c + word(at + 8)) | 0
  c = ((c ^ b) - rotate(b, 14)) | 0
  a = ((a ^ c) - rotate(c, 11)) | 0
  b = ((b ^ a) - rotate(a, 25)) | 0
  c = ((c ^ b) - rotate(b, 16)) | 0
  a = ((a ^ c) - rotate(c, 4)) | 0
  b = ((b ^ a) - rotate(a, 14)) | 0
  c = ((c ^ b) - rotate(b, 24)) | 0
  return c >>> 0
}

/**
 * Whether `stated` is HDF5's Fletcher-32 of `bytes`: sums of big-endian 16-bit words modulo 65535, an odd last byte
 * as the high half. Files written before HDF5 1.6.3 on little-endian machines have the bytes of each half swapped;
 * both are accepted, as the library does.
 */
export function matchesFletcher32(bytes: Uint8Array, stated: number): boolean {
  let first = 0
  let second = 0
  const even = bytes.length & ~1
  for (let at = 0; at < even; ) {
    // 360 words are the most that two 32-bit sums hold before they must be reduced.
    const end = Math.min(even, at + 720)
    for (; at < end; at += 2) {
      first += (bytes[at]! << 8) | bytes[at + 1]!
      second += first
    }
    first %= 65535
    second %= 65535
  }
  if (bytes.length > even) {
    first = (first + (bytes[even]! << 8)) % 65535
    second = (second + first) % 65535
  }
  const sums = ((second << 16) | first) >>> 0
  const swapped = (((sums & 0x00ff00ff) << 8) | ((sums >>> 8) & 0x00ff00ff)) >>> 0
  return sameModulo(stated, sums) || sameModulo(stated, swapped)
}

/** Zero and 65535 are the same sum. */
function sameModulo(stated: number, computed: number): boolean {
  const half = (value: number) => (value === 0xffff ? 0 : value)
  return half(stated >>> 16) === half(computed >>> 16) && half(stated & 0xffff) === half(computed & 0xffff)
}
