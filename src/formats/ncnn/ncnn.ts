import { startsWith } from '../../bytes/byte-reader.ts'
import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { FormatError } from '../../errors.ts'
import type { Graph, Node, NodeParameter, Value } from '../../model/graph.ts'
import type { Model, Problem } from '../../model/model.ts'
import { uniqueNames } from '../../model/unique-names.ts'
import type { Format, Match, ModelInput, Probe } from '../format.ts'
import { findPartner } from '../partner.ts'
import { NCNN_MAGIC, type NcnnLayer, type NcnnParam, readTextParam } from './param.ts'
import { readBinaryParam } from './param-binary.ts'
import { paramName } from './param-names.ts'
import { type PlannedWeight, planWeights, TAG_FLOAT16, TAG_FLOAT32_SCALED, TAG_INT8 } from './plan-weights.ts'
import { openWeights } from './weights.ts'

const PARAM_EXTENSIONS = ['.param', '.param.bin', '.ncnn.param']
const BIN_EXTENSIONS = ['.bin', '.ncnn.bin', '.model']

/**
 * ncnn: a `.param` (layers, text or binary) and a `.bin` (weights in the order of the layers, no names, no shapes).
 * Either may be opened; the other is looked for beside it. A `.param` alone gives the graph.
 *
 * Tensors are `layer/weight`, `layer/bias` and so on; a numbered layer of the binary form is `layer_INDEX`.
 */
export const ncnn: Format = {
  id: 'ncnn',
  title: 'ncnn',
  extensions: ['.param', '.bin'],
  spec: 'https://github.com/Tencent/ncnn/blob/master/docs/developer-guide/param-and-model-file-structure.md',
  match: (probe) => (isParam(probe) ? 'yes' : matchBin(probe)),
  read,
}

function isParam({ head, isFolder }: Probe): boolean {
  if (isFolder) return false
  if (isBinaryParam(head)) return true
  const text = new TextDecoder('latin1').decode(head.subarray(0, 200))
  // pnnx keeps the magic, but its operators (`nn.Conv2d`, `pnnx.Input`) and its weights are another format
  return /^\s*7767517\s+\d+\s+\d+\s/.test(text) && !/^\s*7767517\s+\d+\s+\d+\s+pnnx\./.test(text)
}

function isBinaryParam(head: Uint8Array): boolean {
  return startsWith(head, [NCNN_MAGIC & 0xff, (NCNN_MAGIC >> 8) & 0xff, NCNN_MAGIC >> 16, 0])
}

/** The `.bin` has no magic: a partner's name, or the tag of a stored array, makes it possible. */
function matchBin({ head, size, fileName, siblings, isFolder }: Probe): Match {
  if (isFolder || !fileName.endsWith('.bin') || fileName.endsWith('.pnnx.bin') || size < 4 || size % 4 !== 0)
    return 'no'
  const tag = new DataView(head.buffer, head.byteOffset, head.byteLength).getUint32(0, true)
  if (tag === TAG_FLOAT16 || tag === TAG_INT8 || tag === TAG_FLOAT32_SCALED) return 'maybe'
  return siblings.some((name) => name.endsWith('.param') && !name.endsWith('.pnnx.param')) ? 'maybe' : 'no'
}

async function read(input: ModelInput, limits: Limits): Promise<Model> {
  const { main } = input
  const opensParam = isParamHead(await main.read(0, Math.min(64, main.size)))
  return opensParam ? readFromParam(input, limits) : readFromBin(input, limits)
}

const isParamHead = (head: Uint8Array) =>
  isBinaryParam(head) || /^\s*7767517\b/.test(new TextDecoder('latin1').decode(head))

async function readParam(source: ByteSource, limits: Limits): Promise<NcnnParam> {
  const head = await source.read(0, Math.min(8, source.size))
  return isBinaryParam(head) ? readBinaryParam(source, limits) : readTextParam(source, limits)
}

async function readFromParam(input: ModelInput, limits: Limits): Promise<Model> {
  const { main } = input
  const param = await readParam(main, limits)
  const partner = await findPartner(input, PARAM_EXTENSIONS, BIN_EXTENSIONS, async (bin) => {
    await planWeights(param, main.name, bin, limits)
    return true
  })
  if (partner.found) {
    return assemble(param, main, partner.found, await planWeights(param, main.name, partner.found, limits), main)
  }
  const warning: Problem = {
    code: 'WEIGHTS_NOT_FOUND',
    message:
      partner.candidates.length === 0
        ? 'No .bin lies beside the .param: this is the graph without weights.'
        : `None of ${partner.candidates.slice(0, 5).join(', ')} is the only one that fits this .param: the graph is shown without weights.`,
  }
  return assemble(param, main, undefined, [], main, [warning])
}

async function readFromBin(input: ModelInput, limits: Limits): Promise<Model> {
  const { main } = input
  const partner = await findPartner(input, BIN_EXTENSIONS, ['.param', '.param.bin'], async (source) => {
    await planWeights(await readParam(source, limits), source.name, main, limits)
    return true
  })
  if (!partner.found) {
    throw new FormatError({
      code: 'MISSING_FILE',
      file: main.name,
      what: 'ncnn weights',
      expected: 'the .param file that says which layers they belong to',
      found:
        partner.candidates.length === 0
          ? 'none in the folder'
          : `${partner.candidates.slice(0, 5).join(', ')}, none of which is the only one that fits`,
      hint: 'A .bin holds numbers without names or shapes. Put the .param beside it, under the same name.',
    })
  }
  const param = await readParam(partner.found, limits)
  return assemble(param, partner.found, main, await planWeights(param, partner.found.name, main, limits), main)
}

async function assemble(
  param: NcnnParam,
  paramSource: ByteSource,
  bin: ByteSource | undefined,
  planned: readonly PlannedWeight[],
  main: ByteSource,
  warnings: readonly Problem[] = [],
): Promise<Model> {
  const weights = bin === undefined ? undefined : await openWeights(planned, bin)
  const files = [
    { name: paramSource.name, bytes: paramSource.size, role: 'main' as const, source: paramSource },
    ...(bin ? [{ name: bin.name, bytes: bin.size, role: 'weights' as const, source: bin }] : []),
  ]
  return {
    format: 'ncnn',
    variant: param.form === 'text' ? 'param + bin' : 'binary param + bin',
    files: files.sort((left, right) => Number(right.source === main) - Number(left.source === main)),
    metadata: {
      framework: 'ncnn',
      formatVersion: String(NCNN_MAGIC),
      properties: { layers: param.layers.length, blobs: param.blobCount },
    },
    tensors: weights?.tensors ?? [],
    graphs: [buildGraph(param, weights?.byLayer ?? new Map())],
    warnings: [...warnings, ...(weights?.warnings ?? [])],
  }
}

function buildGraph(param: NcnnParam, byLayer: ReadonlyMap<number, readonly NodeParameter[]>): Graph {
  const consumed = new Set(param.layers.flatMap(({ bottoms }) => bottoms))
  const produced = param.layers.flatMap(({ type, tops }) => (type === 'Input' ? [] : tops))
  const unique = uniqueNames()
  const nodes = param.layers.map((layer, index): Node => {
    const parameters = byLayer.get(index)
    return {
      name: unique(layer.name),
      op: layer.type,
      domain: '',
      inputs: layer.bottoms,
      outputs: layer.tops,
      attributes: Object.fromEntries([...layer.params].map(([id, value]) => [paramName(layer.type, id), value])),
      ...(parameters ? { parameters } : {}),
    }
  })
  return {
    name: 'main',
    kind: 'main',
    inputs: param.layers.filter(({ type }) => type === 'Input').flatMap(inputValues),
    outputs: [...new Set(produced)].filter((blob) => !consumed.has(blob)).map((name) => ({ name })),
    nodes,
    values: new Map(),
  }
}

/** ncnn has no batch dimension: an image is [channels, height, width]. */
function inputValues(layer: NcnnLayer): Value[] {
  const size = (id: number) => {
    const value = layer.params.get(id)
    return typeof value === 'number' && value > 0 ? value : undefined
  }
  const [w, h, c] = [size(0), size(1), size(2)]
  const shape =
    c !== undefined ? [c, h ?? null, w ?? null] : h !== undefined ? [h, w ?? null] : w !== undefined ? [w] : undefined
  return layer.tops.map((name) => ({ name, dtype: 'float32' as const, ...(shape ? { shape } : {}) }))
}
