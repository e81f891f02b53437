import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { get, global, pickle, protocol, put, text } from '../../../test/build/pickle.ts'
import { zip } from '../../../test/build/zip.ts'
import { describeConformance, readAll, TIGHT_LIMITS } from '../../../test/conformance.ts'
import { memoryInput } from '../../../test/memory-input.ts'
import { readTensor } from '../../tensor/tensor.ts'
import { identify } from '../identify.ts'
import { pytorch } from './pytorch.ts'

const fixtures = resolve(import.meta.dirname, '../../../test/fixtures/frameworks')
const load = (name: string) => new Uint8Array(readFileSync(join(fixtures, name)))
const sample = (bytes: Uint8Array, name = 'm.pt') => ({ files: { [name]: bytes }, main: name })
const readFixture = async (name: string) => (await readAll(pytorch, sample(load(name)))).model

describe('conformance', () => {
  describeConformance(
    pytorch,
    {
      'state dict, zip': sample(load('pytorch-1.13/hostile.pt')),
      'checkpoint, zip': sample(load('pytorch/protocol-4.pt')),
      'deflated entries': sample(load('pytorch/deflated.pt')),
      'state dict, legacy': sample(load('pytorch/legacy-state-dict.pt')),
      'quantised, legacy': sample(load('pytorch-1.13/legacy-quantized.pt')),
      TorchScript: sample(load('pytorch/torchscript.pt')),
    },
    { cuts: 400, flips: 200 },
  )
})

/** `_rebuild_tensor_v2` of a float storage `key` of `size` elements. */
const tensor = (key: string, size: number, offset: number, shape: string, strides: string) => [
  global('torch._utils', '_rebuild_tensor_v2'),
  '((',
  text('storage'),
  global('torch', 'FloatStorage'),
  text(key),
  text('cpu'),
  `K${String.fromCharCode(size)}`,
  'tQ',
  `K${String.fromCharCode(offset)}`,
  shape,
  strides,
  [0x89],
  '}tR',
]
/** A tuple of small numbers. */
const numbers = (...values: number[]) => `(${values.map((value) => `K${String.fromCharCode(value)}`).join('')}t`

const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer)
const archive = (
  data: Uint8Array,
  storages: Record<string, Uint8Array> = {},
  others: Record<string, Uint8Array> = {},
) =>
  zip([
    { name: 'a/data.pkl', content: data },
    ...Object.entries(storages).map(([key, content]) => ({ name: `a/data/${key}`, content })),
    ...Object.entries(others).map(([name, content]) => ({ name: `a/${name}`, content })),
  ])
const read = async (bytes: Uint8Array) => (await readAll(pytorch, sample(bytes))).model
const ascii = (value: string) => new Uint8Array(Buffer.from(value))
const one = (...parts: (string | readonly number[] | Uint8Array)[]) =>
  pickle(protocol(4), '}', text('x'), ...parts, 's')

describe('views of storages', () => {
  const values = floats(0, 1, 2, 3, 4, 5, 6, 7)
  const valuesOf = async (bytes: Uint8Array) => {
    const { tensors } = await read(bytes)
    const data = await readTensor(tensors[0]!)
    return [...new Float32Array(data.slice().buffer)]
  }

  test.each([
    ['transposed', numbers(2, 3), numbers(1, 2), 0, [0, 2, 4, 1, 3, 5]],
    ['every other', numbers(3), numbers(2), 1, [1, 3, 5]],
    ['expanded', numbers(2, 2), numbers(0, 1), 6, [6, 7, 6, 7]],
    ['a scalar', ')', ')', 3, [3]],
    ['of a dimension of one with a strange stride', numbers(1, 2), numbers(200, 1), 0, [0, 1]],
    ['empty', numbers(0, 5), numbers(1, 1), 9, []],
  ])('%s', async (_, shape, strides, offset, expected) => {
    expect(await valuesOf(archive(one(...tensor('0', 8, offset, shape, strides)), { 0: values }))).toEqual(expected)
  })

  test('big-endian storages are turned round', async () => {
    const big = new Uint8Array(4)
    new DataView(big.buffer).setFloat32(0, 1.5, false)
    const data = one(...tensor('0', 1, 0, numbers(1), numbers(1)))
    expect(await valuesOf(archive(data, { 0: big }, { byteorder: ascii('big') }))).toEqual([1.5])
  })

  test.each([
    ['beyond its storage', tensor('0', 8, 5, numbers(4), numbers(1)), /expected 36 bytes in storage "0", found 32/],
    ['of no storage', tensor('7', 8, 0, numbers(4), numbers(1)), /no such storage/],
    ['with fewer strides', tensor('0', 8, 0, numbers(2, 2), numbers(1)), /a size and as many strides/],
    ['repeated without end', tensor('0', 8, 0, numbers(255, 255, 255, 255), numbers(0, 0, 0, 0)), /at most 64 times/],
  ])('%s: an error with the place of the call', async (_, parts, message) => {
    const failure = read(archive(one(...parts), { 0: values }))
    await expect(failure).rejects.toThrow(message)
    await expect(failure).rejects.toMatchObject({ byteOffset: expect.any(Number) })
  })
})

test('a tensor of a type that nothing here decodes is named, the others are read', async () => {
  const complex32 = [
    global('torch._utils', '_rebuild_tensor_v3'),
    '((',
    text('storage'),
    global('torch', 'UntypedStorage'),
    text('1'),
    text('cpu'),
    'K\x08tQK\x00',
    numbers(2),
    numbers(1),
    [0x89],
    '}',
    global('torch', 'complex32'),
    'tR',
  ]
  const data = pickle('}(', text('c'), ...complex32, text('w'), ...tensor('0', 1, 0, numbers(1), numbers(1)), 'u')
  const model = await read(archive(data, { 0: floats(1), 1: new Uint8Array(8) }))
  expect(model.tensors.map(({ name }) => name)).toEqual(['w'])
  expect(model.warnings).toMatchObject([{ code: 'NO_VALUES', subject: 'c' }])
  expect(model.warnings[0]!.message).toContain('torch.complex32 [2]) is not listed: its element type is not read')
})

test('settings between the tensors of quantised layers make no checkpoint of a state dict', async () => {
  const data = pickle(
    '}(',
    ...[text('fc.weight'), ...tensor('0', 1, 0, numbers(1), numbers(1))],
    ...[text('fc._packed_params.dtype'), global('torch', 'qint8')],
    ...[text('fc.scale'), 'K\x01'],
    'u',
  )
  const model = await read(archive(data, { 0: floats(1) }))
  expect(model.variant).toBe('state dict, zip (torch 1.6 and later)')
})

test('tied weights have one storage key', async () => {
  const { tensors } = await readFixture('pytorch/views.pt')
  const key = (name: string) => tensors.find((candidate) => candidate.name === name)?.storage?.key
  expect(key('tied.a')).toBe(key('tied.b'))
  expect(key('tied.a')).not.toBe(key('base'))
})

test('a dict that doubles itself is refused, a cycle is not', async () => {
  const parts = [...tensor('0', 1, 0, numbers(1), numbers(1)), put(0)]
  for (let level = 1; level <= 40; level++) parts.push('0', ']', put(level), '(', get(level - 1), get(level - 1), 'e')
  await expect(read(archive(one(...parts), { 0: floats(1) }))).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' })
  const cycle = pickle(
    '}',
    put(0),
    '(',
    text('me'),
    get(0),
    text('w'),
    ...tensor('0', 1, 0, numbers(1), numbers(1)),
    'u',
  )
  expect((await read(archive(cycle, { 0: floats(1) }))).tensors.map(({ name }) => name)).toEqual(['w'])
})

test('names that come out the same are numbered', async () => {
  const weight = tensor('0', 1, 0, numbers(1), numbers(1))
  const data = pickle('}(K\x01', ...weight, text('1'), ...weight, 'u')
  expect((await read(archive(data, { 0: floats(1) }))).tensors.map(({ name }) => name)).toEqual(['1', '1#2'])
})

test('dangerous references are listed and warned of; the rest is read', async () => {
  const { references, warnings, tensors } = await readFixture('pytorch/hostile.pt')
  expect(references?.filter(({ kind }) => kind === 'dangerous')).toMatchObject([{ name: 'posix.system', count: 1 }])
  expect(warnings).toMatchObject([{ code: 'DANGEROUS_REFERENCE', subject: 'posix.system' }])
  expect(tensors.map(({ name }) => name)).toEqual(['weight'])
})

test('training state of a checkpoint', async () => {
  const { training, metadata, variant } = await readFixture('pytorch/checkpoint.pt')
  expect(variant).toBe('checkpoint, zip (torch 1.6 and later)')
  expect(metadata.name).toBe('mlp')
  expect(training).toMatchObject({
    epoch: 3,
    optimizer: { name: 'SGD', inferred: true, groups: [{ momentum: 0.9, nesterov: true }, { weight_decay: 0 }] },
    scheduler: { gamma: 0.1, last_epoch: 3 },
    arguments: { lr: 0.1, epochs: 5, milestones: [2, 4] },
  })
})

test('roles of the tensors of a checkpoint', async () => {
  const { tensors } = await readFixture('pytorch/checkpoint.pt')
  const roles = new Map(tensors.map(({ name, role }) => [name, role]))
  expect(roles.get('state_dict.module.0.weight')).toBe('parameter')
  expect(roles.get('state_dict.module.1.running_mean')).toBe('buffer')
  expect(roles.get('optimizer.state.0.momentum_buffer')).toBe('optimizer')
  expect(roles.get('ema.shadow.0')).toBe('ema')
  expect(roles.get('rng_state')).toBe('other')
})

test.each(['pytorch/module.pt', 'pytorch/legacy-module.pt'])(
  '%s: classes and settings of the modules',
  async (name) => {
    const { metadata, tensors, listings } = await readFixture(name)
    expect(metadata.properties?.modules).toMatchObject({
      '': 'custom_net.CustomNet',
      conv: 'torch.nn.modules.conv.Conv2d',
    })
    expect(metadata.properties?.moduleSettings).toMatchObject({
      conv: { stride: [2, 2], groups: 1 },
      norm: { eps: 1e-5 },
    })
    expect(tensors.find((candidate) => candidate.name === 'gate.offset')?.role).toBe('buffer')
    // only the legacy format keeps the source of the classes
    if (name.includes('legacy')) expect(await listings?.[0]?.read()).toContain('class CustomNet')
  },
)

test('TorchScript: modules, and code as a listing', async () => {
  const { variant, metadata, listings } = await readFixture('pytorch/torchscript.pt')
  expect(variant).toBe('TorchScript archive')
  expect(metadata.properties?.modules).toMatchObject({ 'head.0': 'torch.nn.modules.linear.Linear' })
  expect(await listings?.[0]?.read()).toContain('def forward')
})

test.each([
  ['a tar file', tar(), /a tar file of torch before 0\.1\.12/],
  ['torch.export', zip([{ name: 'a/archive_format', content: ascii('pt2') }]), /torch\.export/],
  ['torch.package', zip([{ name: 'a/.data/extern_modules', content: ascii('') }]), /torch\.package/],
  ['ExecuTorch', ascii('\x1c\0\0\0ET12'), /ExecuTorch/],
  ['mobile flatbuffer', ascii('\x1c\0\0\0PTMF'), /PyTorch Mobile/],
])('%s is named', async (_, bytes, message) => {
  const input = memoryInput({ 'm.pt': bytes }, 'm.pt')
  expect((await identify(input, TIGHT_LIMITS)).id).toBe('pytorch')
  await expect(pytorch.read(input, TIGHT_LIMITS)).rejects.toMatchObject({
    code: 'UNSUPPORTED_FORMAT',
    message: expect.stringMatching(message),
  })
})

function tar(): Uint8Array {
  const bytes = new Uint8Array(1024)
  bytes.set(ascii('sys_info'))
  bytes.set(ascii('ustar'), 257)
  return bytes
}

/** Checkpoints whose settings are known by construction; the hostile ones leave a mark where they are executed. */
const audit = resolve(import.meta.dirname, '../../../../shared/data/audit/checkpoints')
describe.skipIf(!existsSync(audit))(
  'audit checkpoints (skipped: no ../shared/data/audit beside the repository)',
  () => {
    const truth: Record<string, { globals: string[]; fields: Record<string, unknown>; optim_candidates?: string[] }> =
      existsSync(audit) ? JSON.parse(readFileSync(join(audit, 'truth.json'), 'utf8')) : {}
    const names = existsSync(audit) ? readdirSync(audit).filter((name) => name.endsWith('.pth')) : []
    test.each(names)('%s', async (name) => {
      const { references, training, tensors } = await readAll(
        pytorch,
        sample(new Uint8Array(readFileSync(join(audit, name)))),
      ).then(({ model }) => model)
      const { globals, fields, optim_candidates: candidates } = truth[name]!
      expect(references?.map((reference) => reference.name).sort()).toEqual(globals)
      expect(tensors.length).toBeGreaterThan(0)
      const optimizer = fields['optim.type'] ?? candidates?.join(' or ')
      if (optimizer !== undefined) expect(training?.optimizer?.name).toBe(optimizer)
      if (fields['optim.momentum'] !== undefined) {
        expect(training?.optimizer?.groups[0]?.momentum).toBe(fields['optim.momentum'])
      }
      if (fields['weights.epoch'] !== undefined) expect(training?.epoch).toBe(fields['weights.epoch'])
      expect(existsSync('/tmp/modelwright_executed')).toBe(false)
    })
  },
)
