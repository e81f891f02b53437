import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { memorySource } from '../../bytes/byte-source.ts'
import { DEFAULT_LIMITS } from '../../bytes/limits.ts'
import { type Hdf5Dataset, type Hdf5File, openHdf5 } from './open-hdf5.ts'

const folder = resolve(import.meta.dirname, '../../../test/fixtures/hdf5')

interface Oracle {
  files: {
    file: string
    tensors: { name: string; dtype: string | null; shape: number[]; sha256?: string; values?: string | string[] }[]
    attributes: Record<string, unknown>
  }[]
}

const oracle = JSON.parse(readFileSync(`${folder}/oracle.json`, 'utf8')) as Oracle

const open = (name: string): Promise<Hdf5File> =>
  openHdf5(memorySource(name, readFileSync(`${folder}/${name}`)), DEFAULT_LIMITS)

const datasetsOf = ({ objects }: Hdf5File): Hdf5Dataset[] => objects.filter((object) => object.kind === 'dataset')

async function collect(dataset: Hdf5Dataset): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of dataset.stream()) parts.push(part)
  return Buffer.concat(parts)
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

function textsOf(bytes: Buffer): string[] {
  const texts: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at)
    texts.push(bytes.toString('utf8', at + 4, at + 4 + length))
    at += 4 + length
  }
  return texts
}

describe.each(oracle.files)('$file as h5py reads it', ({ file, tensors, attributes }) => {
  test('every dataset: name, type, shape, values', async () => {
    const datasets = datasetsOf(await open(file))
    expect(datasets.map(({ path }) => path).sort()).toEqual(tensors.map(({ name }) => name).sort())
    for (const expected of tensors) {
      const dataset = datasets.find(({ path }) => path === expected.name)!
      const { type, space, obstacle } = dataset.header
      const element = type.kind === 'array' ? type.base : type
      const shape = [...(space.kind === 'null' ? [0] : space.shape), ...(type.kind === 'array' ? type.shape : [])]
      expect(shape, expected.name).toEqual(expected.shape)
      if (type.kind === 'opaque') {
        expect((await collect(dataset)).length).toBe(dataset.header.bytes)
      } else if (expected.dtype === null || obstacle !== undefined) {
        await expect(collect(dataset), expected.name).rejects.toMatchObject({ code: 'UNSUPPORTED_FEATURE' })
      } else if (expected.dtype === 'string') {
        expect(element.kind).toMatch('string')
        expect(textsOf(await collect(dataset))).toEqual([expected.values].flat())
      } else {
        expect(element, expected.name).toMatchObject({ kind: 'number', name: expected.dtype })
        expect(sha256(await collect(dataset)), expected.name).toBe(expected.sha256)
      }
    }
  })

  test('every attribute of the root group', async () => {
    const root = (await open(file)).objects[0]!
    expect((await root.attributes.names()).toSorted()).toEqual(Object.keys(attributes).toSorted())
    for (const [name, expected] of Object.entries(attributes)) {
      const value = await root.attributes.get(name)
      expect(typeof value === 'bigint' ? Number(value) : value, name).toEqual(expected)
    }
  })
})
