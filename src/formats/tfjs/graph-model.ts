import { memorySource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { type GraphDef, GraphDefType, TF_TYPES } from '../../encoding/graph-def.ts'
import { asObject } from '../../encoding/json.ts'
import type { JsonValue } from '../../encoding/json-value.ts'
import { decodeMessage, type MessageType } from '../../encoding/protobuf.ts'
import { encodeJson } from '../../encoding/protobuf-encode.ts'
import type { Value } from '../../model/graph.ts'
import { shortName } from '../../model/graph-def.ts'
import { type ProtoContext, protoContext } from '../../model/tensor-proto.ts'
import { findTfDtype } from '../../model/tensorflow-dtype.ts'

/** The topology of a graph model: a GraphDef in protobuf's JSON form, taken through its binary form. */
export async function readTopology(
  file: string,
  topology: JsonValue,
  limits: Limits,
): Promise<{ graph: GraphDef; context: ProtoContext }> {
  const bytes = encodeJson(GraphDefType as MessageType<never>, topology, file, limits.maxDepth)
  const source = memorySource(file, bytes)
  const fields = { ...limits, maxItems: limits.maxItems * 8 } // a node is some 30 fields
  return { graph: await decodeMessage(GraphDefType, source, fields), context: protoContext(source, undefined, limits) }
}

/** Inputs and outputs that the signature states: `{inputs: {NAME: {name, dtype, tensorShape}}, outputs}`. */
export function signatureValues(signature: JsonValue | undefined): { inputs?: Value[]; outputs?: Value[] } {
  const parts = asObject(signature)
  const inputs = valuesOf(parts?.inputs)
  const outputs = valuesOf(parts?.outputs)
  return { ...(inputs.length > 0 ? { inputs } : {}), ...(outputs.length > 0 ? { outputs } : {}) }
}

function valuesOf(infos: JsonValue | undefined): Value[] {
  return Object.entries(asObject(infos) ?? {}).flatMap(([key, value]) => {
    const info = asObject(value)
    if (info === undefined) return []
    const { name, dtype } = info
    const type = typeof dtype === 'string' ? TF_TYPES[dtype as keyof typeof TF_TYPES] : Number(dtype)
    const known = findTfDtype(type)
    const dims = asObject(info.tensorShape)?.dim
    const shape = Array.isArray(dims) ? (dims as readonly JsonValue[]).map(sizeOf) : undefined
    return [
      {
        name: shortName(typeof name === 'string' ? name : key),
        ...(known ? { dtype: known } : {}),
        ...(shape ? { shape } : {}),
      },
    ]
  })
}

function sizeOf(dim: JsonValue): number | null {
  const size = Number(asObject(dim)?.size ?? 0)
  return Number.isSafeInteger(size) && size >= 0 ? size : null
}
