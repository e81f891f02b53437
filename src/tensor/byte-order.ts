/**
 * A copy of `bytes` with the bytes of every `unit` reversed: big-endian to little-endian or back.
 *
 * @param unit bytes per number: 2, 4, 8 or 16 (complex values swap each part: pass the part's width); 1 changes nothing
 */
export function swapBytes(bytes: Uint8Array, unit: number): Uint8Array {
  if (unit <= 1) return bytes
  const out = new Uint8Array(bytes.length)
  for (let start = 0; start + unit <= bytes.length; start += unit) {
    for (let index = 0; index < unit; index++) out[start + index] = bytes[start + unit - 1 - index]!
  }
  return out
}
