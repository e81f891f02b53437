import { type ProbedField, probeFields, probeNested, probeText } from '../../encoding/protobuf-probe.ts'
import type { Match, Probe } from '../format.ts'

const VARINT = 0
const BYTES = 2

/** Fields of a ModelProto by number: their wire type. */
const MODEL_FIELDS: ReadonlyMap<number, number> = new Map([
  [1, VARINT],
  [2, BYTES],
  [3, BYTES],
  [4, BYTES],
  [5, VARINT],
  [6, BYTES],
  [7, BYTES],
  [8, BYTES],
  [14, BYTES],
  [20, BYTES],
  [25, BYTES],
  [26, BYTES],
])

const GRAPH_FIELDS = new Set([1, 2, 5, 10, 11, 12, 13, 14, 15, 16])
const NODE_FIELDS = new Set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])

/**
 * ONNX has no magic. A file is taken for a model when its head has fields of ModelProto only, an `ir_version`, and a
 * graph that looks like one inside. The length of the file does not count, so that one that was cut short is still
 * called by its name. Near relatives differ by field 1 (caffemodel, GraphDef: not a number), by the lack of a field 7
 * (SavedModel, CoreML) or by field 2 (TensorProto: a number).
 */
export function match({ head, isFolder }: Probe): Match {
  if (isFolder) return 'no'
  const fields = probeFields(head, Number.MAX_SAFE_INTEGER)
  if (fields === undefined) return 'no'
  for (const { id, wireType } of fields) {
    const wanted = MODEL_FIELDS.get(id)
    if (wanted === undefined ? id <= 26 : wanted !== wireType) return 'no'
  }
  const version = fields.find(({ id }) => id === 1)?.value
  if (version !== undefined && (version < 1 || version > 1000)) return 'no'
  const graph = fields.find(({ id }) => id === 7)
  const hasOpset = fields.some((field) => field.id === 8 && isOpset(head, field))
  if (graph === undefined || (version === undefined && !hasOpset)) return 'no'
  return isGraph(head, graph) || (graph.length === 0 && hasOpset) ? 'yes' : 'no'
}

function isGraph(head: Uint8Array, graph: ProbedField): boolean {
  const inside = probeNested(head, graph)
  if (inside === undefined) return false
  if (!inside.every(({ id, wireType }) => wireType === BYTES && GRAPH_FIELDS.has(id))) return false
  const node = inside.find(({ id }) => id === 1)
  if (node && !isNode(head.subarray(graph.start), node)) return false
  const name = inside.find(({ id }) => id === 2)
  return name === undefined || probeText(head.subarray(graph.start), name) !== undefined
}

function isNode(graphHead: Uint8Array, node: ProbedField): boolean {
  const inside = probeNested(graphHead, node)
  if (inside === undefined) return !node.complete
  return inside.every(({ id, wireType }) => wireType === BYTES && NODE_FIELDS.has(id))
}

function isOpset(head: Uint8Array, field: ProbedField): boolean {
  return probeNested(head, field)?.every(({ id, wireType }) => wireType === (id === 1 ? BYTES : VARINT)) ?? false
}
