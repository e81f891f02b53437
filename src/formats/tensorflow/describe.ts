import type { Entry } from '../../encoding/graph-def.ts'
import { parseJson } from '../../encoding/json.ts'
import type { JsonValue } from '../../encoding/json-value.ts'
import { decodeMessage, type Payload } from '../../encoding/protobuf.ts'
import { FormatError } from '../../errors.ts'
import type { Value } from '../../model/graph.ts'
import { shortName } from '../../model/graph-def.ts'
import type { Problem } from '../../model/model.ts'
import { describeShape, type ProtoContext } from '../../model/tensor-proto.ts'
import { findTfDtype, tfTypeName } from '../../model/tensorflow-dtype.ts'
import {
  type MetaGraphDef,
  type ObjectReference,
  type SavedObjectGraph,
  type SignatureDef,
  type TensorInfo,
  type TrackableObjectGraph,
  VariableDefType,
} from './meta-graph.ts'
import { VARIABLE_SUFFIX } from './roles.ts'

/** Signatures as data: `{NAME: {inputs: {ARGUMENT: {name, dtype, shape}}, outputs, method}}`. */
export function describeSignatures(signatures: readonly Entry<SignatureDef>[]): Record<string, JsonValue> {
  return Object.fromEntries(
    signatures.map(({ key = '', value }) => [
      key,
      {
        inputs: describeInfos(value?.inputs ?? []),
        outputs: describeInfos(value?.outputs ?? []),
        method: value?.methodName ?? '',
      },
    ]),
  )
}

function describeInfos(infos: readonly Entry<TensorInfo>[]): Record<string, JsonValue> {
  return Object.fromEntries(
    infos.map(({ key = '', value }) => {
      const dtype = findTfDtype(value?.dtype) ?? (value?.dtype ? tfTypeName(value.dtype) : 'none')
      return [key, { name: value?.name ?? '', dtype, shape: describeShape(value?.tensorShape) ?? null }]
    }),
  )
}

/** Inputs and outputs of the signature that a server would use: `serving_default`, or the first that has both. */
export function findServed(signatures: readonly Entry<SignatureDef>[]): { inputs?: Value[]; outputs?: Value[] } {
  const usable = signatures.filter(({ value }) => (value?.outputs.length ?? 0) > 0 && (value?.inputs.length ?? 0) > 0)
  const chosen = usable.find(({ key }) => key === 'serving_default') ?? usable[0]
  return chosen?.value ? { inputs: valuesOf(chosen.value.inputs), outputs: valuesOf(chosen.value.outputs) } : {}
}

function valuesOf(infos: readonly Entry<TensorInfo>[]): Value[] {
  return infos.map(({ value }) => {
    const dtype = findTfDtype(value?.dtype)
    const shape = describeShape(value?.tensorShape)
    return { name: shortName(value?.name ?? ''), ...(dtype ? { dtype } : {}), ...(shape ? { shape } : {}) }
  })
}

/** Variables that are trained or not, by checkpoint key: from the object graph, and from TensorFlow 1's collections. */
export async function findTrainable(
  meta: MetaGraphDef,
  context: ProtoContext,
): Promise<{ trainable: Map<string, boolean>; warnings: Problem[] }> {
  const trainable = new Map<string, boolean>()
  const warnings: Problem[] = []
  for (const [path, index] of pathsOf(meta.objectGraphDef?.nodes ?? [])) {
    const variable = meta.objectGraphDef?.nodes[index]?.variable
    if (variable) trainable.set(`${path}${VARIABLE_SUFFIX}`, variable.trainable ?? false)
  }
  for (const collection of ['variables', 'global_variables', 'model_variables', 'trainable_variables']) {
    const listed = meta.collectionDef.find(({ key }) => key === collection)?.value?.bytesList?.value ?? []
    for (const payload of listed) {
      try {
        const name = await variableName(payload, context)
        if (name !== undefined) trainable.set(name, collection === 'trainable_variables')
      } catch (error) {
        if (!(error instanceof FormatError)) throw error
        const message = `collection "${collection}" holds something that is no variable: ${error.message}`
        warnings.push({ code: 'COLLECTION_UNREADABLE', message, subject: collection })
        break
      }
    }
  }
  return { trainable, warnings }
}

/** Name of a serialised VariableDef, without the `:0` of its value. */
async function variableName(payload: Payload, { source, limits }: ProtoContext): Promise<string | undefined> {
  const { variableName: name } = await decodeMessage(VariableDefType, source, limits, payload)
  return name?.replace(/:\d+$/, '')
}

/**
 * The shortest path to every object of a graph, as checkpoint keys spell it: names of references joined by `/`, a `/`
 * inside a name is `.S`, a leading or inner `.` doubled.
 * @source tensorflow/python/checkpoint/trackable_view.py, checkpoint/util.py (_escape_local_name)
 */
export function pathsOf(nodes: readonly { children: readonly ObjectReference[] }[]): Map<string, number> {
  const paths = new Map<string, number>([['', 0]])
  const seen = new Set([0])
  const queue: { path: string; index: number }[] = [{ path: '', index: 0 }]
  for (let at = 0; at < queue.length; at++) {
    const { path, index } = queue[at]!
    for (const { nodeId = 0, localName = '' } of nodes[index]?.children ?? []) {
      if (seen.has(nodeId) || nodes[nodeId] === undefined || path.length > MAX_PATH) continue
      seen.add(nodeId)
      const own = localName.replaceAll('.', '..').replaceAll('/', '.S')
      const next = path === '' ? own : `${path}/${own}`
      paths.set(next, nodeId)
      queue.push({ path: next, index: nodeId })
    }
  }
  return paths
}

/** A chain of objects could make its paths grow with the square of its length. */
const MAX_PATH = 4096

/** Keras' description of each object, where Keras saved the model: `{path, identifier, metadata}`. */
export function describeKeras(
  objects: SavedObjectGraph | undefined,
  saved: readonly { nodePath?: string; identifier?: string; metadata?: string }[],
  file: string,
): { layers: JsonValue[]; warnings: Problem[] } {
  const own = [...pathsOf(objects?.nodes ?? [])].map(([path, index]) => {
    const { identifier, metadata } = objects?.nodes[index]?.userObject ?? {}
    return { path: path === '' ? 'root' : path, identifier, metadata }
  })
  const all = [...own, ...saved.map(({ nodePath, ...rest }) => ({ path: nodePath ?? '', ...rest }))]
  const layers: JsonValue[] = []
  const warnings: Problem[] = []
  for (const { path, identifier = '', metadata } of all) {
    if (!metadata || !identifier.startsWith('_tf_keras')) continue
    try {
      layers.push({ path, identifier, metadata: parseJson(file, new TextEncoder().encode(metadata)) })
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      const message = `Keras' description of "${path}" is no JSON: ${error.message}`
      warnings.push({ code: 'KERAS_METADATA_UNREADABLE', message, subject: path })
    }
  }
  return { layers, warnings }
}

/** What is known of a checkpoint's objects beside their values: optimizer slots, Keras configurations. */
export function describeObjects(
  graph: TrackableObjectGraph | undefined,
  configurations: ReadonlyMap<string, string>,
  file: string,
): Record<string, JsonValue> {
  if (graph === undefined) return {}
  const slots = new Set(graph.nodes.flatMap(({ slotVariables }) => slotVariables.map(({ slotName }) => slotName ?? '')))
  const configs = [...configurations].flatMap(([key, text]) => {
    try {
      return [[key, parseJson(file, new TextEncoder().encode(text))] as const]
    } catch (error) {
      if (error instanceof FormatError) return [[key, text] as const]
      throw error
    }
  })
  return {
    objects: graph.nodes.length,
    variableNames: variableNames(graph),
    ...(slots.size > 0 ? { slots: [...slots] } : {}),
    ...(configs.length > 0 ? { configurations: Object.fromEntries(configs) } : {}),
  }
}

/** What the program called each variable, by checkpoint key: `conv2d/kernel` for `variables/0/...`. */
function variableNames({ nodes }: TrackableObjectGraph): Record<string, JsonValue> {
  const named = nodes.flatMap(({ attributes }) =>
    attributes.flatMap(({ fullName, checkpointKey }) =>
      fullName && checkpointKey ? [[checkpointKey, fullName] as const] : [],
    ),
  )
  return Object.fromEntries(named)
}
