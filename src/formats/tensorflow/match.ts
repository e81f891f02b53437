import { endsAsTable } from '../../encoding/leveldb-table.ts'
import { type ProbedField, probeFields, probeNested, probeText } from '../../encoding/protobuf-probe.ts'
import type { Probe } from '../format.ts'

/** What a file of TensorFlow's is, by content. */
export type TfKind =
  | 'saved-model'
  | 'saved-model-text'
  | 'graph-def'
  | 'graph-def-text'
  | 'meta-graph'
  | 'meta-graph-text'
  | 'table'
  | 'shard'
  | 'checkpoint-state'

/** Name of a data shard: `model.data-00000-of-00001`. */
export const SHARD_NAME = /^(.*)\.data-\d{5}-of-\d{5}$/

/** Which of TensorFlow's files this is; undefined for none. Folders are for the formats to know. */
export function recogniseTf({ head, tail, size, fileName, siblings, isFolder }: Probe): TfKind | undefined {
  if (isFolder) return undefined
  const shard = SHARD_NAME.exec(fileName)
  // values have no signature: the name and the index beside it decide
  if (shard && siblings.includes(`${shard[1]}.index`)) return 'shard'
  if (endsAsTable(tail)) return 'table'
  return recogniseText(head) ?? recogniseBinary(head, size)
}

function recogniseText(head: Uint8Array): TfKind | undefined {
  const text = new TextDecoder('latin1').decode(head.subarray(0, 4096))
  const first = /^(?:\xef\xbb\xbf)?(?:\s|#[^\n]*\n)*([A-Za-z_]+)\s*(:?)\s*(.)/.exec(text)
  if (first === null) return undefined
  const [, name, colon, next] = first
  const isMessage = next === '{' || next === '<'
  if (name === 'model_checkpoint_path' && colon) return 'checkpoint-state'
  if (name === 'saved_model_schema_version' && colon) return 'saved-model-text'
  if (name === 'meta_graphs' && isMessage) return 'saved-model-text'
  if (name === 'meta_info_def' && isMessage) return 'meta-graph-text'
  // `node { name: ... op: ... }`, possibly with the functions or the versions before it
  if (name === 'node' && isMessage && /\bop\s*:\s*["']/.test(text)) return 'graph-def-text'
  if (name === 'versions' && isMessage && /^[^}]*(?:producer|min_consumer)\s*:/.test(text)) return 'graph-def-text'
  if (name === 'library' && isMessage && /\b(?:function|gradient)\s*[:{<]/.test(text)) return 'graph-def-text'
  return undefined
}

function recogniseBinary(head: Uint8Array, size: number): TfKind | undefined {
  const fields = probeFields(head, size)
  if (fields === undefined) return undefined
  const [first, second] = fields
  if (first?.id === 1 && first.wireType === 0)
    return second?.id === 2 && isMetaGraph(head, second) && fields.every(({ id }) => id <= 2)
      ? 'saved-model'
      : undefined
  const isGraph = fields.every(({ id, wireType }) => id <= 5 && wireType === (id === 3 ? 0 : 2))
  const node = fields.find(({ id }) => id === 1)
  if (isGraph && node && isNode(head, node)) return 'graph-def'
  const isMeta = fields.every(({ id, wireType }) => id <= 7 && wireType === 2)
  return isMeta && first?.id === 1 && isMetaInfo(head, first) && second?.id === 2 ? 'meta-graph' : undefined
}

/** The bytes of a field, as far as they are in `head`, and the fields inside, whose places count from those bytes. */
function inside(head: Uint8Array, field: ProbedField): { bytes: Uint8Array; fields: readonly ProbedField[] } {
  return { bytes: head.subarray(field.start, field.end), fields: probeNested(head, field) ?? [] }
}

/** NodeDef: name, operator, then inputs, device and attributes. */
function isNode(head: Uint8Array, field: ProbedField): boolean {
  const { bytes, fields } = inside(head, field)
  const [name, op] = fields
  return (
    name?.id === 1 &&
    op?.id === 2 &&
    /^[A-Za-z0-9.][\w./\\>-]*$/.test(probeText(bytes, name) ?? '') &&
    OPERATOR.test(probeText(bytes, op) ?? '')
  )
}

const OPERATOR = /^[A-Za-z_][\w>.]*$/

function isMetaGraph(head: Uint8Array, field: ProbedField): boolean {
  const { bytes, fields } = inside(head, field)
  const [info, graph] = fields
  return info?.id === 1 && isMetaInfo(bytes, info) && (graph === undefined || (graph.id === 2 && graph.wireType === 2))
}

/** MetaInfoDef: version, list of operators, any, tags, versions of TensorFlow. */
function isMetaInfo(head: Uint8Array, field: ProbedField): boolean {
  if (field.wireType !== 2) return false
  const { bytes, fields } = inside(head, field)
  if (fields.length === 0 || !fields.every(({ id, wireType }) => id <= 8 && wireType === (id === 7 ? 0 : 2)))
    return false
  const list = fields.find(({ id }) => id === 2)
  const version = fields.find(({ id }) => id === 5 || id === 4)
  if (list === undefined) return version !== undefined && probeText(bytes, version) !== undefined
  const operators = inside(bytes, list)
  const [first] = operators.fields
  if (first?.id !== 1) return false
  const operator = inside(operators.bytes, first)
  const [name] = operator.fields
  return name?.id === 1 && OPERATOR.test(probeText(operator.bytes, name) ?? '')
}
