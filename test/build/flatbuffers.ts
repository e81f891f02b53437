/**
 * Writes flatbuffers for tests: tables first, what they point to behind them. Plain rather than compact: every table
 * has its own vtable, in front of it.
 */
export type FlatValue =
  | { readonly kind: 'scalar'; readonly width: 1 | 2 | 4 | 8; readonly bytes: Uint8Array }
  | { readonly kind: 'table'; readonly fields: readonly (FlatValue | undefined)[] }
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'vector'; readonly width: 1 | 2 | 4 | 8; readonly bytes: Uint8Array }
  | { readonly kind: 'tables'; readonly tables: readonly FlatValue[] }

const little = (width: 1 | 2 | 4 | 8, values: readonly number[], isFloat = false): Uint8Array => {
  const bytes = new Uint8Array(width * values.length)
  const view = new DataView(bytes.buffer)
  for (const [index, value] of values.entries()) {
    if (isFloat) view.setFloat32(index * 4, value, true)
    else if (width === 8) view.setBigInt64(index * 8, BigInt(value), true)
    else if (width === 4) view.setInt32(index * 4, value, true)
    else if (width === 2) view.setInt16(index * 2, value, true)
    else view.setInt8(index, value)
  }
  return bytes
}

export const int8 = (value: number): FlatValue => ({ kind: 'scalar', width: 1, bytes: little(1, [value]) })
export const int32 = (value: number): FlatValue => ({ kind: 'scalar', width: 4, bytes: little(4, [value]) })
export const int64 = (value: number): FlatValue => ({ kind: 'scalar', width: 8, bytes: little(8, [value]) })
export const float32 = (value: number): FlatValue => ({ kind: 'scalar', width: 4, bytes: little(4, [value], true) })
export const text = (value: string): FlatValue => ({ kind: 'string', text: value })
export const ints = (...values: number[]): FlatValue => ({ kind: 'vector', width: 4, bytes: little(4, values) })
export const floatList = (...values: number[]): FlatValue => ({
  kind: 'vector',
  width: 4,
  bytes: little(4, values, true),
})
export const longs = (...values: number[]): FlatValue => ({ kind: 'vector', width: 8, bytes: little(8, values) })
export const bytes = (...values: number[]): FlatValue => ({ kind: 'vector', width: 1, bytes: Uint8Array.from(values) })
export const table = (...fields: (FlatValue | undefined)[]): FlatValue => ({ kind: 'table', fields })
export const tables = (...list: FlatValue[]): FlatValue => ({ kind: 'tables', tables: list })

/** The file: offset of the root, `identifier` (4 characters), then the root table and all that it reaches. */
export function flatbuffer(identifier: string, root: FlatValue): Uint8Array {
  const out: number[] = [0, 0, 0, 0, ...new TextEncoder().encode(identifier)]
  const patch32 = (at: number, value: number) => {
    for (const [index, byte] of little(4, [value]).entries()) out[at + index] = byte
  }
  const align = (to: number) => {
    while (out.length % to !== 0) out.push(0)
  }
  const write = (value: FlatValue): number => {
    if (value.kind === 'scalar') throw new Error('a scalar lies in its table')
    if (value.kind === 'string' || value.kind === 'vector') {
      const content = value.kind === 'string' ? new TextEncoder().encode(value.text) : value.bytes
      const width = value.kind === 'string' ? 1 : value.width
      while ((out.length + 4) % Math.max(4, width) !== 0) out.push(0)
      const at = out.length
      out.push(...little(4, [content.length / width]), ...content)
      return at
    }
    if (value.kind === 'tables') {
      align(4)
      const at = out.length
      out.push(...little(4, [value.tables.length]), ...new Uint8Array(4 * value.tables.length))
      for (const [index, inner] of value.tables.entries()) {
        const slot = at + 4 + index * 4
        patch32(slot, write(inner) - slot)
      }
      return at
    }
    align(8)
    const vtable = out.length
    out.push(...new Uint8Array(4 + 2 * value.fields.length))
    align(8)
    const at = out.length
    out.push(...little(4, [at - vtable]))
    const pointers: [number, FlatValue][] = []
    for (const [index, inner] of value.fields.entries()) {
      if (inner === undefined) continue
      const content = inner.kind === 'scalar' ? inner.bytes : new Uint8Array(4)
      while ((out.length - at) % content.length !== 0) out.push(0)
      out.splice(vtable + 4 + 2 * index, 2, ...little(2, [out.length - at]))
      if (inner.kind !== 'scalar') pointers.push([out.length, inner])
      out.push(...content)
    }
    out.splice(vtable, 4, ...little(2, [4 + 2 * value.fields.length, out.length - at]))
    for (const [slot, inner] of pointers) patch32(slot, write(inner) - slot)
    return at
  }
  patch32(0, write(root))
  return Uint8Array.from(out)
}
