import { mkdirSync } from 'node:fs'
import { mkdir, readdir, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { ToolError } from '../errors.ts'
import { type OpenInput, openInput } from './open-input.ts'
import { forgetTemporary, makeTemporary } from './temporary-paths.ts'
import { checkWritable, writeFailure } from './write-file.ts'

/**
 * Refuses a folder that holds something, before long work is done for it.
 * @throws {ToolError} OUTPUT_EXISTS, CANNOT_WRITE
 */
export async function checkFreeFolder(path: string): Promise<void> {
  const there = await stat(path).catch(() => undefined)
  if (there === undefined) return checkWritable(path)
  if (!there.isDirectory())
    throw new ToolError('OUTPUT_EXISTS', `${path}: not written: it is a file. Give another name.`)
  if ((await readdir(path)).length > 0)
    throw new ToolError('OUTPUT_EXISTS', `${path}: not written: the folder is not empty. Give another name.`)
}

/**
 * Writes a new folder whole or not at all: beside its place under a temporary name, checked there, then renamed.
 *
 * @param files content by path within the folder, with `/`
 * @param check looks at what was written before it gets its name
 * @throws {ToolError} OUTPUT_EXISTS, CANNOT_WRITE
 */
export async function writeNewFolder(
  path: string,
  files: ReadonlyMap<string, Uint8Array>,
  check: (written: OpenInput) => Promise<void>,
): Promise<void> {
  await checkFreeFolder(path)
  const place = resolve(path)
  const temporary = join(dirname(place), `.${basename(place)}.part-${process.pid}`)
  try {
    makeTemporary(temporary, () => mkdirSync(temporary))
  } catch (cause) {
    throw writeFailure(path, cause)
  }
  try {
    for (const [name, content] of files) {
      const target = join(temporary, name)
      await mkdir(dirname(target), { recursive: true })
      await writeFile(target, content)
    }
    const written = await openInput(temporary)
    try {
      await check(written)
    } finally {
      await written.close()
    }
    // an empty folder of that name is what we may replace
    await rmdir(place).catch(() => undefined)
    await rename(temporary, place)
  } catch (error) {
    await rm(temporary, { recursive: true, force: true })
    throw error instanceof ToolError ? error : writeFailure(path, error)
  } finally {
    forgetTemporary(temporary)
  }
}
