import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { FormatError } from '../../errors.ts'
import type { Model, Problem, TrainingState } from '../../model/model.ts'
import type { Format, Match, ModelInput, Probe } from '../format.ts'
import { findPartner } from '../partner.ts'
import { type DarknetCfg, readCfg, wholeOption } from './cfg.ts'
import { buildGraph, optionValue } from './graph.ts'
import { type DarknetLayer, describeLayers } from './layers.ts'
import { MAX_VERSION, type PlannedWeights, planWeights, readWeightsHeader, type WeightsHeader } from './plan-weights.ts'

const WEIGHT_NAME = /\.(weights|backup|conv\.\d+)$/
const WEIGHT_EXTENSIONS = ['.weights', '.backup']

/**
 * Darknet: a `.cfg` (layers) and a `.weights` (a small header, then float32 values without names or shapes). Either
 * may be opened; the other is looked for beside it. A `.cfg` alone gives the graph.
 *
 * Tensors are `NNN_section/role`: NNN the layer's number as `route` counts it, role as Darknet's source calls the
 * array. Kernels are (out, in / groups, height, width), matrices (out, in), and `biases` is beta where batch
 * normalisation follows.
 */
export const darknet: Format = {
  id: 'darknet',
  title: 'Darknet',
  extensions: ['.cfg', '.weights', '.backup'],
  spec: 'https://github.com/AlexeyAB/darknet/blob/master/src/parser.c',
  match: (probe) => {
    const cfg = matchCfg(probe)
    return cfg === 'no' ? matchWeights(probe) : cfg
  },
  read,
}

function matchCfg({ head, fileName, isFolder }: Probe): Match {
  if (isFolder) return 'no'
  const first = firstLine(head)
  if (/^\[(net|network)\]$/i.test(first)) return 'yes'
  // a cfg that begins with another section is worth an error that says so
  const looksLike = /^[ \t]*\[(convolutional|net|network|connected|maxpool|yolo|region)\]/im
  return fileName.endsWith('.cfg') && looksLike.test(new TextDecoder('latin1').decode(head)) ? 'maybe' : 'no'
}

/** First line that is neither blank nor comment. */
function firstLine(head: Uint8Array): string {
  const text = new TextDecoder('latin1').decode(head.subarray(0, 16_384))
  return (
    text
      .split(/\r?\n/)
      .find((line) => line.trim() !== '' && !/^\s*[#;]/.test(line))
      ?.trim() ?? ''
  )
}

/** No magic: small version numbers, and a name or a cfg beside it that speak for Darknet. */
function matchWeights({ head, size, fileName, siblings, isFolder }: Probe): Match {
  if (isFolder || size < 16 || head.length < 16) return 'no'
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
  const [major, minor, revision] = [view.getInt32(0, true), view.getInt32(4, true), view.getInt32(8, true)]
  const plausible = [major, minor, revision].every((value) => value >= 0 && value <= MAX_VERSION)
  if (!plausible || (major === 0 && minor === 0) || size % 4 !== 0) return 'no'
  if (WEIGHT_NAME.test(fileName)) return 'maybe'
  const stem = fileName.replace(/\.[^.]*$/, '')
  return major < 10 && minor < 100 && siblings.includes(`${stem}.cfg`) ? 'maybe' : 'no'
}

async function read(input: ModelInput, limits: Limits): Promise<Model> {
  const { main } = input
  const head = await main.read(0, Math.min(16_384, main.size))
  return /^\[/.test(firstLine(head)) || main.size < 16 || isText(head)
    ? readFromCfg(input, limits)
    : readFromWeights(input, limits)
}

/** Version numbers below 2001 leave zero bytes in the first twelve; text has none. */
const isText = (head: Uint8Array) => !head.subarray(0, 12).includes(0)

async function readFromCfg(input: ModelInput, limits: Limits): Promise<Model> {
  const { main } = input
  const cfg = await readCfg(main, limits)
  const partner = await findPartner(input, ['.cfg'], WEIGHT_EXTENSIONS, (source) => fitsCompletely(cfg, source))
  if (partner.found) return assemble(cfg, main, await openWeights(cfg, partner.found), main)
  const seen = partner.candidates.slice(0, 5).join(', ')
  const message =
    partner.candidates.length === 0
      ? 'No .weights lies beside the .cfg: this is the graph without weights.'
      : partner.fitting.length > 1
        ? `${partner.fitting.slice(0, 5).join(', ')} all fit this .cfg: open the one that you mean. This is the graph without weights.`
        : `None of ${seen} fits this .cfg: this is the graph without weights.`
  return assemble(cfg, main, undefined, main, [{ code: 'WEIGHTS_NOT_FOUND', message }])
}

async function readFromWeights(input: ModelInput, limits: Limits): Promise<Model> {
  const { main } = input
  await readWeightsHeader(main)
  // a backbone is named `darknet53.conv.74`: its number of layers is no part of the stem, and it fits only in part
  const backbone = /\.conv\.\d+$/.exec(input.path)?.[0]
  const partner = await findPartner(input, backbone ? [backbone] : WEIGHT_EXTENSIONS, ['.cfg'], async (source) => {
    const opened = await openWeights(await readCfg(source, limits), main)
    return opened.complete || backbone !== undefined
  })
  if (!partner.found) {
    const { candidates, fitting } = partner
    throw new FormatError({
      code: 'MISSING_FILE',
      file: main.name,
      what: 'Darknet weights',
      expected: 'the .cfg file that says which layers they belong to',
      found:
        candidates.length === 0
          ? 'none in the folder'
          : fitting.length > 1
            ? `${fitting.slice(0, 5).join(', ')}, which all fit`
            : `${candidates.slice(0, 5).join(', ')}, none of which fits`,
      hint: 'A .weights file holds numbers without names or shapes. Put its .cfg beside it, under the same name.',
    })
  }
  const cfg = await readCfg(partner.found, limits)
  return assemble(cfg, partner.found, await openWeights(cfg, main), main)
}

interface Opened extends PlannedWeights {
  readonly source: ByteSource
  readonly header: WeightsHeader
  readonly layers: readonly DarknetLayer[]
}

const fitsCompletely = async (cfg: DarknetCfg, source: ByteSource) => (await openWeights(cfg, source)).complete

/** Both readings of a stand-alone `[batchnorm]` are tried; the one that fills the file is right. */
async function openWeights(cfg: DarknetCfg, source: ByteSource): Promise<Opened> {
  const header = await readWeightsHeader(source)
  const attempt = (biases: boolean): Opened => {
    const layers = describeLayers(cfg, biases)
    return { ...planWeights(layers, source, header, cfg.file), source, header, layers }
  }
  if (!cfg.layers.some(({ type }) => type === 'batchnorm')) return attempt(true)
  const results = [true, false].map((biases) => {
    try {
      return attempt(biases)
    } catch (error) {
      if (error instanceof FormatError) return error
      throw error
    }
  })
  const opened = results.filter((result) => !(result instanceof FormatError)) as Opened[]
  const best = opened.find(({ complete }) => complete) ?? opened[0]
  if (best) return best
  throw results[0]
}

function assemble(
  cfg: DarknetCfg,
  cfgSource: ByteSource,
  weights: Opened | undefined,
  main: ByteSource,
  warnings: readonly Problem[] = [],
): Model {
  const files = [
    { name: cfgSource.name, bytes: cfgSource.size, role: 'main' as const, source: cfgSource },
    ...(weights
      ? [{ name: weights.source.name, bytes: weights.source.size, role: 'weights' as const, source: weights.source }]
      : []),
  ]
  const training = trainingState(cfg, weights?.header)
  return {
    format: 'darknet',
    variant: weights ? 'cfg + weights' : 'cfg alone',
    files: files.sort((left, right) => Number(right.source === main) - Number(left.source === main)),
    metadata: {
      framework: 'darknet',
      ...(weights ? { formatVersion: weights.header.version } : {}),
      properties: Object.fromEntries([
        ...(weights ? [['seen', Number(weights.header.seen)] as const] : []),
        ['net', Object.fromEntries([...cfg.net.options].map(([key, text]) => [key, optionValue(text)]))],
      ]),
    },
    tensors: weights?.tensors ?? [],
    graphs: [buildGraph(cfg, weights?.layers ?? describeLayers(cfg, true), weights?.byLayer ?? new Map())],
    ...(training ? { training } : {}),
    warnings: [...warnings, ...(weights?.warnings ?? [])],
  }
}

/** `[net]` doubles as the training configuration; the weights count the images seen. */
function trainingState(cfg: DarknetCfg, header: WeightsHeader | undefined): TrainingState | undefined {
  const { options } = cfg.net
  if (!options.has('learning_rate')) return undefined
  const pick = (...keys: string[]) =>
    Object.fromEntries(
      keys.flatMap((key) => {
        const text = options.get(key)
        return text === undefined ? [] : [[key, optionValue(text)] as const]
      }),
    )
  const batch = wholeOption(cfg, cfg.net, 'batch', 0)
  const step = header && batch > 0 ? Math.floor(Number(header.seen) / batch) : undefined
  return {
    ...(step === undefined ? {} : { step }),
    optimizer: {
      name: options.get('adam') === '1' ? 'Adam' : 'SGD',
      groups: [pick('learning_rate', 'momentum', 'decay', 'B1', 'B2', 'eps')],
    },
    scheduler: pick('policy', 'steps', 'scales', 'scale', 'step', 'gamma', 'power', 'burn_in', 'max_batches'),
    other: pick('batch', 'subdivisions', 'angle', 'saturation', 'exposure', 'hue', 'mosaic', 'cutmix', 'mixup'),
  }
}
