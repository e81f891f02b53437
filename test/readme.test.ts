import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runCli } from '../src/cli/run-cli.ts'
import { withoutRounding } from './rounding.ts'

/**
 * The README's examples are run. A `console` block holds one command and its whole output; `UPDATE_README=1` writes
 * the present output into it. A `ts` block is a program that must run to its end.
 */
const root = join(import.meta.dirname, '..')
const readme = join(root, 'README.md')
const text = readFileSync(readme, 'utf8')

const consoleBlocks = [...text.matchAll(/```console\n\$ modelwright ([^\n]+)\n([\s\S]*?)```/g)]
const programs = [...text.matchAll(/```ts\n([\s\S]*?)```/g)]

/** Runs one command line; vitest's working folder is the repository. */
async function run(words: string[]): Promise<string> {
  let output = ''
  const print = (part: string) => {
    output += part
  }
  await runCli(words, { out: print, err: print, columns: 100, color: false, interactive: false })
  return output.replaceAll(/[ \t]+$/gm, '')
}

test('there are examples', () => {
  expect(consoleBlocks.length).toBeGreaterThanOrEqual(3)
  expect(programs.length).toBeGreaterThanOrEqual(1)
})

test.each(consoleBlocks.map((match) => [match[1]!, match[2]!]))('$ modelwright %s', async (command, expected) => {
  const output = await run(command.split(/\s+/))
  expect(output).not.toContain('Internal error')
  if (process.env.UPDATE_README) {
    const now = readFileSync(readme, 'utf8')
    writeFileSync(readme, now.replace(`$ modelwright ${command}\n${expected}`, `$ modelwright ${command}\n${output}`))
  } else expect(withoutRounding(output)).toBe(withoutRounding(expected))
})

test.each(programs.map((match, index) => [index + 1, match[1]!]))('program %i runs', async (_, program) => {
  const folder = mkdtempSync(join(tmpdir(), 'modelwright-readme-'))
  try {
    const file = join(folder, 'program.ts')
    const local = program
      .replaceAll("'modelwright'", JSON.stringify(join(root, 'src/index.ts')))
      .replaceAll("'examples/", `'${root}/examples/`)
    writeFileSync(file, local)
    await import(file)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
