/** A tensor of zeros in a safetensors file; `offsets` says where it claims to lie. */
export interface SafetensorsEntry {
  readonly dtype: string
  readonly shape: readonly number[]
  /** stored */
  readonly bytes: number
  readonly offsets?: readonly [number, number]
}

/** A safetensors file; each tensor lies behind the one before it unless its `offsets` say otherwise. */
export function safetensorsFile(entries: Readonly<Record<string, SafetensorsEntry>>): Uint8Array {
  let end = 0
  const header = Object.fromEntries(
    Object.entries(entries).map(([name, { dtype, shape, bytes, offsets }]) => {
      const start = end
      end += bytes
      return [name, { dtype, shape, data_offsets: offsets ?? [start, end] }]
    }),
  )
  const text = Buffer.from(JSON.stringify(header))
  const prefix = Buffer.alloc(8)
  prefix.writeBigUInt64LE(BigInt(text.length))
  return new Uint8Array(Buffer.concat([prefix, text, Buffer.alloc(end)]))
}
