import { cacheBlocks } from '../../bytes/block-cache.ts'
import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { FormatError } from '../../errors.ts'
import { readAttributes } from './attributes.ts'
import { freshBudget, type Hdf5Context } from './context.ts'
import { type DatasetHeader, readDatasetHeader, streamStored } from './dataset.ts'
import { describeType } from './datatype.ts'
import { openGlobalHeap } from './global-heap.ts'
import { type Hdf5Link, readLinks } from './links.ts'
import { MESSAGE, readObjectHeader } from './object-header.ts'
import { readSuperblock } from './superblock.ts'
import { type AttributeContent, eachText, findTextOffset, putInOrder, readAttribute } from './values.ts'

/**
 * HDF5, read lazily: structure first, values on demand, in C order and little-endian.
 *
 * Why our own reader: the one on npm (h5wasm, the C library compiled) takes the whole file into memory, does not know
 * float16, gives no byte offsets for messages, and a damaged file can make it hang. Model files use a small part of
 * the format, which is what is here: superblocks 0 to 3, old and new object headers and groups, compact and dense
 * links and attributes, compact, contiguous and chunked datasets with every chunk index, gzip, lzf, shuffle, fletcher32.
 *
 * Not here: szip and other filters, external and virtual storage, shared message heaps, files split over drivers
 * (each is named in an error or remark), and writing. Links to other files are never followed.
 *
 * Bounds: each walk may read 16 times the file's size of structure (`freshBudget`), every object is visited once,
 * trees must fall by one level per step, sizes are checked against the file before anything is allocated.
 *
 * @source HDF5 File Format Specification 3.0, https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html
 */
export interface Hdf5File {
  readonly superblockVersion: number
  /** the root group first, then everything below it, each object once, groups before their members, by name */
  readonly objects: readonly Hdf5Object[]
  /** soft, external and repeated links, and objects that are neither group nor dataset */
  readonly remarks: readonly Hdf5Remark[]
}

export interface Hdf5Remark {
  readonly code: 'SOFT_LINK' | 'EXTERNAL_LINK' | 'TIED_NAME' | 'UNREAD_OBJECT'
  readonly message: string
  readonly path: string
}

/** A group or dataset. `path` has no leading slash; the root's is empty. */
export type Hdf5Object = Hdf5Group | Hdf5Dataset

export interface Hdf5Group {
  readonly kind: 'group'
  readonly path: string
  readonly attributes: Attributes
}

/** Attribute access, on demand. */
export interface Attributes {
  names(): Promise<readonly string[]>
  /** undefined when there is none of that name, or it holds neither numbers nor text */
  get(name: string): Promise<AttributeContent | undefined>
  /** absolute offset of an attribute's text or values */
  offsetOf(name: string): Promise<number | undefined>
}

export interface Hdf5Dataset {
  readonly kind: 'dataset'
  readonly path: string
  readonly attributes: Attributes
  /** relative to the superblock: the same for two names of one dataset */
  readonly address: number
  readonly header: DatasetHeader
  /** where the values lie as they are, when they do and no checksum covers them: absolute */
  readonly range: { readonly offset: number; readonly length: number } | undefined
  /**
   * Values as little-endian numbers in pieces of whole elements; text as u32 length and bytes per element; opaque
   * bytes as they are.
   * @throws {FormatError} UNSUPPORTED_FEATURE for filters that are not supported, external or virtual storage
   */
  stream(): AsyncGenerator<Uint8Array>
}

/**
 * Opens a file and lists its objects.
 * @throws {FormatError} for anything that is damaged, beyond the limits or not supported in the structure
 */
export async function openHdf5(source: ByteSource, limits: Limits): Promise<Hdf5File> {
  const superblock = await readSuperblock(source)
  const { base, offsetSize, lengthSize } = superblock
  const context = freshBudget({ metadata: cacheBlocks(source), values: source, base, offsetSize, lengthSize, limits })
  const objects: Hdf5Object[] = []
  const remarks: Hdf5Remark[] = []
  const names = new Map<number, string>()
  const paths = new Set<string>()
  const visit = async (address: number, path: string, depth: number): Promise<void> => {
    const known = names.get(address)
    if (known !== undefined) {
      remarks.push({ code: 'TIED_NAME', path, message: `"${path}" is another name of "${known}", listed there` })
      return
    }
    names.set(address, path)
    checkCount(context, names.size, depth, address)
    const messages = await readObjectHeader(context, address)
    const attributes = lazyAttributes(context, messages)
    const dataset = messages.some((message) => message.type === MESSAGE.layout)
      ? await readDatasetHeader(context, messages)
      : undefined
    if (path === '' && (dataset || !messages.some(({ type }) => GROUP_MESSAGES.has(type)))) {
      throw notAGroup(context, address)
    }
    if (dataset) {
      objects.push(defineDataset(context, { path, address, attributes, header: dataset }))
      return
    }
    if (!messages.some(({ type }) => GROUP_MESSAGES.has(type))) {
      const message = `"${path}" is neither a group nor a dataset (a named datatype); it holds no values`
      remarks.push({ code: 'UNREAD_OBJECT', path, message })
      return
    }
    objects.push({ kind: 'group', path, attributes })
    const links = await readLinks(context, messages)
    for (const [index, link] of links.entries()) {
      // Whatever belongs to an object mostly lies near its header: reading ahead lets a disk do several at once.
      if (index % PREFETCHED === 0) prefetch(context, links.slice(index, index + PREFETCHED))
      const below = path === '' ? link.name : `${path}/${link.name}`
      checkName(context, link.name, { path: below, paths, address })
      if (link.kind === 'hard') await visit(link.address, below, depth + 1)
      else if (link.kind === 'soft') {
        const message = `"${below}" is a soft link to "${link.target}"`
        remarks.push({ code: 'SOFT_LINK', path: below, message })
      } else {
        const message = `"${below}" is a link to another file (${link.target}); it was not followed`
        remarks.push({ code: 'EXTERNAL_LINK', path: below, message })
      }
    }
  }
  await visit(superblock.rootAddress, '', 0)
  return { superblockVersion: superblock.version, objects, remarks }
}

/** Headers asked for at once; they fit into the block cache with room for what hangs on them. */
const PREFETCHED = 32

function prefetch({ metadata, base }: Hdf5Context, links: readonly Hdf5Link[]): void {
  for (const link of links) if (link.kind === 'hard') metadata.prefetch(base + link.address)
}

const GROUP_MESSAGES: ReadonlySet<number> = new Set([
  MESSAGE.symbolTable,
  MESSAGE.linkInfo,
  MESSAGE.link,
  MESSAGE.groupInfo,
])

function notAGroup({ metadata, base }: Hdf5Context, address: number): FormatError {
  return new FormatError({
    code: 'INVALID_FIELD',
    file: metadata.name,
    what: 'root group',
    byteOffset: base + address,
    expected: 'a group',
    found: 'another object',
  })
}

function checkCount({ limits, metadata, base }: Hdf5Context, count: number, depth: number, address: number): void {
  if (count <= limits.maxItems && depth <= limits.maxDepth) return
  const tooDeep = depth > limits.maxDepth
  throw new FormatError({
    code: 'LIMIT_EXCEEDED',
    file: metadata.name,
    what: tooDeep ? 'groups' : 'objects',
    byteOffset: base + address,
    expected: tooDeep ? `at most ${limits.maxDepth} nested groups` : `at most ${limits.maxItems} objects`,
    found: 'more',
  })
}

/** Names within a group are unique, not empty, and without slashes: else two objects would have one path. */
function checkName(
  { metadata, base }: Hdf5Context,
  name: string,
  { path, paths, address }: { path: string; paths: Set<string>; address: number },
): void {
  const fault = paths.has(path) ? 'the same name twice' : name === '' ? 'an empty name' : undefined
  paths.add(path)
  if (fault === undefined && !name.includes('/')) return
  throw new FormatError({
    code: 'INVALID_FIELD',
    file: metadata.name,
    what: `link "${path}"`,
    byteOffset: base + address,
    expected: 'a name of its own, without slashes',
    found: fault ?? 'a slash',
  })
}

function lazyAttributes(context: Hdf5Context, messages: Parameters<typeof readAttributes>[1]): Attributes {
  let pending: ReturnType<typeof readAttributes> | undefined
  const all = () => {
    pending ??= readAttributes(context, messages)
    return pending
  }
  return {
    names: async () => [...(await all()).keys()],
    async get(name) {
      const attribute = (await all()).get(name)
      return attribute && readAttribute(freshBudget(context), attribute)
    },
    async offsetOf(name) {
      const attribute = (await all()).get(name)
      return attribute && findTextOffset(freshBudget(context), attribute)
    },
  }
}

function defineDataset(
  context: Hdf5Context,
  parts: { path: string; address: number; attributes: Attributes; header: DatasetHeader },
): Hdf5Dataset {
  const { header, path } = parts
  const { layout, bytes } = header
  const contiguous = layout.kind === 'contiguous' && layout.address !== undefined ? layout.address : undefined
  const range =
    contiguous !== undefined && header.obstacle === undefined
      ? { offset: context.base + contiguous, length: bytes }
      : layout.kind === 'compact' && !header.checked
        ? { offset: layout.byteOffset, length: bytes }
        : undefined
  return { kind: 'dataset', ...parts, range, stream: () => streamValues(context, path, header) }
}

async function* streamValues(context: Hdf5Context, path: string, header: DatasetHeader): AsyncGenerator<Uint8Array> {
  const { type, obstacle } = header
  const numeric = type.kind === 'array' ? type.base : type
  if (obstacle !== undefined || numeric.kind === 'other' || numeric.kind === 'array') {
    throw new FormatError({
      code: 'UNSUPPORTED_FEATURE',
      file: context.metadata.name,
      what: `dataset "${path}"`,
      expected: 'numbers or text, plain or packed with gzip or lzf',
      found: obstacle ?? describeType(type),
      hint: 'Repack the file with h5repack.',
    })
  }
  if (numeric.kind === 'opaque') {
    yield* streamStored(context, header)
    return
  }
  if (numeric.kind === 'number') {
    // A shared view is enough: nobody may write to what a source gave.
    for await (const piece of streamStored(context, header)) yield putInOrder(piece, numeric.swap, false)
    return
  }
  const own = freshBudget(context)
  const heap = openGlobalHeap(own)
  for await (const piece of streamStored(own, header)) {
    for await (const text of eachText(own, heap, numeric, piece)) {
      const element = new Uint8Array(4 + text.length)
      new DataView(element.buffer).setUint32(0, text.length, true)
      element.set(text, 4)
      yield element
    }
  }
}
