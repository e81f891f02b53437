import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { expect, test } from 'vitest'

/** What each room of `src/` may import, besides `errors.ts` and itself. ARCHITECTURE.md explains the table. */
const ROOMS: Readonly<Record<string, { imports: readonly string[]; outside?: readonly string[] }>> = {
  bytes: { imports: [] },
  tensor: { imports: ['bytes'] },
  encoding: { imports: ['bytes', 'tensor'], outside: ['node:zlib', 'yauzl'] },
  model: { imports: ['bytes', 'encoding', 'tensor'] },
  formats: { imports: ['bytes', 'encoding', 'model', 'onnx', 'tensor'] },
  layers: { imports: ['bytes', 'encoding', 'model', 'tensor'] },
  onnx: { imports: ['bytes', 'encoding', 'model', 'tensor'] },
  evaluate: { imports: ['model', 'tensor'] },
  compare: { imports: ['encoding', 'evaluate', 'layers', 'model', 'onnx', 'tensor'] },
  images: { imports: ['bytes', 'tensor'] },
  execute: {
    imports: ['bytes', 'encoding', 'model', 'onnx', 'tensor'],
    outside: ['node:worker_threads', 'onnxruntime-node', 'tsx/esm/api'],
  },
  report: { imports: ['encoding', 'model', 'tensor', 'layers', 'compare', 'transfer'], outside: ['zod', 'picocolors'] },
  transfer: { imports: ['compare', 'layers', 'model', 'tensor'] },
  writers: { imports: ['bytes', 'encoding', 'tensor', 'model', 'formats', 'transfer'] },
  settings: { imports: ['compare'], outside: ['yaml', 'zod'] },
  tasks: {
    imports: [
      'bytes',
      'encoding',
      'tensor',
      'model',
      'formats',
      'layers',
      'onnx',
      'evaluate',
      'compare',
      'images',
      'execute',
      'report',
      'settings',
      'transfer',
      'writers',
    ],
  },
  host: { imports: ['bytes', 'formats', 'model', 'tensor', 'images', 'writers'], outside: ['node:', 'sharp'] },
  cli: {
    imports: ['bytes', 'model', 'tensor', 'settings', 'tasks', 'report', 'host', 'writers'],
    outside: ['node:', 'picocolors'],
  },
}

/** Past this a file hides its worst code; each exception has its reason. */
const MAX_LINES = 500
const LONG_FILES: Readonly<Record<string, string>> = {}

const root = resolve(import.meta.dirname, '../src')
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.endsWith('.gen.ts'))
  .map((name) => name.replaceAll('\\', '/'))

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8')
  return [...text.matchAll(/(?:from\s+|import\(\s*|^import\s+)['"]([^'"$]+)['"]/gm)].map((match) => match[1]!)
}

const roomOf = (file: string) => (file.includes('/') ? file.split('/')[0]! : file)

test.each(files.filter((file) => file.includes('/')))('%s imports only what its room may', (file) => {
  const room = roomOf(file)
  const rule = ROOMS[room]
  expect(rule, `src/${room}/ is not in the table of test/architecture.test.ts and ARCHITECTURE.md`).toBeDefined()
  for (const specifier of importsOf(file)) {
    if (!specifier.startsWith('.')) {
      const allowed = (rule!.outside ?? []).some((name) =>
        name.endsWith(':') ? specifier.startsWith(name) : specifier === name,
      )
      expect(
        allowed,
        `${file} imports ${specifier}: ${room} may import ${(rule!.outside ?? []).join(', ') || 'no package'}`,
      ).toBe(true)
      continue
    }
    const target = relative(root, resolve(root, file, '..', specifier)).replaceAll('\\', '/')
    const to = roomOf(target)
    const allowed = to === room || to === 'errors.ts' || rule!.imports.includes(to)
    expect(allowed, `${file} imports ${to}/: ${room} may import only ${rule!.imports.join(', ') || 'nothing'}`).toBe(
      true,
    )
  }
})

test('a format never imports another format', () => {
  for (const file of files.filter((name) => /^formats\/[^/]+\/.+/.test(name))) {
    const own = file.split('/')[1]!
    for (const specifier of importsOf(file).filter((name) => name.startsWith('.'))) {
      const target = relative(root, resolve(root, file, '..', specifier)).replaceAll('\\', '/')
      const [room, folder, rest] = target.split('/')
      const foreign = room === 'formats' && rest !== undefined && folder !== own
      expect(foreign, `${file} imports ${target}: what two formats share belongs to encoding/ or model/`).toBe(false)
    }
  }
})

test('pure rooms use no clock, randomness, console or process', () => {
  const impure = new Set(['host', 'cli', 'execute'])
  for (const file of files.filter((name) => name.includes('/') && !impure.has(roomOf(name)))) {
    const text = readFileSync(join(root, file), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
    const found = /\b(Date\.now|new Date\(|Math\.random|console\.|process\.|eval\(|new Function)/.exec(text)
    expect(found?.[0], `${file} uses ${found?.[0]}`).toBeUndefined()
  }
})

test('no file is long without a reason', () => {
  for (const file of files) {
    const lines = readFileSync(join(root, file), 'utf8').split('\n').length
    if (lines > MAX_LINES)
      expect(LONG_FILES[file], `${file} has ${lines} lines; split it, or state why not`).toBeTruthy()
  }
})
