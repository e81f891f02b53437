import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { memorySource } from '../../bytes/byte-source.ts'
import { DEFAULT_LIMITS, type Limits } from '../../bytes/limits.ts'
import { lookup3, matchesFletcher32 } from './checksum.ts'
import { unpackLzf } from './lzf.ts'
import { openHdf5 } from './open-hdf5.ts'

const folder = resolve(import.meta.dirname, '../../../test/fixtures/hdf5')

/** Opens a fixture after `damage`, and reads every value. */
async function readDamaged(
  name: string,
  damage: (bytes: Uint8Array, view: DataView) => void,
  limits: Limits = DEFAULT_LIMITS,
): Promise<void> {
  const bytes = new Uint8Array(readFileSync(`${folder}/${name}`))
  damage(bytes, new DataView(bytes.buffer))
  const { objects } = await openHdf5(memorySource('m.h5', bytes), limits)
  for (const object of objects) {
    if (object.kind === 'dataset') for await (const _ of object.stream());
  }
}

function find(bytes: Uint8Array, text: string, from = 0): number {
  const at = Buffer.from(bytes.buffer).indexOf(text, from, 'latin1')
  if (at === -1) throw new Error(`no ${text}`)
  return at
}

const check = (name: string, file: string, damage: Parameters<typeof readDamaged>[1], message: RegExp) =>
  test(name, async () => {
    await expect(readDamaged(file, damage)).rejects.toThrow(message)
    await expect(readDamaged(file, damage)).rejects.toMatchObject({ name: 'FormatError' })
  })

check(
  'a tree of chunks that contains itself',
  'chunks-old.h5',
  (bytes, view) => {
    // The tree of two levels is the only one whose root has level 1; its first child is behind 24 + 24 bytes.
    let at = find(bytes, 'TREE')
    while (bytes[at + 4] !== 1 || bytes[at + 5] !== 1) at = find(bytes, 'TREE', at + 4)
    view.setBigUint64(at + 24 + 24, BigInt(at), true)
  },
  /B-tree node at byte \d+: expected each node once, found a node that contains itself/,
)

check(
  'a group tree that contains itself',
  'groups-old.h5',
  (bytes, view) => {
    const at = find(bytes, 'TREE')
    bytes[at + 5] = 1
    view.setBigUint64(at + 24 + 8, BigInt(at), true)
  },
  /B-tree node at byte \d+: expected each node once/,
)

check(
  'a header that goes on in itself',
  'attributes-old.h5',
  (bytes, view) => {
    // The continuation message of the root's header: type 0x10, size 16.
    const at = find(bytes, '\x10\x00\x10\x00')
    view.setBigUint64(at + 8, 96n, true)
  },
  /object header continuation at byte \d+: expected a block not read before/,
)

check(
  'a dataset larger than its file',
  'user-block.h5',
  (bytes, view) => {
    // Dataspace: version 1, rank 1, no flags... and the size 3 behind it.
    const at = find(bytes, '\x01\x01\x01\x00\x00\x00\x00\x00\x03')
    view.setBigUint64(at + 8, 1n << 40n, true)
  },
  /dataset at byte \d+: expected \d+ bytes for \[1099511627776\], found 12 stored/,
)

check(
  'bytes changed under a checksum',
  'groups-latest.h5',
  (bytes) => {
    bytes[find(bytes, 'OHDR') + 20]! ^= 4
  },
  /checksum/,
)

check(
  'damage under a fletcher32 checksum',
  'chunks-latest.h5',
  (bytes) => {
    // The plain chunk of "odd bytes" is 0 1 2 3 4 and its checksum.
    bytes[find(bytes, '\x00\x01\x02\x03\x04') + 2]! ^= 1
  },
  /chunk at byte \d+: expected its fletcher32 checksum/,
)

check('no superblock', 'user-block.h5', (bytes) => void bytes.fill(0, 512, 520), /HDF5 signature at byte 0/)

test('limits: objects, nesting, text', async () => {
  const none = () => {}
  await expect(readDamaged('groups-latest.h5', none, { ...DEFAULT_LIMITS, maxItems: 10 })).rejects.toThrow(/at most 10/)
  await expect(readDamaged('groups-latest.h5', none, { ...DEFAULT_LIMITS, maxDepth: 1 })).rejects.toThrow(
    /at most 1 nested groups/,
  )
  await expect(readDamaged('text.h5', none, { ...DEFAULT_LIMITS, maxStringBytes: 100 })).rejects.toThrow(
    /at most 100 bytes/,
  )
  await expect(readDamaged('chunks-latest.h5', none, { ...DEFAULT_LIMITS, maxInflatedBytes: 8 })).rejects.toThrow(
    /chunk at byte \d+: expected at most 8 bytes/,
  )
})

test('links that lead round or out are named, not followed', async () => {
  for (const name of ['groups-old.h5', 'groups-latest.h5']) {
    const { objects, remarks } = await openHdf5(memorySource(name, readFileSync(`${folder}/${name}`)), DEFAULT_LIMITS)
    expect(objects.filter(({ kind }) => kind === 'dataset').map(({ path }) => path)).toEqual(['group03/again'])
    const codes = Object.fromEntries(remarks.map(({ path, code }) => [path, code]))
    expect(codes).toMatchObject({
      'group03/loop': 'TIED_NAME',
      'group03/deep/value': 'TIED_NAME',
      soft: 'SOFT_LINK',
      dangling: 'SOFT_LINK',
    })
    if (name === 'groups-latest.h5') expect(codes.external).toBe('EXTERNAL_LINK')
  }
})

test('lookup3 as its author publishes it', () => {
  const text = new TextEncoder().encode('Four score and seven years ago')
  expect(lookup3(text)).toBe(0x17770551)
  expect(lookup3(new Uint8Array(0))).toBe(0xdeadbeef)
})

test('fletcher32: words, an odd last byte, both byte orders', () => {
  const bytes = Uint8Array.from([1, 2, 3])
  // words 0x0102, 0x0300: sums 0x0402 and 0x0504
  expect(matchesFletcher32(bytes, 0x05040402)).toBe(true)
  expect(matchesFletcher32(bytes, 0x04050204)).toBe(true)
  expect(matchesFletcher32(bytes, 0x05040403)).toBe(false)
})

test('lzf: literals, near and far copies, damage', () => {
  const unpack = (bytes: number[], most = 100) => unpackLzf(Uint8Array.from(bytes), most)
  expect(unpack([1, 7, 8])).toEqual(Uint8Array.from([7, 8]))
  expect(unpack([0, 7, 0x20, 0])).toEqual(Uint8Array.from([7, 7, 7, 7]))
  expect(unpack([1, 7, 8, 0xe0, 1, 1])).toEqual(Uint8Array.from([7, 8, 7, 8, 7, 8, 7, 8, 7, 8, 7, 8]))
  expect(unpack([5, 1])).toBeUndefined()
  expect(unpack([0, 7, 0x20, 1])).toBeUndefined()
  expect(unpack([0, 7, 0x20, 0], 3)).toBeUndefined()
  expect(unpack([0, 7, 0xe0])).toBeUndefined()
})
