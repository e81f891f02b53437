import type { Limits } from '../bytes/limits.ts'
import { openZip } from '../encoding/zip.ts'
import type { Model, ModelFile } from '../model/model.ts'
import type { FilledTensor } from '../transfer/plan.ts'
import { checkPlace, filesOnDisk, type Located, locate } from './locate.ts'
import { inOrder, type PlannedFile } from './output.ts'
import { orderPatches, patched } from './patch.ts'
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
    const located = locate(model, tensor)
    byFile.get(located.file)!.push(located)
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
  for (const { target, patch } of located) await checkPlace(target, source, patch)
  const patches = await orderPatches(located.map(({ patch }) => patch))
  return { bytes: source.size, pieces: () => inOrder(patched(source, patches)) }
}

async function planArchive({ source }: ModelFile, located: readonly Located[], limits: Limits): Promise<Content> {
  const archive = await openZip(source, limits)
  const patches = new Map<string, Awaited<ReturnType<typeof orderPatches>>>()
  for (const name of new Set(located.map(({ entry }) => entry ?? ''))) {
    const own = located.filter(({ entry }) => entry === name)
    const content = await archive.get(name).open()
    for (const { target, patch } of own) await checkPlace(target, content, patch)
    patches.set(name, await orderPatches(own.map(({ patch }) => patch)))
  }
  return patchedArchive(source, archive, patches, limits)
}
