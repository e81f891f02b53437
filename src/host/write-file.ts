import { rename, rm, writeFile } from 'node:fs/promises'
import { ToolError } from '../errors.ts'

/**
 * Writes a whole file or none: to a temporary name beside it, then renamed. An interrupted run leaves no half file.
 * @throws {ToolError} CANNOT_WRITE
 */
export async function writeWholeFile(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.${process.pid}.part`
  try {
    await writeFile(temporary, content)
    await rename(temporary, path)
  } catch (cause) {
    await rm(temporary, { force: true })
    throw new ToolError('CANNOT_WRITE', `${path}: cannot write: ${(cause as Error).message}`, { cause })
  }
}
