/**
 * The same bytes in pieces that each hold whole elements, as `Tensor.stream` promises.
 *
 * @param chunks pieces of any size
 * @param unit bytes per element (for packed types: per smallest group of whole bytes)
 */
export async function* wholeElements(chunks: AsyncIterable<Uint8Array>, unit: number): AsyncGenerator<Uint8Array> {
  let rest: Uint8Array = new Uint8Array(0)
  for await (const chunk of chunks) {
    let joined = chunk
    if (rest.length > 0) {
      joined = new Uint8Array(rest.length + chunk.length)
      joined.set(rest)
      joined.set(chunk, rest.length)
    }
    const whole = joined.length - (joined.length % unit)
    // copied: the source may reuse what it lent
    rest = joined.slice(whole)
    if (whole > 0) yield joined.subarray(0, whole)
  }
  if (rest.length > 0) yield rest
}
