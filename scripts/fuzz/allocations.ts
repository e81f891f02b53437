/** Thrown into the reader that asks for an array beyond the limit of its case. */
export class OverMemory extends Error {
  override readonly name = 'OverMemory'
}

/** Smaller arrays are left to the heap's own numbers. */
const COUNTED_FROM_BYTES = 64 * 1024

const state = { bytes: 0, largest: 0, limit: Number.POSITIVE_INFINITY, exceeded: false }

/** Begins to count for the next case. */
export function restartAllocations(limit: number): void {
  Object.assign(state, { bytes: 0, largest: 0, limit, exceeded: false })
}

/** What the case asked for since `restartAllocations`: in sum, the largest array, and whether the limit was passed. */
export function allocated(): { readonly bytes: number; readonly largest: number; readonly exceeded: boolean } {
  return state
}

/**
 * Counts every typed array that code asks for by length, before it exists. An array of 2 GiB of zeros costs nothing
 * until it is written, so neither the heap nor the resident set shows a reader that believes a length; this does.
 */
export function watchAllocations(): void {
  const names = [
    'Uint8Array',
    'Int8Array',
    'Uint16Array',
    'Int16Array',
    'Uint32Array',
    'Int32Array',
    'Float32Array',
  ].concat(['Float64Array', 'BigInt64Array', 'BigUint64Array', 'ArrayBuffer', 'Array']) as (keyof typeof globalThis)[]
  for (const name of names) {
    const original = globalThis[name] as unknown as { new (length: number): object; BYTES_PER_ELEMENT?: number }
    const width = original.BYTES_PER_ELEMENT ?? (name === 'Array' ? 8 : 1)
    const counted = new Proxy(original, {
      construct(target, parameters, newTarget) {
        const length: unknown = parameters[0]
        if (typeof length === 'number' && length * width >= COUNTED_FROM_BYTES) note(length * width)
        return Reflect.construct(target, parameters, newTarget) as object
      },
    })
    Object.defineProperty(globalThis, name, { value: counted, writable: true, configurable: true })
  }
}

function note(bytes: number): void {
  state.bytes += bytes
  state.largest = Math.max(state.largest, bytes)
  if (bytes <= state.limit) return
  state.exceeded = true
  throw new OverMemory(`an array of ${bytes} bytes`)
}
