import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openInput } from '../src/host/open-input.ts'
import { writeOutput } from '../src/host/write-output.ts'
import { transfer } from '../src/tasks/transfer.ts'

/**
 * The layout rules, each judged by the frameworks: a network is carried from PyTorch to Keras, TFLite and back, loaded
 * in the framework it went to, run, and its output compared with that of the framework it came from.
 * Needs MODELWRIGHT_VENV, a Python environment with the frameworks (scripts/fixtures/setup.sh).
 */
const python = process.env.MODELWRIGHT_VENV && join(process.env.MODELWRIGHT_VENV, 'bin/python')
const script = join(import.meta.dirname, '../scripts/fixtures/transfer_layouts.py')

/** Outputs agree to this share of the largest one: float32 sums in another order. */
const TOLERANCE = 1e-5

const DIRECTIONS = [
  ['torch.pt', 'keras.keras', 'to-keras.keras'],
  ['torch.onnx', 'keras.h5', 'to-keras.h5'],
  ['torch.pt', 'keras.tflite', 'to-tflite.tflite'],
  ['keras.keras', 'torch.pt', 'to-torch.safetensors'],
  ['keras.h5', 'torch.onnx', 'to-onnx.onnx'],
] as const

/** What cannot be carried, and why: the transfer must say so, and writes no wrong file that claims to be complete. */
const IMPOSSIBLE: Readonly<Record<string, string>> = {}

interface Line {
  readonly case: string
  readonly file: string
  readonly error?: number
  readonly failed?: string
}

if (!python || !existsSync(python)) {
  test.skip('layouts in the frameworks (no MODELWRIGHT_VENV with the frameworks)', () => {})
} else {
  const folder = mkdtempSync(join(tmpdir(), 'modelwright-layouts-'))
  const results = new Map<string, Line>()
  const verdicts = new Map<string, string>()

  async function carry(here: string, from: string, into: string, out: string): Promise<void> {
    const [source, target] = [await openInput(join(here, from)), await openInput(join(here, into))]
    const path = join(here, out)
    const report = await transfer(source, target, {
      out: path,
      save: async (output) => {
        const files = await writeOutput(path, output, { force: true, sources: [] })
        return { files, map: null, input: await openInput(path) }
      },
    })
    verdicts.set(path, `${report.verdict}: ${report.summary}`)
    await Promise.all([source.close(), target.close()])
  }

  const run = (verb: string) =>
    execFileSync(python, [script, verb, folder], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })

  beforeAll(async () => {
    run('make')
    for (const name of readdirSync(folder))
      for (const [from, into, out] of DIRECTIONS)
        if (existsSync(join(folder, name, into))) await carry(join(folder, name), from, into, out)
    for (const text of run('check')
      .split('\n')
      .filter((each) => each.startsWith('{'))) {
      const line = JSON.parse(text) as Line
      results.set(`${line.case}/${line.file}`, line)
    }
  }, 400_000)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  describe('layouts in the frameworks', () => {
    test('every file gives the output of the framework it came from', () => {
      expect(results.size).toBeGreaterThan(90)
      const wrong = [...results].filter(([, { error }]) => error === undefined || !(error <= TOLERANCE))
      expect(
        wrong.filter(([name]) => IMPOSSIBLE[name] === undefined).map(([name, line]) => ({ name, ...line })),
      ).toEqual([])
    })

    test('and the transfer says that it is complete', () => {
      const open = [...verdicts].filter(([, verdict]) => !verdict.startsWith('complete'))
      expect(open.map(([path, verdict]) => `${path.slice(folder.length + 1)}: ${verdict}`)).toEqual([])
    })
  })
}
