import type { Value } from '../../model/graph.ts'
import { dtypeFromOnnx } from './data-types.ts'
import type { TensorShapeProto, TypeProto, ValueInfoProto } from './schema.ts'

/** A graph input, output or intermediate value with the type that the file states. */
export function toValue({ name, type }: ValueInfoProto): Value {
  return { name: name ?? '', ...describeValueType(type) }
}

function describeValueType(type: TypeProto | undefined): Omit<Value, 'name'> {
  const tensor = type?.tensorType ?? type?.sparseTensorType
  if (tensor) {
    const dtype = dtypeFromOnnx(tensor.elemType)
    const shape = tensor.shape ? toShape(tensor.shape) : undefined
    return {
      ...(dtype ? { dtype } : {}),
      ...(shape ? { shape } : {}),
      ...(type?.tensorType ? {} : { container: 'sparse' }),
    }
  }
  if (type?.sequenceType) return { ...describeValueType(type.sequenceType.elemType), container: 'sequence' }
  if (type?.optionalType) return { ...describeValueType(type.optionalType.elemType), container: 'optional' }
  if (type?.mapType) return { ...describeValueType(type.mapType.valueType), container: 'map' }
  return type?.opaqueType ? { container: 'opaque' } : {}
}

function toShape({ dim }: TensorShapeProto): (number | string | null)[] {
  return dim.map(({ dimValue, dimParam }) => {
    if (dimParam) return dimParam
    // Some exporters write -1 for an unknown size.
    if (dimValue === undefined || dimValue < 0n || dimValue > BigInt(Number.MAX_SAFE_INTEGER)) return null
    return Number(dimValue)
  })
}

/** A type as text, e.g. `sequence(float32[1,N])`. */
export function describeType(type: TypeProto | undefined): string {
  const tensor = type?.tensorType ?? type?.sparseTensorType
  if (tensor) {
    const shape = tensor.shape
      ? `[${toShape(tensor.shape)
          .map((size) => size ?? '?')
          .join(',')}]`
      : ''
    const text = `${dtypeFromOnnx(tensor.elemType) ?? 'unknown'}${shape}`
    return type?.tensorType ? text : `sparse(${text})`
  }
  if (type?.sequenceType) return `sequence(${describeType(type.sequenceType.elemType)})`
  if (type?.optionalType) return `optional(${describeType(type.optionalType.elemType)})`
  if (type?.mapType) {
    const { keyType, valueType } = type.mapType
    return `map(${dtypeFromOnnx(keyType) ?? 'unknown'}, ${describeType(valueType)})`
  }
  return type?.opaqueType ? `opaque(${type.opaqueType.domain ?? ''}.${type.opaqueType.name ?? ''})` : 'unknown'
}
