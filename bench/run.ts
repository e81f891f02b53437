/**
 * All benchmarks: `npm run bench`. Writes several GB into a temporary folder and removes them at the end.
 *
 * Needs a Python with torch, onnx, onnxruntime, safetensors and polygraphy: `npm run bench -- --python VENV/bin/python`
 * (scripts/fixtures/setup.sh makes one). `--files FOLDER` keeps the large files for the next run; `--only NAME` runs
 * `open`, `hash`, `write`, `compare`, `localise` or `scale` alone.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { benchCompare } from './compare.ts'
import { benchHash } from './hash.ts'
import { benchLocalise, benchScale } from './localise.ts'
import { ROUNDS } from './measure.ts'
import { benchOpen } from './open.ts'
import { benchWrite } from './write.ts'

const { values: options } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    files: { type: 'string' },
    only: { type: 'string' },
  },
})
const root = join(import.meta.dirname, '..')
const folder = options.files ?? mkdtempSync(join(tmpdir(), 'modelwright-bench-'))
mkdirSync(folder, { recursive: true })

try {
  const wanted = (name: string) => options.only === undefined || options.only === name
  execFileSync(process.execPath, [join(root, 'scripts/build.mjs')], { stdio: 'inherit' })
  describeMachine()
  if (wanted('open') || wanted('hash') || wanted('write') || wanted('scale')) make('make-large.py', 'external-3.onnx')
  if (wanted('open') && !benchOpen(folder, options.python)) process.exitCode = 1
  if (wanted('hash')) benchHash(folder)
  if (wanted('write') && !benchWrite(folder)) process.exitCode = 1
  if (wanted('compare') || wanted('localise')) make('make-resnet.py', 'resnet18-fault.onnx')
  if (wanted('compare')) benchCompare(folder, options.python)
  if (wanted('localise')) benchLocalise(folder, options.python)
  if (wanted('scale')) {
    make('make-deep.py', 'deep-fault.onnx')
    benchScale(folder, options.python)
  }
} finally {
  if (options.files === undefined) rmSync(folder, { recursive: true, force: true })
}

function make(script: string, last: string): void {
  if (existsSync(join(folder, last))) return
  execFileSync(options.python, [join(import.meta.dirname, script), folder], { stdio: ['ignore', 'ignore', 'inherit'] })
}

function describeMachine(): void {
  const packages = ['torch', 'onnx', 'onnxruntime', 'safetensors', 'polygraphy']
  const code = `import importlib.metadata as m, platform; print('Python ' + platform.python_version() + ', ' + ', '.join(p + ' ' + m.version(p) for p in ${JSON.stringify(packages)}))`
  const libraries = execFileSync(options.python, ['-c', code], { encoding: 'utf8' }).trim()
  const processor = cpus()[0]?.model.trim() ?? 'unknown processor'
  console.log(
    `${cpus().length} x ${processor}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB; ${process.platform} ${process.arch}`,
  )
  console.log(`Node ${process.version}; ${libraries}`)
  console.log(`Medians of ${ROUNDS} runs, each in a fresh process, order alternating, files in the system's cache.\n`)
}
