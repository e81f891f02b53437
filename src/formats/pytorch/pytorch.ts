import { startsWith } from '../../bytes/byte-reader.ts'
import type { Limits } from '../../bytes/limits.ts'
import type { GlobalReference } from '../../encoding/pickle/machine.ts'
import { FormatError } from '../../errors.ts'
import type { CodeReference, Model, Problem } from '../../model/model.ts'
import type { Format, Match, ModelInput, Probe } from '../format.ts'
import { readContents } from './contents.ts'
import { isLegacyHead, openLegacyFile } from './legacy.ts'
import { nameRelative } from './relatives.ts'
import { DATA_ENTRY, openTorchArchive } from './zip-archive.ts'

/**
 * Whatever `torch.save` and `torch.jit.save` write: state dicts, checkpoints, whole modules, TorchScript.
 *
 * The pickle inside is run by our own machine, which builds data and calls nothing (`encoding/pickle/`). Tensors are
 * found in the result wherever they lie, and read from the storages when they are streamed.
 */
export const pytorch: Format = {
  id: 'pytorch',
  title: 'PyTorch',
  extensions: ['.pt', '.pth', '.th', '.ckpt', '.bin', '.pkl', '.tar', '.ptl', '.jit', '.torchscript'],
  spec: 'https://docs.pytorch.org/docs/stable/notes/serialization.html',
  match,
  read,
}

function match(probe: Probe): Match {
  if (probe.zipEntries?.some((name) => DATA_ENTRY.test(name))) return 'yes'
  return isLegacyHead(probe.head) || nameRelative(probe.head, probe.zipEntries ?? []) ? 'yes' : 'no'
}

async function read(input: ModelInput, limits: Limits): Promise<Model> {
  const { main } = input
  const head = await main.read(0, Math.min(main.size, 1024))
  if (startsWith(head, 'PK')) return readArchive(input, limits)
  if (isLegacyHead(head)) return readLegacy(input, limits)
  throw unsupported(input.path, nameRelative(head, []) ?? 'a file that torch did not write')
}

async function readArchive(input: ModelInput, limits: Limits): Promise<Model> {
  const { main } = input
  const archive = await openTorchArchive(main, limits, (entries) => {
    const relative = nameRelative(new Uint8Array(0), entries)
    return relative === undefined ? undefined : unsupported(input.path, relative)
  })
  const contents = await readContents(
    archive.data,
    archive.constants,
    limits,
    archive.isTorchScript ? archive.listings : [],
  )
  const references = [...archive.references.values()].map(({ reference, file }) => ({ ...reference, file }))
  const script = archive.isMobile ? 'TorchScript archive for the mobile interpreter' : 'TorchScript archive'
  return {
    format: 'pytorch',
    variant: archive.isTorchScript ? script : `${contents.kind}, zip (torch 1.6 and later)`,
    files: [{ name: main.name, bytes: main.size, role: 'main', source: main }],
    metadata: {
      framework: 'pytorch',
      producer: 'pytorch',
      ...(archive.version === undefined ? {} : { formatVersion: archive.version }),
      ...(contents.name === undefined ? {} : { name: contents.name }),
      properties: {
        ...contents.properties,
        ...(archive.bigEndian ? { byteOrder: 'big' } : {}),
        ...(archive.extraFiles.length > 0 ? { extraFiles: archive.extraFiles } : {}),
      },
    },
    tensors: contents.tensors,
    graphs: [],
    ...(contents.training ? { training: contents.training } : {}),
    references,
    ...(archive.listings.length > 0 ? { listings: archive.listings } : {}),
    warnings: [...referenceWarnings(references), ...contents.warnings],
  }
}

async function readLegacy(input: ModelInput, limits: Limits): Promise<Model> {
  const { main } = input
  const file = await openLegacyFile(main, limits)
  const contents = await readContents({ ...file.data, source: main, storages: file.storages }, undefined, limits)
  const references = [...file.references.values()].map((reference) => ({ ...reference, file: main.name }))
  const warnings: Problem[] = [...referenceWarnings(references), ...contents.warnings]
  if (file.trailingBytes > 0) {
    const message = `${file.trailingBytes} bytes follow the last storage and are not read`
    warnings.push({ code: 'TRAILING_BYTES', message, subject: main.name })
  }
  return {
    format: 'pytorch',
    variant: `${contents.kind}, legacy (before torch 1.6)`,
    files: [{ name: main.name, bytes: main.size, role: 'main', source: main }],
    metadata: {
      framework: 'pytorch',
      producer: 'pytorch',
      formatVersion: file.protocolVersion,
      ...(contents.name === undefined ? {} : { name: contents.name }),
      properties: contents.properties,
    },
    tensors: contents.tensors,
    graphs: [],
    ...(contents.training ? { training: contents.training } : {}),
    references,
    ...(file.listings.length > 0 ? { listings: file.listings } : {}),
    warnings,
  }
}

/** Warnings for what must not be loaded with torch itself. */
function referenceWarnings(references: readonly (GlobalReference & CodeReference)[]): Problem[] {
  return references
    .filter(({ kind }) => kind === 'dangerous')
    .map(({ name, file, byteOffset }) => ({
      code: 'DANGEROUS_REFERENCE',
      message: `${file} refers to ${name} at byte ${byteOffset}. Nothing was executed; do not load this file with weights_only=False.`,
      subject: name,
    }))
}

function unsupported(file: string, name: string): FormatError {
  return new FormatError({
    code: 'UNSUPPORTED_FORMAT',
    file,
    what: `this is ${name}`,
    hint: 'Save the state dict with torch.save, or with safetensors, and read that.',
  })
}
