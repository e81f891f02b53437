/**
 * The texts of a `string` tensor as our streams give it: u32 length (little-endian), then that many bytes, each.
 * Bytes that are no UTF-8 become U+FFFD; a cut last element is left out.
 */
export function readText(bytes: Uint8Array): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const texts: string[] = []
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = view.getUint32(at, true)
    at += 4
    if (at + length > bytes.length) break
    texts.push(utf8.decode(bytes.subarray(at, at + length)))
    at += length
  }
  return texts
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })
