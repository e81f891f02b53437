import { closeSync, openSync, renameSync } from 'node:fs'
import { access, constants, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { ToolError } from '../errors.ts'
import { forgetTemporary, makeTemporary } from './temporary-paths.ts'

/**
 * Writes a whole file or none: to a temporary name beside it, then renamed. An interrupted run leaves no half file.
 * @throws {ToolError} CANNOT_WRITE
 */
export async function writeWholeFile(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.${process.pid}.part`
  try {
    makeTemporary(temporary, () => closeSync(openSync(temporary, 'wx')))
    await writeFile(temporary, content)
    renameSync(temporary, path)
  } catch (cause) {
    await rm(temporary, { force: true })
    throw writeFailure(path, cause)
  } finally {
    forgetTemporary(temporary)
  }
}

/**
 * Refuses a place that cannot be written, before long work is done for it.
 * @throws {ToolError} CANNOT_WRITE
 */
export async function checkWritable(path: string): Promise<void> {
  const folder = dirname(path)
  try {
    const there = await stat(path).catch(() => undefined)
    if (there?.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' })
    if (!(await stat(folder)).isDirectory()) throw Object.assign(new Error(), { code: 'ENOTDIR' })
    await access(folder, constants.W_OK)
  } catch (cause) {
    throw writeFailure(path, cause)
  }
}

/** A refusal of the system as a sentence that says what to do. */
export function writeFailure(path: string, cause: unknown): ToolError {
  return new ToolError('CANNOT_WRITE', `${path}: cannot write: ${reason(cause as NodeJS.ErrnoException)}`, { cause })
}

function reason({ code, message }: NodeJS.ErrnoException): string {
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'its folder does not exist. Make the folder, or give another path.'
    case 'EISDIR':
      return 'it is a folder. Give the name of a file.'
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return 'the system does not permit it. Give a path in a folder of yours.'
    case 'ENOSPC':
      return 'the disk is full.'
    default:
      return message
  }
}
