import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { decodeMessage } from '../../encoding/protobuf.ts'
import { FormatError } from '../../errors.ts'
import type { Model, Problem } from '../../model/model.ts'
import type { Format, ModelInput } from '../format.ts'
import { findPartner, type Partner } from '../partner.ts'
import { buildGraph } from './graph.ts'
import { matchCaffe, matchText } from './match.ts'
import { netProto } from './messages.ts'
import { type CaffeNet, netOfProto } from './net.ts'
import { readPrototxt } from './prototxt.ts'
import { tensorsOf } from './tensors.ts'

const MODEL_EXTENSIONS = ['.caffemodel']
const TEXT_EXTENSIONS = ['.prototxt', '.pt', '.txt']

/**
 * Caffe: a `.prototxt` (network, text) and a `.caffemodel` (network and weights, binary). Either may be opened; the
 * other is looked for beside it, and either alone is read with a warning.
 *
 * Tensors are `layer/INDEX`, in file order. The graph is that of the prototxt where there is one: a caffemodel holds
 * the network that was trained, with its data and loss layers.
 */
export const caffe: Format = {
  id: 'caffe',
  title: 'Caffe',
  extensions: ['.caffemodel', '.prototxt'],
  spec: 'https://github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto',
  match: matchCaffe,
  read,
}

async function read(input: ModelInput, limits: Limits): Promise<Model> {
  const { main } = input
  return matchText(await main.read(0, Math.min(65_536, main.size)))
    ? readFromText(input, limits)
    : readFromModel(input, limits)
}

async function readModelFile(source: ByteSource, limits: Limits): Promise<CaffeNet> {
  const net = netOfProto(await decodeMessage(netProto, source, limits))
  if (net.layers.length > 0) return net
  throw new FormatError({
    code: 'INVALID_FIELD',
    file: source.name,
    what: 'caffe.NetParameter',
    byteOffset: 0,
    expected: 'at least one layer',
    found: 'none',
  })
}

/** Every layer that has weights must be in the network of the text, and there must be one. */
function fits(text: CaffeNet, model: CaffeNet): boolean {
  const names = new Set(text.layers.map(({ name }) => name))
  const owners = model.layers.filter(({ blobs }) => blobs.length > 0)
  return owners.length > 0 && owners.every(({ name }) => names.has(name))
}

async function readFromText(input: ModelInput, limits: Limits): Promise<Model> {
  const text = await readPrototxt(input.main, limits)
  const partner = await findPartner(input, TEXT_EXTENSIONS, MODEL_EXTENSIONS, async (source) =>
    fits(text, await readModelFile(source, limits)),
  )
  if (!partner.found) {
    const message = notFound(partner, 'No .caffemodel lies beside the .prototxt: this is the graph without weights.')
    return assemble(input.main, { text, textSource: input.main }, [{ code: 'WEIGHTS_NOT_FOUND', message }])
  }
  const model = await readModelFile(partner.found, limits)
  return assemble(input.main, { text, textSource: input.main, model, modelSource: partner.found })
}

async function readFromModel(input: ModelInput, limits: Limits): Promise<Model> {
  const model = await readModelFile(input.main, limits)
  const partner = await findPartner(input, MODEL_EXTENSIONS, ['.prototxt'], async (source) => {
    const head = await source.read(0, Math.min(65_536, source.size))
    return matchText(head) && fits(await readPrototxt(source, limits), model)
  })
  if (!partner.found) {
    const alone =
      'No .prototxt lies beside the .caffemodel: the graph is the one stored with the weights, as it was for training.'
    const warning = { code: 'PROTOTXT_NOT_FOUND', message: notFound(partner, alone) }
    return assemble(input.main, { model, modelSource: input.main }, [warning])
  }
  const text = await readPrototxt(partner.found, limits)
  return assemble(input.main, { text, textSource: partner.found, model, modelSource: input.main })
}

function notFound(partner: Partner & { found: undefined }, alone: string): string {
  const list = (names: readonly string[]) => names.slice(0, 5).join(', ')
  if (partner.candidates.length === 0) return alone
  return partner.fitting.length > 1
    ? `${list(partner.fitting)} all fit: none is chosen. Open the pair under one name, or give a folder with one of them.`
    : `The layers of ${list(partner.candidates)} are others: not taken as its partner.`
}

interface Parts {
  readonly text?: CaffeNet
  readonly textSource?: ByteSource
  readonly model?: CaffeNet
  readonly modelSource?: ByteSource
}

function assemble(main: ByteSource, parts: Parts, warnings: readonly Problem[] = []): Model {
  const { text, textSource, model, modelSource } = parts
  const weights = model && modelSource ? tensorsOf(model, modelSource) : undefined
  const net = text ?? model!
  const { graph, warnings: graphWarnings } = buildGraph(net, weights?.byLayer ?? new Map())
  const files = [
    ...(textSource
      ? [{ name: textSource.name, bytes: textSource.size, role: 'main' as const, source: textSource }]
      : []),
    ...(modelSource
      ? [{ name: modelSource.name, bytes: modelSource.size, role: 'weights' as const, source: modelSource }]
      : []),
  ]
  return {
    format: 'caffe',
    variant: `${[text && 'prototxt', model && 'caffemodel'].filter(Boolean).join(' + ')} (${(model ?? net).version} layers)`,
    files: files.sort((left, right) => Number(right.source === main) - Number(left.source === main)),
    metadata: {
      framework: 'caffe',
      formatVersion: (model ?? net).version,
      ...(net.name === undefined ? {} : { name: net.name }),
    },
    tensors: weights?.tensors ?? [],
    graphs: graph.nodes.length > 0 ? [graph] : [],
    warnings: [...warnings, ...graphWarnings, ...(weights?.warnings ?? []), ...unmatched(text, model)],
  }
}

/** What only one half of the pair has. */
function unmatched(text: CaffeNet | undefined, model: CaffeNet | undefined): Problem[] {
  if (!text || !model) return []
  const textNames = new Set(text.layers.map(({ name }) => name))
  const extra = model.layers.filter(({ name, blobs }) => blobs.length > 0 && !textNames.has(name))
  const stored = new Set(model.layers.filter(({ blobs }) => blobs.length > 0).map(({ name }) => name))
  const lacking = text.layers.filter(({ name, type }) => NEEDS_WEIGHTS.has(type) && !stored.has(name))
  const list = (layers: CaffeNet['layers']) => layers.map(({ name }) => name).join(', ')
  return [
    ...(extra.length > 0
      ? [{ code: 'LAYERS_NOT_IN_PROTOTXT', message: `The prototxt has no layer for the weights of ${list(extra)}.` }]
      : []),
    ...(lacking.length > 0
      ? [{ code: 'LAYERS_WITHOUT_WEIGHTS', message: `The caffemodel has no weights for ${list(lacking)}.` }]
      : []),
  ]
}

const NEEDS_WEIGHTS = new Set(['Convolution', 'Deconvolution', 'InnerProduct', 'BatchNorm', 'PReLU', 'Embed'])
