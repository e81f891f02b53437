import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCli } from '../src/cli/run-cli.ts'
import { safetensorsFile } from './build/safetensors-file.ts'
import { withoutRounding } from './rounding.ts'

/**
 * Runs the Markdown pages of `test/cli/`. A `console` block is one command with all that it gives: standard output as
 * it is, standard error behind `! `, then `exit N`. A number behind `console` is the terminal's width.
 * `UPDATE_CLI=1 npx vitest run test/cli.test.ts` writes the present output into the pages: read the diff.
 *
 * Paths start at the repository, but for `broken/`, which holds the files made below.
 */
const pagesFolder = join(import.meta.dirname, 'cli')
const digits = join(import.meta.dirname, '../examples/digits')
const scratch = mkdtempSync(join(tmpdir(), 'modelwright-cli-'))

/** A mapping file of one entry, changed in one place. */
const mapFile = (change: object) =>
  new TextEncoder().encode(
    JSON.stringify({
      schemaVersion: 1,
      kind: 'modelwright-transfer-map',
      entries: [
        {
          target: 'model_weights/dense_1/dense_1/kernel',
          from: ['fc2.weight'],
          transform: 'transpose($0, [1, 0])',
          state: 'mapped',
          reason: 'by hand',
          ...change,
        },
      ],
    }),
  )

const BROKEN: Readonly<Record<string, () => Uint8Array>> = {
  'empty.pt': () => new Uint8Array(0),
  'cut.pt': () => readFileSync(join(digits, 'reference/digits.pt')).subarray(0, 3000),
  'cut.onnx': () => readFileSync(join(digits, 'reference/digits.onnx')).subarray(0, 3000),
  'cut.h5': () => readFileSync(join(digits, 'candidate/digits.h5')).subarray(0, 3000),
  'unknown.bin': () => Uint8Array.from({ length: 64 }, (_, index) => (index * 37 + 11) & 0xff),
  'pointer.onnx': () =>
    new TextEncoder().encode(
      `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 102400000\n`,
    ),
  'epsilon.yaml': () =>
    new TextEncoder().encode(
      "compare:\n  expected:\n    - where: '*'\n      what: bn-epsilon\n      values: [1e-5, 1e-3]\n      reason: Keras' default, trained with it\n",
    ),
  'slip.yaml': () =>
    new TextEncoder().encode('compare:\n  expected:\n    - where: fc1\n      what: bn_epsilon\n      reason: ours\n'),
  'no-tensors.safetensors': () => safetensorsFile({}),
  'not.map.json': () => new TextEncoder().encode('{ "entries": ['),
  'slip.map.json': () => mapFile({ transform: 'transpse($0, [1, 0])' }),
  'shape.map.json': () => mapFile({ transform: '$0' }),
  'field.map.json': () => mapFile({ state: 'guessed' }),
  'hostile-names.safetensors': () =>
    safetensorsFile({
      '<script>alert(1)</script>': { dtype: 'F32', shape: [2], bytes: 8 },
      '\u001b[31mred\u001b[0m': { dtype: 'F32', shape: [2], bytes: 8 },
    }),
}

const BLOCK = /```console( \d+)?\n\$ (modelwright[^\n]*)\n([\s\S]*?)```/g

beforeAll(() => {
  mkdirSync(join(scratch, 'empty-folder'))
  for (const [name, make] of Object.entries(BROKEN)) writeFileSync(join(scratch, name), make())
})
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

/** Words of a command line; single quotes hold spaces together. */
function wordsOf(line: string): string[] {
  const words = [...line.matchAll(/'([^']*)'|\S+/g)].map(([word, quoted]) => quoted ?? word)
  return words.slice(1).map((word) => word.replace(/^broken\//, `${scratch}/`))
}

async function run(line: string, columns: number): Promise<{ text: string; wide: string[] }> {
  let out = ''
  let err = ''
  const exit = await runCli(wordsOf(line), {
    out: (text) => {
      out += text
    },
    err: (text) => {
      err += text
    },
    columns,
    color: false,
    interactive: false,
  })
  const shown = (text: string) => text.replaceAll(scratch, 'broken').replaceAll(/[ \t]+$/gm, '')
  const errorLines = shown(err).replace(/^(?=.)/gm, '! ')
  return {
    text: `${shown(out)}${errorLines}exit ${exit}\n`,
    wide: shown(out)
      .split('\n')
      .filter(
        (row) => row.length > columns && !/\S{40}/.test(row) && !row.startsWith('  sha256') && !line.includes('--json'),
      ),
  }
}

describe.each(readdirSync(pagesFolder).filter((name) => name.endsWith('.md')))('%s', (page) => {
  const path = join(pagesFolder, page)
  const blocks = [...readFileSync(path, 'utf8').matchAll(BLOCK)]

  test('has commands', () => expect(blocks.length).toBeGreaterThan(0))

  test.each(blocks.map(([, width, line, expected]) => [line!, Number(width ?? 100), expected!]))(
    '$ %s (%i columns)',
    async (line, columns, expected) => {
      const { text, wide } = await run(line, columns)
      if (process.env.UPDATE_CLI) {
        const block = (output: string) =>
          `\`\`\`console${columns === 100 ? '' : ` ${columns}`}\n$ ${line}\n${output}\`\`\``
        const now = readFileSync(path, 'utf8')
        writeFileSync(
          path,
          now.replace(block(expected), () => block(text)),
        )
      } else expect(withoutRounding(text)).toBe(withoutRounding(expected))
      expect(wide, 'lines wider than the terminal').toEqual([])
    },
  )
})
