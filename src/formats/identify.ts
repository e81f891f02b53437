import { describeBytes, startsWith } from '../bytes/byte-reader.ts'
import type { ByteSource } from '../bytes/byte-source.ts'
import type { Limits } from '../bytes/limits.ts'
import { openZip } from '../encoding/zip.ts'
import { FormatError } from '../errors.ts'
import { nameForeign } from './foreign.ts'
import type { Format, ModelInput, Probe } from './format.ts'
import { FORMATS } from './registry.ts'

const HEAD_BYTES = 65_536
const TAIL_BYTES = 1024

/**
 * The one reader whose format the content shows. Content decides; the extension only breaks a tie between formats
 * that have no signature of their own.
 * @throws {FormatError} UNSUPPORTED_FORMAT naming what the file is; NOT_RECOGNISED with its first bytes
 */
export async function identify(input: ModelInput, limits: Limits): Promise<Format> {
  const probe = await probeInput(input, limits)
  const answers = FORMATS.map((format) => ({ format, match: format.match(probe) }))
  const sure = answers.filter(({ match }) => match === 'yes').map(({ format }) => format)
  const possible = sure.length > 0 ? sure : answers.filter(({ match }) => match === 'maybe').map(({ format }) => format)
  const [only] = possible
  if (only && possible.length === 1) return only
  if (possible.length > 1) {
    const named = possible.filter(({ extensions }) =>
      extensions.some((extension) => probe.fileName.endsWith(extension)),
    )
    if (named[0] && named.length === 1) return named[0]
    const titles = possible.map(({ title }) => title).join(' or ')
    throw new FormatError({
      code: 'NOT_RECOGNISED',
      file: input.path,
      what: 'content',
      expected: 'one format',
      found: `${titles}`,
      hint: 'Give the file its usual extension to decide.',
    })
  }
  throw unrecognised(input.path, probe)
}

function unrecognised(path: string, probe: Probe): FormatError {
  const foreign = nameForeign(probe)
  if (foreign) {
    return new FormatError({
      code: 'UNSUPPORTED_FORMAT',
      file: path,
      what: `this is ${foreign.name}`,
      hint: foreign.hint,
    })
  }
  const readable = FORMATS.map(({ title }) => title).join(', ')
  const found = probe.isFolder
    ? `a folder with ${probe.siblings.slice(0, 8).join(', ') || 'nothing'}`
    : describeBytes(probe.head)
  return new FormatError({
    code: 'NOT_RECOGNISED',
    file: path,
    what: 'format not recognised',
    byteOffset: 0,
    expected: `one of ${readable}`,
    found,
  })
}

/** What all formats may look at before one of them is chosen: at most 65 KiB of the file, and its neighbours' names. */
export async function probeInput(input: ModelInput, limits: Limits): Promise<Probe> {
  const { main } = input
  const head = await main.read(0, Math.min(HEAD_BYTES, main.size))
  const tailBytes = Math.min(TAIL_BYTES, main.size)
  const tail = await main.read(main.size - tailBytes, tailBytes)
  const zipEntries =
    startsWith(head, [0x50, 0x4b, 0x03, 0x04]) || startsWith(head, [0x50, 0x4b, 0x05, 0x06])
      ? await zipNames(main, limits)
      : undefined
  return {
    fileName: (input.path.replaceAll('\\', '/').replace(/\/+$/, '').split('/').at(-1) ?? '').toLowerCase(),
    size: main.size,
    head,
    tail,
    ...(zipEntries ? { zipEntries } : {}),
    siblings: (await input.list()).map((name) => name.toLowerCase()),
    isFolder: input.isFolder,
  }
}

async function zipNames(source: ByteSource, limits: Limits): Promise<readonly string[]> {
  const archive = await openZip(source, limits)
  return [...archive.entries.keys()]
}
