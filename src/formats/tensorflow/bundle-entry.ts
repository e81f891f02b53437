import { type TensorShape, TensorShapeType, type Versions, VersionsType } from '../../encoding/graph-def.ts'
import { defineMessage, type MessageType } from '../../encoding/protobuf.ts'
import { type SliceProto, SliceType } from './tensor-slice.ts'

/**
 * What the index of a checkpoint bundle holds: a header under the empty key, then one entry per tensor.
 * @source tensorflow/core/protobuf/tensor_bundle.proto
 */
export interface BundleHeader {
  numShards?: number
  /** 0 little, 1 big */
  endianness?: number
  version?: Versions
}

export interface BundleEntry {
  dtype?: number
  shape?: TensorShape
  shardId?: number
  /** in the shard, in bytes */
  offset?: number
  size?: number
  /** masked CRC-32C of the bytes */
  crc32c?: number
  /** set for a partitioned variable: its parts have entries of their own */
  slices: SliceProto[]
}

export const BundleHeaderType: MessageType<BundleHeader> = defineMessage('tensorflow.BundleHeaderProto', {
  numShards: { id: 1, type: 'int' },
  endianness: { id: 2, type: 'int' },
  version: { id: 3, type: () => VersionsType },
})

export const BundleEntryType: MessageType<BundleEntry> = defineMessage('tensorflow.BundleEntryProto', {
  dtype: { id: 1, type: 'int' },
  shape: { id: 2, type: () => TensorShapeType },
  shardId: { id: 3, type: 'int' },
  offset: { id: 4, type: 'int' },
  size: { id: 5, type: 'int' },
  crc32c: { id: 6, type: 'fixed32' },
  slices: { id: 7, type: () => SliceType, repeated: true },
})
