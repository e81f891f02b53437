import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  get,
  global,
  MEMOIZE,
  pickle,
  protocol,
  put,
  STACK_GLOBAL,
  text,
  u32,
  u64,
} from '../../../test/build/pickle.ts'
import { memorySource } from '../../bytes/byte-source.ts'
import { DEFAULT_LIMITS, type Limits } from '../../bytes/limits.ts'
import { FormatError } from '../../errors.ts'
import { PickleCursor } from './cursor.ts'
import { classifyGlobal } from './globals.ts'
import { type GlobalReference, runPickle } from './machine.ts'
import { streamPickleBytes } from './stream-bytes.ts'
import { JsonConverter } from './to-json.ts'
import { callableName, isContainer, type PickleValue } from './values.ts'
import { walkPickle } from './walk.ts'

const limits: Limits = { ...DEFAULT_LIMITS, maxItems: 20_000 }

async function run(bytes: Uint8Array, references = new Map<string, GlobalReference>()) {
  return runPickle(new PickleCursor(memorySource('x.pkl', bytes), 0, limits), { limits, references })
}

type Part = string | readonly number[] | Uint8Array

const load = async (...parts: readonly Part[]) => (await run(pickle(...parts))).value

async function bytesOf(value: PickleValue): Promise<Uint8Array> {
  if (!isContainer(value) || value.kind !== 'bytes') throw new Error('no bytes')
  const { content } = value
  const length = 'inline' in content ? content.inline.length : 'text' in content ? content.text.length : content.length
  const source = memorySource('x.pkl', new Uint8Array(0))
  const chunks = []
  for await (const chunk of streamPickleBytes(value, { source, length, what: 'bytes' })) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** A value in the words of test/fixtures/pickles.json. */
async function describeValue(value: PickleValue): Promise<unknown> {
  const all = (items: readonly PickleValue[]) => Promise.all(items.map(describeValue))
  if (typeof value === 'bigint') return { int: String(value) }
  if (typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0))) return { float: floatText(value) }
  if (!isContainer(value)) return value
  switch (value.kind) {
    case 'bytes':
      return { bytes: Buffer.from(await bytesOf(value)).toString('hex') }
    case 'list':
      return all(value.items)
    case 'tuple':
    case 'set':
      return { [value.kind]: await all(value.items) }
    case 'dict':
      return { dict: await Promise.all([...value.entries].map(async ([key, item]) => all([key, item]))) }
    case 'global':
      return { class: value.name }
    case 'object':
      return {
        object: callableName(value),
        ...(value.items ? { items: await all(value.items) } : {}),
        ...(value.state === undefined ? {} : { state: await describeValue(value.state) }),
      }
    default:
      throw new Error(value.kind)
  }
}

const floatText = (value: number) =>
  Object.is(value, -0) ? '-0.0' : String(value).replace('Infinity', 'inf').replace('NaN', 'nan')

describe('pickles that Python wrote', () => {
  const file = resolve(import.meta.dirname, '../../../test/fixtures/pickles.json')
  const rows: { name: string; protocol: number; hex: string; value: unknown }[] = JSON.parse(
    readFileSync(file, 'utf8'),
  ).pickles
  test.each(rows)('$name, protocol $protocol', async ({ name, protocol, hex, value }) => {
    const found = JSON.stringify(await describeValue((await run(Buffer.from(hex, 'hex'))).value))
    // before protocol 4 Python wrote this as a call of functools.partial(Args.__new__, ...)
    if (name === 'new arguments' && protocol < 4) return expect(found).toBe('{}')
    const wanted = JSON.stringify(value)
    expect(found.replaceAll('__builtin__.', 'builtins.')).toBe(wanted)
  })
})

describe('opcodes that Python 3 does not write', () => {
  test.each([
    ['INT truth', ['I01\n'], true],
    ['LONG line', ['L123456789012345678901234567890L\n'], 123456789012345678901234567890n],
    ['FLOAT line', ['F-1.5e3\n'], -1500],
    ['STRING with escapes', ["S'a\\x41\\n\\''\n"], "aA\n'"],
    ['SHORT_BINSTRING', ['U\x03abc'], 'abc'],
    ['LONG1 of no bytes', [[0x8a, 0]], 0],
    ['POP and DUP', ['K\x01', 'K\x02', '0', '2', [0x86]], { kind: 'tuple', items: [1, 1] }],
    ['POP_MARK', ['K\x01', '(', 'K\x02', '1'], 1],
    ['POP of a mark', ['K\x01', '(', '0'], 1],
    ['DICT', ['(', 'K\x01', 'K\x02', 'd'], { kind: 'dict', entries: new Map([[1, 2]]) }],
    ['LIST', ['(', 'K\x01', 'l'], { kind: 'list', items: [1] }],
    ['PERSID', ['Pkey\n'], { kind: 'persistent', id: 'key' }],
    ['FRAME and MEMOIZE', [u64(0x95, 9n), 'K\x07', MEMOIZE, '0', 'h\0'], 7],
  ] as const)('%s', async (_, parts, expected) => {
    expect(await load(...parts)).toEqual(expected)
  })

  test('INST and OBJ are calls that nobody makes', async () => {
    expect(await load('(', 'K\x01', 'ios\nsystem\n')).toMatchObject({ kind: 'object', how: 'call', args: [1] })
    expect(await load('(', global('a', 'B'), 'K\x02', 'o')).toMatchObject({ callable: { name: 'a.B' }, args: [2] })
  })

  test('EXT names the code, since only the writer knows its meaning', async () => {
    expect(await load([0x82, 7])).toEqual({ kind: 'global', name: 'copyreg.extension_7' })
  })
})

describe('damaged and hostile pickles end in one error with the offset', () => {
  test.each([
    ['nothing', [], /stack at byte 0: expected a value, found nothing/],
    ['an unknown opcode', ['N', [0xff]], /opcode at byte 1: expected one of protocols 0 to 5, found 0xff/],
    ['a later protocol', [protocol(6)], /protocol at byte 0: expected at most 5, found 6/],
    ['an unset memo entry', ['h\x05'], /memo at byte 0: .* found number 5/],
    ['a missing mark', ['t'], /expected a mark, found none/],
    ['values below the mark', ['N', '(', 'R'], /stack at byte 2/],
    ['arguments that are no tuple', [global('a', 'b'), 'N', 'R'], /arguments of a call at byte 6/],
    ['append to a dict', ['}', 'N', 'a'], /append at byte 2: expected a list, found a dict/],
    ['an odd number of items', ['}', '(', 'N', 'u'], /a value for each key/],
    ['state for a number', ['K\x01', 'N', 'b'], /BUILD at byte 3/],
    ['a buffer kept elsewhere', [[0x97]], /out-of-band buffer at byte 0/],
    ['a string of 4 GB', [u32('T', 0xfffffff0)], /length of BINSTRING at byte 5: expected zero or more/],
    ['bytes beyond the end', [u64(0x8e, 1n << 40n)], /argument of BINBYTES8 at byte 9: expected 1099511627776 bytes/],
    ['a number of 64 KB', [[0x8b, 0, 0, 1, 0], new Uint8Array(65536)], /at most 4096 bytes, found 65536/],
    ['a number with a word in it', ['I1_000\n'], /expected a whole number/],
    ['a global without text', ['N', 'N', STACK_GLOBAL], /expected a module and a name/],
    ['an escape that is none', ["S'\\q'\n"], /expected a known escape/],
  ] as const)('%s', async (_, parts, message) => {
    const error = await load(...parts).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(FormatError)
    expect((error as Error).message).toMatch(message)
  })

  test('no STOP', async () => {
    await expect(run(Uint8Array.from([0x4e]))).rejects.toThrow(/there is no STOP/)
  })

  test('a memo index of four billion costs nothing', async () => {
    expect(await load('K\x01', put(0xffffffff), '0', get(0xffffffff))).toBe(1)
  })

  test('more containers than the limit', async () => {
    await expect(load(']'.repeat(20_001))).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' })
  })

  test('copies of one list, made again and again', async () => {
    const list = [']', put(0), '(', 'K\x01'.repeat(1000), 'e', '0']
    const copy = [global('builtins', 'list'), get(0), [0x85], 'R', '0']
    await expect(load(...list, ...Array.from({ length: 1000 }, () => copy).flat(), 'N')).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
    })
  })

  test('a name of a megabyte', async () => {
    await expect(load(global('m', 'x'.repeat(500_000)))).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' })
  })
})

describe('structures that repeat or contain themselves', () => {
  /** Each list holds the one before twice: 2^depth ways lead to the innermost. */
  const laughs = (depth: number, innermost: readonly Part[]) => {
    const parts: Part[] = [...innermost, put(0)]
    for (let level = 1; level <= depth; level++)
      parts.push('0', ']', put(level), '(', get(level - 1), get(level - 1), 'e')
    return parts
  }
  const rules = { leaf: (value: PickleValue) => (isContainer(value) && value.kind === 'bytes' ? true : undefined) }
  const walk = async (...parts: readonly Part[]) => {
    const { value, opcodes } = await run(pickle(...parts))
    return [...walkPickle(value, rules, { file: 'x.pkl', opcodes, limits })]
  }

  test('a bomb around something wanted is refused', async () => {
    await expect(walk(...laughs(40, ['C\x01a']))).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' })
  })

  test('a bomb around nothing costs nothing', async () => {
    expect(await walk(...laughs(5000, ['N']))).toEqual([])
  })

  test('something wanted below 200 levels is refused, nothing at any depth is not', async () => {
    const deep = (depth: number, inside: string) => ['('.repeat(depth), inside, 'l'.repeat(depth)]
    await expect(walk(...deep(200, 'C\x01a'))).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' })
    expect(await walk(...deep(10_000, 'N'))).toEqual([])
  })

  test('a cycle is followed once round', async () => {
    const found = await walk('}', put(0), '(', text('self'), get(0), text('a'), 'C\x01x', 'u')
    expect(found.map(({ path }) => path.join('.'))).toEqual(['a'])
  })

  test('as JSON a bomb is cut off and a cycle left out', async () => {
    const json = new JsonConverter()
    expect(JSON.stringify(json.convert(await load(...laughs(60, ['N'])))).length).toBeLessThan(2_000_000)
    expect(json.shortened).toBe(true)
    const cycle = await load('}', put(0), '(', text('self'), get(0), text('n'), 'K\x01', 'u')
    expect(new JsonConverter().convert(cycle)).toEqual({ n: 1 })
  })

  test('a key __proto__ is a key', async () => {
    const json = new JsonConverter().convert(await load('}', text('__proto__'), 'K\x01', 's'))
    expect(JSON.stringify(json)).toBe('{"__proto__":1}')
  })
})

describe('references', () => {
  test('are counted, also when they come from the memo, with the first offset', async () => {
    const references = new Map<string, GlobalReference>()
    await run(pickle('K\x01', global('os', 'system'), put(0), get(0), global('collections', 'OrderedDict')), references)
    expect([...references.values()]).toEqual([
      { name: 'os.system', kind: 'dangerous', count: 2, byteOffset: 2 },
      { name: 'collections.OrderedDict', kind: 'known', count: 1, byteOffset: 23 },
    ])
  })

  test.each([
    ['collections', 'OrderedDict', 'known'],
    ['torch._utils', '_rebuild_tensor_v2', 'known'],
    ['torch', 'BFloat16Storage', 'known'],
    ['torch', 'float8_e4m3fn', 'known'],
    ['torch.nn.modules.conv', 'Conv2d', 'known'],
    ['torch.optim.adamw', 'AdamW', 'known'],
    ['__torch__.network.___torch_mangle_0', 'Net', 'known'],
    ['numpy._core.multiarray', '_reconstruct', 'known'],
    ['__builtin__', 'set', 'known'],
    ['models.yolo', 'Model', 'unknown'],
    ['functools', 'partial', 'unknown'],
    ['posix', 'system', 'dangerous'],
    ['nt', 'system', 'dangerous'],
    ['subprocess', 'Popen', 'dangerous'],
    ['builtins', 'eval', 'dangerous'],
    ['__builtin__', 'getattr', 'dangerous'],
    ['builtins', 'str.format', 'dangerous'],
    ['importlib', 'import_module', 'dangerous'],
    ['torch.hub', 'load', 'dangerous'],
    ['torch', 'load', 'dangerous'],
    ['torch.serialization', 'os.system', 'dangerous'],
    ['numpy', 'load', 'dangerous'],
    ['runpy', 'run_path', 'dangerous'],
    ['', '', 'unknown'],
  ])('%s.%s is %s', (module, name, kind) => {
    expect(classifyGlobal(module, name)).toBe(kind)
  })
})

test('long bytes stay in the file, short ones do not keep the window', async () => {
  const long = new Uint8Array(10_000).fill(7)
  const value = await load(u32('B', long.length), long)
  expect(value).toEqual({ kind: 'bytes', content: { offset: 5, length: 10_000, encoding: 'raw' } })
})
