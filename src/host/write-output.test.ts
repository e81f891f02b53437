import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { InternalError } from '../errors.ts'
import type { Output, Piece, PlannedFile } from '../writers/output.ts'
import { writeOutput } from './write-output.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'modelwright-write-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const options = { force: false, sources: [] }

const file = (path: string, content: string, pieces?: () => AsyncIterable<Piece>): PlannedFile => ({
  path,
  bytes: content.length,
  pieces:
    pieces ??
    async function* () {
      const bytes = new TextEncoder().encode(content)
      // the beginning last, as checksums come
      yield { offset: 0, bytes: new Uint8Array(bytes.length) }
      yield { offset: 1, bytes: bytes.subarray(1) }
      yield { offset: 0, bytes: bytes.subarray(0, 1) }
    },
})

const output = (...files: PlannedFile[]): Output => ({ format: 'x', kind: 'fresh', isFolder: false, files })

test('a main file with companions, progress in bytes', async () => {
  const seen: number[][] = []
  const paths = await writeOutput(join(folder, 'a.onnx'), output(file('', 'graph'), file('sub/a.data', 'values')), {
    ...options,
    onProgress: (done, total) => seen.push([done, total]),
  })
  expect(paths).toEqual([join(folder, 'a.onnx'), join(folder, 'sub/a.data')])
  expect(paths.map((path) => readFileSync(path, 'utf8'))).toEqual(['graph', 'values'])
  expect(readdirSync(folder).sort()).toEqual(['a.onnx', 'sub'])
  expect(seen.at(-1)?.[1]).toBe(11)
})

test('what is there is replaced only with force', async () => {
  const path = join(folder, 'to.safetensors')
  writeFileSync(path, 'old')
  const write = (force: boolean, sources: string[]) => writeOutput(path, output(file('', 'new')), { force, sources })
  await expect(write(false, [])).rejects.toThrow(
    `${path}: not written: there is such a file already. Give another path, or --force to replace it.`,
  )
  symlinkSync(path, join(folder, 'link'))
  await expect(write(false, [join(folder, 'link')])).rejects.toThrow(`it is ${join(folder, 'link')}, which is read`)
  expect(readFileSync(path, 'utf8')).toBe('old')
  await write(true, [path])
  expect(readFileSync(path, 'utf8')).toBe('new')
})

test('a companion that is there already is not replaced either', async () => {
  writeFileSync(join(folder, 'w.bin'), 'old')
  const both = output(file('', 'new'), file('w.bin', 'new'))
  await expect(writeOutput(join(folder, 'a'), both, options)).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' })
  expect(readdirSync(folder)).toEqual(['w.bin'])
})

test.each(['../b', '/tmp/b', 'a/../../b', 'c:\\b', 'a//b', 'a\\..\\b', 'a\0'])('%j is never written', async (path) => {
  const hostile = output(file('', 'main'), file(path, 'x'))
  await expect(writeOutput(join(folder, 'a'), hostile, options)).rejects.toMatchObject({ code: 'CANNOT_WRITE' })
  expect(readdirSync(folder)).toEqual([])
})

test('a link among the folders does not lead a companion outside', async () => {
  const outside = join(folder, 'outside')
  const inside = join(folder, 'inside')
  mkdirSync(outside)
  mkdirSync(inside)
  symlinkSync(outside, join(inside, 'data'))
  const both = output(file('', 'main'), file('data/w', 'x'))
  await expect(writeOutput(join(inside, 'a'), both, options)).rejects.toThrow('leads out of the folder')
  expect(readdirSync(outside)).toEqual([])
  expect(readdirSync(inside)).toEqual(['data'])
})

test.each([
  ['its folder does not exist', 'none/a'],
  ['it is a folder', '.'],
])('%s', async (message, name) => {
  await expect(writeOutput(join(folder, name), output(file('', 'x')), options)).rejects.toThrow(message)
})

test('an error half-way leaves nothing', async () => {
  async function* failing(): AsyncGenerator<Piece> {
    yield { offset: 0, bytes: new Uint8Array(1000) }
    throw new Error('the source went away')
  }
  const both = output(file('', 'whole'), file('b', 'x', failing))
  await expect(writeOutput(join(folder, 'a'), both, options)).rejects.toThrow('the source went away')
  expect(readdirSync(folder)).toEqual([])
})

test('a writer that keeps less than it planned is a bug, not a file', async () => {
  const short = output(
    file('', 'planned', async function* () {
      yield { offset: 0, bytes: new Uint8Array(3) }
    }),
  )
  await expect(writeOutput(join(folder, 'a'), short, options)).rejects.toBeInstanceOf(InternalError)
  expect(readdirSync(folder)).toEqual([])
})

test('a folder is made, and taken away again when writing fails', async () => {
  const path = join(folder, 'saved')
  const failing = file('variables/b', 'x', async function* () {
    yield { offset: 0, bytes: new Uint8Array(1) }
    throw new Error('the source went away')
  })
  const half = { ...output(file('a', 'whole'), failing), isFolder: true }
  await expect(writeOutput(path, half, options)).rejects.toThrow('went away')
  expect(readdirSync(folder)).toEqual([])
  const whole = { ...output(file('a', 'whole'), file('variables/b', 'x')), isFolder: true }
  expect(await writeOutput(path, whole, options)).toEqual([join(path, 'a'), join(path, 'variables/b')])
  await expect(writeOutput(path, whole, options)).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' })
  expect(readdirSync(path).sort()).toEqual(['a', 'variables'])
})

/** Writes one whole file and then a second without end, saying so when half a megabyte of it is on the disk. */
const SLOW = (path: string) => `
  import { writeOutput } from ${JSON.stringify(pathToFileURL(join(import.meta.dirname, 'write-output.ts')).href)}
  const bytes = new Uint8Array(1 << 16)
  async function* endless() {
    for (let offset = 0; ; offset += bytes.length) {
      yield { offset, bytes }
      if (offset === 1 << 19) process.stdout.write('half')
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
  const first = { path: 'first', bytes: 4, async *pieces() { yield { offset: 0, bytes: new Uint8Array(4) } } }
  const files = [first, { path: '', bytes: 1 << 30, pieces: endless }]
  await writeOutput(${JSON.stringify(path)}, { files }, { force: false, sources: [] })
`

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
  '%s half-way leaves nothing and ends the process',
  async (signal) => {
    const code = SLOW(join(folder, 'out'))
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], { stdio: 'pipe' })
    const said = await once(child.stdout, 'data')
    expect(String(said[0])).toBe('half')
    expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toHaveLength(2)
    child.kill(signal)
    const [, endedBy] = await once(child, 'exit')
    expect(endedBy).toBe(signal)
    expect(readdirSync(folder)).toEqual([])
  },
)
