import type { ByteSource } from '../bytes/byte-source.ts'
import type { Limits } from '../bytes/limits.ts'
import { openZip } from '../encoding/zip.ts'
import type { Model, ModelFile } from '../model/model.ts'
import type { FilledTensor } from '../transfer/plan.ts'
import { planBundleIndex } from './bundle-index.ts'
import { companionPaths } from './companions.ts'
import { checkPlace, filesOnDisk, type Located, locate, notWritable } from './locate.ts'
import { spliceOnnx } from './onnx-copy.ts'
import { inOrder, type PlannedFile } from './output.ts'
import { orderPatches, type Patch, patched } from './patch.ts'
import { patchedArchive } from './patched-archive.ts'
import { relativePath } from './relative-path.ts'

/**
 * The target's files with new values for `filled`: byte for byte the same but for those values and the checksums over
 * them. Everything that a model has beside its weights (graph, configuration, code, optimiser) comes along untouched.
 *
 * @param out path of the main file: companions that are found by its name follow it
 * @throws {ToolError} NOT_WRITABLE naming the tensor whose values cannot be replaced where they are, and why;
 *   TIED_TENSORS
 */
export async function copyWithValues(
  model: Model,
  filled: readonly FilledTensor[],
  out: string,
  limits: Limits,
): Promise<PlannedFile[]> {
  const files = filesOnDisk(model)
  const byFile = new Map<ModelFile, Located[]>(files.map((file) => [file, []]))
  for (const tensor of filled) {
    if (tensor.target.bytes === 0) continue
    for (const located of locate(model, tensor)) byFile.get(located.file)!.push(located)
  }
  const paths = companionPaths(model, files, out)
  const planned: PlannedFile[] = []
  for (const [file, located] of byFile) {
    const path = paths.get(file)!
    if (isStaleFingerprint(model, file)) continue
    if (model.format === 'onnx' && file === files[0]) {
      planned.push({ path, ...(await planOnnx(file, byFile, paths, limits)) })
    } else if (BUNDLES.has(model.format) && file.name.endsWith('.index')) {
      planned.push({ path, ...(await planBundleIndex(file, dataFiles(byFile), limits)) })
    } else {
      const isArchive = located.some(({ entry }) => entry !== undefined)
      planned.push({ path, ...(await (isArchive ? planArchive : planPlain)(file, located, limits)) })
    }
  }
  // the one that the user names first
  return planned.sort((one, other) => Number(one.path !== '') - Number(other.path !== ''))
}

/**
 * One entry of an archive as a file of its own, with new values: the weights of a `.keras` archive.
 * @throws {ToolError} NOT_WRITABLE, TIED_TENSORS
 */
export async function planPart(model: Model, part: ModelFile, filled: readonly FilledTensor[]): Promise<Content> {
  const located = filled.filter(({ target }) => target.bytes > 0).flatMap((tensor) => locate(model, tensor))
  const outer = model.files[0]!.name
  return planPlain(
    part,
    located.filter(({ entry }) => `${outer}!${entry}` === part.name),
  )
}

/** TensorFlow's checkpoints, whose index has a checksum for every tensor. */
const BUNDLES: ReadonlySet<string> = new Set(['tf-checkpoint', 'tf-saved-model'])

function dataFiles(byFile: ReadonlyMap<ModelFile, readonly Located[]>): Map<ModelFile, readonly Located[]> {
  return new Map([...byFile].filter(([{ role }]) => role === 'shard'))
}

/** Hashes over graph and variables of a SavedModel: wrong once a value has changed, and TensorFlow does without. */
function isStaleFingerprint(model: Model, { name }: ModelFile): boolean {
  return model.format === 'tf-saved-model' && name.endsWith('fingerprint.pb')
}

type Content = Pick<PlannedFile, 'bytes' | 'pieces'>

async function planPlain({ source }: ModelFile, located: readonly Located[]): Promise<Content> {
  for (const one of located) await checkPlace(one, source)
  return patchSource(
    source,
    located.map(({ patch }) => patch),
  )
}

async function patchSource(source: ByteSource, patches: readonly Patch[]): Promise<Content> {
  const ordered = await orderPatches(source, patches)
  return { bytes: source.size, pieces: () => inOrder(patched(source, ordered)) }
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

/** The main file of an ONNX model: values that are coded, and names of external files that follow the output's. */
async function planOnnx(
  main: ModelFile,
  located: ReadonlyMap<ModelFile, readonly Located[]>,
  paths: ReadonlyMap<ModelFile, string>,
  limits: Limits,
): Promise<Content> {
  const own = located.get(main)!
  const coded = own.filter(({ codedAt }) => codedAt !== undefined)
  const external = [...paths].filter(([file]) => file !== main)
  const old = new Map(external.map(([file]) => [file, relativePath(main.name, file.name)]))
  const renamed = external.filter(([file, path]) => old.get(file) !== path)
  const touched = external.filter(([file]) => located.get(file)!.length > 0)
  if (coded.length + renamed.length + touched.length === 0) return planPlain(main, own)
  for (const one of own) if (one.codedAt === undefined) await checkPlace(one, main.source)
  const spliced = await spliceOnnx(
    main.source,
    {
      coded: new Map(coded.map(({ codedAt, target }) => [codedAt!, { key: String(codedAt), bytes: target.bytes }])),
      renamed: new Map(renamed.map(([file, path]) => [old.get(file)!, path])),
      touched: new Set(touched.map(([file]) => old.get(file)!)),
    },
    limits,
  )
  const patches = own.map(({ patch, target, codedAt }) => {
    const offset = codedAt === undefined ? spliced.moved(patch.offset) : spliced.rooms.get(String(codedAt))
    if (offset === undefined) throw notWritable(target, 'it shares its place in the graph with another tensor')
    return { ...patch, offset }
  })
  return patchSource(spliced.source, patches)
}
