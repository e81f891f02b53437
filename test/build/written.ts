import type { PlannedFile } from '../../src/writers/output.ts'

/** A planned file in memory, checked for its stated size and for holes. */
export async function inMemory(file: PlannedFile): Promise<Uint8Array> {
  const out = new Uint8Array(file.bytes)
  let end = 0
  for await (const { offset, bytes } of file.pieces()) {
    if (offset > end) throw new Error(`a hole from byte ${end} to ${offset}`)
    if (offset + bytes.length > file.bytes) throw new Error(`byte ${offset + bytes.length} of ${file.bytes}`)
    out.set(bytes, offset)
    end = Math.max(end, offset + bytes.length)
  }
  if (end !== file.bytes) throw new Error(`${end} bytes of ${file.bytes}`)
  return out
}
