import type { Limits } from '../bytes/limits.ts'
import { openZip } from '../encoding/zip.ts'
import type { Model, ModelFile } from '../model/model.ts'
import type { FilledTensor } from '../transfer/plan.ts'
import { checkPlace, filesOnDisk, type Located, locate } from './locate.ts'
import { inOrder, type PlannedFile } from './output.ts'
import { orderPatches, type Patch, patched } from './patch.ts'
import { patchedArchive } from './patched-archive.ts'
import { relativePath } from './relative-path.ts'

/**
 * The target's files with new values for `filled`: byte for byte the same but for those values and the checksums over
 * them. Everything that a model has beside its weights (graph, configuration, code, optimiser) comes along untouched.
 *
 * @throws {ToolError} NOT_WRITABLE naming the tensor whose values cannot be replaced where they are, and why;
 *   TIED_TENSORS
 */
export async function copyWithValues(
  model: Model,
  filled: readonly FilledTensor[],
  limits: Limits,
): Promise<PlannedFile[]> {
  const main = model.files[0]!
  const byFile = new Map<ModelFile, Located[]>(filesOnDisk(model).map((file) => [file, []]))
  for (const tensor of filled) {
    if (tensor.target.bytes === 0) continue
    for (const located of locate(model, tensor)) byFile.get(located.file)!.push(located)
  }
  const planned: PlannedFile[] = []
  for (const [file, located] of byFile) {
    const path = file === main ? '' : relativePath(main.name, file.name)
    const isArchive = located.some(({ entry }) => entry !== undefined)
    planned.push({ path, ...(await (isArchive ? planArchive : planPlain)(file, located, limits)) })
  }
  return planned
}

type Content = Pick<PlannedFile, 'bytes' | 'pieces'>

async function planPlain({ source }: ModelFile, located: readonly Located[]): Promise<Content> {
  for (const one of located) await checkPlace(one, source)
  const patches = await orderPatches(
    source,
    located.map(({ patch }) => patch),
  )
  return { bytes: source.size, pieces: () => inOrder(patched(source, patches)) }
}

async function planArchive({ source }: ModelFile, located: readonly Located[], limits: Limits): Promise<Content> {
  const archive = await openZip(source, limits)
  const patches = new Map<string, readonly Patch[]>()
  for (const name of new Set(located.map(({ entry }) => entry ?? ''))) {
    const own = located.filter(({ entry }) => entry === name)
    const content = await archive.get(name).open()
    for (const one of own) await checkPlace(one, content)
    const ordered = await orderPatches(
      content,
      own.map(({ patch }) => patch),
    )
    patches.set(name, ordered)
  }
  return patchedArchive(source, archive, patches, limits)
}
