/** Writes pickles opcode by opcode, for tests of hostile and odd ones. */

const latin = (text: string) => Buffer.from(text, 'latin1')

/** Opcodes given as single characters, text lines or bytes, with STOP behind them. */
export function pickle(...parts: readonly (string | readonly number[] | Uint8Array)[]): Uint8Array {
  const bytes = parts.map((part) => (typeof part === 'string' ? latin(part) : Buffer.from(part)))
  return new Uint8Array(Buffer.concat([...bytes, latin('.')]))
}

/** PROTO */
export const protocol = (version: number) => [0x80, version]
/** GLOBAL: pushes a global by module and name. */
export const global = (module: string, name: string) => `c${module}\n${name}\n`
/** SHORT_BINUNICODE */
export const text = (value: string) => {
  const encoded = Buffer.from(value)
  return Buffer.concat([Buffer.from([0x8c, encoded.length]), encoded])
}
/** LONG_BINPUT */
export const put = (index: number) => u32('r', index)
/** LONG_BINGET */
export const get = (index: number) => u32('j', index)
/** STACK_GLOBAL: takes module and name from the stack. */
export const STACK_GLOBAL = [0x93]
/** MEMOIZE */
export const MEMOIZE = [0x94]

/** An opcode with a 32-bit argument. */
export function u32(opcode: string, value: number): Uint8Array {
  const bytes = Buffer.alloc(5)
  bytes.write(opcode, 'latin1')
  bytes.writeUInt32LE(value, 1)
  return bytes
}

/** An opcode (by value) with a 64-bit argument. */
export function u64(opcode: number, value: bigint): Uint8Array {
  const bytes = Buffer.alloc(9)
  bytes.writeUInt8(opcode)
  bytes.writeBigUInt64LE(value, 1)
  return bytes
}
