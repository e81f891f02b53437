import { ByteReader } from '../../bytes/byte-reader.ts'
import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { openZip, type ZipEntry } from '../../encoding/zip.ts'
import { FormatError } from '../../errors.ts'
import type { CodeReference, Model, Problem } from '../../model/model.ts'
import { uniqueNames } from '../../model/unique-names.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { Format, ModelInput } from '../format.ts'
import { type ArrayFile, readArrayFile } from './array-file.ts'

/**
 * A zip archive of `.npy` files. Opening reads the header of each entry; stored entries are then read where they lie,
 * deflated ones are inflated when their values are asked for.
 */
export const npz: Format = {
  id: 'npz',
  title: 'NumPy archive (.npz)',
  extensions: ['.npz'],
  spec: 'https://numpy.org/doc/stable/reference/generated/numpy.savez.html',
  match: ({ zipEntries }) => {
    if (!zipEntries) return 'no'
    if (zipEntries.length > 0 && zipEntries.every((name) => name.endsWith('.npy'))) return 'yes'
    // something was added to the archive; `data.pkl` and the like make it another format
    return zipEntries.some((name) => name.endsWith('.npy')) && !zipEntries.some((name) => /\.(pkl|json|h5)$/.test(name))
      ? 'maybe'
      : 'no'
  },
  read,
}

/** A header rarely has more than 128 bytes; this much is inflated of each deflated entry to find out. */
const HEAD_BYTES = 4096

async function read(input: ModelInput, limits: Limits): Promise<Model> {
  const { main } = input
  const archive = await openZip(main, limits)
  const tensors: Tensor[] = []
  const references = new Map<string, CodeReference>()
  const warnings: Problem[] = []
  const versions = new Set<string>()
  const unique = uniqueNames()
  let kept = 0
  for (const entry of archive.entries.values()) {
    if (entry.name.endsWith('/')) continue
    if (!entry.name.endsWith('.npy')) {
      warnings.push({ code: 'UNREAD_ENTRY', message: `entry "${entry.name}" is no .npy file`, subject: entry.name })
      continue
    }
    const file = await readEntry(entry, main, limits)
    if (file.header.type.kind === 'object' && entry.compressed) kept += entry.bytes
    if (kept > limits.maxInflatedBytes) throw tooMuch(main, limits)
    versions.add(file.header.version)
    for (const tensor of file.tensors) tensors.push({ ...tensor, name: unique(tensor.name) })
    warnings.push(...file.warnings)
    for (const reference of file.references) {
      const known = references.get(reference.name)
      references.set(reference.name, known ? { ...known, count: known.count + reference.count } : reference)
    }
  }
  return {
    format: 'npz',
    files: [{ name: main.name, bytes: main.size, role: 'main', source: main }],
    metadata: { formatVersion: [...versions].sort().join(', '), producer: 'numpy' },
    tensors,
    graphs: [],
    ...(references.size > 0 ? { references: [...references.values()] } : {}),
    warnings,
  }
}

async function readEntry(entry: ZipEntry, main: ByteSource, limits: Limits): Promise<ArrayFile> {
  const name = entry.name.replace(/\.npy$/, '')
  let source = await entry.openHead(HEAD_BYTES)
  if (source.size < entry.bytes && (await headerEnd(source)) > source.size) source = await entry.open()
  return readArrayFile(
    {
      name,
      prefix: [name],
      source,
      open: () => entry.open(),
      size: entry.bytes,
      storage: { file: `${main.name}!${entry.name}`, byteOffset: 0 },
    },
    limits,
  )
}

/** Where the header ends, as its length field says; see `readNpyHeader` for the layout. */
async function headerEnd(source: ByteSource): Promise<number> {
  const reader = new ByteReader(await source.read(0, Math.min(12, source.size)), { name: source.name })
  reader.skip(6, 'magic')
  const major = reader.u8('version')
  reader.skip(1, 'version')
  return major === 1 ? 10 + reader.u16('header length') : 12 + reader.u32('header length')
}

function tooMuch(main: ByteSource, limits: Limits): FormatError {
  return new FormatError({
    code: 'LIMIT_EXCEEDED',
    file: main.name,
    what: 'deflated object arrays',
    expected: `at most ${limits.maxInflatedBytes} bytes together`,
    found: 'more',
  })
}
