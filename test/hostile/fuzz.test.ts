import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'

test('the quick fuzz: thousands of damaged files over all readers, each read or refused', () => {
  const folder = mkdtempSync(join(tmpdir(), 'modelwright-fuzz-'))
  try {
    const script = join(import.meta.dirname, '../../scripts/fuzz.ts')
    const args = ['--import', 'tsx', script, '--quick', '--save', folder]
    const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', cwd: join(script, '../..') })
    const last = /fuzz: (\d+) inputs, (.*)/.exec(stdout.trim().split('\n').at(-1) ?? '')
    expect(last?.[2], `${stdout}\n${stderr}`).toBe('0 crashes, 0 hangs, 0 over memory')
    expect(Number(last?.[1])).toBeGreaterThan(3000)
    expect(stdout).not.toContain('no fixture yet')
    expect(readdirSync(folder)).toEqual([])
  } finally {
    rmSync(folder, { recursive: true })
  }
}, 300_000)
