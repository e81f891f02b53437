import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { field, number } from '../../test/build/protobuf.ts'
import { inMemory } from '../../test/build/written.ts'
import { type ZipContent, zip } from '../../test/build/zip.ts'
import { memoryInput } from '../../test/memory-input.ts'
import { memorySource } from '../bytes/byte-source.ts'
import { DEFAULT_LIMITS } from '../bytes/limits.ts'
import { openZip } from '../encoding/zip.ts'
import { identify } from '../formats/identify.ts'
import type { Model } from '../model/model.ts'
import { readTensor, type Tensor } from '../tensor/tensor.ts'
import type { FilledTensor } from '../transfer/plan.ts'
import { orderPatches } from './patch.ts'
import { patchedArchive } from './patched-archive.ts'
import { planOutput } from './plan-output.ts'
import { relativePath } from './relative-path.ts'

const text = (value: string) => new TextEncoder().encode(value)
const patch = (offset: number, value: string, tensor = 'w') => ({
  tensor,
  offset,
  length: value.length,
  bytes: async () => text(value),
})

describe('a stored entry is changed in place', () => {
  const entries: ZipContent[] = [
    { name: 'first', content: text('abcdefgh') },
    { name: 'second', content: text('0123456789'), flags: 0x808 },
    { name: 'third', content: text('untouched') },
  ]

  /** As a writer does that does not know the checksum yet: zero in the header, a descriptor behind the data. */
  function streamed(signature: boolean): Uint8Array {
    const whole = zip(entries)
    const at = indexOf(whole, text('0123456789')) + 10
    const descriptor = new Uint8Array(signature ? 16 : 12)
    const view = new DataView(descriptor.buffer)
    if (signature) view.setUint32(0, 0x08074b50, true)
    const start = signature ? 4 : 0
    view.setUint32(start, crc32('0123456789'), true)
    view.setUint32(start + 4, 10, true)
    view.setUint32(start + 8, 10, true)
    const out = new Uint8Array(Buffer.concat([whole.subarray(0, at), descriptor, whole.subarray(at)]))
    new DataView(out.buffer).setUint32(at - 10 - 'second'.length - 30 + 14, 0, true)
    // the third entry and the directory have moved
    const record = indexOf(out, text('third'), at + 60) - 46
    const old = new DataView(out.buffer).getUint32(record + 42, true)
    new DataView(out.buffer).setUint32(record + 42, old + descriptor.length, true)
    const end = out.length - 22
    new DataView(out.buffer).setUint32(
      end + 16,
      new DataView(out.buffer).getUint32(end + 16, true) + descriptor.length,
      true,
    )
    return out
  }

  test.each([
    ['checksum in the headers, and a flag that promises a descriptor', zip(entries)],
    ['checksum in a descriptor with its signature', streamed(true)],
    ['checksum in a bare descriptor', streamed(false)],
  ])('%s', async (_, bytes) => {
    const source = memorySource('a.zip', bytes)
    const archive = await openZip(source, DEFAULT_LIMITS)
    const planned = await patchedArchive(
      source,
      archive,
      new Map([
        ['first', [patch(0, 'AB'), patch(6, 'GH')]],
        ['second', [patch(3, 'xyz')]],
      ]),
      DEFAULT_LIMITS,
    )
    const out = await inMemory({ path: '', ...planned })
    const again = await openZip(memorySource('b.zip', out), DEFAULT_LIMITS)
    const content = async (name: string) => {
      const entry = await again.get(name).open()
      return new TextDecoder().decode(await entry.read(0, entry.size))
    }
    expect(await Promise.all(['first', 'second', 'third'].map(content))).toEqual([
      'ABcdefGH',
      '012xyz6789',
      'untouched',
    ])
    // nothing but the patches and each checksum where there was one
    const old = { first: crc32('abcdefgh'), second: crc32('0123456789') }
    const wanted = bytes.slice()
    replaceAll(wanted, text('abcdefgh'), text('ABcdefGH'))
    replaceAll(wanted, text('0123456789'), text('012xyz6789'))
    replaceAll(wanted, u32(old.first), u32(crc32('ABcdefGH')))
    replaceAll(wanted, u32(old.second), u32(crc32('012xyz6789')))
    expect(Buffer.from(out).toString('hex')).toBe(Buffer.from(wanted).toString('hex'))
  })

  test('a deflated entry is stored instead; its neighbours keep their compressed bytes', async () => {
    const long = text('deflate me '.repeat(50))
    const bytes = zip([
      { name: 'kept', content: long, deflated: true },
      { name: 'changed', content: long, deflated: true },
      { name: 'plain', content: text('plain') },
    ])
    const source = memorySource('a.zip', bytes)
    const archive = await openZip(source, DEFAULT_LIMITS)
    const patches = new Map([['changed', [patch(0, 'DEFLATE')]]])
    const planned = await patchedArchive(source, archive, patches, DEFAULT_LIMITS)
    const again = await openZip(memorySource('b', await inMemory({ path: '', ...planned })), DEFAULT_LIMITS)
    expect([...again.entries.values()].map(({ name, compressed, bytes: size }) => [name, compressed, size])).toEqual([
      ['kept', true, long.length],
      ['changed', false, long.length],
      ['plain', false, 5],
    ])
    const kept = await again.get('kept').open()
    expect(await kept.read(0, kept.size)).toEqual(long)
    const changed = await again.get('changed').open()
    expect(new TextDecoder().decode(await changed.read(0, 11))).toBe('DEFLATE me ')
  })
})

describe('tensors that share bytes', () => {
  const source = memorySource('x', new Uint8Array(100))

  test('the same values for one array are written once', async () => {
    expect(await orderPatches(source, [patch(4, 'abc', 'a'), patch(4, 'abc', 'b'), patch(0, 'x')])).toHaveLength(2)
  })

  test('different values are refused', async () => {
    await expect(orderPatches(source, [patch(4, 'abc', 'a'), patch(4, 'abd', 'b')])).rejects.toThrow(
      '"a" and "b" are one array in the target, but were given different values',
    )
  })

  test('a part in common is refused', async () => {
    await expect(orderPatches(source, [patch(4, 'abc', 'a'), patch(6, 'abc', 'b')])).rejects.toThrow(
      '"a" and "b" share a part of their stored bytes',
    )
  })
})

describe('paths of companions', () => {
  test.each([
    ['a/b/model.onnx', 'a/b/model.onnx.data', 'model.onnx.data'],
    ['./model.onnx', 'model.onnx.data', 'model.onnx.data'],
    ['model.onnx', 'weights/a.bin', 'weights/a.bin'],
    ['x/../m.onnx', 'sub/w', 'sub/w'],
    ['/abs/m.onnx', '/abs/sub/w', 'sub/w'],
    ['../up/m.onnx', '../up/w', 'w'],
  ])('%s and %s: %s', (main, companion, wanted) => {
    expect(relativePath(main, companion)).toBe(wanted)
  })

  test.each([
    ['a/m.onnx', 'b/w'],
    ['a/m.onnx', 'a/../../w'],
    ['a/m.onnx', 'a'],
    ['m.onnx', '../w'],
  ])('%s and %s: refused', (main, companion) => {
    expect(() => relativePath(main, companion)).toThrow('does not lie in the folder')
  })
})

/** An ONNX file with weights in two external files, one coded tensor, and a node that a splice must leave alone. */
function externalModel(): Record<string, Uint8Array> {
  const pair = (key: string, value: string) => field(13, field(1, key), field(2, value))
  const external = (name: string, location: string, offset: number, ...more: Uint8Array[]) =>
    field(
      5,
      number(1, 2),
      number(2, 1),
      field(8, name),
      pair('location', location),
      pair('offset', String(offset)),
      pair('length', '8'),
      ...more,
      number(14, 1),
    )
  const coded = field(5, number(1, 3), number(2, 10), field(5, Uint8Array.of(0, 0x80, 0x78, 1)), field(8, 'half'))
  const node = field(1, field(1, 'x'), field(1, 'a'), field(2, 'y'), field(3, 'add'), field(4, 'Add'))
  const value = (name: string) => field(1, name)
  const graph = [
    node,
    field(2, 'g'),
    external('a', 'net.onnx.data', 0, pair('checksum', 'f00')),
    external('b', './net.onnx.data', 8),
    external('c', 'other/w.bin', 0),
    coded,
    field(11, value('x')),
    field(12, value('y')),
  ]
  return {
    'net.onnx': new Uint8Array([...number(1, 10), ...field(7, ...graph), ...field(8, number(2, 17))]),
    'net.onnx.data': new Uint8Array(16).fill(1),
    'other/w.bin': new Uint8Array(8).fill(2),
  }
}

async function read(files: Record<string, Uint8Array>, main: string) {
  const memory = memoryInput(files, main)
  // as on a disk, where `./a` is `a`
  const input = { ...memory, open: (path: string) => memory.open(path.replace(/^\.\//, '')) }
  return { input, model: await (await identify(input, DEFAULT_LIMITS)).read(input, DEFAULT_LIMITS) }
}

const fill = (model: Model, names: readonly string[], byte: number): FilledTensor[] =>
  model.tensors
    .filter(({ name }) => names.includes(name))
    .map((target: Tensor) => ({ target, values: async () => new Uint8Array(target.bytes).fill(byte) }))

async function rewrite(names: readonly string[], out: string) {
  const { input, model } = await read(externalModel(), 'net.onnx')
  const filled = fill(model, names, 7)
  const { files } = await planOutput({ target: model, input, filled, out, limits: DEFAULT_LIMITS })
  const written = Object.fromEntries(
    await Promise.all(files.map(async (file) => [file.path || out, await inMemory(file)] as const)),
  )
  const again = (await read(written, out)).model
  const values = await Promise.all(again.tensors.map(async (tensor) => [tensor.name, [...(await readTensor(tensor))]]))
  return { written, values: Object.fromEntries(values), nodes: again.graphs[0]!.nodes }
}

describe('ONNX with external files', () => {
  test('external files follow the name of the output', async () => {
    const { written, values, nodes } = await rewrite(['a', 'c'], 'new.onnx')
    expect(Object.keys(written).sort()).toEqual(['new.onnx', 'new.onnx.data', 'other/new.w.bin'])
    const [ones, sevens] = [new Array(8).fill(1), new Array(8).fill(7)]
    expect(values).toEqual({ a: sevens, b: ones, c: sevens, half: [0, 0, 0, 0x3c, 1, 0] })
    expect(nodes).toMatchObject([{ name: 'add', op: 'Add', inputs: ['x', 'a'] }])
  })

  test('under its own name nothing moves, and a checksum that would be wrong is left out', async () => {
    const { written } = await rewrite(['a'], 'net.onnx')
    expect(Object.keys(written).sort()).toEqual(['net.onnx', 'net.onnx.data', 'other/w.bin'])
    const found = new TextDecoder('latin1').decode(written['net.onnx'])
    expect(found).not.toContain('checksum')
    expect(found).toContain('./net.onnx.data')
    const { written: unchanged } = await rewrite(['c'], 'net.onnx')
    expect(unchanged['net.onnx']).toEqual(externalModel()['net.onnx'])
  })

  test('coded values become raw data', async () => {
    const { values, written } = await rewrite(['half', 'b'], 'net.onnx')
    expect(values.half).toEqual(new Array(6).fill(7))
    expect(values.b).toEqual(new Array(8).fill(7))
    expect(written['net.onnx.data']).toEqual(Uint8Array.from([...new Array(8).fill(1), ...new Array(8).fill(7)]))
  })
})

test('a name that tells no format is refused with what would do', async () => {
  const { input, model } = await read(externalModel(), 'net.onnx')
  const plan = (out: string) => planOutput({ target: model, input, filled: [], out, limits: DEFAULT_LIMITS })
  await expect(plan('out.txt')).rejects.toThrow(
    'out.txt: cannot tell what to write from its name: end it in .onnx (the target with new values), .safetensors, .npz',
  )
})

test('text is no weight', async () => {
  const { input, model } = await read(externalModel(), 'net.onnx')
  const target: Tensor = { ...model.tensors[0]!, dtype: 'string' }
  const filled = [{ target, values: async () => new Uint8Array(8) }]
  await expect(planOutput({ target: model, input, filled, out: 'net.onnx', limits: DEFAULT_LIMITS })).rejects.toThrow(
    'tensor "a" cannot be replaced where it is: it holds text',
  )
})

test('a mapping that gives another number of bytes is our bug', async () => {
  const { input, model } = await read(externalModel(), 'net.onnx')
  const filled = [{ target: model.tensors[0]!, values: async () => new Uint8Array(7) }]
  const { files } = await planOutput({ target: model, input, filled, out: 'net.onnx', limits: DEFAULT_LIMITS })
  await expect(Promise.all(files.map(inMemory))).rejects.toThrow('values for "a" have 7 bytes, expected 8')
})

function indexOf(bytes: Uint8Array, wanted: Uint8Array, from = 0): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(wanted, from)
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, true)
  return bytes
}

function replaceAll(bytes: Uint8Array, old: Uint8Array, by: Uint8Array): void {
  for (let at = indexOf(bytes, old); at >= 0; at = indexOf(bytes, old, at + 1)) bytes.set(by, at)
}
