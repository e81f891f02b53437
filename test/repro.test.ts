import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { runCli } from '../src/cli/run-cli.ts'

/** `compare --repro`: what it writes fails for the same reason, in a process that knows nothing of the comparison. */
const root = join(import.meta.dirname, '..')
const digits = join(root, 'examples/digits')
const scratch = mkdtempSync(join(tmpdir(), 'modelwright-repro-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

async function run(...words: string[]) {
  let [out, err] = ['', '']
  const exit = await runCli(words, {
    out: (text) => {
      out += text
    },
    err: (text) => {
      err += text
    },
    columns: 100,
    color: false,
    interactive: false,
  })
  return { exit, out, err }
}

const pair = (mistake: string) => [
  join(digits, 'reference/digits.onnx'),
  join(digits, `mistakes/${mistake}/digits.onnx`),
]

describe.each(['same-padding', 'flatten-order'])('repro of %s', (mistake) => {
  const folder = join(scratch, mistake)

  test('is a model, its twin, inputs, expected output and a page without scripts', async () => {
    const { exit, err } = await run('compare', ...pair(mistake), '--repro', folder)
    expect(exit).toBe(1)
    expect(err).toContain(`${folder}: `)
    const names = readdirSync(folder)
    expect(names).toEqual(expect.arrayContaining(['README.md', 'model.onnx', 'reference.onnx', 'test_data_set_0']))
    expect(names.filter((name) => /\.(py|sh|js|ts)$/.test(name))).toEqual([])
    expect(readdirSync(join(folder, 'test_data_set_0'))).toEqual(expect.arrayContaining(['input_0.pb', 'output_0.pb']))
    const page = readFileSync(join(folder, 'README.md'), 'utf8')
    expect(page).toContain('**Cause** (proved')
    expect(page).toContain('**Fix**')
    expect(readFileSync(join(folder, 'model.onnx')).length).toBeLessThan(6000)
    expect(
      readdirSync(scratch).filter((name) => name.includes('.part')),
      'nothing half-written',
    ).toEqual([])
  })
})

test('the command of its page finds the fault in a process of its own', () => {
  const folder = join(scratch, 'same-padding')
  const command = /^ {4}modelwright (.*)$/m.exec(readFileSync(join(folder, 'README.md'), 'utf8'))![1]!
  const words = command.split(' ').map((word) => (/\.onnx$|data_set/.test(word) ? join(folder, word) : word))
  let text = ''
  try {
    execFileSync(process.execPath, ['--import', 'tsx', join(root, 'src/cli/main.ts'), ...words, '--json'], {
      cwd: root,
      encoding: 'utf8',
    })
  } catch (error) {
    text = (error as { stdout: string }).stdout
  }
  const report = JSON.parse(text)
  expect(report.verdict).toBe('mismatch')
  expect(report.regions).toHaveLength(1)
  expect(report.causes[0].label).toBe('padding')
})

test('a match has nothing to reproduce: no folder, exit status 0', async () => {
  const folder = join(scratch, 'nothing')
  const { exit, err } = await run(
    'compare',
    pair('same-padding')[0]!,
    join(digits, 'candidate/digits.onnx'),
    '--repro',
    folder,
  )
  expect(exit).toBe(0)
  expect(err).toContain('there is nothing to reproduce')
  expect(existsSync(folder)).toBe(false)
})

test('a folder that holds something is left alone', async () => {
  const folder = join(scratch, 'full')
  mkdirSync(folder)
  writeFileSync(join(folder, 'mine.txt'), 'mine')
  const { exit, err } = await run('compare', ...pair('same-padding'), '--repro', folder)
  expect(exit).toBe(2)
  expect(err).toContain('the folder is not empty')
  expect(readdirSync(folder)).toEqual(['mine.txt'])
})

test('--bisect names the smallest part that still differs', async () => {
  const { out } = await run('compare', ...pair('flatten-order'), '--bisect', '--json')
  const [fault] = JSON.parse(out).regions.filter(({ state }: { state: string }) => state === 'different')
  expect(fault.smallest.candidateNodes.length).toBeGreaterThan(0)
  expect(fault.smallest.candidateNodes.length).toBeLessThanOrEqual(fault.smallest.from)
  expect(fault.smallest.candidateNodes.map(({ op }: { op: string }) => op)).toContain('Reshape')
})
