import { type ByteSource, checkRange } from './byte-source.ts'

/**
 * Several sources one behind the other, as one. A range inside a single part is read from it without a copy.
 *
 * @param name shown in error messages
 */
export function concatSources(name: string, parts: readonly ByteSource[]): ByteSource {
  const starts: number[] = []
  let size = 0
  for (const part of parts) {
    starts.push(size)
    size += part.size
  }
  return {
    name,
    size,
    async read(offset, length) {
      checkRange({ name, size }, offset, length)
      const first = partAt(starts, offset)
      const part = parts[first]
      if (part === undefined || length === 0) return new Uint8Array(0)
      if (offset + length <= starts[first]! + part.size) return part.read(offset - starts[first]!, length)
      const all = new Uint8Array(length)
      let done = 0
      for (let index = first; done < length; index++) {
        const from = offset + done - starts[index]!
        const count = Math.min(length - done, parts[index]!.size - from)
        if (count > 0) all.set(await parts[index]!.read(from, count), done)
        done += Math.max(0, count)
      }
      return all
    },
  }
}

/** Index of the last part that begins at or before `offset`. */
export function partAt(starts: readonly number[], offset: number): number {
  let low = 0
  let high = starts.length - 1
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (starts[middle]! <= offset) low = middle
    else high = middle - 1
  }
  return low
}
