import { describe, expect, test } from 'vitest'
import { DEFAULT_LIMITS } from '../../src/bytes/limits.ts'
import { npyFile } from '../build/npy-file.ts'
import { type ZipContent, zip } from '../build/zip.ts'
import { endingOf } from './attempt.ts'

const array = npyFile('<f4', [2, 2], new Uint8Array(16))
const entry = (name: string, more: Partial<ZipContent> = {}): ZipContent => ({ name, content: array, ...more })
const archive = (...entries: readonly ZipContent[]) => endingOf({ 'weights.npz': zip(entries) })

describe('entry names that lead outside are refused, whatever they hold', () => {
  test.each([
    '/etc/cron.d/x.npy',
    '../x.npy',
    'a/../../x.npy',
    'C:\\x.npy',
    'C:/x.npy',
    'a\\..\\..\\x.npy',
    '..\\x.npy',
  ])('%s', async (name) => {
    expect(await archive(entry('good.npy'), entry(name))).toMatch(/^UNSAFE /)
  })
})

test('the same name twice is refused: programs differ in which one they take', async () => {
  expect(await archive(entry('w.npy'), entry('w.npy'))).toMatch(/^INVALID_FIELD .*"w\.npy".*the same name twice/)
})

test('an encrypted entry and an unknown compression are named', async () => {
  expect(await archive(entry('w.npy', { flags: 1, deflated: true }))).toMatch(
    /^UNSUPPORTED_FEATURE .*an encrypted entry/,
  )
  expect(await archive(entry('w.npy', { method: 99 }))).toMatch(/^UNSUPPORTED_FEATURE .*method 99/)
})

describe('bombs', () => {
  const zeros = npyFile('<f4', [16, 1024, 1024], new Uint8Array(64 << 20))

  test('a claim that deflate cannot reach is refused before anything is inflated', async () => {
    const claim = { size: 0xfffffff0 }
    expect(await archive(entry('w.npy', { deflated: true, claim }))).toMatch(/^INVALID_FIELD .*1040 times its/)
  })

  test('64 MB in 64 KB: listing inflates the header only; values end at the limit', async () => {
    const file = zip([{ name: 'w.npy', content: zeros, deflated: true }])
    expect(file.length).toBeLessThan(80_000)
    const limits = { ...DEFAULT_LIMITS, maxInflatedBytes: 1 << 20 }
    expect(await endingOf({ 'w.npz': file }, 'w.npz', limits)).toMatch(/^LIMIT_EXCEEDED .*at most 1048576 bytes/)
  })

  test('more than is claimed: inflating stops at the claim', async () => {
    const content = zeros.subarray(0, 1 << 20)
    const file = zip([{ name: 'w.npy', content, deflated: true, claim: { size: 100_000 } }])
    expect(await endingOf({ 'w.npz': file })).toMatch(/^INVALID_FIELD /)
  })

  test('entries that share their bytes (overlap bomb) are refused', async () => {
    const file = zip([entry('a.npy', { deflated: true }), entry('b.npy', { deflated: true })])
    const view = new DataView(file.buffer)
    const second = Buffer.from(file).lastIndexOf('PK\x01\x02', undefined, 'latin1')
    view.setUint32(second + 42, 0, true)
    expect(await endingOf({ 'w.npz': file })).toMatch(/^INVALID_FIELD /)
  })

  test('a directory that claims 65,535 entries and holds one', async () => {
    const file = zip([entry('a.npy')])
    new DataView(file.buffer).setUint16(file.length - 12, 0xffff, true)
    expect(await endingOf({ 'w.npz': file })).toMatch(/^(INVALID_FIELD|TRUNCATED) /)
  })
})
