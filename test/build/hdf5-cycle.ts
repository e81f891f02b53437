const UNDEFINED = 0xffffffffffffffffn

/**
 * An HDF5 file (superblock 0, 1,072 bytes) whose root group holds one member `loop`, which is the root group again.
 *
 *     0 superblock | 96 object header | 136 local heap | 200 B-tree node | 744 symbol table node
 */
export function hdf5Cycle(): Uint8Array {
  const bytes = Buffer.alloc(1072)
  const put = (at: number, ...values: readonly bigint[]) => {
    for (const [index, value] of values.entries()) bytes.writeBigUInt64LE(value, at + index * 8)
  }
  bytes.write('\x89HDF\r\n\x1a\n', 0, 'latin1')
  bytes.set([0, 0, 0, 0, 0, 8, 8, 0, 4, 0, 16, 0], 8)
  put(24, 0n, UNDEFINED, BigInt(bytes.length), UNDEFINED, 0n, 96n)
  // object header: version 1, one message of 16 bytes: symbol table (B-tree, heap)
  bytes.set([1, 0, 1, 0, 1, 0, 0, 0, 24], 96)
  bytes.set([0x11, 0, 16], 112)
  put(120, 200n, 136n)
  bytes.write('HEAP', 136, 'latin1')
  put(144, 32n, UNDEFINED, 168n)
  bytes.write('loop\0', 176, 'latin1')
  bytes.write('TREE\0\0\x01', 200, 'latin1')
  put(208, UNDEFINED, UNDEFINED, 0n, 744n, 8n)
  bytes.write('SNOD\x01\0\x01', 744, 'latin1')
  put(752, 8n, 96n)
  return new Uint8Array(bytes)
}
