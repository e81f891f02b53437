// Compiles src/ to dist/ as the package ships it. Plain JavaScript, so that it runs before anything is built. Types are
// checked by `npm run check`; here they are only stripped and written out, which takes a third of the time.
import { execFileSync } from 'node:child_process'
import { chmodSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const root = join(import.meta.dirname, '..')
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc')
rmSync(join(root, 'dist'), { recursive: true, force: true })
execFileSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json'), '--noCheck'], {
  stdio: 'inherit',
  cwd: root,
})
chmodSync(join(root, 'dist/cli/main.js'), 0o755)
