import type { FuzzCase } from './case.ts'

interface Header {
  readonly format: string
  readonly main?: string | undefined
  readonly files: readonly (readonly [name: string, length: number])[]
}

/** A case as one run of bytes, for a file or shared memory: u32 header length, JSON header, contents. */
export function encodeCase({ format, files, main }: FuzzCase): Uint8Array {
  const entries = Object.entries(files)
  const header: Header = { format, main, files: entries.map(([name, content]) => [name, content.length]) }
  const text = new TextEncoder().encode(JSON.stringify(header))
  const prefix = new Uint8Array(4)
  new DataView(prefix.buffer).setUint32(0, text.length, true)
  return new Uint8Array(Buffer.concat([prefix, text, ...entries.map(([, content]) => content)]))
}

export function decodeCase(bytes: Uint8Array): FuzzCase {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
  const { format, main, files } = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length))) as Header
  let at = 4 + length
  const contents: Record<string, Uint8Array> = {}
  for (const [name, size] of files) {
    contents[name] = bytes.slice(at, at + size)
    at += size
  }
  return { format, main, files: contents }
}
