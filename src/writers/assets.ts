import { streamRange } from '../bytes/byte-source.ts'
import { ToolError } from '../errors.ts'
import type { ModelInput } from '../formats/format.ts'
import { inOrder, type PlannedFile } from './output.ts'

/** Vocabularies and the like, which a SavedModel refers to by name; they belong to no tensor and no graph. */
const FOLDERS = ['assets', 'assets.extra'] as const
const MAX_DEPTH = 8
const MAX_FILES = 10_000

/**
 * Copies of the assets of a SavedModel.
 * @throws {ToolError} NOT_WRITABLE for a tree of more than 10,000 files or 8 levels
 */
export async function assetFiles(input: ModelInput): Promise<PlannedFile[]> {
  const files: PlannedFile[] = []
  const walk = async (folder: string, depth: number): Promise<void> => {
    for (const name of await input.list(folder)) {
      const path = `${folder}/${name.replace(/\/$/, '')}`
      if (files.length >= MAX_FILES || depth > MAX_DEPTH)
        throw new ToolError('NOT_WRITABLE', `${input.path}: its assets are too many to be copied along`)
      if (name.endsWith('/')) await walk(path, depth + 1)
      else {
        const source = await input.open(path)
        if (source === undefined) continue
        const pieces = () => inOrder(streamRange(source, { offset: 0, length: source.size }))
        files.push({ path, bytes: source.size, pieces })
      }
    }
  }
  const there = new Set(await input.list())
  for (const folder of FOLDERS) if (there.has(`${folder}/`)) await walk(folder, 1)
  return files
}
