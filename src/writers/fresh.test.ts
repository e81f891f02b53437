import { describe, expect, test } from 'vitest'
import { inMemory } from '../../test/build/written.ts'
import { memoryInput } from '../../test/memory-input.ts'
import { DEFAULT_LIMITS } from '../bytes/limits.ts'
import { identify } from '../formats/identify.ts'
import type { Model } from '../model/model.ts'
import { validateModel } from '../model/validate.ts'
import { byteLength, DTYPES, type Dtype, elementCount } from '../tensor/dtype.ts'
import { readTensor } from '../tensor/tensor.ts'
import { npzFile } from './npz.ts'
import type { PlannedFile } from './output.ts'
import type { OutputTensor } from './output-tensor.ts'
import { safetensorsFile } from './safetensors.ts'

/** xorshift32: the same numbers in every run. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

/** Pieces of a few bytes, so that writers cannot count on whole tensors. */
function makeTensor(name: string, dtype: Dtype, shape: readonly number[], next: () => number): OutputTensor {
  const bytes = Uint8Array.from({ length: byteLength(dtype, elementCount(shape)) }, () =>
    dtype === 'bool' ? next() & 1 : next() & 255,
  )
  return {
    name,
    dtype,
    shape,
    bytes: bytes.length,
    async *stream() {
      for (let at = 0; at < bytes.length; at += 48) yield bytes.subarray(at, at + 48)
    },
  }
}

async function readBack(file: PlannedFile, name: string): Promise<Model> {
  const input = memoryInput({ [name]: await inMemory(file) }, name)
  return validateModel(await (await identify(input, DEFAULT_LIMITS)).read(input, DEFAULT_LIMITS), DEFAULT_LIMITS)
}

const content = async (tensors: readonly OutputTensor[]) =>
  new Map(
    await Promise.all(
      tensors.map(async (tensor) => {
        const { name, dtype, shape } = tensor
        const hex = Buffer.from(await readTensor({ ...tensor, role: 'other' })).toString('hex')
        return [name, { dtype, shape: [...shape], hex }] as const
      }),
    ),
  )

const WITHOUT_SAFETENSORS: readonly Dtype[] = ['complex128', 'int4', 'int2', 'uint4', 'uint2', 'string']
const WITHOUT_NUMPY = (dtype: Dtype) => /bfloat|float[468]_|int[24]$|string/.test(dtype)
const ALL = Object.keys(DTYPES) as Dtype[]
const SHAPES: readonly (readonly number[])[] = [[], [0], [1], [7, 4], [2, 0, 3], [3, 2, 2, 4], [12]]

const check = (title: string, types: readonly Dtype[], name: string, write: (tensors: OutputTensor[]) => PlannedFile) =>
  describe(title, () => {
    test.each([1, 2, 3, 4, 5])('seed %i: what is written is read', async (seed) => {
      const next = random(seed * 7919)
      const tensors = Array.from({ length: 40 }, (_, index) => {
        const dtype = types[next() % types.length]!
        const bits = DTYPES[dtype].bits
        const fits = SHAPES.filter((shape) => (elementCount(shape) * bits) % 8 === 0)
        return makeTensor(`Größe/層 ${index}.w"\\`.replaceAll('\\', ''), dtype, fits[next() % fits.length]!, next)
      })
      const model = await readBack(write(tensors), name)
      expect(model.warnings).toEqual([])
      expect(await content(model.tensors)).toEqual(await content(tensors))
    })
  })

check(
  'safetensors',
  ALL.filter((dtype) => !WITHOUT_SAFETENSORS.includes(dtype)),
  'a.safetensors',
  (tensors) => safetensorsFile(tensors, { format: 'pt', note: 'a "quoted" word' }),
)
check(
  'NPZ',
  ALL.filter((dtype) => !WITHOUT_NUMPY(dtype)),
  'a.npz',
  npzFile,
)

test.each(WITHOUT_SAFETENSORS)('safetensors has no %s, and says so', (dtype) => {
  expect(() => safetensorsFile([makeTensor('w', dtype, [2], random(1))], {})).toThrow(`no type for ${dtype}`)
})

test.each(ALL.filter(WITHOUT_NUMPY))('NumPy has no %s, and says so', (dtype) => {
  expect(() => npzFile([makeTensor('w', dtype, [2], random(1))])).toThrow(
    `tensor "w": NumPy has no type for ${dtype}: give -o a name that ends in .safetensors`,
  )
})

test.each(['../w', '/etc/w', 'a/../../w', 'c:\\w', 'a\\..\\w', '\0'])(
  '%j never becomes an entry of an archive',
  (name) => {
    expect(() => npzFile([makeTensor(name, 'float32', [2], random(1))])).toThrow('cannot be the name of an entry')
  },
)

test('packed types that do not fill their bytes are refused', () => {
  expect(() => safetensorsFile([makeTensor('w', 'float4_e2m1fn', [3], random(1))], {})).toThrow('in whole bytes only')
})

test('a tensor cannot take the place of the metadata', () => {
  expect(() => safetensorsFile([makeTensor('__metadata__', 'float32', [3], random(1))], {})).toThrow('__metadata__')
})

test('safetensors: nothing but an empty header', async () => {
  const bytes = await inMemory(safetensorsFile([], {}))
  expect(new TextDecoder().decode(bytes.subarray(8))).toBe('{}      ')
})

test('safetensors: wide types first, then names by their UTF-8 bytes', async () => {
  const next = random(3)
  const tensors = [
    makeTensor('b', 'float16', [1], next),
    makeTensor('\u{1f600}', 'float32', [1], next),
    makeTensor('\uffee', 'float32', [1], next),
    makeTensor('a', 'int64', [], next),
  ]
  const { tensors: found } = await readBack(safetensorsFile(tensors, {}), 'x.safetensors')
  expect(found.map(({ name }) => name)).toEqual(['a', '\uffee', '\u{1f600}', 'b'])
})

test('zip64: places beyond 4 GiB are counted in 64 bits', async () => {
  // only headers are made: a stream of 4 GiB of zeros would take seconds
  const big = 2 ** 32 + 5
  const tensor: OutputTensor = { name: 'big', dtype: 'uint8', shape: [big], bytes: big, async *stream() {} }
  const small = makeTensor('small', 'uint8', [3], random(1))
  const header = 30 + 'big.npy'.length + 20
  expect(npzFile([tensor, small]).bytes).toBeGreaterThan(big + header)
  let directory: Uint8Array = new Uint8Array(0)
  for await (const { bytes } of npzFile([tensor]).pieces()) if (bytes[0] === 0x50 && bytes[2] === 1) directory = bytes
  const view = new DataView(directory.buffer, directory.byteOffset)
  expect(view.getUint32(24, true)).toBe(0xffffffff)
  const extraAt = 46 + 'big.npy'.length
  expect([view.getUint16(extraAt, true), view.getUint16(extraAt + 2, true)]).toEqual([1, 16])
  expect(view.getBigUint64(extraAt + 4, true)).toBe(BigInt(big + 128))
})
