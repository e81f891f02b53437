import { memorySource } from '../src/bytes/byte-source.ts'
import type { ModelInput } from '../src/formats/format.ts'

/**
 * A ModelInput over bytes in memory: what the readers see, without a disk.
 *
 * @param files content by path relative to the folder
 * @param main the file that is opened; undefined opens the folder
 */
export function memoryInput(files: Readonly<Record<string, Uint8Array>>, main?: string): ModelInput {
  const bytes = main === undefined ? new Uint8Array(0) : files[main]
  if (bytes === undefined) throw new Error(`no file ${main}`)
  return {
    path: main ?? 'folder',
    isFolder: main === undefined,
    main: memorySource(main ?? 'folder', bytes),
    async open(relativePath) {
      const found = files[relativePath]
      return found === undefined ? undefined : memorySource(relativePath, found)
    },
    async list(relativeFolder = '.') {
      const prefix = relativeFolder === '.' ? '' : `${relativeFolder.replace(/\/$/, '')}/`
      const inside = Object.keys(files).filter((name) => name.startsWith(prefix))
      return [...new Set(inside.map((name) => name.slice(prefix.length).replace(/\/.*$/, '/')))].sort()
    },
  }
}
