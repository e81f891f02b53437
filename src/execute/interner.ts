/** Smaller arrays are not worth looking at. */
const MIN_BYTES = 16_384

/**
 * Makes one of arrays that hold the same bytes: a candidate computes most values exactly as its reference does, again
 * and again, and memory holds them once. What goes through must not be written to afterwards.
 */
export function interner(): (bytes: Uint8Array) => Uint8Array {
  const known = new Map<string, WeakRef<Uint8Array>>()
  return (bytes) => {
    if (bytes.length < MIN_BYTES || bytes.byteOffset % 4 !== 0) return bytes
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2)
    const key = `${bytes.length} ${digest(words)}`
    const found = known.get(key)?.deref()
    if (found && isEqual(found, bytes)) return found
    known.set(key, new WeakRef(bytes))
    return bytes
  }
}

/** Equal for equal arrays; unequal ones meet so seldom that looking at them costs nothing. */
function digest(words: Int32Array): number {
  let hash = 0
  for (let i = 0; i < words.length; i++) hash = (Math.imul(hash, 31) + words[i]!) | 0
  return hash
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  const [first, second] = [one, other].map((bytes) => new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2))
  for (let i = 0; i < first!.length; i++) if (first![i] !== second![i]) return false
  for (let i = first!.length * 4; i < one.length; i++) if (one[i] !== other[i]) return false
  return one.length === other.length
}
