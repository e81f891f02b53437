import type { AttributeValue } from '../../model/graph.ts'
import { shortestFloat32 } from '../../tensor/shortest-float.ts'
import { layerType } from './layer-types.ts'
import { type BlobProto, enumName, type LayerProto, type NetProto, type NetStateRule } from './messages.ts'

/** A network as both forms, binary and text, state it. */
export interface CaffeNet {
  readonly name?: string
  readonly inputs: readonly { readonly name: string; readonly shape?: readonly number[] }[]
  readonly layers: readonly CaffeLayer[]
  /** `V2`: `layer`, types as text; `V1`: `layers`, types as enum; `V0`: a layer within `layers` */
  readonly version: 'V2' | 'V1' | 'V0'
}

export interface CaffeLayer {
  readonly name: string
  /** in the spelling of the second version: `Convolution`, `InnerProduct` */
  readonly type: string
  readonly bottoms: readonly string[]
  readonly tops: readonly string[]
  readonly attributes: Readonly<Record<string, AttributeValue>>
  readonly include: readonly StateRule[]
  readonly exclude: readonly StateRule[]
  readonly blobs: readonly BlobProto[]
}

/** When a layer takes part: all stated conditions must hold. */
export interface StateRule {
  readonly phase?: 'TRAIN' | 'TEST'
  readonly minLevel?: number
  readonly maxLevel?: number
  readonly stages: readonly string[]
  readonly notStages: readonly string[]
}

/** Fields of a layer that are not attributes. */
export const STRUCTURAL = new Set(['name', 'type', 'bottom', 'top', 'blobs', 'include', 'exclude', 'layer'])

/** The oldest form's names for what later ones call otherwise. */
const V0_NAMES: Readonly<Record<string, string>> = {
  kernelsize: 'kernel_size',
  biasterm: 'bias_term',
  batchsize: 'batch_size',
}

/** These describe the data or the loss, not the layer's own function: they stay nested. */
const NESTED = new Set(['transform_param', 'loss_param'])

/**
 * Attributes of a layer: those of its own parameter message (`convolution_param`) side by side with its general ones.
 * A repeated field with one value is that value. On a clash the message keeps its name in front.
 */
export function flattenAttributes(stored: ReadonlyMap<string, AttributeValue>): Record<string, AttributeValue> {
  const flat = new Map<string, AttributeValue>()
  for (const [name, value] of stored) {
    const isMessage = typeof value === 'object' && value !== null && !Array.isArray(value)
    if (!name.endsWith('_param') || NESTED.has(name) || !isMessage) {
      flat.set(V0_NAMES[name] ?? name, value)
      continue
    }
    for (const [key, inner] of Object.entries(value)) flat.set(flat.has(key) ? `${name}.${key}` : key, inner)
  }
  return Object.fromEntries(flat)
}

/** Shapes of the network's inputs: one `input_shape` each, or four `input_dim` each. */
export function inputShapes(
  names: readonly string[],
  shapes: readonly (readonly number[])[],
  dims: readonly number[],
): CaffeNet['inputs'] {
  return names.map((name, index) => {
    const shape = shapes[index] ?? dims.slice(index * 4, index * 4 + 4)
    return shape.length > 0 ? { name, shape } : { name }
  })
}

/** The binary form, decoded, in the common shape. */
export function netOfProto(proto: NetProto): CaffeNet {
  const layers = proto.layer.length > 0 ? proto.layer : proto.layers
  const isV0 = proto.layers.some(({ layer }) => layer !== undefined)
  return {
    ...(proto.name === undefined ? {} : { name: proto.name }),
    inputs: inputShapes(
      proto.input,
      proto.inputShape.map(({ dim }) => dim),
      proto.inputDim,
    ),
    layers: layers.map(layerOfProto),
    version: proto.layer.length > 0 ? 'V2' : isV0 ? 'V0' : 'V1',
  }
}

function layerOfProto(outer: LayerProto, index: number): CaffeLayer {
  const inner = (outer.layer as LayerProto | undefined) ?? outer
  const attributes = new Map<string, AttributeValue>()
  for (const [name, value] of Object.entries(inner)) {
    if (STRUCTURAL.has(name) || isEmpty(value)) continue
    attributes.set(name, attributeOf(name, name, value))
  }
  return {
    name: inner.name ?? outer.name ?? `layer ${index}`,
    type: layerType(inner.type ?? outer.type),
    bottoms: outer.bottom,
    tops: outer.top,
    attributes: flattenAttributes(attributes),
    include: outer.include.map(ruleOfProto),
    exclude: outer.exclude.map(ruleOfProto),
    blobs: [...outer.blobs, ...(inner === outer ? [] : inner.blobs)],
  }
}

const isEmpty = (value: unknown) => value === undefined || (Array.isArray(value) && value.length === 0)

/** @param parameter name of the enclosing parameter message, where enums are looked up */
function attributeOf(parameter: string, field: string, value: unknown): AttributeValue {
  if (typeof value === 'number') {
    const name = enumName(parameter, field, value)
    return name ?? (Number.isInteger(value) ? value : shortestFloat32(value))
  }
  if (Array.isArray(value)) {
    const list = value.map((item) => attributeOf(parameter, field, item))
    return list.length === 1 ? list[0]! : list
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, inner]) => !isEmpty(inner))
    return Object.fromEntries(entries.map(([key, inner]) => [key, attributeOf(parameter, key, inner)]))
  }
  return value as string | boolean
}

function ruleOfProto(rule: NetStateRule): StateRule {
  return {
    ...(rule.phase === undefined ? {} : { phase: rule.phase === 0 ? 'TRAIN' : 'TEST' }),
    ...(rule.min_level === undefined ? {} : { minLevel: rule.min_level }),
    ...(rule.max_level === undefined ? {} : { maxLevel: rule.max_level }),
    stages: rule.stage,
    notStages: rule.not_stage,
  }
}
