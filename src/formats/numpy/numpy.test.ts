import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { npyFile } from '../../../test/build/npy-file.ts'
import { zip } from '../../../test/build/zip.ts'
import { describeConformance, readAll } from '../../../test/conformance.ts'
import { FormatError } from '../../errors.ts'
import { readTensor } from '../../tensor/tensor.ts'
import { npy } from './npy.ts'
import { npz } from './npz.ts'

const fixtures = resolve(import.meta.dirname, '../../../test/fixtures/frameworks')
const load = (name: string) => new Uint8Array(readFileSync(join(fixtures, name)))
const sample = (bytes: Uint8Array, name: string) => ({ files: { [name]: bytes }, main: name })

describe('npy', () => {
  describeConformance(npy, {
    'fortran order, big-endian': sample(load('npy/big-endian-fortran.npy'), 'a.npy'),
    text: sample(load('npy/unicode.npy'), 'a.npy'),
    records: sample(load('npy/structured.npy'), 'a.npy'),
    'pickled dict': sample(load('npy/object-dict.npy'), 'a.npy'),
    'pickled with protocol 0': sample(load('npy/object-protocol-0.npy'), 'a.npy'),
  })
})

describe('npz', () => {
  describeConformance(npz, {
    stored: sample(load('npz/stored.npz'), 'a.npz'),
    deflated: sample(load('npz/compressed.npz'), 'a.npz'),
    'pickled dict': sample(load('npz/object.npz'), 'a.npz'),
  })
})

const shapesOf = async (bytes: Uint8Array) =>
  (await readAll(npy, sample(bytes, 'a.npy'))).model.tensors.map(
    ({ name, dtype, shape }) => `${name} ${dtype} [${shape}]`,
  )

/** A header as given, version 1, and zeros behind it. */
function withHeader(text: string, zeros = 64): Uint8Array {
  const head = Buffer.from(`\x93NUMPY\x01\0\0\0${text}`, 'latin1')
  head.writeUInt16LE(text.length, 8)
  return new Uint8Array(Buffer.concat([head, Buffer.alloc(zeros)]))
}

test('fields of records are tensors of their own', async () => {
  const descr = "[('a', '<i2'), ('', '|V2'), ('b', [('x', '>f4', (2,)), ('y', '|S3')])]"
  const bytes = withHeader(`{'descr': ${descr}, 'fortran_order': False, 'shape': (2,), }`, 30)
  expect(await shapesOf(bytes)).toEqual(['a int16 [2]', 'b.x float32 [2,2]', 'b.y string [2]'])
})

test.each([
  ['a call', "{'descr': open('x'), 'fortran_order': False, 'shape': (2,)}", /Python literal in the header/],
  ['a key too many', "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}", /the keys descr/],
  ['a negative size', "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", /a tuple of sizes/],
  ['a size of 10^15', "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000000,)}", /TRUNCATED|bytes/],
  ['an unknown type', "{'descr': '<q9', 'fortran_order': False, 'shape': (2,)}", /element type/],
  ['a number for a truth', "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", /True or False/],
  ['brackets without end', `{'descr': ${'('.repeat(2000)}`, /at most 32 levels/],
  ['text without end', "{'descr': '<f4", /a closing '/],
])('a header with %s is refused', async (_, header, message) => {
  const failure = shapesOf(withHeader(header))
  await expect(failure).rejects.toBeInstanceOf(FormatError)
  await expect(failure).rejects.toThrow(message)
})

test('Python 2 headers may have long numbers', async () => {
  expect(await shapesOf(withHeader("{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 8L), }"))).toEqual([
    ' float32 [2,8]',
  ])
})

test('bytes behind the array are reported', async () => {
  const bytes = npyFile('<f4', [2], new Uint8Array(10))
  expect((await readAll(npy, sample(bytes, 'a.npy'))).model.warnings).toMatchObject([{ code: 'TRAILING_BYTES' }])
})

test('types without numbers are given as bytes', async () => {
  const { model } = await readAll(npy, sample(npyFile('|V2', [3], new Uint8Array(6)), 'a.npy'))
  expect(model.tensors[0]).toMatchObject({ dtype: 'uint8', shape: [3, 2] })
  expect(model.warnings).toMatchObject([{ code: 'RAW_BYTES' }])
})

test('text in an archive is UTF-8 with its length', async () => {
  const text = Buffer.from('n\u0000\u0000\u0000\u00e4\u0000\u0000\u0000', 'latin1')
  const file = zip([{ name: 'names.npy', content: npyFile('<U2', [1], text), deflated: true }])
  const { model } = await readAll(npz, sample(file, 'a.npz'))
  expect(Buffer.from(await readTensor(model.tensors[0]!)).toString('hex')).toBe('030000006ec3a4')
})

test('a header in a deflated entry of megabytes is read without the rest', async () => {
  const content = npyFile('<f4', [1024, 1024], new Uint8Array(4 << 20))
  const { model } = await readAll(npz, sample(zip([{ name: 'w.npy', content, deflated: true }]), 'a.npz'))
  expect(model.tensors[0]).toMatchObject({ name: 'w', bytes: 4 << 20 })
})
