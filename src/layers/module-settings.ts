import { asObject } from '../encoding/json.ts'
import type { JsonValue } from '../encoding/json-value.ts'
import type { Model } from '../model/model.ts'
import type { Layer, LayerAttributes } from './layer.ts'

/**
 * Adds what a pickled PyTorch module keeps of its options: a whole-module file holds stride, padding, epsilon and the
 * like beside the weights, so its layers can be compared by more than their values.
 * @source torch.nn: attributes of _ConvNd, _BatchNorm, LayerNorm, GroupNorm (PyTorch 1.0 to 2.x)
 */
export function withModuleSettings(layers: readonly Layer[], { metadata }: Pick<Model, 'metadata'>): Layer[] {
  const settings = asObject(metadata.properties?.moduleSettings)
  const classes = asObject(metadata.properties?.modules)
  if (settings === undefined) return [...layers]
  const byPath = new Map(Object.entries(settings).map(([path, value]) => [path.replaceAll('.', '/'), { path, value }]))
  return layers.map((layer) => {
    const found = byPath.get(layer.name.replaceAll('.', '/'))
    const options = asObject(found?.value)
    if (found === undefined || options === undefined) return layer
    const name = classes?.[found.path]
    const op = typeof name === 'string' ? (name.split('.').at(-1) ?? '') : layer.op
    return { ...layer, op, attributes: { ...layer.attributes, ...attributesOf(op, options) } }
  })
}

type Options = Readonly<Record<string, JsonValue>>

function attributesOf(op: string, options: Options): LayerAttributes {
  if (/^Conv(Transpose)?[123]d$/.test(op)) return convAttributes(options)
  if (/Norm/.test(op)) {
    const momentum = options.momentum
    return {
      ...(typeof options.eps === 'number' ? { epsilon: options.eps } : {}),
      ...(typeof momentum === 'number' ? { momentum: 1 - momentum } : {}),
    }
  }
  return {}
}

function convAttributes(options: Options): LayerAttributes {
  const kernelSize = numbers(options.kernel_size)
  const strides = numbers(options.stride)
  const dilations = numbers(options.dilation)
  const padding =
    options.padding_mode === undefined || options.padding_mode === 'zeros'
      ? paddingOf(options, kernelSize, dilations)
      : undefined
  return {
    ...(kernelSize ? { kernelSize } : {}),
    ...(strides ? { strides } : {}),
    ...(dilations ? { dilations } : {}),
    ...(padding ? { padding } : {}),
    ...(typeof options.groups === 'number' ? { groups: options.groups } : {}),
    dataFormat: 'channels-first',
  }
}

/** Numbers pad both sides; `same` is total `dilation * (kernel - 1)` with the odd one at the end (stride 1 only). */
function paddingOf(
  { padding }: Options,
  kernelSize: readonly number[] | undefined,
  dilations: readonly number[] | undefined,
): LayerAttributes['padding'] {
  if (padding === 'valid') return 'valid'
  if (padding === 'same') {
    if (kernelSize === undefined) return undefined
    const total = kernelSize.map((size, axis) => (dilations?.[axis] ?? 1) * (size - 1))
    const begin = total.map((size) => Math.floor(size / 2))
    return { begin, end: total.map((size, axis) => size - begin[axis]!) }
  }
  const sizes = numbers(padding)
  return sizes && { begin: sizes, end: sizes }
}

function numbers(value: JsonValue | undefined): readonly number[] | undefined {
  return Array.isArray(value) && value.every((item) => typeof item === 'number')
    ? (value as readonly number[])
    : undefined
}
