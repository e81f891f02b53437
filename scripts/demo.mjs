// The main job on real files: a PyTorch network against its Keras port, which pads one convolution differently.
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join, relative } from 'node:path'

const root = join(import.meta.dirname, '..')
const started = performance.now()
await import('./build.mjs')

const page = 'demo-output/comparison.html'
mkdirSync(join(root, 'demo-output'), { recursive: true })
const digits = 'examples/digits'
run(['inspect', `${digits}/reference/digits.pt`])
const status = run([
  'compare',
  `${digits}/reference/digits.onnx`,
  `${digits}/mistakes/same-padding/digits.onnx`,
  '--inputs',
  `${digits}/inputs/nchw`,
  '--html',
  page,
])
run(['compare', `${digits}/reference/digits.pt`, `${digits}/candidate/digits.keras`])

const seconds = ((performance.now() - started) / 1000).toFixed(1)
console.log(`The first port has a real mistake and was found out; the second is right. ${seconds} s in all.`)
console.log(`The same report as a page: ${relative(process.cwd(), join(root, page)) || page}`)
process.exitCode = status === 1 ? 0 : 1

/** One command of the CLI, shown as a person would type it. */
function run(words) {
  console.log(`\n$ modelwright ${words.join(' ')}\n`)
  const { status, error } = spawnSync(process.execPath, ['dist/cli/main.js', ...words], { cwd: root, stdio: 'inherit' })
  if (error) throw error
  return status
}
