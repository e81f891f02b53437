/** The longest copy takes 3 bytes and gives 264. */
const MAX_RATIO = 88

/**
 * LZF, the fast compression that h5py brings along (filter 32000).
 *
 *     000LLLLL                     L + 1 bytes as they are
 *     LLLooooo oooooooo            L + 2 bytes from o + 1 bytes back (L from 1 to 6)
 *     111ooooo LLLLLLLL oooooooo   L + 9 bytes from o + 1 bytes back
 *
 * @param most bytes that the result may have
 * @returns undefined for damaged data
 * @source http://oldhome.schmorp.de/marc/liblzf.html
 */
export function unpackLzf(packed: Uint8Array, most: number): Uint8Array | undefined {
  const out = new Uint8Array(Math.min(most, packed.length * MAX_RATIO))
  let to = 0
  for (let at = 0; at < packed.length; ) {
    const control = packed[at++]!
    if (control < 32) {
      const length = control + 1
      if (at + length > packed.length || to + length > out.length) return undefined
      out.set(packed.subarray(at, at + length), to)
      at += length
      to += length
      continue
    }
    let length = control >> 5
    if (length === 7) length += packed[at++] ?? 0
    const back = ((control & 31) << 8) + (packed[at++] ?? 0) + 1
    length += 2
    if (at > packed.length || back > to || to + length > out.length) return undefined
    // Byte by byte: the copy may overlap what it writes.
    for (const end = to + length; to < end; to++) out[to] = out[to - back]!
  }
  return out.subarray(0, to)
}
