import { type ByteSource, memorySource } from '../../bytes/byte-source.ts'
import type { Limits } from '../../bytes/limits.ts'
import { type TensorProto, TensorProtoType, type TensorShape, TensorShapeType } from '../../encoding/graph-def.ts'
import { openTable, type Table } from '../../encoding/leveldb-table.ts'
import { decodeMessage, defineMessage, type MessageType } from '../../encoding/protobuf.ts'
import { FormatError } from '../../errors.ts'
import type { Problem } from '../../model/model.ts'
import { protoContext, readShape, readTensorProto } from '../../model/tensor-proto.ts'
import { findTfDtype, tfTypeName } from '../../model/tensorflow-dtype.ts'
import { byteLength, DTYPES, elementCount } from '../../tensor/dtype.ts'
import { readTensor, type Tensor } from '../../tensor/tensor.ts'
import { type KnownVariables, roleOfKey } from './roles.ts'
import { type Box, boxOf, encodeSliceKey, findRowOrder, placeBox, type SliceProto, SliceType } from './tensor-slice.ts'

/**
 * Checkpoints of TensorFlow before 0.12 (2016), which `Saver(write_version=V1)` still writes: one table that holds the
 * values themselves. The empty key describes all tensors, each slice has its own entry.
 *
 * @source tensorflow/core/util/saved_tensor_slice.proto, tensor_slice_reader.cc
 */
interface SavedTensorSlices {
  meta?: { tensor: SliceMeta[] }
  data?: { data?: TensorProto }
}

interface SliceMeta {
  name?: string
  shape?: TensorShape
  type?: number
  slice: SliceProto[]
}

const SliceMetaType: MessageType<SliceMeta> = defineMessage('tensorflow.SavedSliceMeta', {
  name: { id: 1, type: 'string' },
  shape: { id: 2, type: () => TensorShapeType },
  type: { id: 3, type: 'int' },
  slice: { id: 4, type: () => SliceType, repeated: true },
})

const MetaType = defineMessage<{ tensor: SliceMeta[] }>('tensorflow.SavedTensorSliceMeta', {
  tensor: { id: 1, type: () => SliceMetaType, repeated: true },
})

const SliceDataType = defineMessage<{ data?: TensorProto }>('tensorflow.SavedSlice', {
  data: { id: 3, type: () => TensorProtoType },
})

const SavedTensorSlicesType: MessageType<SavedTensorSlices> = defineMessage('tensorflow.SavedTensorSlices', {
  meta: { id: 1, type: () => MetaType },
  data: { id: 2, type: () => SliceDataType },
})

/**
 * Reads the list of tensors; a tensor's values are looked up in the table when it is streamed.
 * @throws {FormatError} INVALID_FIELD, TRUNCATED, LIMIT_EXCEEDED
 */
export async function readCheckpointV1(
  source: ByteSource,
  known: KnownVariables,
  limits: Limits,
): Promise<{ tensors: Tensor[]; warnings: Problem[] }> {
  const table = await openTable(source, limits)
  const first = await table.find(new Uint8Array(0))
  const described = first ? await decodeMessage(SavedTensorSlicesType, valueSource(source, first.value), limits) : {}
  if (described.meta === undefined) {
    const parts = { what: 'checkpoint', expected: 'a list of tensors under the empty key', found: 'none' }
    throw new FormatError({ code: 'INVALID_FIELD', file: source.name, ...parts })
  }
  const tensors = new Map<string, Tensor>()
  const warnings: Problem[] = []
  // All values are in this file, as varints of a byte each at best; a compressed block grows 22-fold at most.
  const room = { bytes: Math.min(limits.maxInflatedBytes, source.size * 22 * 8) }
  for (const meta of described.meta.tensor) {
    const tensor = tensorOf(meta, table, source, { known, limits, room })
    if (typeof tensor === 'string') {
      const message = `"${meta.name}" ${tensor}, which is not read`
      warnings.push({ code: 'ENTRY_NOT_AN_ARRAY', message, subject: meta.name ?? '' })
    } else if (tensors.has(tensor.name)) {
      throw new FormatError({
        code: 'INVALID_FIELD',
        file: source.name,
        what: 'list of tensors',
        expected: 'every name once',
        found: `"${tensor.name}" twice`,
      })
    } else tensors.set(tensor.name, tensor)
  }
  return { tensors: [...tensors.values()], warnings }
}

function valueSource(source: ByteSource, value: Uint8Array): ByteSource {
  return memorySource(source.name, value)
}

/** The tensor, or why there is none. */
function tensorOf(
  { name = '', shape: proto, type, slice: slices }: SliceMeta,
  table: Table,
  source: ByteSource,
  { known, limits, room }: { known: KnownVariables; limits: Limits; room: { bytes: number } },
): Tensor | string {
  const dtype = findTfDtype(type)
  if (dtype === undefined || dtype === 'string' || DTYPES[dtype].bits < 8) return `is of type ${tfTypeName(type)}`
  const fail = (code: 'INVALID_FIELD' | 'LIMIT_EXCEEDED', expected: string, found: string) =>
    new FormatError({ code, file: source.name, what: `tensor "${name}"`, expected, found })
  const shape = readShape(proto)
  if (shape === undefined) throw fail('INVALID_FIELD', 'known sizes', 'an unknown one')
  const count = elementCount(shape)
  const bytes = byteLength(dtype, count)
  room.bytes -= bytes
  if (shape.length > limits.maxRank || !(room.bytes >= 0))
    throw fail('LIMIT_EXCEEDED', 'values that the file can hold', `a shape of [${shape.slice(0, 8).join(', ')}]`)
  const parts: { box: Box; slice: SliceProto }[] = slices.map((slice) => {
    const box = boxOf(slice, shape)
    if (box === undefined) throw fail('INVALID_FIELD', 'slices inside the shape', 'one outside')
    return { box, slice }
  })
  const covered = parts.reduce((sum, { box }) => sum + elementCount(box.sizes), 0)
  if (covered !== count) throw fail('INVALID_FIELD', `${count} values in its slices`, String(covered))
  const rows = findRowOrder(parts, shape)

  const load = async ({ box, slice }: { box: Box; slice: SliceProto }): Promise<Uint8Array> => {
    const entry = await table.find(encodeSliceKey(name, slice))
    const stored = entry ? await decodeMessage(SavedTensorSlicesType, valueSource(source, entry.value), limits) : {}
    if (entry === undefined || stored.data?.data === undefined) throw fail('INVALID_FIELD', 'its values', 'none')
    // The stored message has values only; type and shape are those of the list.
    const whole: TensorProto = {
      ...stored.data.data,
      dtype: type ?? 0,
      tensorShape: { dim: box.sizes.map((size) => ({ size })) },
    }
    const context = protoContext(valueSource(source, entry.value), undefined, limits)
    const tensor = readTensorProto(whole, { name, role: 'other' }, context)
    if (tensor === undefined) throw fail('INVALID_FIELD', dtype, 'another type')
    return readTensor(tensor)
  }
  return {
    name,
    dtype,
    shape,
    role: roleOfKey(name, dtype, known),
    bytes,
    async *stream() {
      if (rows ?? parts.length === 1) {
        for (const part of rows ?? parts) yield await load(part)
        return
      }
      const all = new Uint8Array(bytes)
      for (const part of parts) placeBox(all, shape, await load(part), part.box, byteLength(dtype, 1))
      yield all
    },
  }
}
