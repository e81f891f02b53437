import { startsWith } from '../../bytes/byte-reader.ts'
import type { Limits } from '../../bytes/limits.ts'
import type { Model } from '../../model/model.ts'
import type { Format, Match, ModelInput, Probe } from '../format.ts'
import { MAX_HEADER_BYTES, readHeader } from './header.ts'
import { isIndexName, readSharded } from './sharded.ts'
import { describeMetadata, metadataWarnings, toTensor } from './tensor.ts'

/**
 * safetensors: weights only, in one file or in shards with an index (`model.safetensors.index.json`, or the folder that
 * holds it). Strict where the official implementation is: no holes, no overlap, nothing behind the last value.
 */
export const safetensors: Format = {
  id: 'safetensors',
  title: 'safetensors',
  extensions: ['.safetensors', '.safetensors.index.json'],
  spec: 'https://github.com/huggingface/safetensors#format',
  match,
  read: (input, limits) => (isSharded(input) ? readSharded(input, limits) : readSingle(input, limits)),
}

function match(probe: Probe): Match {
  const { head, isFolder, siblings, fileName } = probe
  if (isFolder) return siblings.some(isIndexName) ? 'yes' : 'no'
  if (startsWith(head, '{') || /^\s*\{/.test(ascii(head.subarray(0, 64)))) return isIndex(fileName, head) ? 'yes' : 'no'
  // The length of the header as u64: at most 100 MB, so four bytes are zero. Then JSON: `{` and a key, a blank or `}`.
  if (!startsWith(head, [0, 0, 0, 0], 4) || !startsWith(head, '{', 8)) return 'no'
  const length = (head[0]! | (head[1]! << 8) | (head[2]! << 16) | (head[3]! << 24)) >>> 0
  const next = ascii(head.subarray(9, 10))
  return length >= 2 && length <= MAX_HEADER_BYTES && /^["}\s]?$/.test(next) ? 'yes' : 'no'
}

function isSharded({ isFolder, main, path }: ModelInput): boolean {
  return isFolder || isIndexName(path.toLowerCase()) || main.name.toLowerCase().endsWith('.json')
}

/** PyTorch shards `.bin` files with an index of the same form: the names of the shards tell. */
function isIndex(fileName: string, head: Uint8Array): boolean {
  const text = ascii(head)
  if (!/"weight_map"\s*:\s*\{/.test(text)) return false
  return isIndexName(fileName) || /"weight_map"\s*:\s*\{\s*"[^"]*"\s*:\s*"[^"]*\.safetensors"/.test(text)
}

function ascii(bytes: Uint8Array): string {
  return new TextDecoder('latin1').decode(bytes)
}

async function readSingle({ main }: ModelInput, limits: Limits): Promise<Model> {
  const header = await readHeader(main, limits)
  return {
    format: 'safetensors',
    files: [{ name: main.name, bytes: main.size, role: 'main', source: main }],
    metadata: describeMetadata(header.metadata),
    tensors: header.tensors.map((entry) => toTensor(main, entry)),
    graphs: [],
    warnings: metadataWarnings(header, main.name),
  }
}
