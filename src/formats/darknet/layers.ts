import { type CfgSection, type DarknetCfg, sectionError, wholeList, wholeOption } from './cfg.ts'
import { connected, convolution, type LayerWeight, parameter, statistics } from './layer-weights.ts'

/** Channels, height and width of what leaves a layer; a vector has height and width 1. */
export interface Size {
  readonly c: number
  readonly h: number
  readonly w: number
}

/** A layer with everything that its neighbours decide. */
export interface DarknetLayer {
  readonly index: number
  /** `NNN_type`, NNN counted from 0 as in the cfg's own references */
  readonly name: string
  readonly section: CfgSection
  /** layers whose output it takes; -1 is the network's input */
  readonly inputs: readonly number[]
  readonly out: Size
  /** in the order of the `.weights` file */
  readonly weights: readonly LayerWeight[]
}

/** Largest number of values that one layer may be said to have: what its shapes are multiplied with must stay exact. */
const MAX_VALUES = 2 ** 44

/**
 * Sizes and weights of all layers, passed on from `[net]` as Darknet does.
 *
 * @param batchnormBiases whether a stand-alone `[batchnorm]` stores biases: the most used fork does, the original
 *   does not; only the size of the weights file can tell
 * @throws {FormatError} INVALID_FIELD for sizes that cannot be; UNSUPPORTED_FEATURE for `[lstm]`, `[conv_lstm]`,
 *   `[history]` and sections that no Darknet has
 */
export function describeLayers(cfg: DarknetCfg, batchnormBiases: boolean): DarknetLayer[] {
  const layers: DarknetLayer[] = []
  for (const [index, section] of cfg.layers.entries()) {
    const input = layers[index - 1]?.out ?? netSize(cfg)
    const describe = SECTIONS[section.type]
    if (describe === undefined) throw unsupported(cfg, section)
    const context: Context = { cfg, section, index, input, layers, batchnormBiases }
    const { out = input, weights = [], inputs = [index - 1] } = describe(context)
    const sizes = [out.c, out.h, out.w]
    if (!sizes.every((size) => size >= 1 && Number.isInteger(size)) || flat(out) > MAX_VALUES) {
      throw sectionError(cfg, section, 'output size', 'at least 1 in each direction', `${out.c} x ${out.h} x ${out.w}`)
    }
    const name = `${String(index).padStart(3, '0')}_${section.type}`
    const dontLoad = wholeOption(cfg, section, 'dontload', 0) !== 0
    layers.push({ index, name, section, inputs, out, weights: dontLoad ? [] : weights })
  }
  return layers
}

/** What enters the first layer, from `[net]`. */
export function netSize(cfg: DarknetCfg): Size {
  const option = (key: string) => wholeOption(cfg, cfg.net, key, 0)
  const [c, h, w, inputs] = [option('channels'), option('height'), option('width'), option('inputs')]
  if (c > 0 && h > 0 && w > 0) return { c, h, w }
  if (inputs > 0) return { c: inputs, h: 1, w: 1 }
  throw sectionError(cfg, cfg.net, 'input size', 'height, width and channels, or inputs', `${h} x ${w} x ${c}`)
}

interface Context {
  readonly cfg: DarknetCfg
  readonly section: CfgSection
  readonly index: number
  readonly input: Size
  readonly layers: readonly DarknetLayer[]
  readonly batchnormBiases: boolean
}

interface Described {
  readonly out?: Size
  readonly weights?: readonly LayerWeight[]
  readonly inputs?: readonly number[]
}

const option = ({ cfg, section }: Context, key: string, fallback: number) => wholeOption(cfg, section, key, fallback)

function positive(context: Context, key: string, fallback: number): number {
  const value = option(context, key, fallback)
  if (value >= 1) return value
  throw sectionError(context.cfg, context.section, `option "${key}"`, 'at least 1', String(value))
}

const isSet = (context: Context, key: string) => option(context, key, 0) !== 0
const vector = (c: number): Size => ({ c, h: 1, w: 1 })
const flat = ({ c, h, w }: Size) => c * h * w

function reference(context: Context, stated: number): number {
  const index = stated < 0 ? context.index + stated : stated
  if (index >= 0 && index < context.index) return index
  const expected = `a layer before this one, 0 to ${context.index - 1}`
  throw sectionError(context.cfg, context.section, 'reference', expected, String(stated))
}

const strides = (context: Context) => {
  const stride = positive(context, 'stride', 1)
  const [x, y] = [option(context, 'stride_x', -1), option(context, 'stride_y', -1)]
  return { x: x < 1 ? stride : x, y: y < 1 ? stride : y }
}

const batchNormalize = (context: Context) =>
  (isSet(context, 'batch_normalize') || isSet(context, 'cbn')) && !isSet(context, 'dontloadscales')

function convolutional(context: Context): Described {
  const { input } = context
  const [filters, size, groups] = [
    positive(context, 'filters', 1),
    positive(context, 'size', 1),
    positive(context, 'groups', 1),
  ]
  const padding = isSet(context, 'pad') ? Math.floor(size / 2) : option(context, 'padding', 0)
  const stride = strides(context)
  const blur = option(context, 'antialiasing', 0)
  const [x, y] = blur === 0 ? [stride.x, stride.y] : [1, 1]
  const along = (length: number, step: number, kernel = size, pad = padding) =>
    Math.trunc((length + 2 * pad - kernel) / step) + 1
  let out: Size = { c: filters, h: along(input.h, y), w: along(input.w, x) }
  // a fixed blur with the layer's stride follows; it is not stored
  const [kernel, pad] = blur === 2 ? [2, 0] : [3, 1]
  if (blur !== 0) out = { c: filters, h: along(out.h, stride.y, kernel, pad), w: along(out.w, stride.x, kernel, pad) }
  if (input.c % groups !== 0 || filters % groups !== 0)
    throw sectionError(context.cfg, context.section, 'groups', `a divisor of ${input.c} and ${filters}`, String(groups))
  const shared = context.section.options.has('share_index')
  const shape = [filters, input.c / groups, size, size]
  return { out, weights: shared ? [] : convolution('', shape, filters, batchNormalize(context)) }
}

function deconvolutional(context: Context): Described {
  const { input } = context
  const [filters, size, stride] = [
    positive(context, 'filters', 1),
    positive(context, 'size', 1),
    positive(context, 'stride', 1),
  ]
  const padding = isSet(context, 'pad') ? Math.floor(size / 2) : option(context, 'padding', 0)
  const along = (length: number) => (length - 1) * stride + size - 2 * padding
  return {
    out: { c: filters, h: along(input.h), w: along(input.w) },
    weights: convolution('', [input.c, filters, size, size], filters, batchNormalize(context)),
  }
}

function local(context: Context): Described {
  const { input } = context
  const [filters, size, stride] = [
    positive(context, 'filters', 1),
    positive(context, 'size', 1),
    positive(context, 'stride', 1),
  ]
  const along = (length: number) => Math.trunc((length - (isSet(context, 'pad') ? 1 : size)) / stride) + 1
  const out = { c: filters, h: along(input.h), w: along(input.w) }
  const places = out.h * out.w
  return {
    out,
    weights: [parameter('biases', filters, out.h, out.w), parameter('weights', places, filters, input.c, size, size)],
  }
}

function pool(context: Context): Described {
  const { input } = context
  const stride = strides(context)
  if (isSet(context, 'maxpool_depth')) return { out: { ...input, c: positive(context, 'out_channels', 1) } }
  const size = positive(context, 'size', positive(context, 'stride', 1))
  const padding = option(context, 'padding', size - 1)
  const blur = option(context, 'antialiasing', 0)
  const along = (length: number, step: number) => {
    const pooled = Math.trunc((length + padding - size) / (blur === 0 ? step : 1)) + 1
    if (blur === 0) return pooled
    return Math.trunc((pooled + (blur === 2 ? -2 : -1)) / step) + 1
  }
  return { out: { c: input.c, h: along(input.h, stride.y), w: along(input.w, stride.x) } }
}

function route(context: Context): Described {
  const inputs = wholeList(context.cfg, context.section, 'layers').map((stated) => reference(context, stated))
  const sizes = inputs.map((index) => context.layers[index]!.out)
  const [first] = sizes
  const groups = positive(context, 'groups', 1)
  const channels = sizes.reduce((sum, { c }) => sum + c, 0)
  if (sizes.some(({ h, w }) => h !== first!.h || w !== first!.w) || channels % groups !== 0) {
    const found = sizes.map(({ c, h, w }) => `${c} x ${h} x ${w}`).join(', ')
    const expected = `inputs of one height and width, and channels that ${groups} divides`
    throw sectionError(context.cfg, context.section, 'inputs', expected, found)
  }
  return { out: { ...first!, c: channels / groups }, inputs }
}

function shortcut(context: Context): Described {
  const from = wholeList(context.cfg, context.section, 'from').map((stated) => reference(context, stated))
  const inputs = [context.index - 1, ...from]
  const type = context.section.options.get('weights_type') ?? 'none'
  if (type === 'per_channel') return { inputs, weights: [parameter('weights', inputs.length, context.input.c)] }
  if (type === 'none') return { inputs }
  return { inputs, weights: [parameter('weights', inputs.length)] }
}

/** The previous layer scales another one, whose size the result has. */
function scaleFrom(context: Context): Described {
  const from = reference(context, option(context, 'from', -1))
  return { inputs: [context.index - 1, from], out: context.layers[from]!.out }
}

function reorg(context: Context): Described {
  const { input } = context
  const stride = positive(context, 'stride', 1)
  if (isSet(context, 'reverse'))
    return { out: { c: Math.trunc(input.c / stride ** 2), h: input.h * stride, w: input.w * stride } }
  return { out: { c: input.c * stride ** 2, h: Math.trunc(input.h / stride), w: Math.trunc(input.w / stride) } }
}

function upsample(context: Context): Described {
  const { input } = context
  const stride = option(context, 'stride', 2)
  if (stride === 0) throw sectionError(context.cfg, context.section, 'option "stride"', 'not 0', '0')
  const along = (length: number) => (stride > 0 ? length * stride : Math.trunc(length / -stride))
  return { out: { c: input.c, h: along(input.h), w: along(input.w) } }
}

function batchnorm(context: Context): Described {
  const { c } = context.input
  return { weights: [...(context.batchnormBiases ? [parameter('biases', c)] : []), ...statistics('', c)] }
}

function dense(context: Context): Described {
  const output = positive(context, 'output', 1)
  return { out: vector(output), weights: connected('', flat(context.input), output, batchNormalize(context)) }
}

function rnn(context: Context): Described {
  const [hidden, output, bn] = [positive(context, 'hidden', 1), positive(context, 'output', 1), batchNormalize(context)]
  return {
    out: vector(output),
    weights: [
      ...connected('input_layer/', flat(context.input), hidden, bn),
      ...connected('self_layer/', hidden, hidden, bn),
      ...connected('output_layer/', hidden, output, bn),
    ],
  }
}

/** Gates in the order of the file: update, reset, candidate; of the input, then of the state. */
function gru(context: Context): Described {
  const [output, bn] = [positive(context, 'output', 1), batchNormalize(context)]
  const inputs = flat(context.input)
  return {
    out: vector(output),
    weights: [
      ...['input_z', 'input_r', 'input_h'].flatMap((name) => connected(`${name}/`, inputs, output, bn)),
      ...['state_z', 'state_r', 'state_h'].flatMap((name) => connected(`${name}/`, output, output, bn)),
    ],
  }
}

function crnn(context: Context): Described {
  const [hidden, output, bn] = [positive(context, 'hidden', 1), positive(context, 'output', 1), batchNormalize(context)]
  const [size, groups] = [positive(context, 'size', 3), positive(context, 'groups', 1)]
  const stage = (name: string, from: number, to: number) =>
    convolution(`${name}/`, [to, Math.trunc(from / groups), size, size], to, bn)
  return {
    out: { ...context.input, c: output },
    weights: [
      ...stage('input_layer', context.input.c, hidden),
      ...stage('self_layer', hidden, hidden),
      ...stage('output_layer', hidden, output),
    ],
  }
}

function implicit(context: Context): Described {
  const [filters, atoms] = [positive(context, 'filters', 128), positive(context, 'atoms', 1)]
  return { out: { c: filters, h: atoms, w: 1 }, inputs: [], weights: [parameter('weights', filters, atoms)] }
}

const crop = (context: Context): Described => ({
  out: { c: context.input.c, h: positive(context, 'crop_height', 1), w: positive(context, 'crop_width', 1) },
})
const avgpool = ({ input }: Context): Described => ({ out: vector(input.c) })
const pass = (): Described => ({})

const SECTIONS: Readonly<Record<string, (context: Context) => Described>> = {
  convolutional,
  deconvolutional,
  connected: dense,
  batchnorm,
  local,
  rnn,
  gru,
  crnn,
  implicit,
  maxpool: pool,
  local_avgpool: pool,
  avgpool,
  route,
  shortcut,
  scale_channels: scaleFrom,
  sam: scaleFrom,
  upsample,
  reorg,
  reorg3d: reorg,
  crop,
  ...Object.fromEntries(
    `dropout softmax cost activation logistic l2norm normalization empty detection region yolo gaussian_yolo iseg
    contrastive`
      .split(/\s+/)
      .map((type) => [type, pass]),
  ),
}

const WHY_UNSUPPORTED: Readonly<Record<string, string>> = {
  lstm: 'one whose gates the two families of Darknet store in different order, which the file does not tell',
  conv_lstm: 'a layer that one fork has, with gates that depend on its version',
  history: 'a layer that keeps frames of earlier runs',
}

function unsupported(cfg: DarknetCfg, section: CfgSection) {
  const found = WHY_UNSUPPORTED[section.type] ?? 'a section that no Darknet has, whose weights cannot be known'
  return sectionError(cfg, section, 'layer', 'a layer whose weights are known', found, 'UNSUPPORTED_FEATURE')
}
