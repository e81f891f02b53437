import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { DEFAULT_LIMITS } from '../../src/bytes/limits.ts'
import { npyFile } from '../build/npy-file.ts'
import { get, global, MEMOIZE, pickle, protocol, put, STACK_GLOBAL, text, u32, u64 } from '../build/pickle.ts'
import { zip } from '../build/zip.ts'
import { memoryInput } from '../memory-input.ts'
import { ending, readThrough, withinSeconds } from './attempt.ts'

const folder = mkdtempSync(join(tmpdir(), 'modelwright-hostile-'))
const canary = join(folder, 'canary')
afterAll(() => rmSync(folder, { recursive: true }))

/** The files in which a pickle travels. */
const CARRIERS: Readonly<Record<string, (content: Uint8Array) => Readonly<Record<string, Uint8Array>>>> = {
  'npy object array': (content) => ({ 'weights.npy': npyFile('|O', [1], content) }),
  'npz object array': (content) => ({ 'weights.npz': zip([{ name: 'w.npy', content: npyFile('|O', [], content) }]) }),
  'torch archive': (content) => ({
    'model.pt': zip([
      { name: 'model/data.pkl', content },
      { name: 'model/version', content: new TextEncoder().encode('3\n') },
    ]),
  }),
}

const command = text(`touch ${canary}`)
const code = text(`open(${JSON.stringify(canary)}, 'w')`)

/** Pickles that run something when Python loads them; each names what it calls. */
const ATTACKS: Readonly<Record<string, readonly [calls: string, content: Uint8Array]>> = {
  'REDUCE os.system': ['posix.system', pickle(protocol(2), global('posix', 'system'), command, [0x85], 'R')],
  'REDUCE builtins.exec': ['builtins.exec', pickle(protocol(4), global('builtins', 'exec'), code, [0x85], 'R')],
  INST: ['os.system', pickle('(', command, 'ios\nsystem\n')],
  OBJ: ['os.system', pickle('(', global('os', 'system'), command, 'o')],
  NEWOBJ: ['subprocess.Popen', pickle(protocol(2), global('subprocess', 'Popen'), command, [0x85, 0x81])],
  NEWOBJ_EX: [
    'subprocess.Popen',
    pickle(protocol(4), global('subprocess', 'Popen'), command, [0x85], '}', text('shell'), [0x88], 's', [0x92]),
  ],
  'STACK_GLOBAL from strings': [
    'posix.system',
    pickle(protocol(4), text('posix'), text('system'), STACK_GLOBAL, command, [0x85], 'R'),
  ],
  'STACK_GLOBAL from the memo': [
    'os.system',
    pickle(protocol(4), text('system'), MEMOIZE, '0', text('os'), 'h', [0], STACK_GLOBAL, command, [0x85], 'R'),
  ],
  'BUILD with __reduce__ state': [
    'os.system',
    pickle(global('some.module', 'Thing'), ')', [0x81], '}', text('run'), global('os', 'system'), 's', 'b'),
  ],
  'getattr of a module': [
    'builtins.getattr',
    pickle(
      protocol(4),
      global('builtins', 'getattr'),
      global('os', '__dict__'),
      text('system'),
      [0x86],
      'R',
      command,
      [0x85],
      'R',
    ),
  ],
  'behind a popped value': ['os.system', pickle(global('os', 'system'), command, [0x85], 'R', '0', 'N')],
}

describe.each(Object.entries(CARRIERS))('%s: nothing is executed, what would have been is listed', (_name, carry) => {
  test.each(Object.entries(ATTACKS))('%s', async (_attack, [calls, content]) => {
    const files = carry(content)
    const main = Object.keys(files)[0]!
    let listed: string[] = []
    const result = await ending(async () => {
      const model = await readThrough(memoryInput(files, main))
      listed = (model.references ?? []).filter(({ kind }) => kind === 'dangerous').map(({ name }) => name)
    })
    expect(existsSync(canary)).toBe(false)
    expect(readdirSync(folder)).toEqual([])
    // A file without any tensor may be refused; then the message says what it would have called.
    if (result === 'read') expect(listed).toContain(calls)
    else expect(result).toContain(calls)
  })
})

const nested = (depth: number) => pickle(protocol(2), ']'.repeat(depth), 'a'.repeat(depth - 1))
/** Each tuple holds the one before it twice: 2^depth paths in a few bytes. */
const laughs = (depth: number) => pickle(protocol(2), text('lol'), ...Array.from({ length: depth }, () => '2\x86'))
const DIGITS = '9'.repeat(200_000)

/** Pickles that exhaust whoever follows them. */
const EXHAUSTERS: Readonly<Record<string, readonly [RegExp, Uint8Array]>> = {
  'a list inside itself': [/./, pickle(protocol(2), ']', put(0), get(0), 'a')],
  'a dict inside itself': [/./, pickle(protocol(2), '}', put(0), text('self'), get(0), 's')],
  'nested 50,000 deep': [/./, nested(50_000)],
  'shared tuples that double 60 times': [/./, laughs(60)],
  'memo bomb: 100,000 numbers in the memo': [
    /./,
    pickle(protocol(2), 'N', ...Array.from({ length: 100_000 }, (_, index) => put(index * 40_000))),
  ],
  'marks without end': [/^INVALID_FIELD/, pickle('('.repeat(300_000))],
  'a text of 2^62 bytes': [/^(TRUNCATED|LIMIT_EXCEEDED|INVALID_FIELD)/, pickle(u64(0x8d, 1n << 62n), 'x')],
  'bytes of 4 GiB': [/^(TRUNCATED|LIMIT_EXCEEDED)/, pickle(u32('B', 0xffffffff), 'x')],
  'a frame of 2^63 bytes': [/./, pickle(protocol(4), u64(0x95, 1n << 63n), 'N')],
  'a number of 2^31 bytes': [/^(TRUNCATED|LIMIT_EXCEEDED|INVALID_FIELD)/, pickle(u32('\x8b', 0x7fffffff), 'x')],
  'a negative length': [/^(TRUNCATED|LIMIT_EXCEEDED|INVALID_FIELD)/, pickle(u32('T', 0xffffffff), 'x')],
  'a number of 200,000 digits': [/^(INVALID_FIELD|LIMIT_EXCEEDED)/, pickle(`L${DIGITS}L\n`)],
  'an unknown extension code': [/./, pickle(protocol(2), [0x82, 7])],
  'an out-of-band buffer': [/^UNSUPPORTED_FEATURE .*buffer/, pickle(protocol(5), [0x97])],
  'protocol 200': [/^(INVALID_FIELD|NOT_RECOGNISED|UNSUPPORTED_FEATURE)/, pickle(protocol(200), 'N')],
  'an unknown opcode': [/^INVALID_FIELD/, pickle(protocol(2), [0xfe])],
  'no STOP': [/^(TRUNCATED|INVALID_FIELD)/, pickle(protocol(2), ']').slice(0, -1)],
  'POP of nothing': [/^INVALID_FIELD/, pickle(protocol(2), '000')],
}

describe.each(Object.entries(CARRIERS))('%s: ends soon and clearly', (_name, carry) => {
  test.each(Object.entries(EXHAUSTERS))('%s', async (_attack, [expected, content]) => {
    const files = carry(content)
    const limits = { ...DEFAULT_LIMITS, maxItems: 200_000 }
    const result = await withinSeconds(5, () =>
      ending(() => readThrough(memoryInput(files, Object.keys(files)[0]), limits)),
    )
    if (result === 'read') expect('read').toMatch(expected)
    else expect(result).toMatch(expected)
  })
})
