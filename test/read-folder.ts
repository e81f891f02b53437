import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/**
 * Files of a folder in `test/fixtures/frameworks` as a Sample has them: content by path relative to that folder.
 * @param wanted which of them; default all
 */
export function readFixtures(folder: string, wanted: RegExp = /./): Record<string, Uint8Array> {
  const root = resolve(import.meta.dirname, 'fixtures/frameworks', folder)
  const names = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(root.length + 1)
        .replaceAll('\\', '/'),
    )
  return Object.fromEntries(
    names.filter((name) => wanted.test(name)).map((name) => [name, new Uint8Array(readFileSync(join(root, name)))]),
  )
}
