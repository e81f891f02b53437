import type { ByteSource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { type Entry, type GraphDef, GraphDefType, type TensorShape, TensorShapeType } from '../../encoding/graph-def.ts'
import { decodeMessage, defineMessage, type MessageType, type Payload } from '../../encoding/protobuf.ts'

/**
 * The messages around a GraphDef: SavedModel, MetaGraphDef, signatures and the graph of objects.
 *
 * @source https://github.com/tensorflow/tensorflow/tree/master/tensorflow/core/protobuf (saved_model.proto,
 *   meta_graph.proto, saved_object_graph.proto, trackable_object_graph.proto, fingerprint.proto)
 */
export interface SavedModelDef {
  savedModelSchemaVersion?: number
  metaGraphs: MetaGraphDef[]
}

export interface MetaGraphDef {
  metaInfoDef?: MetaInfo
  graphDef?: GraphDef
  /** TensorFlow 1: lists of variables, losses, updates ... by name */
  collectionDef: Entry<CollectionDef>[]
  signatureDef: Entry<SignatureDef>[]
  assetFileDef: { filename?: string }[]
  /** TensorFlow 2 */
  objectGraphDef?: SavedObjectGraph
}

interface MetaInfo {
  metaGraphVersion?: string
  tags: string[]
  tensorflowVersion?: string
  tensorflowGitVersion?: string
}

interface CollectionDef {
  nodeList?: { value: string[] }
  /** serialised messages, e.g. a VariableDef each */
  bytesList?: { value: Payload[] }
}

export interface SignatureDef {
  inputs: Entry<TensorInfo>[]
  outputs: Entry<TensorInfo>[]
  methodName?: string
}

export interface TensorInfo {
  name?: string
  dtype?: number
  tensorShape?: TensorShape
}

export interface SavedObjectGraph {
  nodes: SavedObject[]
}

export interface SavedObject {
  children: ObjectReference[]
  slotVariables: SlotReference[]
  userObject?: { identifier?: string; metadata?: string }
  variable?: { name?: string; trainable?: boolean }
}

export interface ObjectReference {
  nodeId?: number
  localName?: string
}

export interface SlotReference {
  originalVariableNodeId?: number
  slotName?: string
  slotVariableNodeId?: number
}

/** The object graph of a checkpoint, which is stored in it under `_CHECKPOINTABLE_OBJECT_GRAPH`. */
export interface TrackableObjectGraph {
  nodes: TrackableObject[]
}

export interface TrackableObject {
  children: ObjectReference[]
  attributes: { name?: string; fullName?: string; checkpointKey?: string }[]
  slotVariables: SlotReference[]
}

export interface VariableDef {
  variableName?: string
  trainable?: boolean
}

export interface Fingerprint {
  savedModelChecksum?: bigint
  graphDefProgramHash?: bigint
  signatureDefHash?: bigint
  savedObjectGraphHash?: bigint
  checkpointHash?: bigint
  uuid?: string
}

export interface KerasMetadata {
  nodes: { nodePath?: string; identifier?: string; metadata?: string }[]
}

function entryType<T>(name: string, value: () => MessageType<T>): MessageType<Entry<T>> {
  return defineMessage<Entry<T>>(name, {
    key: { id: 1, type: 'string' },
    value: { id: 2, type: value as () => MessageType<never> },
  } as MessageType<Entry<T>>['fields'])
}

const TensorInfoType: MessageType<TensorInfo> = defineMessage('tensorflow.TensorInfo', {
  name: { id: 1, type: 'string' },
  dtype: { id: 2, type: 'int' },
  tensorShape: { id: 3, type: () => TensorShapeType },
})
const TensorInfoEntry = entryType('tensorflow.SignatureDef.Entry', () => TensorInfoType)

const SignatureType: MessageType<SignatureDef> = defineMessage('tensorflow.SignatureDef', {
  inputs: { id: 1, type: () => TensorInfoEntry, repeated: true },
  outputs: { id: 2, type: () => TensorInfoEntry, repeated: true },
  methodName: { id: 3, type: 'string' },
})
const SignatureEntry = entryType('tensorflow.MetaGraphDef.SignatureDefEntry', () => SignatureType)

const NodeListType = defineMessage<{ value: string[] }>('tensorflow.CollectionDef.NodeList', {
  value: { id: 1, type: 'string', repeated: true },
})
const BytesListType = defineMessage<{ value: Payload[] }>('tensorflow.CollectionDef.BytesList', {
  value: { id: 1, type: 'ranges', of: 'bytes', repeated: true },
})
const CollectionType: MessageType<CollectionDef> = defineMessage('tensorflow.CollectionDef', {
  nodeList: { id: 1, type: () => NodeListType },
  bytesList: { id: 2, type: () => BytesListType },
})
const CollectionEntry = entryType('tensorflow.MetaGraphDef.CollectionDefEntry', () => CollectionType)

const MetaInfoType: MessageType<MetaInfo> = defineMessage('tensorflow.MetaGraphDef.MetaInfoDef', {
  metaGraphVersion: { id: 1, type: 'string' },
  tags: { id: 4, type: 'string', repeated: true },
  tensorflowVersion: { id: 5, type: 'string' },
  tensorflowGitVersion: { id: 6, type: 'string' },
})

const AssetType = defineMessage<{ filename?: string }>('tensorflow.AssetFileDef', {
  filename: { id: 2, type: 'string' },
})

const ReferenceType: MessageType<ObjectReference> = defineMessage('tensorflow.ObjectReference', {
  nodeId: { id: 1, type: 'int' },
  localName: { id: 2, type: 'string' },
})

const SlotReferenceType: MessageType<SlotReference> = defineMessage('tensorflow.SlotVariableReference', {
  originalVariableNodeId: { id: 1, type: 'int' },
  slotName: { id: 2, type: 'string' },
  slotVariableNodeId: { id: 3, type: 'int' },
})

const UserObjectType = defineMessage<{ identifier?: string; metadata?: string }>('tensorflow.SavedUserObject', {
  identifier: { id: 1, type: 'string' },
  metadata: { id: 3, type: 'string' },
})

const SavedVariableType = defineMessage<{ name?: string; trainable?: boolean }>('tensorflow.SavedVariable', {
  trainable: { id: 3, type: 'bool' },
  name: { id: 6, type: 'string' },
})

const SavedObjectType: MessageType<SavedObject> = defineMessage('tensorflow.SavedObject', {
  children: { id: 1, type: () => ReferenceType, repeated: true },
  slotVariables: { id: 3, type: () => SlotReferenceType, repeated: true },
  userObject: { id: 4, type: () => UserObjectType },
  variable: { id: 7, type: () => SavedVariableType },
})

const SavedObjectGraphType: MessageType<SavedObjectGraph> = defineMessage('tensorflow.SavedObjectGraph', {
  nodes: { id: 1, type: () => SavedObjectType, repeated: true },
})

export const MetaGraphType: MessageType<MetaGraphDef> = defineMessage('tensorflow.MetaGraphDef', {
  metaInfoDef: { id: 1, type: () => MetaInfoType },
  graphDef: { id: 2, type: () => GraphDefType },
  collectionDef: { id: 4, type: () => CollectionEntry, repeated: true },
  signatureDef: { id: 5, type: () => SignatureEntry, repeated: true },
  assetFileDef: { id: 6, type: () => AssetType, repeated: true },
  objectGraphDef: { id: 7, type: () => SavedObjectGraphType },
})

export const SavedModelType: MessageType<SavedModelDef> = defineMessage('tensorflow.SavedModel', {
  savedModelSchemaVersion: { id: 1, type: 'int' },
  metaGraphs: { id: 2, type: () => MetaGraphType, repeated: true },
})

const AttributeType = defineMessage<TrackableObject['attributes'][number]>('tensorflow.SerializedTensor', {
  name: { id: 1, type: 'string' },
  fullName: { id: 2, type: 'string' },
  checkpointKey: { id: 3, type: 'string' },
})

const TrackableObjectType: MessageType<TrackableObject> = defineMessage('tensorflow.TrackableObject', {
  children: { id: 1, type: () => ReferenceType, repeated: true },
  attributes: { id: 2, type: () => AttributeType, repeated: true },
  slotVariables: { id: 3, type: () => SlotReferenceType, repeated: true },
})

export const TrackableGraphType: MessageType<TrackableObjectGraph> = defineMessage('tensorflow.TrackableObjectGraph', {
  nodes: { id: 1, type: () => TrackableObjectType, repeated: true },
})

export const VariableDefType: MessageType<VariableDef> = defineMessage('tensorflow.VariableDef', {
  variableName: { id: 1, type: 'string' },
  trainable: { id: 7, type: 'bool' },
})

export const FingerprintType: MessageType<Fingerprint> = defineMessage('tensorflow.FingerprintDef', {
  savedModelChecksum: { id: 1, type: 'uint64' },
  graphDefProgramHash: { id: 2, type: 'uint64' },
  signatureDefHash: { id: 3, type: 'uint64' },
  savedObjectGraphHash: { id: 4, type: 'uint64' },
  checkpointHash: { id: 5, type: 'uint64' },
  uuid: { id: 7, type: 'string' },
})

const KerasNodeType = defineMessage<KerasMetadata['nodes'][number]>('third_party.py.keras.SavedObject', {
  nodePath: { id: 3, type: 'string' },
  identifier: { id: 4, type: 'string' },
  metadata: { id: 5, type: 'string' },
})

/** @source keras/protobuf/saved_metadata.proto (tf_keras) */
export const KerasMetadataType: MessageType<KerasMetadata> = defineMessage('third_party.py.keras.SavedMetadata', {
  nodes: { id: 1, type: () => KerasNodeType, repeated: true },
})

/**
 * Decodes a message of TensorFlow. A field here is a far smaller thing than a record (one node of a graph is about
 * 30 of them), so many more are allowed than `maxItems`.
 */
export function decodeTf<T>(type: MessageType<T>, source: ByteSource, limits: Limits): Promise<T> {
  return decodeMessage(type, source, { ...limits, maxItems: limits.maxItems * FIELDS_PER_ITEM })
}

const FIELDS_PER_ITEM = 8
