import type { ArrayValue } from '../tensor/array-value.ts'
import type { WireValue } from './protocol.ts'

/** Values for the journey to the thread, each with just its own memory: a view would take the whole buffer along. */
export function toWire(values: ReadonlyMap<string, ArrayValue>): WireValue[] {
  return [...values].map(([name, { dtype, shape, bytes }]) => ({
    name,
    dtype,
    shape,
    bytes: bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice(),
  }))
}

/** Values as they came back, by name. */
export function fromWire(values: readonly WireValue[]): Map<string, ArrayValue> {
  return new Map(values.map(({ name, dtype, shape, bytes }) => [name, { dtype, shape, bytes }]))
}
