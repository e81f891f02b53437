import { closeSync, fsyncSync, mkdirSync, openSync, renameSync } from 'node:fs'
import { mkdir, open, realpath, rm, stat } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path'
import { InternalError, ToolError } from '../errors.ts'
import type { Output, PlannedFile } from '../writers/output.ts'
import { forgetTemporary, makeTemporary } from './temporary-paths.ts'
import { writeFailure } from './write-file.ts'

export interface WriteOptions {
  /** what is there already is replaced */
  readonly force: boolean
  /** paths that the output was made from: named as such when it would replace one of them */
  readonly sources: readonly string[]
  /** called now and then with bytes written and bytes in all */
  readonly onProgress?: (done: number, total: number) => void
}

/**
 * Writes an output whole or not at all: every file under a temporary name beside its place, forced to the disk, and all
 * renamed together at the end. An error, Ctrl-C or SIGTERM before that leaves nothing behind.
 *
 * @param path of the main file, or of the folder
 * @returns the paths written, the main one first
 * @throws {ToolError} OUTPUT_EXISTS without `force`; CANNOT_WRITE when the system refuses
 */
export async function writeOutput(path: string, output: Output, options: WriteOptions): Promise<readonly string[]> {
  const folder = output.isFolder ? path : dirname(path)
  const targets = output.files.map((file) => ({
    file,
    path: file.path === '' ? path : join(folder, checkRelative(file.path)),
  }))
  for (const target of targets) await checkFree(target.path, options)
  const total = output.files.reduce((sum, { bytes }) => sum + bytes, 0)
  const written: { temporary: string; path: string }[] = []
  const made = output.isFolder && makeOutputFolder(path) ? path : undefined
  let done = 0
  try {
    for (const target of targets) {
      await makeFolder(dirname(target.path), folder)
      const temporary = `${target.path}.${process.pid}.part`
      await writeTemporary(temporary, target.file, (bytes) => {
        done += bytes
        // checksums are written twice
        options.onProgress?.(Math.min(done, total), total)
      })
      written.push({ temporary, path: target.path })
    }
    // Synchronously, so that no signal comes between: companions first, so that a main file never lacks them.
    for (const { temporary, path: final } of written.toReversed()) {
      renameSync(temporary, final)
      forgetTemporary(temporary)
    }
    if (made !== undefined) forgetTemporary(made)
    syncFolder(dirname(path))
  } catch (error) {
    for (const { temporary } of written) await discard(temporary)
    if (made !== undefined) await discard(made)
    if (error instanceof ToolError || error instanceof InternalError) throw error
    throw writeFailure(path, error)
  }
  return targets.map((target) => target.path)
}

/** Paths of companions come out of models: none may lead out of the folder. */
function checkRelative(path: string): string {
  const unsafe =
    isAbsolute(path) || /^[A-Za-z]:/.test(path) || path.split(/[\\/]/).some((part) => part === '..' || part === '')
  if (!unsafe && !path.includes('\0')) return path
  throw new ToolError('CANNOT_WRITE', `${JSON.stringify(path)} is no path inside the folder of the output`)
}

async function checkFree(path: string, { force, sources }: WriteOptions): Promise<void> {
  const there = await stat(path).catch(() => undefined)
  if (there === undefined) return
  if (there.isDirectory())
    throw new ToolError('CANNOT_WRITE', `${path}: cannot write: it is a folder. Give another name.`)
  if (force) return
  const own = await Promise.all(sources.map((source) => isSame(source, there)))
  const source = sources[own.indexOf(true)]
  const why = source === undefined ? 'there is such a file already' : `it is ${source}, which is read for this`
  throw new ToolError('OUTPUT_EXISTS', `${path}: not written: ${why}. Give another path, or --force to replace it.`)
}

async function isSame(path: string, there: { dev: number; ino: number }): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  return found !== undefined && found.dev === there.dev && found.ino === there.ino
}

/**
 * Makes the folder that the user named, to be taken away again unless the output becomes whole.
 * @returns whether there was none
 */
function makeOutputFolder(path: string): boolean {
  try {
    makeTemporary(path, () => mkdirSync(path))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw writeFailure(path, error)
  }
}

/** Makes the folder of a companion, which must truly lie below `root` even where a link stands in the way. */
async function makeFolder(folder: string, root: string): Promise<void> {
  if (folder === root) return
  await mkdir(folder, { recursive: true })
  const inside = relative(await realpath(root), await realpath(folder))
  if (inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside))
    throw new ToolError('CANNOT_WRITE', `${folder} is a link that leads out of the folder of the output`)
}

async function writeTemporary(temporary: string, file: PlannedFile, report: (bytes: number) => void): Promise<void> {
  makeTemporary(temporary, () => closeSync(openSync(temporary, 'wx')))
  try {
    const handle = await open(temporary, 'r+')
    try {
      for await (const { offset, bytes } of file.pieces()) {
        for (let at = 0; at < bytes.length; ) {
          const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, offset + at)
          at += bytesWritten
        }
        report(bytes.length)
      }
      const { size } = await handle.stat()
      if (size !== file.bytes)
        throw new InternalError(`"${basename(temporary)}" has ${size} bytes, ${file.bytes} were planned`)
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (error) {
    await discard(temporary)
    throw error
  }
}

async function discard(temporary: string): Promise<void> {
  await rm(temporary, { force: true, recursive: true })
  forgetTemporary(temporary)
}

/** Makes the renaming last; a system that cannot do so for folders does without. */
function syncFolder(folder: string): void {
  try {
    const handle = openSync(folder, 'r')
    fsyncSync(handle)
    closeSync(handle)
  } catch {
    // the files themselves are on the disk
  }
}
