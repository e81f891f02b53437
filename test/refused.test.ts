import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

/** A model that ONNX Runtime refuses leaves its partner's thread behind if nobody ends it: the process would not end. */
test('a comparison with a model that the runtime refuses ends, and its weights are still compared', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'modelwright-refused-'))
  const good = join(import.meta.dirname, '../examples/digits/candidate/digits.onnx')
  const refused = join(folder, 'refused.onnx')
  // an operator that nobody knows, of the same length
  const text = readFileSync(good).toString('latin1').replaceAll('\x22\x04Relu', '\x22\x04Rexx')
  writeFileSync(refused, Buffer.from(text, 'latin1'))
  const script = `
    const { compare, openInput } = await import(${JSON.stringify(new URL('../src/index.ts', import.meta.url).href)})
    const report = await compare(await openInput(process.argv[1]), await openInput(process.argv[2]))
    console.log(JSON.stringify([report.weights.verdict, report.behaviour.verdict, report.behaviour.reason]))`
  try {
    for (const pair of [
      [good, refused],
      [refused, good],
    ]) {
      const { stdout } = await promisify(execFile)(
        process.execPath,
        ['--import', 'tsx', '--input-type=module', '-e', script, ...pair],
        { timeout: 30_000, cwd: join(import.meta.dirname, '..') },
      )
      const [weights, behaviour, reason] = JSON.parse(stdout) as string[]
      expect([weights, behaviour]).toEqual(['match', 'not-compared'])
      expect(reason).toContain('Rexx')
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}, 60_000)
