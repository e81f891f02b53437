import { readdir, realpath, stat } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path'
import { memorySource } from '../bytes/byte-source.ts'
import { FormatError, ToolError } from '../errors.ts'
import type { ModelInput } from '../formats/format.ts'
import { type FileSource, openFileSource } from './file-source.ts'

/** A ModelInput on disk. `close` releases every file that was opened through it. */
export interface OpenInput extends ModelInput {
  close(): Promise<void>
}

/** More names than this in one folder are not listed; no model keeps so many files. */
const MAX_LISTED = 10_000

/**
 * Opens a file or folder for the readers. They see only what lies in its folder: a partner path that is absolute,
 * climbs with `..`, or reaches outside through a symbolic link is refused.
 * @throws {ToolError} NO_SUCH_FILE
 */
export async function openInput(path: string): Promise<OpenInput> {
  const info = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    const why = cause.code === 'ENOENT' ? 'there is no such file or folder' : cause.message
    throw new ToolError('NO_SUCH_FILE', `${path}: ${why}`, { cause })
  })
  const isFolder = info.isDirectory()
  if (!isFolder && !info.isFile())
    throw new ToolError('NO_SUCH_FILE', `${path}: expected a file or folder, found a device, socket or pipe`)
  const folder = isFolder ? path : dirname(path)
  const root = await realpath(folder)
  // One handle per file, however many names (`a`, `./a`, a link) a model gives it.
  const opened = new Map<string, Promise<FileSource>>()
  const openOnce = (real: string, name: string) => {
    const source = opened.get(real) ?? openFileSource(real, name)
    opened.set(real, source)
    return source
  }
  return {
    path,
    isFolder,
    folder: root,
    main: isFolder ? memorySource(path, new Uint8Array(0)) : await openOnce(await realpath(path), path),
    async open(relativePath) {
      const real = await resolveInside(root, relativePath, path)
      return real === undefined ? undefined : openOnce(real, join(folder, relativePath))
    },
    async list(relativeFolder = '.') {
      const real = await resolveInside(root, relativeFolder, path, 'folder')
      if (real === undefined) return []
      const names = await readdir(real, { withFileTypes: true })
      return names
        .slice(0, MAX_LISTED)
        .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))
        .sort()
    },
    async close() {
      const files = await Promise.allSettled(opened.values())
      opened.clear()
      await Promise.all(files.map((file) => (file.status === 'fulfilled' ? file.value.close() : undefined)))
    },
  }
}

async function resolveInside(
  root: string,
  relativePath: string,
  owner: string,
  kind: 'file' | 'folder' = 'file',
): Promise<string | undefined> {
  const unsafe = (found: string) =>
    new FormatError({
      code: 'UNSAFE',
      file: owner,
      what: `path "${relativePath}"`,
      expected: `a file inside the folder of ${basename(owner)}`,
      found,
      hint: 'It was not opened.',
    })
  if (relativePath.includes('\0')) throw unsafe('a NUL character')
  if (isAbsolute(relativePath) || /^[A-Za-z]:[\\/]/.test(relativePath)) throw unsafe('an absolute path')
  if (relativePath.split(/[\\/]/).includes('..')) throw unsafe('a path that climbs with ".."')
  const target = join(root, relativePath)
  let real: string
  try {
    real = await realpath(target)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return undefined
    const { message } = error as Error
    throw new ToolError('CANNOT_READ', `${join(owner, '..', relativePath)}: cannot read: ${message}`, { cause: error })
  }
  const inside = relative(root, real)
  if (inside.startsWith(`..${sep}`) || inside === '..' || isAbsolute(inside)) throw unsafe('a link that leads outside')
  const info = await stat(real)
  return (kind === 'file' ? info.isFile() : info.isDirectory()) ? real : undefined
}
