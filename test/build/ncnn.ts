/** A `.bin`: arrays one after the other, each padded to 4 bytes. */
export function ncnnBin(...arrays: readonly Uint8Array[]): Uint8Array {
  const padded = arrays.map((array) => {
    const bytes = new Uint8Array(Math.ceil(array.length / 4) * 4)
    bytes.set(array)
    return bytes
  })
  return new Uint8Array(Buffer.concat(padded))
}

const u32 = (value: number) => new Uint8Array(new Uint32Array([value]).buffer)
const join = (...parts: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(parts))

/** Bare float32 values. */
export const rawArray = (values: readonly number[]) => new Uint8Array(new Float32Array(values).buffer)
/** Tag 0 and float32 values. */
export const floatArray = (values: readonly number[]) => join(u32(0), rawArray(values))
/** Tag and float16 values, given as bit patterns. */
export const halfArray = (bits: readonly number[]) =>
  join(u32(0x01306b47), new Uint8Array(new Uint16Array(bits).buffer))
/** Tag and int8 values. */
export const int8Array = (values: readonly number[]) =>
  join(u32(0x000d4b38), new Uint8Array(new Int8Array(values).buffer))
/** Any other tag, a table of 256 values, and one index per weight. */
export const codebookArray = (table: readonly number[], indices: readonly number[]) =>
  join(u32(1), rawArray(Array.from({ length: 256 }, (_, index) => table[index] ?? 0)), new Uint8Array(indices))

/** A `.param` in text form; the number of blobs is that of distinct names. */
export function ncnnParam(...lines: readonly string[]): Uint8Array {
  const blobs = new Set(
    lines.flatMap((line) => {
      const words = line.split(/\s+/)
      return words.slice(4, 4 + Number(words[2]) + Number(words[3]))
    }),
  )
  return new TextEncoder().encode(`7767517\n${lines.length} ${blobs.size}\n${lines.join('\n')}\n`)
}

/** A `.param.bin` of 32-bit words. */
export const words = (...values: readonly number[]) => new Uint8Array(new Int32Array(values).buffer)
