import type { JsonValue } from '../encoding/json-value.ts'

/** A JSON object of a Keras configuration. */
export type JsonObject = { readonly [key: string]: JsonValue }

/** One tensor that a layer call takes: output `tensor` of call number `call` of a layer. */
export interface TensorRef {
  readonly layer: string
  readonly call: number
  readonly tensor: number
  /** Keras 3 states it with every reference */
  readonly shape?: readonly (number | null)[]
  readonly dtype?: string
}

/** One call of a layer: the tensors that it takes, in order, and the other arguments that are set. */
export interface LayerCall {
  readonly refs: readonly TensorRef[]
  readonly kwargs: JsonObject
}

/**
 * What one entry of `inbound_nodes`, `input_layers` or `output_layers` refers to, in every form that Keras has written:
 *
 *     [["conv", 0, 0, {"training": false}], ["add", 0, 0]]         Keras 1 and 2
 *     ["conv", 0, 0, {}]                                           TensorFlow 2.4 and later, one input
 *     {"left": ["conv", 0, 0, {}], "right": ["add", 0, 0, {}]}     dictionary inputs
 *     [["conv", 0, 0, {"y": ["add", 0, 0]}]]                       operators as layers (TFOpLambda)
 *     {"args": [{"class_name": "__keras_tensor__", ...}], "kwargs": {...}}   Keras 3
 *
 * @param isLayer whether a text is the name of a layer: what tells a reference from any other list
 * @param value JSON of bounded depth (see `parseKerasConfig`)
 */
export function parseCall(value: JsonValue | undefined, isLayer: (name: string) => boolean): LayerCall {
  const refs: TensorRef[] = []
  const kwargs: [string, JsonValue][] = []
  const walk = (part: JsonValue): boolean => {
    if (Array.isArray(part)) {
      const list: readonly JsonValue[] = part
      const ref = referenceFromList(list, isLayer)
      if (ref === undefined) return list.map(walk).some(Boolean)
      refs.push(ref)
      if (isObject(list[3])) takeArguments(list[3])
      return true
    }
    if (!isObject(part)) return false
    if (part.class_name === '__keras_tensor__') {
      const ref = referenceFromTensor(part)
      if (ref) refs.push(ref)
      return true
    }
    return Object.values(part).map(walk).some(Boolean)
  }
  const takeArguments = (values: JsonObject) => {
    for (const [key, argument] of Object.entries(values)) {
      if (!walk(argument) && argument !== null) kwargs.push([key, argument])
    }
  }
  if (isObject(value) && Array.isArray(value.args)) {
    walk(value.args)
    if (isObject(value.kwargs)) takeArguments(value.kwargs)
  } else if (value !== undefined) {
    walk(value)
  }
  return { refs, kwargs: Object.fromEntries(kwargs) }
}

function referenceFromList(list: readonly JsonValue[], isLayer: (name: string) => boolean): TensorRef | undefined {
  const [layer, call, tensor] = list
  if (list.length < 3 || list.length > 4) return undefined
  if (typeof layer !== 'string' || !isIndex(call) || !isIndex(tensor) || !isLayer(layer)) return undefined
  return { layer, call, tensor }
}

function referenceFromTensor({ config }: JsonObject): TensorRef | undefined {
  if (!isObject(config) || !Array.isArray(config.keras_history)) return undefined
  const [layer, call, tensor] = config.keras_history as readonly JsonValue[]
  if (typeof layer !== 'string' || !isIndex(call) || !isIndex(tensor)) return undefined
  const shape = parseShape(config.shape)
  return {
    layer,
    call,
    tensor,
    ...(shape ? { shape } : {}),
    ...(typeof config.dtype === 'string' ? { dtype: config.dtype } : {}),
  }
}

/** No layer has more calls or outputs; a larger index is damage. */
const MAX_INDEX = 10_000

const isIndex = (value: JsonValue | undefined): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < MAX_INDEX

/** A list of sizes, with null for unknown ones; undefined for anything else. */
export function parseShape(value: JsonValue | undefined): readonly (number | null)[] | undefined {
  if (!Array.isArray(value)) return undefined
  const list: readonly JsonValue[] = value
  const valid = list.every((size) => size === null || (typeof size === 'number' && Number.isInteger(size)))
  return valid ? (list as readonly (number | null)[]) : undefined
}

/** Whether `value` is a JSON object (not a list, not null). */
export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
