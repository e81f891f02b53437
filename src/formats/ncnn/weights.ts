import { type ByteSource, streamRange } from '../../bytes/byte-source.ts'
import type { NodeParameter } from '../../model/graph.ts'
import type { Problem } from '../../model/model.ts'
import { uniqueNames } from '../../model/unique-names.ts'
import type { Quantization, Tensor } from '../../tensor/tensor.ts'
import { denseBytes } from '../../tensor/tensor.ts'
import type { PlannedWeight } from './plan-weights.ts'

/** Tensors of a `.bin`, and which of them each layer owns. */
export interface NcnnWeights {
  readonly tensors: readonly Tensor[]
  /** by position of the layer in the `.param` */
  readonly byLayer: ReadonlyMap<number, readonly NodeParameter[]>
  readonly warnings: readonly Problem[]
}

/**
 * Turns the plan into tensors. Only the scales of int8 arrays are read: ncnn stores `round(real * scale)`, so the
 * scale of the model-wide convention is the reciprocal.
 */
export async function openWeights(planned: readonly PlannedWeight[], bin: ByteSource): Promise<NcnnWeights> {
  const tensors: Tensor[] = []
  const byLayer = new Map<number, NodeParameter[]>()
  const warnings: Problem[] = []
  const quantizations = await readQuantizations(planned, bin)
  const unique = uniqueNames()
  for (const weight of planned) {
    const name = unique(`${weight.layer}/${weight.spec.name}`)
    const quantization = quantizations.get(weight)
    tensors.push({
      name,
      dtype: weight.dtype,
      shape: weight.spec.shape,
      bytes: denseBytes(weight.dtype, weight.spec.shape)!,
      role: weight.spec.role,
      storage:
        weight.codebookOffset === undefined
          ? { file: bin.name, byteOffset: weight.byteOffset, byteLength: weight.byteLength }
          : { file: bin.name },
      ...(quantization ? { quantization } : {}),
      stream: () => streamWeight(weight, bin),
    })
    const owned = byLayer.get(weight.layerIndex) ?? []
    owned.push({ role: weight.spec.name, tensor: name })
    byLayer.set(weight.layerIndex, owned)
    if (weight.codebookOffset !== undefined)
      warnings.push({
        code: 'CODEBOOK_WEIGHTS',
        message: `"${name}" is stored as a table of 256 values and one index per weight; it is shown as the float32 values that these stand for.`,
        subject: name,
      })
  }
  return { tensors, byLayer, warnings }
}

async function readQuantizations(
  planned: readonly PlannedWeight[],
  bin: ByteSource,
): Promise<Map<PlannedWeight, Quantization>> {
  const byName = new Map(planned.map((weight) => [`${weight.layerIndex}/${weight.spec.name}`, weight]))
  const result = new Map<PlannedWeight, Quantization>()
  for (const { layerIndex, spec, byteOffset, byteLength } of planned) {
    const target = spec.scalesOf && byName.get(`${layerIndex}/${spec.scalesOf.name}`)
    // float weights with scales beside them are quantised when loaded: as stored they are plain numbers
    if (target?.dtype !== 'int8') continue
    const bytes = await bin.read(byteOffset, byteLength)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const scales = Array.from({ length: byteLength / 4 }, (_, index) => 1 / view.getFloat32(index * 4, true))
    const axis = spec.scalesOf?.axis
    result.set(target, { scales, zeroPoints: scales.map(() => 0), ...(axis === undefined ? {} : { axis }) })
  }
  return result
}

async function* streamWeight(weight: PlannedWeight, bin: ByteSource): AsyncGenerator<Uint8Array> {
  const range = { offset: weight.byteOffset, length: weight.byteLength }
  if (weight.codebookOffset === undefined) {
    yield* streamRange(bin, range)
    return
  }
  const table = await bin.read(weight.codebookOffset, 1024)
  for await (const indices of streamRange(bin, range)) {
    const values = new Uint8Array(indices.length * 4)
    for (let at = 0; at < indices.length; at++)
      values.set(table.subarray(indices[at]! * 4, indices[at]! * 4 + 4), at * 4)
    yield values
  }
}
